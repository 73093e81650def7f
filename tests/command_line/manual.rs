//! `completions` and `man`: they know every command, and what they write is what shells and `man` read.

use std::{fs, process::Command};

use crate::{run, text};

/// The commands, as `--help` lists them.
fn commands() -> Vec<String> {
    let help = text(&run(&["--help"]));
    let listed = help.split("Commands:").nth(1).unwrap();
    let listed = listed.split("Options:").next().unwrap();
    // Wrapped descriptions stand further to the right.
    let lines = listed.lines().filter_map(|line| line.strip_prefix("  "));
    let names = lines.filter(|line| !line.starts_with(' ') && !line.is_empty());
    let names = names.filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

#[test]
fn a_shell_completes_every_command() {
    let commands = commands();
    assert!(commands.len() > 15, "{commands:?}");
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]);
        assert_eq!(script.status.code(), Some(0), "{}", text(&script));
        let script = String::from_utf8(script.stdout).unwrap();
        for command in &commands {
            assert!(script.contains(command.as_str()), "{command} in {shell}");
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("bellwether.bash");
    fs::write(&script, run(&["completions", "bash"]).stdout).unwrap();
    let read = Command::new("bash").arg("-n").arg(&script).output();
    assert!(read.unwrap().status.success());
}

#[test]
fn every_command_has_a_manual_page() {
    let page = run(&["man"]);
    assert!(text(&page).contains(".TH bellwether"), "{}", text(&page));
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("man1");
    let written = run(&["man", "--directory", pages.to_str().unwrap()]);
    assert_eq!(written.status.code(), Some(0), "{}", text(&written));
    for command in commands() {
        if command == "help" {
            continue;
        }
        let page = fs::read_to_string(pages.join(format!("bellwether-{command}.1")));
        assert!(page.unwrap().contains(".SH SYNOPSIS"), "{command}");
    }
}
