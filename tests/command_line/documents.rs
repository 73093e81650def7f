//! What the documents say is so: every block of code in them is run or checked, or says why not.
//!
//! A block of `sh` is run, from top to bottom of its document, unless the line before it says
//! `<!-- not run: REASON -->`. A block of `text` is the output of the block of `sh` before it, or
//! of the command that the line before it names, `<!-- output of: COMMAND -->`. A line of it that
//! ends with `…` is the beginning of one, and a line of `…` alone stands for any. A block of
//! `toml` is a model, or a part of one, unless the line before it says `<!-- a keys file -->`. Blocks of `python` are run by
//! `tests/clients/test_documents.py`, and the commands of `docs/clients.md` by
//! `tests/clients/test_languages.py`.

use std::{collections::BTreeSet, fs, os::unix::fs::symlink, path::Path, process::Command};

use bellwether::{access::read_keys, scoring::Model};
use serde_json::Value;
use tempfile::TempDir;

use crate::{Server, text, write};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const SOCIAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/social.toml");
const GUIDE: &str = "docs/model.md";
/// The documents whose blocks of Python are run by `tests/clients/test_documents.py`.
const WITH_PYTHON: [&str; 2] = ["README.md", "docs/how-to.md"];

/// A block of code in a document.
struct Block {
    line: usize,
    language: String,
    /// The comment just before it.
    comment: String,
    content: String,
}

impl Block {
    /// What the comment says after a keyword.
    fn says(&self, keyword: &str) -> Option<&str> {
        let comment = self.comment.strip_prefix("<!-- ")?.strip_suffix(" -->")?;
        comment.strip_prefix(keyword).map(str::trim)
    }

    fn is_run(&self) -> bool {
        self.says("not run:").is_none_or(str::is_empty)
    }
}

fn read(document: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(document)).unwrap()
}

fn blocks(document: &str) -> Vec<Block> {
    let text = read(document);
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_open = false;
    let mut before = "";
    for (number, line) in text.lines().enumerate() {
        match line.trim_start().strip_prefix("```") {
            Some(_) if is_open => is_open = false,
            Some(language) => {
                is_open = true;
                blocks.push(Block {
                    line: number + 1,
                    language: language.to_owned(),
                    comment: before.to_owned(),
                    content: String::new(),
                });
            }
            None if is_open => {
                let block = blocks.last_mut().unwrap();
                block.content.push_str(line);
                block.content.push('\n');
            }
            None => {}
        }
        before = line;
    }
    assert!(!is_open, "{document}: a block does not end");
    blocks
}

/// The documents that this holds for.
fn documents() -> Vec<String> {
    let mut documents = vec!["README.md".to_owned(), "models/README.md".to_owned()];
    for file in fs::read_dir(Path::new(ROOT).join("docs")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            documents.push(format!("docs/{name}"));
        }
    }
    assert!(documents.len() > 5);
    documents
}

#[test]
fn every_block_of_a_document_is_run_or_checked_or_says_why_not() {
    for document in documents() {
        for block in blocks(&document) {
            let is_known = match block.language.as_str() {
                // Each is run by the test of the document, see below.
                "sh" | "text" => {
                    !block.is_run()
                        || ["README.md", "docs/how-to.md", "docs/clients.md"]
                            .contains(&document.as_str())
                }
                "toml" => true,
                "jsonl" => document == GUIDE,
                "python" => !block.is_run() || WITH_PYTHON.contains(&document.as_str()),
                _ => false,
            };
            let Block { line, language, .. } = &block;
            assert!(is_known, "{document}:{line}: who runs `{language}` here?");
        }
    }
}

/// The scores that parts of models in the documents leave to be declared.
const SCORES: [(&str, &str); 5] = [
    ("interest", "half_life = \"7d\""),
    ("attention", "half_life = \"7d\""),
    ("engagement", "half_life = \"4w\""),
    ("seeking", "half_life = \"30d\""),
    ("fit", "base = 1"),
];

/// An identity rule, for parts that ask how sure it is who somebody is.
const IDENTITY: &str =
    "[[identity]]\nname = \"known\"\nwhen = 'has(profile.attributes.crm_id)'\nconfidence = 0.9\n";

