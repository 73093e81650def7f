//! Events that are replayed, and what is answered after them.

use std::{fs, io::Write as _};

use serde_json::Value;

use crate::{AFTER, CONLANG, Server, bellwether, field, run, text, write};

#[test]
fn the_example_data_replays_once_and_answers_survive_export_and_import() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    let server = Server::start(&store);
    let first = server.ask(&["replay", CONLANG]);
    assert!(first.status.success(), "{}", text(&first));
    let summary = text(&first);
    assert!(
        summary.contains("669") && summary.contains("189"),
        "{summary}"
    );
    let before = server.everything();
    let counts = field(&before[0], "/stages");
    assert!(counts.as_array().unwrap().len() > 2, "{counts}");

    let again = text(&server.ask(&["replay", CONLANG]));
    let counted = |summary: &str, what: &str| -> u64 {
        let line = summary.lines().find(|line| line.starts_with(what)).unwrap();
        line.split_whitespace().last().unwrap().parse().unwrap()
    };
    assert_eq!(counted(&again, "applied"), 0, "{again}");
    assert_eq!(
        counted(&again, "duplicate") + counted(&again, "too old"),
        669,
        "{again}"
    );
    assert_eq!(server.everything(), before);
    server.stop();

    let file = directory.path().join("tenant.jsonl");
    let exported = bellwether()
        .arg("export")
        .arg("--store")
        .arg(&store)
        .arg("--output")
        .arg(&file)
        .output()
        .unwrap();
    assert!(exported.status.success(), "{}", text(&exported));
    let copy = directory.path().join("copy");
    for _ in 0..2 {
        let imported = bellwether()
            .arg("import")
            .arg("--store")
            .arg(&copy)
            .arg(&file)
            .output()
            .unwrap();
        assert!(imported.status.success(), "{}", text(&imported));
    }
    let server = Server::start(&copy);
    assert_eq!(server.everything(), before);
    server.stop();

    let whole = fs::read_to_string(&file).unwrap();
    let cut = write(&directory, "cut.jsonl", &whole[..whole.len() * 2 / 3]);
    let other = directory.path().join("other");
    let refused = bellwether()
        .arg("import")
        .arg("--store")
        .arg(&other)
        .arg(&cut)
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
}

#[test]
fn a_refused_line_is_told_with_its_number_and_the_rest_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let lines = [
        r#"{"eventId":"1","profileId":"ann","type":"question","time":"2024-01-01T00:00:00Z"}"#,
        r#"{"eventId":"2","profileId":"","type":"question","time":"2024-01-01T00:00:00Z"}"#,
        "not json",
        "",
        r#"{"event_id":"3","profile_id":"ann","type":"answer","time":"2024-01-02T00:00:00Z"}"#,
        r#"{"eventId":"4","profileId":"ann","type":"answer"}"#,
        r#"{"updateProfile":{"profileId":"ann","attributes":{"city":"Rome"}}}"#,
    ];
    let file = write(&directory, "events.jsonl", &lines.join("\n"));
    let server = Server::start(&directory.path().join("store"));
    let output = server.ask(&["replay", file.to_str().unwrap()]);
    let told = text(&output);
    assert_eq!(output.status.code(), Some(3), "{told}");
    for part in ["line 2", "profile_id", "line 3", "line 6", "time"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let ann = server.json(&["get", "ann"]);
    assert_eq!(field(&ann, "/profile/eventCount"), 2);
    assert_eq!(field(&ann, "/profile/attributes/city"), "Rome");
    server.stop();
}

