//! Quarantine, releases and retractions.

use serde_json::Value;

use crate::{Server, field, text, write};

const SOCIAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/social.toml");

#[test]
fn events_in_quarantine_are_listed_and_released_and_events_are_taken_back() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_with(&directory.path().join("store"), &["--model", SOCIAL]);
    let visit = |id: u32, verdict: &str| {
        format!(
            r#"{{"eventId":"{id}","profileId":"ann","type":"web_visit","time":"2026-01-01T0{id}:00:00Z","attributes":{{"page":"prices","verdict":"{verdict}"}}}}"#
        )
    };
    let events = [visit(1, "robot"), visit(2, "robot"), visit(3, "human")];
    let file = write(&directory, "events.jsonl", &events.join("\n"));
    assert!(
        server
            .ask(&["replay", file.to_str().unwrap()])
            .status
            .success()
    );
    let events_of = |who: &str| field(&server.json(&["get", who]), "/profile/eventCount");
    assert_eq!(events_of("ann"), 1);

    let listed = server.json(&["quarantine", "judged_a_robot"]);
    assert_eq!(field(&listed, "/profiles/0/profileId"), "ann");
    assert_eq!(
        field(&listed, "/profiles/0/events/1/time"),
        "2026-01-01T02:00:00Z"
    );
    let told = text(&server.ask(&["quarantine", "judged_a_robot"]));
    assert!(
        told.contains("1 shown") && told.contains("saw_prices 2"),
        "{told}"
    );
    let unknown = server.ask(&["quarantine", "nobody"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        text(&unknown).contains("impossible_speed"),
        "{}",
        text(&unknown)
    );

    let other = text(&server.ask(&["release", "ann", "--rule", "impossible_speed"]));
    assert_eq!(other, "events of ann released: 0\n");
    let one = server.json(&["release", "ann", "--rule", "judged_a_robot", "--event", "2"]);
    assert_eq!(field(&one, "/releasedCount"), 1);
    let rest = text(&server.ask(&["release", "ann"]));
    assert_eq!(rest, "events of ann released: 1\n");
    assert_eq!(events_of("ann"), 3);
    let none = text(&server.ask(&["quarantine", "judged_a_robot"]));
    assert!(none.starts_with("nobody to list"), "{none}");

    let mistakes = [visit(2, "robot"), String::new(), visit(4, "human")];
    let mistakes = write(&directory, "mistakes.jsonl", &mistakes.join("\n"));
    let mistakes = mistakes.to_str().unwrap();
    let first = text(&server.ask(&["retract", mistakes]));
    let counted = |told: &str, outcome: &str| {
        let mut lines = told.lines().map(str::trim);
        let line = lines.find(|line| line.starts_with(outcome));
        let count = line.unwrap().rsplit(' ').next().unwrap();
        count.parse::<u64>().unwrap()
    };
    for (outcome, count) in [("retracted  ", 1), ("retracted before", 0), ("not come", 1)] {
        assert_eq!(counted(&first, outcome), count, "{first}");
    }
    assert_eq!(events_of("ann"), 2);
    let again = server.ask(&["retract", mistakes, "--json"]);
    let answers = serde_json::Deserializer::from_slice(&again.stdout).into_iter::<Value>();
    let outcomes: Vec<_> = answers
        .map(|answer| answer.unwrap()["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["RETRACTION_OUTCOME_DUPLICATE"; 2]);

    let update = write(
        &directory,
        "update.jsonl",
        r#"{"updateProfile":{"profileId":"ann"}}"#,
    );
    let refused = server.ask(&["retract", update.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("line 1: "), "{}", text(&refused));
    server.stop();
}