/// A part of a model with what it leaves to be declared.
fn completed(part: &str) -> String {
    let mut model = String::new();
    for (name, fading) in SCORES {
        let header = format!("[scores.{name}]\n");
        if !part.contains(&header) {
            model.push_str(&format!("{header}{fading}\n"));
        }
    }
    let points = SCORES.map(|(name, _)| format!("{name} = 1")).join(", ");
    for signal in ["visited", "clicked", "watched"] {
        model.push_str(&format!(
            "[[signals]]\nname = \"{signal}\"\non = \"{signal}\"\npoints = {{ {points} }}\n"
        ));
    }
    model.push_str(IDENTITY);
    model + part
}

#[test]
fn every_model_and_keys_file_in_a_document_is_one() {
    let mut checked = 0;
    for document in documents() {
        for block in blocks(&document) {
            if block.language == "toml" {
                let mistakes: Vec<_> = if block.comment == "<!-- a keys file -->" {
                    let read = read_keys(&document, &block.content, &[]).err();
                    read.into_iter().flat_map(|mistakes| mistakes.0).collect()
                } else {
                    let read = Model::parse(&completed(&block.content)).err();
                    read.iter().flatten().map(ToString::to_string).collect()
                };
                let Block { line, .. } = block;
                assert!(
                    mistakes.is_empty(),
                    "{document}:{line}: {}",
                    mistakes.join("\n")
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 15);
}

#[test]
fn the_readme_shows_lines_of_the_built_in_model() {
    let forum = read("models/forum.toml");
    let lines: BTreeSet<&str> = forum.lines().collect();
    for block in blocks("README.md") {
        if block.language == "toml" {
            for line in block.content.lines() {
                assert!(lines.contains(line), "{line}");
            }
        }
    }
}

/// A directory like the repository, in which commands may write.
#[test]
fn a_client_is_generated_from_every_public_proto() {
    let directory = Path::new(ROOT).join("proto/public/bellwether/v1");
    let files = fs::read_dir(directory).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let names: BTreeSet<String> = names.collect();
    assert!(names.contains("store.proto"), "{names:?}");
    let mut commands = blocks("docs/clients.md");
    commands.retain(|block| block.language == "sh" && block.content.contains("protoc -I"));
    assert_eq!(commands.len(), 7);
    for Block { line, content, .. } in commands {
        for name in &names {
            let file = format!("bellwether/v1/{name}");
            assert!(
                content.contains(&file),
                "docs/clients.md:{line}: without {file}"
            );
        }
    }
}

fn workplace() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in ["models", "examples"] {
        symlink(Path::new(ROOT).join(name), directory.path().join(name)).unwrap();
    }
    directory
}

fn shell(directory: &Path, server: Option<&Server>, commands: &str) -> String {
    let binaries = Path::new(env!("CARGO_BIN_EXE_bellwether"))
        .parent()
        .unwrap();
    let path = format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.current_dir(directory).env("PATH", path);
    for name in ["STORE", "LISTEN", "MODEL", "CONFIG", "SERVER"] {
        shell.env_remove(format!("BELLWETHER_{name}"));
    }
    if let Some(server) = server {
        shell.env("BELLWETHER_SERVER", &server.url);
    }
    let output = shell.args(["-euc", commands]).output().unwrap();
    assert!(output.status.success(), "{commands}\n{}", text(&output));
    text(&output)
}

/// Fails unless the output has these lines, in this order.
fn assert_shown(shown: &str, output: &str) {
    let mut lines = output.lines().map(str::trim_end);
    for line in shown.lines().filter(|line| *line != "…") {
        let is_there = lines.any(|printed| match line.strip_suffix('…') {
            Some(beginning) => printed.starts_with(beginning),
            None => printed == line,
        });
        assert!(is_there, "not printed, or not there: {line}\n{output}");
    }
}

/// What stands before a block that shows an output.
enum Before {
    Nothing,
    Printed(String),
    /// Run by `tests/clients/test_documents.py`, which also compares the output.
    Python,
}

/// Runs the commands of a document and compares what it shows with what they print.
fn run_document(document: &str, server: &Server) {
    let directory = workplace();
    let mut before = Before::Nothing;
    for block in blocks(document) {
        let Block { content, .. } = &block;
        before = match block.language.as_str() {
            "sh" if block.is_run() => {
                Before::Printed(shell(directory.path(), Some(server), content))
            }
            "text" => {
                let printed = match (block.says("output of:"), before) {
                    (Some(command), _) => Some(shell(directory.path(), None, command)),
                    (None, Before::Printed(output)) => Some(output),
                    (None, Before::Python) => None,
                    (None, Before::Nothing) => {
                        panic!("{document}:{}: the output of what?", block.line)
                    }
                };
                if let Some(printed) = printed {
                    assert_shown(content, &printed);
                }
                Before::Nothing
            }
            "python" => Before::Python,
            _ => Before::Nothing,
        };
    }
}

#[test]
fn the_readme_is_true() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let demo = ["replay", crate::CONLANG, "--shift-to-now"];
    assert!(server.ask(&demo).status.success());
    run_document("README.md", &server);
}

#[test]
fn the_how_to_is_true() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_with(directory.path(), &["--model", SOCIAL]);
    run_document("docs/how-to.md", &server);
}