#[test]
fn every_form_that_protobuf_gives_json_is_read_by_every_command() {
    let directory = tempfile::tempdir().unwrap();
    let events = [
        r#"{"eventId":"1","profileId":"ann","type":"comment","time":"2016-12-31T23:59:60Z","text":null,"tags":null,"sentiment":"0.5"}"#,
        "",
        r#"{"event_id":"2","profile_id":"ann","type":"comment","time":"2017-01-01T02:30:00+02:30","attributes":{"length":null}}"#,
    ];
    let update = r#"{"update_profile":{"profile_id":"ann","tenant":null,"attributes":{"crm_id":null,"city":"Rome"},"remove_attributes":["plan"]}}"#;
    let of_windows = |lines: &[&str]| format!("\u{feff}{}\r\n", lines.join("\r\n"));
    let all = [&events[..], &[update]].concat();
    let all = write(&directory, "all.jsonl", &of_windows(&all));
    let events = write(&directory, "events.jsonl", &of_windows(&events));
    let server = Server::start(&directory.path().join("store"));
    let replayed = server.ask(&["replay", all.to_str().unwrap()]);
    assert!(replayed.status.success(), "{}", text(&replayed));
    let ann = server.json(&["get", "ann"]);
    assert_eq!(field(&ann, "/profile/eventCount"), 2);
    assert_eq!(field(&ann, "/profile/attributes/city"), "Rome");
    assert_eq!(ann.pointer("/profile/attributes/crm_id"), None);
    assert_eq!(
        field(&ann, "/profile/firstSeenTime"),
        "2016-12-31T23:59:59Z"
    );
    assert_eq!(
        field(&ann, "/profile/lastEventTime"),
        "2017-01-01T00:00:00Z"
    );
    let forum = concat!(env!("CARGO_MANIFEST_DIR"), "/models/forum.toml");
    let compared = run(&["diff", forum, forum, "--events", all.to_str().unwrap()]);
    assert!(compared.status.success(), "{}", text(&compared));
    let retracted = server.ask(&["retract", events.to_str().unwrap()]);
    assert!(retracted.status.success(), "{}", text(&retracted));
    let ann = server.json(&["get", "ann"]);
    assert_eq!(field(&ann, "/profile/eventCount"), 0);
    server.stop();

    let wrong = r#"{"eventId":"1","profileId":"ann","type":"comment","time":"yesterday"}"#;
    let wrong = write(&directory, "wrong.jsonl", &format!("{wrong}\n"));
    let refused = server_less(&["retract", wrong.to_str().unwrap()]);
    assert!(
        refused.contains("line 1: ") && refused.contains("time: \"yesterday\""),
        "{refused}"
    );
}

/// What a command says that fails before it asks a server.
fn server_less(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(1));
    text(&output)
}

#[test]
fn a_checkpoint_resumes_where_the_replay_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let line = |number: u32| {
        format!(
            r#"{{"eventId":"{number}","profileId":"p{}","type":"comment","time":"2024-01-01T00:00:{:02}Z"}}"#,
            number % 7,
            number % 60
        )
    };
    let first: Vec<String> = (0..50).map(line).collect();
    let file = write(&directory, "events.jsonl", &(first.join("\n") + "\n"));
    let checkpoint = directory.path().join("checkpoint.json");
    let server = Server::start(&directory.path().join("store"));
    let arguments = [
        "replay",
        file.to_str().unwrap(),
        "--checkpoint",
        checkpoint.to_str().unwrap(),
    ];
    assert!(server.ask(&arguments).status.success());
    let mut grown = fs::OpenOptions::new().append(true).open(&file).unwrap();
    for number in 50..60 {
        writeln!(grown, "{}", line(number)).unwrap();
    }
    let resumed = server.ask(&arguments);
    assert!(resumed.status.success(), "{}", text(&resumed));
    let summary = text(&resumed);
    let applied = summary
        .lines()
        .find(|line| line.starts_with("applied"))
        .unwrap();
    assert!(applied.trim_end().ends_with(" 10"), "{summary}");
    server.stop();
}

#[test]
fn a_growing_file_is_replayed_line_by_line_whatever_part_of_a_line_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let line = |number: u32| {
        format!(
            "{{\"eventId\":\"{number}\",\"profileId\":\"ann\",\"type\":\"comment\",\"time\":\"2024-01-01T00:00:{number:02}Z\"}}\n"
        )
    };
    let whole: String = (0..30).map(line).collect();
    let file = directory.path().join("events.jsonl");
    let checkpoint = directory.path().join("checkpoint.json");
    let server = Server::start(&directory.path().join("store"));
    let arguments = [
        "replay",
        file.to_str().unwrap(),
        "--checkpoint",
        checkpoint.to_str().unwrap(),
    ];
    let last = whole.len() - line(29).len();
    for (end, code) in [(last + 20, 3), (last + 20, 3), (whole.len() - 1, 0)] {
        fs::write(&file, &whole[..end]).unwrap();
        let output = server.ask(&arguments);
        let told = text(&output);
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert_eq!(
            told.contains("line 30 was left unread"),
            code == 3,
            "{told}"
        );
    }
    fs::write(&file, whole + "not json\n").unwrap();
    let output = server.ask(&arguments);
    assert!(
        text(&output).contains("line 31 refused"),
        "{}",
        text(&output)
    );
    let ann = server.json(&["get", "ann"]);
    assert_eq!(field(&ann, "/profile/eventCount"), 30);
    server.stop();
}

