//! The binary as its users meet it: every command, its output for people and programs, and
//! its exit codes.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod corrections;
mod documents;
mod events;
mod health;
mod manual;
mod models;
mod recount;
#[path = "../redis_servers/mod.rs"]
mod redis_servers;
mod repartition;
mod starting;

use std::{
    fs,
    io::{BufRead, BufReader},
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
    // Many run at a time.
    command.env("BELLWETHER_ADMIN_LISTEN", "127.0.0.1:0");
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
