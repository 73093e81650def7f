//! What happens to a line before it is sent: the tenant, the time, and what cannot be
//! replayed safely.

use pbjson_types::Timestamp;
use tokio::io::AsyncRead;

use super::lines::{Entry, LineReader, Position};
use crate::cli::{failure::Failure, instant};

/// How lines are changed and what is refused before it reaches the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preparation {
    /// Whose data it is; empty for the default tenant.
    pub tenant: String,
    /// Seconds by which every event is moved into the future.
    pub shift_seconds: i64,
    /// Whether events without `time` are sent, to count at their arrival.
    pub allow_arrival_time: bool,
}

impl Preparation {
    /// The line as it is sent, or why it is not.
    pub fn prepare(&self, mut entry: Entry) -> Result<Entry, String> {
        match &mut entry {
            Entry::Event(event) => match &mut event.time {
                Some(time) => time.seconds = time.seconds.saturating_add(self.shift_seconds),
                None if self.allow_arrival_time => {}
                None => {
                    return Err(
                        "the event has no time, so a second replay would count it again; \
                         --allow-arrival-time sends it all the same"
                            .to_owned(),
                    );
                }
            },
            Entry::Update(update) => {
                let tenant = update.tenant();
                if tenant.is_empty() {
                    tenant.clone_from(&self.tenant);
                } else if *tenant != self.tenant {
                    return Err(format!(
                        "the update is for tenant {tenant:?} and the replay for {:?}",
                        self.tenant
                    ));
                }
            }
        }
        Ok(entry)
    }
}

/// By how many seconds to move a source so that its latest event happens now. Zero when it
/// has no events.
pub async fn shift_to_now<R: AsyncRead + Unpin>(source: R) -> Result<i64, Failure> {
    let mut reader = LineReader::new(source, Position::default());
    let mut latest: Option<Timestamp> = None;
    while let Some(line) = reader
        .next()
        .await
        .map_err(|error| Failure::io("cannot read on", &error))?
    {
        if let Ok(Some(Entry::Event(event))) = line.content
            && let Some(time) = event.time
            && latest.is_none_or(|latest| latest.seconds < time.seconds)
        {
            latest = Some(time);
        }
    }
    // A second earlier, so that parts of seconds do not reach beyond the server's clock:
    // what is ahead of it takes its arrival time and would not be known again.
    Ok(latest.map_or(0, |latest| {
        (instant::now_seconds() - 1).saturating_sub(latest.seconds)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::replay::lines::parse, proto::v1::Event};

    fn entry(text: &str) -> Entry {
        parse(text).unwrap().unwrap()
    }

    #[test]
    fn an_event_without_time_is_refused_unless_allowed() {
        let event = Entry::Event(Event::default());
        let mut preparation = Preparation::default();
        let reason = preparation.prepare(event.clone()).unwrap_err();
        assert!(reason.contains("--allow-arrival-time"), "{reason}");
        preparation.allow_arrival_time = true;
        assert_eq!(preparation.prepare(event.clone()), Ok(event));
    }

    #[test]
    fn an_update_takes_the_tenant_of_the_replay_and_no_other() {
        let preparation = Preparation {
            tenant: "acme".to_owned(),
            ..Preparation::default()
        };
        let own = preparation
            .prepare(entry(r#"{"updateProfile":{"profileId":"p"}}"#))
            .unwrap();
        let Entry::Update(mut own) = own else {
            panic!("{own:?}");
        };
        assert_eq!(own.tenant(), "acme");
        let other = entry(r#"{"updateProfile":{"tenant":"other","profileId":"p"}}"#);
        assert!(preparation.prepare(other).unwrap_err().contains("other"));
    }

    #[tokio::test]
    async fn a_shifted_source_ends_now() {
        let text = r#"{"eventId":"a","time":"2018-01-02T00:00:00Z"}
            not json
            {"eventId":"b","time":"2018-01-01T00:00:00Z"}"#;
        let shift_seconds = shift_to_now(text.as_bytes()).await.unwrap();
        let preparation = Preparation {
            shift_seconds,
            ..Preparation::default()
        };
        let first = text.lines().next().unwrap_or_default();
        let Entry::Event(event) = preparation.prepare(entry(first)).unwrap() else {
            panic!("an event");
        };
        let age = instant::now_seconds() - event.time.unwrap().seconds;
        assert!((1..60).contains(&age), "{age}");
    }
}
