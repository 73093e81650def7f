//! Counts a file of events under two models without a server, by the core alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use pbjson_types::Timestamp as SentTimestamp;
use tokio::fs::File;

use super::{
    failure::Failure,
    replay::lines::{CutOff, Entry, LineReader, Position},
};
use crate::{
    api::{self, EventPath},
    proto::v1,
    scoring::{
        Comparison, Evaluator, Model, ProfileId, Record, Timestamp,
        limits::DEFAULT_REMEMBERED_EVENTS,
    },
};

/// What a file came to.
pub(super) struct Compared {
    pub(super) report: v1::ComparisonReport,
    /// Lines that did not count.
    pub(super) refused: u64,
    /// The last line, when it was left unread.
    pub(super) cut_off: Option<CutOff>,
}

/// Compares two models on a file of JSON Lines. Each counts the whole file for itself.
pub(super) async fn compare(
    file: &Path,
    old: Arc<Model>,
    new: Arc<Model>,
    as_of: Option<SentTimestamp>,
    movers: usize,
) -> Result<Compared, Failure> {
    let failure = |error| Failure::io(file.display(), &error);
    let source = File::open(file).await.map_err(failure)?;
    let mut lines = LineReader::new(source, Position::default());
    // As a server does unless configured.
    let side = |model| Evaluator::new(model, DEFAULT_REMEMBERED_EVENTS);
    let mut sides = [side(old), side(new)];
    let mut refused = 0;
    let mut last = Timestamp::EPOCH;
    while let Some(line) = lines.next().await.map_err(failure)? {
        let counted = match line.content {
            Ok(None) => continue,
            Ok(Some(entry)) => count(entry, &mut sides),
            Err(_) => None,
        };
        match counted {
            Some(at) => last = last.max(at),
            None => refused += 1,
        }
    }
    let at = match as_of {
        Some(as_of) => api::timestamp_of(as_of).map_err(Failure::from)?,
        None => last,
    };
    let [old, new] = sides;
    let mut comparison =
        Comparison::new(Arc::clone(old.model()), Arc::clone(new.model()), at, movers);
    let everybody: BTreeSet<&ProfileId> =
        old.records().keys().chain(new.records().keys()).collect();
    let nothing = Record::default();
    for profile_id in everybody {
        let of = |records: &BTreeMap<ProfileId, Record>| records.get(profile_id).cloned();
        let before = of(old.records()).unwrap_or_else(|| nothing.clone());
        let after = of(new.records()).unwrap_or_else(|| nothing.clone());
        comparison.add_each(profile_id, &before, &after);
    }
    Ok(Compared {
        report: api::comparison_report(comparison.finish()),
        refused,
        cut_off: lines.cut_off(),
    })
}

/// Counts a line on both sides. Returns its instant, or nothing when it is refused.
fn count(entry: Entry, sides: &mut [Evaluator; 2]) -> Option<Timestamp> {
    match entry {
        Entry::Event(event) => {
            let event = api::event(event, EventPath::Single).ok()?;
            // Without a time it would count when it arrives, which no file says.
            let at = event.time?;
            for side in sides {
                side.apply(&event, at);
            }
            Some(at)
        }
        Entry::Update(update) => {
            let update = update.read().ok()?;
            for side in sides {
                side.update(&update.profile_id, &update.attributes, &update.removed)
                    .ok()?;
            }
            Some(Timestamp::EPOCH)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"
[scores.interest]
half_life = "7d"
[[signals]]
name = "visited"
on = "visit"
points = { interest = 3 }
[[stages]]
name = "awareness"
min = { interest = 1 }
"#;

    async fn report(lines: &str, new: &str) -> Compared {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("events.jsonl");
        std::fs::write(&file, lines).unwrap();
        let model = |source| Arc::new(Model::parse(source).unwrap());
        compare(&file, model(OLD), model(new), None, 10)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn an_update_that_a_server_refuses_is_refused_here_too() {
        let update = |from: usize| {
            let stated: Vec<String> = (from..from + 40).map(|n| format!("\"a{n}\":1")).collect();
            format!(
                r#"{{"updateProfile":{{"profileId":"ann","attributes":{{{}}}}}}}"#,
                stated.join(",")
            )
        };
        // Each is allowed, and both together are too many.
        let compared = report(&format!("{}\n{}\n", update(0), update(40)), OLD).await;
        assert_eq!(compared.refused, 1);
    }

    #[tokio::test]
    async fn each_model_counts_the_whole_file_for_itself() {
        let lines = r#"{"eventId":"1","profileId":"ann","type":"visit","time":"2026-01-01T00:00:00Z"}
{"eventId":"1","profileId":"ann","type":"visit","time":"2026-01-01T00:00:00Z"}
{"eventId":"2","profileId":"ben","type":"call","time":"2026-01-02T00:00:00Z"}
{"eventId":"3","profileId":"ben","type":"call"}
{"updateProfile":{"profileId":"cleo","attributes":{"city":"Rome"}}}
nonsense
"#;
        let new = OLD.replace("on = \"visit\"", "on = \"call\"");
        let compared = report(lines, &new).await;
        assert_eq!(compared.refused, 2);
        let report = compared.report;
        assert_eq!(report.profiles, 3);
        let interest = &report.scores[0];
        assert_eq!((interest.rising, interest.falling), (1, 1));
        assert_eq!(interest.movers[0].profile_id, "ben");
        assert_eq!(interest.movers[0].after, 3.0);
        assert_eq!(report.as_of.unwrap().seconds, 1_767_312_000);
        let flows: i64 = report.flows.iter().map(|flow| flow.profiles).sum();
        assert_eq!(flows, 3);
    }
}