#[test]
fn lines_without_effect_are_explained_and_end_with_exit_code_3() {
    let directory = tempfile::tempdir().unwrap();
    let line = |second: u32| {
        format!(
            r#"{{"eventId":"{second}","profileId":"ann","type":"comment","time":"2024-01-01T00:00:{second:02}Z"}}"#
        )
    };
    let newest_first: Vec<String> = (0..20).rev().map(line).collect();
    let file = write(&directory, "events.jsonl", &newest_first.join("\n"));
    let config = write(&directory, "bellwether.toml", "remembered_events = 8\n");
    let arguments = ["--config", config.to_str().unwrap()];
    let server = Server::start_with(&directory.path().join("store"), &arguments);
    for (command, without_effect) in [
        ("replay", "11 events were ignored (TOO_OLD)"),
        ("retract", "may still count"),
    ] {
        let output = server.ask(&[command, file.to_str().unwrap()]);
        let told = text(&output);
        assert_eq!(output.status.code(), Some(3), "{told}");
        assert!(told.contains(without_effect), "{told}");
    }
    let model = write(
        &directory,
        "model.toml",
        "[scores.interest]\nhalf_life = \"7d\"\n[[signals]]\nname = \"commented\"\non = \"comment\"\npoints = { interest = 1 }\n",
    );
    let model = model.to_str().unwrap();
    let broken = write(&directory, "broken.jsonl", &(line(1) + "\n{\"eventId\":"));
    let broken = broken.to_str().unwrap();
    let output = run(&["diff", model, model, "--events", broken]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(
        text(&output).contains("line 2 was left unread"),
        "{}",
        text(&output)
    );
    server.stop();
}

/// A reply reads what its author states, and a meeting what its account scores.
const READERS: &str = r#"
[scores.interest]
half_life = "7d"
[scores.told]
half_life = "7d"
[subjects.account]
key = 'profile.attributes.company'
[[signals]]
name = "visited"
on = "visit"
points = { interest = 1 }
[[signals]]
name = "answered_somebody_verified"
on = "reply"
when = 'author.attributes.verified == true'
points = { told = 1 }
[[signals]]
name = "met_a_warm_account"
on = "meeting"
when = 'subjects.account.scores.interest > 0.5'
points = { told = 1 }
[[segments]]
name = "told"
rank_by = "told"
min = 0.5
"#;

#[test]
fn lines_that_read_each_other_keep_the_order_of_the_file() {
    const PAIRS: usize = 400;
    let directory = tempfile::tempdir().unwrap();
    let model = write(&directory, "model.toml", READERS);
    let event = |id: usize, kind: &str, who: &str, field: &str| {
        format!(
            r#"{{"eventId":"{id}","profileId":"{who}-{id}","type":"{kind}","time":"2024-01-01T00:00:00Z"{field}}}"#
        ) + "\n"
    };
    let update = |who: &str, attributes: &str| {
        format!(r#"{{"updateProfile":{{"profileId":"{who}","attributes":{{{attributes}}}}}}}"#)
            + "\n"
    };
    let mut authors = String::new();
    let mut accounts = String::new();
    for pair in 0..PAIRS {
        // A reply that comes too early, the update, and one that comes after it.
        let author = format!(r#","authorId":"author-{pair}""#);
        authors += &event(pair, "reply", "early", &author);
        authors += &update(&format!("author-{pair}"), r#""verified":true"#);
        authors += &event(pair, "reply", "late", &author);
        // The account is stated by an update, which no line of an event shows.
        accounts += &update(
            &format!("guest-{pair}"),
            &format!(r#""company":"c-{pair}""#),
        );
        accounts += &event(
            pair,
            "meeting",
            "early",
            &format!(r#","subjects":[{{"kind":"account","subjectId":"c-{pair}"}}]"#),
        );
        accounts += &event(
            pair,
            "visit",
            "visitor",
            &format!(r#","subjects":[{{"kind":"account","subjectId":"c-{pair}"}}]"#),
        );
        accounts += &event(pair, "meeting", "guest", "");
    }
    for (name, lines, batch) in [
        ("authors", &authors, "500"),
        ("accounts", &accounts, "500"),
        ("single", &accounts, "1"),
    ] {
        let file = write(&directory, name, lines);
        let arguments = ["--model", model.to_str().unwrap()];
        let server =
            Server::start_with(&directory.path().join(format!("store-{name}")), &arguments);
        let replayed = server.ask(&["replay", file.to_str().unwrap(), "--batch", batch]);
        assert!(replayed.status.success(), "{}", text(&replayed));
        let told = server.json(&["rank", "told", "--as-of", "2024-01-01T01:00:00Z"]);
        assert_eq!(field(&told, "/segmentSize"), PAIRS, "{name}");
        server.stop();
    }
}

#[test]
fn event_types_that_match_nothing_are_named_at_the_end_of_a_replay() {
    let directory = tempfile::tempdir().unwrap();
    let line = |id: usize, kind: &str| {
        format!(
            r#"{{"eventId":"{id}","profileId":"ann","type":"{kind}","time":"2024-01-01T00:00:00Z"}}"#
        )
    };
    let lines = [line(1, "commment"), line(2, "comment"), line(3, "commment")];
    let file = write(&directory, "events.jsonl", &lines.join("\n"));
    let server = Server::start(&directory.path().join("store"));
    let replayed = server.ask(&["replay", file.to_str().unwrap()]);
    let told = text(&replayed);
    assert!(replayed.status.success(), "{told}");
    assert!(told.contains("commment: 2 lines match nothing"), "{told}");
    assert!(!told.contains("comment: 1 lines"), "{told}");
    server.stop();
}

#[test]
fn answers_for_people_are_tables_that_explain() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("store"));
    assert!(server.ask(&["replay", CONLANG]).status.success());
    let get = text(&server.ask(&["get", "user-12", "--full", "--as-of", AFTER]));
    for part in ["user-12", "engagement", "stage"] {
        assert!(get.contains(part), "{part} in {get}");
    }
    for part in ["because", "next stage", "term", "attribute rule"] {
        assert!(get.contains(part), "{part} in {get}");
    }
    let all = server.json(&["rank", "contact_next", "--limit", "1000", "--as-of", AFTER]);
    let tenth = server.json(&["rank", "contact_next", "--top", "10%", "--as-of", AFTER]);
    let members = |answer: &Value| field(answer, "/members").as_array().unwrap().clone();
    assert!(members(&all).len() > 20);
    let expected = members(&all).len().div_ceil(10);
    assert_eq!(members(&tenth), members(&all)[..expected]);
    assert_eq!(field(&tenth, "/segmentSize"), field(&all, "/segmentSize"));
    let some = |condition: &str| {
        let asked = ["rank", "contact_next", "--limit", "1000", "--as-of", AFTER];
        server.json(&[&asked[..], &["--condition", condition]].concat())
    };
    let all_members = members(&all);
    let by_stage = all_members
        .iter()
        .filter(|member| member["profile"]["stage"] == "contributor");
    let by_stage: Vec<Value> = by_stage.cloned().collect();
    assert!(!by_stage.is_empty() && by_stage.len() < all_members.len());
    assert_eq!(members(&some("stage == \"contributor\"")), by_stage);
    let failing = [
        "rank",
        "contact_next",
        "--as-of",
        AFTER,
        "--condition",
        "profile.attributes.x > 1",
    ];
    let failing = text(&server.ask(&failing));
    for part in ["nobody to list", "for which the condition failed"] {
        assert!(failing.contains(part), "{part} in {failing}");
    }
    let wrong = server.ask(&["rank", "contact_next", "--condition", "scores.x > 1"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(
        text(&wrong).contains("condition at 1:1 has no score"),
        "{}",
        text(&wrong)
    );
    let topics = text(&server.ask(&["topics", "contact_next", "--members", "5", "--as-of", AFTER]));
    assert!(topics.contains("over the 5 highest of"), "{topics}");
    let funnel = text(&server.ask(&["funnel", "--as-of", AFTER]));
    assert!(
        funnel.contains("awareness") && funnel.contains('%'),
        "{funnel}"
    );
    for list in [
        &["funnel"][..],
        &["rank", "contact_next"],
        &["topics", "contact_next"],
        &["influencers", "discussion"],
    ] {
        let early = server.ask(&[list, &["--as-of", "2018-04-01T00:00:00Z"]].concat());
        assert_eq!(early.status.code(), Some(1));
        let told = text(&early);
        for part in ["FAILED_PRECONDITION", "ask for 2018-04-30T17:03:29"] {
            assert!(told.contains(part), "{part} in {told}");
        }
    }
    let catalog = text(&server.ask(&["catalog"]));
    for part in ["contact_next", "contributor", "asked", "engagement"] {
        assert!(catalog.contains(part), "{part} in {catalog}");
    }
    let unknown = server.ask(&["get", "nobody"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown).contains("NOT_FOUND"), "{}", text(&unknown));
    let stranger = server.ask(&["get", "nobody", "--or-default"]);
    assert!(
        text(&stranger).contains("exists      no"),
        "{}",
        text(&stranger)
    );
    let segment = server.ask(&["rank", "nowhere"]);
    assert!(
        text(&segment).contains("contact_next"),
        "{}",
        text(&segment)
    );
    server.stop();
}
