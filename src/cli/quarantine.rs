//! `bellwether quarantine`: whose events a quarantine rule holds.

use std::collections::BTreeMap;

use super::{
    connection::Asking,
    failure::{Failure, printable},
    instant,
    output::{self, Column, signed_count, table},
    pages,
};
use crate::proto::v1::{ListQuarantineRequest, ListQuarantineResponse, QuarantinedProfile};

/// Lists the profiles with events that a quarantine rule holds, most events first.
#[derive(Clone, Debug, clap::Args)]
pub struct Quarantine {
    /// The name of the quarantine rule.
    rule: String,
    /// How many profiles at most.
    #[arg(long, default_value_t = 20, value_name = "PROFILES")]
    limit: usize,
    #[command(flatten)]
    asking: Asking,
}

impl Quarantine {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let asking = &self.asking;
        let response = pages::collect(self.limit, async |page_size, page_token| {
            let request = asking.request(ListQuarantineRequest {
                tenant: asking.target.tenant.clone(),
                rule: self.rule.clone(),
                page_size,
                page_token,
            });
            asking
                .answer(async |mut client| client.list_quarantine(request).await)
                .await
        })
        .await?;
        output::print(&if self.asking.json {
            output::json(&response)?
        } else {
            describe(&self.rule, &response)
        })
    }
}

impl pages::Page for ListQuarantineResponse {
    fn len(&self) -> usize {
        self.profiles.len()
    }

    fn next_page_token(&self) -> &str {
        &self.next_page_token
    }

    fn append(&mut self, next: Self) {
        self.profiles.extend(next.profiles);
        self.next_page_token = next.next_page_token;
        self.total_size = next.total_size;
    }

    fn truncate(&mut self, limit: usize) {
        self.profiles.truncate(limit);
    }
}

/// The page for people.
fn describe(rule: &str, response: &ListQuarantineResponse) -> String {
    let total = signed_count(response.total_size);
    if response.profiles.is_empty() {
        return format!("nobody to list; {rule} holds events of {total} profiles\n");
    }
    let columns = [
        Column::words("profile"),
        Column::numbers("events"),
        Column::words("from"),
        Column::words("to"),
        Column::words("would count"),
    ];
    let rows = response.profiles.iter().map(|held| {
        let time = |event: Option<&crate::proto::v1::HeldEvent>| {
            instant::format(event.and_then(|event| event.time.as_ref()))
        };
        [
            printable(&held.profile_id),
            output::count(held.events.len() as u64),
            time(held.events.first()),
            time(held.events.last()),
            matches(held),
        ]
    });
    let shown = output::count(response.profiles.len() as u64);
    table(&columns, rows) + &format!("{shown} shown; {rule} holds events of {total} profiles\n")
}

/// What the events of a profile matched, such as `asked 2, visited 12`.
fn matches(held: &QuarantinedProfile) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for signal in held.events.iter().flat_map(|event| &event.matched_signals) {
        *counts.entry(signal).or_default() += 1;
    }
    let counts = counts.into_iter();
    let counts: Vec<_> = counts
        .map(|(signal, count)| format!("{} {}", printable(signal), output::count(count)))
        .collect();
    counts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::HeldEvent;

    #[test]
    fn a_profile_stands_with_how_many_events_are_held_since_when_and_what_they_would_count() {
        let event = |time: &str, signals: &[&str]| HeldEvent {
            time: Some(instant::parse(time).unwrap()),
            r#type: "web_visit".to_owned(),
            matched_signals: signals.iter().map(|&signal| signal.to_owned()).collect(),
        };
        let response = ListQuarantineResponse {
            profiles: vec![QuarantinedProfile {
                profile_id: "ann\u{1b}".to_owned(),
                events: vec![
                    event("2026-01-01T00:00:00Z", &["visited", "saw_prices"]),
                    event("2026-01-02T00:00:00Z", &["visited"]),
                ],
            }],
            total_size: 1_234,
            ..ListQuarantineResponse::default()
        };
        let text = describe("robots", &response);
        for part in [
            "2026-01-01T00:00:00Z",
            "2026-01-02T00:00:00Z",
            "saw_prices 1, visited 2",
            "1 shown; robots holds events of 1,234 profiles",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn a_rule_that_holds_nothing_is_said() {
        let text = describe("robots", &ListQuarantineResponse::default());
        assert_eq!(text, "nobody to list; robots holds events of 0 profiles\n");
    }
}
