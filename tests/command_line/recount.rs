//! What accounts and authors lack after a loss comes back from the file of events, on either store.

use std::path::Path;

use serde_json::{Value, json};

use crate::{Server, redis_servers::RedisServer, run, text, write};

const MODEL: &str = r#"
[scores.interest]
half_life = "7d"
[scores.ever]
[[signals]]
name = "visited"
on = ["visit", "reply"]
limit = 4
points = { interest = 10, ever = 1 }
[[signals]]
name = "read"
on = "visit"
per = 'event.tags'
points = { ever = 0.5 }
[[stages]]
name = "awareness"
[[stages]]
name = "decision"
min = { interest = 25 }
[[topics]]
name = "price"
[subjects.account]
key = 'profile.attributes.company'
[influence]
event_types = { reply = 2 }
half_life = "7d"
attribution_half_life = "3d"
advance = 4
[[quarantine]]
name = "robots"
when = 'get(event.attributes, "robot", false)'
"#;

fn event(number: usize) -> Value {
    let person = number % 4;
    let event_type = ["visit", "reply"][number % 2];
    let tag = ["a", "b", "c"][number % 3];
    let mut event = json!({
        "eventId": number.to_string(),
        "profileId": format!("person-{person}"),
        "type": event_type,
        "time": format!("2026-01-{:02}T{:02}:30:00Z", number / 20 + 1, number % 20),
        "tags": ["price", tag],
        "authorId": format!("author-{}", number % 3),
    });
    if person != 3 {
        let account = ["acme", "home"][number % 2];
        event["subjects"] = json!([{ "kind": "account", "subjectId": account }]);
    }
    if number % 25 == 7 {
        event["attributes"] = json!({ "robot": true });
    }
    event
}

fn lines(values: impl IntoIterator<Item = Value>) -> String {
    values
        .into_iter()
        .map(|value| format!("{value}\n"))
        .collect()
}

/// Runs a command that must succeed.
fn done(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    text(&output)
}

fn export(store: &str, file: &Path) -> Vec<Value> {
    let file = file.to_str().unwrap();
    done(&["export", "--store", store, "--output", file]);
    let exported = std::fs::read_to_string(file).unwrap();
    let lines = exported.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Equal but for the last digits of sums, and for the order in which effects arrived.
fn assert_alike(found: &Value, expected: &Value, place: &str) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            for name in found.keys().chain(expected.keys()) {
                if ["effectHashes", "effectTimes", "effectHorizon"].contains(&name.as_str()) {
                    continue;
                }
                let field = |object: &serde_json::Map<String, Value>| {
                    object.get(name).cloned().unwrap_or_default()
                };
                assert_alike(&field(found), &field(expected), &format!("{place}.{name}"));
            }
        }
        (Value::Array(found), Value::Array(expected)) if found.len() == expected.len() => {
            for (number, (found, expected)) in found.iter().zip(expected).enumerate() {
                assert_alike(found, expected, &format!("{place}.{number}"));
            }
        }
        (Value::Number(found), Value::Number(expected)) => {
            let [found, expected] = [found, expected].map(|number| number.as_f64().unwrap());
            let near = (found - expected).abs() <= 1e-9 * expected.abs().max(1.0);
            assert!(near, "{place} is {found}, expected {expected}");
        }
        _ => assert_eq!(found, expected, "{place}"),
    }
}

fn a_loss_is_made_good(store: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let model = write(&directory, "model.toml", MODEL);
    let update =
        json!({"updateProfile": {"profileId": "person-3", "attributes": {"company": "acme"}}});
    let events = (0..100).map(event);
    let events = write(
        &directory,
        "events.jsonl",
        &lines([update].into_iter().chain(events)),
    );
    let retracted = write(
        &directory,
        "retracted.jsonl",
        &lines([event(40), event(61)]),
    );
    let (events, retracted) = (events.to_str().unwrap(), retracted.to_str().unwrap());

    let server = Server::start_with(Path::new(store), &["--model", model.to_str().unwrap()]);
    for command in [
        &["replay", events][..],
        &["release", "person-3"],
        &["retract", retracted],
    ] {
        let output = server.ask(command);
        assert!(output.status.success(), "{command:?}: {}", text(&output));
    }
    server.stop();
    let before = export(store, &path("before.jsonl"));

    // Accounts lose everything, authors half of it.
    let lost = before.iter().cloned().map(|mut line| {
        match line["profileId"].as_str() {
            Some("\u{1}account:acme" | "\u{1}account:home") => {
                let record = &line["record"];
                line["record"] = json!({
                    "format": record["format"],
                    "incarnation": record["incarnation"],
                });
            }
            Some("author-0") => {
                let cell = &mut line["record"]["influence"]["cells"][0];
                cell["touches"] = json!("3");
            }
            _ => {}
        }
        line
    });
    let damaged = write(&directory, "damaged.jsonl", &lines(lost));
    done(&[
        "import",
        "--store",
        store,
        "--replace",
        damaged.to_str().unwrap(),
    ]);
    let damaged = export(store, &path("lost.jsonl"));
    assert_ne!(damaged, before);

    let timeless = json!({"eventId": "x", "profileId": "ann", "type": "visit"});
    let timeless = write(&directory, "timeless.jsonl", &lines([event(0), timeless]));
    let refused = run(&["recount", "--store", store, timeless.to_str().unwrap()]);
    let told = text(&refused);
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(
        told.contains("timeless.jsonl:2: the event has no time"),
        "{told}"
    );
    assert!(told.contains("nothing was written"), "{told}");
    assert_eq!(export(store, &path("lost.jsonl")), damaged);

    let recount = [
        "recount",
        "--store",
        store,
        "--retracted",
        retracted,
        events,
    ];
    let told = done(&recount);
    assert!(told.contains("of 5 subjects and authors written"), "{told}");
    let after = export(store, &path("after.jsonl"));
    assert_eq!(after.len(), before.len());
    for (found, expected) in after.iter().zip(&before) {
        assert_alike(
            found,
            expected,
            expected["profileId"].as_str().unwrap_or("header"),
        );
    }
    let told = done(&recount);
    assert!(
        told.contains("0 of 5 subjects and authors written"),
        "{told}"
    );

    // Served again, nothing that is sent again counts again.
    let server = Server::start_with(Path::new(store), &["--model", model.to_str().unwrap()]);
    assert!(server.ask(&["replay", events]).status.success());
    server.stop();
    assert_eq!(export(store, &path("again.jsonl")), after);
}

#[test]
fn a_recount_makes_a_loss_good_in_the_embedded_store() {
    let directory = tempfile::tempdir().unwrap();
    a_loss_is_made_good(directory.path().join("store").to_str().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recount_makes_a_loss_good_in_redis() {
    let redis = RedisServer::start().await;
    let url = redis.url();
    tokio::task::spawn_blocking(move || a_loss_is_made_good(&url))
        .await
        .unwrap();
}

#[test]
fn a_store_without_a_model_is_not_recounted() {
    let directory = tempfile::tempdir().unwrap();
    let events = write(&directory, "events.jsonl", &lines([event(0)]));
    let events = events.to_str().unwrap();
    let nowhere = directory.path().join("nowhere");
    let refused = run(&["recount", "--store", nowhere.to_str().unwrap(), events]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused).contains("there is no store"),
        "{}",
        text(&refused)
    );
    assert!(!nowhere.exists());
}
