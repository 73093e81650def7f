//! Models that are checked, compared and applied.

use std::fs;

use serde_json::Value;

use crate::{AFTER, CONLANG, Server, bellwether, field, run, text, write};

const FORUM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/forum.toml");

/// The built-in model with another weight.
fn retuned() -> String {
    let forum = fs::read_to_string(FORUM).unwrap();
    let changed = forum.replacen(
        "points = { engagement = 6 }",
        "points = { engagement = 96 }",
        1,
    );
    assert_ne!(changed, forum);
    changed
}

#[test]
fn every_mistake_of_a_model_is_printed_as_file_line_column() {
    let directory = tempfile::tempdir().unwrap();
    let bad = write(
        &directory,
        "bad.toml",
        "[scores.a]\nhalf_life = 7\n[[stages]]\n",
    );
    let output = bellwether().arg("check").arg(&bad).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    for place in ["bad.toml:2:13: ", "bad.toml:3:1: "] {
        assert!(text(&output).contains(place), "{}", text(&output));
    }
    let good = run(&[
        "check",
        concat!(env!("CARGO_MANIFEST_DIR"), "/models/forum.toml"),
    ]);
    assert!(good.status.success(), "{}", text(&good));
}

#[test]
fn a_model_is_compared_applied_and_taken_back_while_the_server_runs() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("store"));
    assert!(server.ask(&["replay", CONLANG]).status.success());
    let file = write(&directory, "retuned.toml", &retuned());
    let file = file.to_str().unwrap();

    let foretold = server.json(&["diff", file, "--movers", "2", "--as-of", AFTER]);
    let told = text(&server.ask(&["diff", FORUM, file, "--as-of", AFTER]));
    for part in [
        "what was counted",
        "who moves farthest",
        "from / to",
        "segment",
        "engagement",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let changed = foretold["scores"]
        .as_array()
        .unwrap()
        .iter()
        .any(|score| score.get("rising").is_some() || score.get("falling").is_some());
    assert!(changed, "{foretold}");

    let before = server.json(&["get", "user-12", "--as-of", AFTER]);
    let applied = server.json(&["apply", file, "--wait"]);
    assert_eq!(applied["changed"], true, "{applied}");
    let after = server.json(&["get", "user-12", "--as-of", AFTER]);
    assert_ne!(
        field(&after, "/profile/scores"),
        field(&before, "/profile/scores")
    );
    let again = server.json(&["apply", file]);
    assert_eq!(again["changed"], false, "{again}");
    let back = text(&server.ask(&["apply", FORUM, "--wait"]));
    assert!(back.contains("is applied, and answers"), "{back}");
    assert_eq!(server.json(&["get", "user-12", "--as-of", AFTER]), before);
    server.stop();
}

#[test]
fn a_wrong_model_is_told_with_its_mistakes_and_never_sent() {
    let directory = tempfile::tempdir().unwrap();
    let wrong = write(
        &directory,
        "wrong.toml",
        "[scores.interest]\nhalf_life = \"soon\"\n",
    );
    for command in [&["apply"][..], &["diff", FORUM]] {
        // Nothing listens there: the file is looked at first.
        let arguments = [
            command,
            &[wrong.to_str().unwrap(), "--server", "127.0.0.1:1"],
        ]
        .concat();
        let output = run(&arguments);
        let told = text(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(
            told.contains("wrong.toml:2:") && told.contains("1 mistake"),
            "{told}"
        );
    }
    let server = Server::start_with(&directory.path().join("store"), &[]);
    let refused = text(&server.ask(&["apply", FORUM, "--tenant", "acme"]));
    assert!(refused.contains("leave it out"), "{refused}");
    server.stop();
}

#[test]
fn a_server_without_the_service_of_models_says_what_to_set() {
    let directory = tempfile::tempdir().unwrap();
    let config = write(&directory, "bellwether.toml", "model_service = false\n");
    let arguments = ["--config", config.to_str().unwrap()];
    let server = Server::start_with(&directory.path().join("store"), &arguments);
    let refused = text(&server.ask(&["apply", FORUM]));
    assert!(refused.contains("model_service = true"), "{refused}");
    server.stop();
}

#[test]
fn two_models_are_compared_on_a_file_without_a_server() {
    let directory = tempfile::tempdir().unwrap();
    let file = write(&directory, "retuned.toml", &retuned());
    let arguments = ["diff", FORUM, file.to_str().unwrap(), "--events", CONLANG];
    let output = run(&arguments);
    let told = text(&output);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("as if it had always held"), "{told}");
    let output = run(&[&arguments[..], &["--json"]].concat());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let flows = report["flows"].as_array().unwrap().iter();
    let people = flows.map(|flow| flow["profiles"].as_u64().unwrap());
    let profiles: u64 = report["profiles"].as_u64().unwrap();
    assert_eq!(people.sum::<u64>(), profiles);
    let one = run(&["diff", FORUM, "--events", CONLANG]);
    assert_eq!(one.status.code(), Some(1), "{}", text(&one));
}
