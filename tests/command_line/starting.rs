//! What starts, what cannot, and what is said about it.

use std::fs;

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