/// The cells of the rows of the first table below a heading.
fn table_below(document: &str, heading: &str) -> Vec<Vec<String>> {
    let text = read(document);
    let start = text.find(heading).unwrap();
    let rows = text[start..]
        .lines()
        .skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|'));
    let cells = |row: &str| {
        let cells = row.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().replace('`', "")).collect()
    };
    rows.map(cells).collect()
}

/// What a profile in the JSON of `get --full` has of what a row is about.
fn told(profile: &Value, row: &str) -> String {
    let named = |list: &Value, name: &str| {
        let mut entries = list.as_array().into_iter().flatten();
        entries
            .find(|entry| entry["name"] == name)
            .cloned()
            .unwrap_or_default()
    };
    let interest = named(&profile["scores"], "interest");
    let number = |value: &Value| value.as_f64().unwrap_or_default().to_string();
    match row.split_once(' ') {
        Some(("count", signal)) => number(&named(&interest["contributions"], signal)["count"]),
        Some(("points", "interest")) => number(&interest["points"]),
        _ => profile["stage"].as_str().unwrap_or_default().to_owned(),
    }
}

#[test]
fn the_example_of_the_guide_is_computed_right() {
    let guide = blocks(GUIDE);
    let first = |language: &str| {
        let block = guide.iter().find(|block| block.language == language);
        &block.unwrap().content
    };
    let directory = tempfile::tempdir().unwrap();
    let model = write(&directory, "model.toml", first("toml"));
    let store = directory.path().join("store");
    let server = Server::start_with(&store, &["--model", model.to_str().unwrap()]);

    let table = table_below(GUIDE, "## An example");
    let (instants, rows) = (&table[0][1..], &table[2..]);
    assert_eq!((instants.len(), rows.len()), (4, 4));
    let mut falls = 0;
    for (column, instant) in instants.iter().enumerate() {
        let instant = format!("{instant}T12:00:00Z");
        let until_then = |line: &&str| {
            let event: Value = serde_json::from_str(line).unwrap();
            event["time"].as_str().unwrap() <= instant.as_str()
        };
        let events: Vec<&str> = first("jsonl").lines().filter(until_then).collect();
        let file = write(&directory, "events.jsonl", &events.join("\n"));
        let replayed = server.ask(&["replay", file.to_str().unwrap()]);
        assert!(replayed.status.success(), "{}", text(&replayed));
        let profile = server.json(&["get", "ann", "--full", "--as-of", &instant]);
        let profile = profile.get("profile").unwrap_or(&profile);
        for row in rows {
            let expected = &row[column + 1];
            assert_eq!(&told(profile, &row[0]), expected, "{} at {instant}", row[0]);
        }
        let mut changes = profile["stageChanges"].as_array().into_iter().flatten();
        if let Some(faded) = changes.find(|change| change["byFading"] == true) {
            let minute = &faded["time"].as_str().unwrap()[.."2026-01-17T18:05".len()];
            assert!(read(GUIDE).contains(&format!("on {minute}, Ann falls back")));
            falls += 1;
        }
    }
    assert_eq!(falls, 1);
}
