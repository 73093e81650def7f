//! The binary as its users meet it: every command, its output for people and programs, and
//! its exit codes.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::{
    fs,
    io::{BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

const CONLANG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/conlang.jsonl");
/// Just after the last event of the example data.
const AFTER: &str = "2018-05-02T12:00:00Z";

fn bellwether() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    for name in ["STORE", "LISTEN", "MODEL", "CONFIG", "SERVER"] {
        command.env_remove(format!("BELLWETHER_{name}"));
    }
    command
}

fn run(arguments: &[&str]) -> Output {
    bellwether().args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

/// A server of its own, on a port that the system chose.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(store: &Path) -> Self {
        Self::start_with(store, &[])
    }

    fn start_with(store: &Path, arguments: &[&str]) -> Self {
        let mut process = bellwether()
            .args(["serve", "--listen", "127.0.0.1:0", "--store"])
            .arg(store)
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines
                .next()
                .expect("the server says where it listens")
                .unwrap();
            if let Some((_, rest)) = line.split_once("address=") {
                break rest.split_whitespace().next().unwrap().to_owned();
            }
        };
        // The pipe must not fill up while the server runs.
        std::thread::spawn(move || lines.for_each(drop));
        let url = format!("http://{address}");
        Self { process, url }
    }

    fn ask(&self, arguments: &[&str]) -> Output {
        run(&[arguments, &["--server", &self.url]].concat())
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.ask(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Everything that a marketer could ask, for comparison.
    fn everything(&self) -> Vec<Value> {
        let mut answers = vec![self.json(&["funnel", "--as-of", AFTER])];
        for segment in ["contact_next", "helpers"] {
            let output = self.ask(&[
                "rank", segment, "--as-of", AFTER, "--limit", "500", "--json",
            ]);
            if output.status.success() {
                answers.push(serde_json::from_slice(&output.stdout).unwrap());
            }
        }
        answers.push(self.json(&[
            "influencers",
            "discussion",
            "--as-of",
            AFTER,
            "--limit",
            "500",
        ]));
        answers.push(self.json(&["get", "user-12", "--full", "--as-of", AFTER]));
        assert!(answers.len() >= 4);
        answers
    }

    fn stop(mut self) {
        let pid = self.process.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(told.success());
        assert!(
            self.process.wait().unwrap().success(),
            "a drain ends with success"
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn write(directory: &TempDir, name: &str, content: &str) -> PathBuf {
    let path = directory.path().join(name);
    fs::write(&path, content).unwrap();
    path
}

fn field(answer: &Value, path: &str) -> Value {
    answer
        .pointer(path)
        .unwrap_or_else(|| panic!("{path} in {answer}"))
        .clone()
}

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
    assert_eq!(field(&ann, "/profile/eventCount"), "2");
    assert_eq!(field(&ann, "/profile/attributes/city"), "Rome");
    server.stop();
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
    let members = |answer: &Value| field(answer, "/profiles").as_array().unwrap().clone();
    assert!(members(&all).len() > 20);
    let expected = members(&all).len().div_ceil(10);
    assert_eq!(members(&tenth), members(&all)[..expected]);
    assert_eq!(field(&tenth, "/totalSize"), field(&all, "/totalSize"));
    let topics = text(&server.ask(&["topics", "contact_next", "--members", "5", "--as-of", AFTER]));
    assert!(topics.contains("over the 5 highest of"), "{topics}");
    let funnel = text(&server.ask(&["funnel", "--as-of", AFTER]));
    assert!(
        funnel.contains("awareness") && funnel.contains('%'),
        "{funnel}"
    );
    let unknown = server.ask(&["get", "nobody"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown).contains("NOT_FOUND"), "{}", text(&unknown));
    let segment = server.ask(&["rank", "nowhere"]);
    assert!(
        text(&segment).contains("contact_next"),
        "{}",
        text(&segment)
    );
    server.stop();
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
fn what_cannot_start_says_why_and_how_to_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    let server = Server::start(&store);
    let second = bellwether()
        .args(["serve", "--listen", "127.0.0.1:0", "--store"])
        .arg(&store)
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(
        text(&second).contains("another process is using"),
        "{}",
        text(&second)
    );
    let address = server.url.trim_start_matches("http://");
    let busy = bellwether()
        .args(["serve", "--listen", address, "--store"])
        .arg(directory.path().join("other"))
        .output()
        .unwrap();
    assert_eq!(busy.status.code(), Some(1));
    assert!(text(&busy).contains("--listen"), "{}", text(&busy));
    server.stop();

    let foreign = directory.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("letter.txt"), "dear").unwrap();
    let refused = bellwether()
        .args(["serve", "--listen", "127.0.0.1:0", "--store"])
        .arg(&foreign)
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert_eq!(run(&["serve", "--nope"]).status.code(), Some(2));
    let bad = write(&directory, "bad.toml", "[scores.a]\nhalf_life = 7\n");
    let refused = bellwether()
        .args(["serve", "--listen", "127.0.0.1:0", "--model"])
        .arg(&bad)
        .arg("--store")
        .arg(directory.path().join("new"))
        .output()
        .unwrap();
    assert!(
        text(&refused).contains("bad.toml:2:13: "),
        "{}",
        text(&refused)
    );
}

#[test]
fn the_demo_answers_what_a_marketer_would_ask() {
    let output = run(&["demo", "--once", "--listen", "127.0.0.1:0"]);
    let told = text(&output);
    assert!(output.status.success(), "{told}");
    for part in [
        "CC BY-SA",
        "awareness",
        "contact_next",
        "probability",
        "189 people",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
}

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
    assert_eq!(again.get("changed"), None, "{again}");
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
    let people = flows.map(|flow| flow["profiles"].as_str().unwrap().parse::<u64>().unwrap());
    let profiles: u64 = report["profiles"].as_str().unwrap().parse().unwrap();
    assert_eq!(people.sum::<u64>(), profiles);
    let one = run(&["diff", FORUM, "--events", CONLANG]);
    assert_eq!(one.status.code(), Some(1), "{}", text(&one));
}

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
    assert_eq!(events_of("ann"), "1");

    let listed = server.json(&["quarantine", "judged_a_robot"]);
    assert_eq!(field(&listed, "/profiles/0/profileId"), "ann");
    assert_eq!(
        field(&listed, "/profiles/0/events/1/time"),
        "2026-01-01T02:00:00+00:00"
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
    assert_eq!(events_of("ann"), "3");
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
    assert_eq!(events_of("ann"), "2");
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
