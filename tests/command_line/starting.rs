//! What starts, what cannot, and what is said about it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::Stdio,
    time::{Duration, Instant},
};

use crate::{Server, bellwether, run, text, write};

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
fn a_damaged_journal_is_refused_with_its_place_and_repaired_with_what_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    let mut server = Server::start(&store);
    for name in ["ann", "bob", "cleo"] {
        let line = format!(
            r#"{{"eventId":"1","profileId":"{name}","type":"answer","time":"2024-01-01T00:00:00Z"}}"#
        );
        let replayed = server.ask(&["replay", write(&directory, "a", &line).to_str().unwrap()]);
        assert!(replayed.status.success(), "{}", text(&replayed));
    }
    server.process.kill().unwrap();
    server.process.wait().unwrap();
    let journal = store.join("records/0.jnl");
    let mut bytes = fs::read(&journal).unwrap();
    let bob = bytes.windows(3).position(|name| name == b"bob").unwrap();
    bytes[bob + 20] ^= 1;
    fs::write(&journal, &bytes).unwrap();
    let store_flag = ["--store", store.to_str().unwrap()];
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["export"]] {
        let refused = run(&[arguments, &store_flag].concat());
        assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
        let said = text(&refused);
        assert!(
            said.contains("0.jnl, offset ") && said.contains("bellwether repair"),
            "{said}"
        );
        assert!(
            fs::read(&journal).unwrap() == bytes,
            "the journal has changed"
        );
    }
    let repair = ["repair", store.to_str().unwrap()];
    let said = text(&run(&repair));
    assert!(
        said.contains("cut out: ") && said.contains("\"bob\""),
        "{said}"
    );
    assert!(said.contains("2 profiles can be read"), "{said}");
    assert!(fs::read(store.join("damaged-1/0.jnl")).unwrap() == bytes);
    let said = text(&run(&repair));
    assert!(said.contains("the journal is whole"), "{said}");
    let server = Server::start(&store);
    assert!(server.ask(&["get", "ann"]).status.success());
    assert!(server.ask(&["get", "cleo"]).status.success());
    server.stop();
    let seal = fs::read_to_string(store.join("bellwether-seal")).unwrap();
    assert!(seal.contains("closed"), "a clean stop seals: {seal}");
}

#[test]
fn a_misspelt_setting_and_a_wrong_collector_are_said_in_the_log_within_ten_seconds() {
    let directory = tempfile::tempdir().unwrap();
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let started = Instant::now();
    let mut process = bellwether()
        .args(["serve", "--listen", "127.0.0.1:0", "--log-level", "warn"])
        .args(["--otlp-endpoint", &endpoint, "--store"])
        .arg(directory.path().join("store"))
        .env("BELLWETHER_MAX_SKWE", "5m")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let mut line_with = |part: &str| {
        let mut lines = lines.by_ref().map(Result::unwrap);
        lines.find(|line| line.contains(part)).unwrap()
    };
    let slip = line_with("BELLWETHER_MAX_SKWE");
    assert!(slip.contains("did you mean BELLWETHER_MAX_SKEW?"), "{slip}");
    let wrong = line_with("otlp_endpoint");
    assert!(wrong.contains(&endpoint), "{wrong}");
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    process.kill().unwrap();
    process.wait().unwrap();
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
