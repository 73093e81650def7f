//! The rooms of the source and the direction of the arrows between them, tested on the
//! source text; ARCHITECTURE.md says why they are as they are.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod circles;
mod source;

use source::{Name, SOURCES, Source};

/// Every room with the rooms that it may name, each of which stands above it: there is no
/// way round in a circle.
const ROOMS: [(&str, &[&str]); 19] = [
    ("scoring", &[]),
    ("limits", &["scoring"]),
    ("clock", &["scoring"]),
    ("stretch", &["limits"]),
    ("proto", &["scoring"]),
    ("access", &["scoring", "limits"]),
    ("followed", &["limits"]),
    ("store", &["scoring", "proto"]),
    ("config", &["scoring", "limits", "store"]),
    ("telemetry", &["config", "limits", "store"]),
    ("measured", &["scoring", "store", "telemetry"]),
    ("admission", &["scoring", "limits"]),
    ("admin", &["limits", "telemetry"]),
    (
        "rollout",
        &[
            "scoring",
            "limits",
            "clock",
            "stretch",
            "store",
            "telemetry",
        ],
    ),
    (
        "service",
        &[
            "scoring",
            "limits",
            "clock",
            "stretch",
            "store",
            "telemetry",
            "admission",
            "rollout",
        ],
    ),
    (
        "api",
        &[
            "scoring",
            "limits",
            "proto",
            "access",
            "store",
            "telemetry",
            "rollout",
            "service",
        ],
    ),
    (
        "grpc",
        &[
            "api",
            "scoring",
            "limits",
            "clock",
            "proto",
            "access",
            "followed",
            "config",
            "telemetry",
            "admission",
            "admin",
            "store",
            "rollout",
            "service",
        ],
    ),
    (
        "server",
        &[
            "admin",
            "measured",
            "scoring",
            "clock",
            "config",
            "telemetry",
            "store",
            "rollout",
            "service",
            "grpc",
        ],
    ),
    (
        "cli",
        &[
            "admin",
            "scoring",
            "limits",
            "clock",
            "proto",
            "access",
            "config",
            "telemetry",
            "store",
            "rollout",
            "service",
            "api",
            "grpc",
            "server",
        ],
    ),
];

/// The floors of the core, from plain data upward: a module names only modules that stand before
/// it in this list.
const FLOORS_OF_SCORING: [&str; 25] = [
    "limits",
    "name",
    "timestamp",
    "instant",
    "decay",
    "duration",
    "attributes",
    "identity",
    "event",
    "effect",
    "rank",
    "memory",
    "answers",
    "record",
    "profile",
    "outcome",
    "written",
    "model",
    "counts",
    "influence",
    "evaluation",
    "edit",
    "evaluator",
    "explain",
    "compare",
];
/// And those of a model within it, which knows no record.
const FLOORS_OF_MODEL: [&str; 19] = [
    "ids",
    "fingerprint",
    "duration",
    "topics",
    "phrases",
    "calibration",
    "slot",
    "file",
    "catalog",
    "expr",
    "signal",
    "quarantine",
    "subjects",
    "rank",
    "definition",
    "event_subjects",
    "compile",
    "changes",
    "inputs",
];

/// What the pure core may use of other crates, `std` and `core` apart.
const CRATES_OF_SCORING: [&str; 12] = [
    "aho_corasick",
    "cel",
    "icu_normalizer",
    "icu_properties",
    "rustc_hash",
    "smol_str",
    "strsim",
    "thiserror",
    "toml",
    "typed_index_collections",
    "unicode_segmentation",
    "xxhash_rust",
];

/// What `std` has that is not pure.
const IMPURE: [&str; 8] = [
    "env", "fs", "io", "net", "process", "sync", "thread", "time",
];
/// What is pure all the same: shared text, and a span of time.
const PURE: [&str; 2] = ["std::sync::Arc", "std::time::Duration"];
/// The one place of the core that needs a thread, for its stack: what is computed there is
/// the same on any.
const NEEDS_A_STACK: (&str, [&str; 2]) = (
    "src/scoring/model/compile/stack.rs",
    ["std::io", "std::thread"],
);

/// Lines of a file before its tests: one reading.
const MAX_LINES: usize = 450;

/// Fails with every name that breaks a rule.
fn refuse(rule: &str, breaks_it: impl Fn(&Source, &Name) -> bool) {
    let offenders: Vec<String> = SOURCES
        .iter()
        .flat_map(|source| {
            let offending = source.names.iter().filter(|name| breaks_it(source, name));
            offending.map(move |name| format!("{} names {}", source.path, name.text()))
        })
        .collect();
    assert!(offenders.is_empty(), "{rule}:\n{}", offenders.join("\n"));
}

#[test]
fn names_are_found_however_they_are_written() {
    let text = r##"//! A file with crate::in_a_comment.
use crate::{scoring::{Model, limits as bounds}, store::*};
use tokio::sync::mpsc; // std::net
fn f<'a>(text: &'a str) -> super::Other {
    let quoted = ("crate::in_a_string \" ", r#"super::too"#, '"', b'\'');
    crate::config::help(); self::g(super::super::grpc::h)
}
#[cfg(test)]
mod tests { use crate::in_a_test; }
"##;
    let source = Source::new("src/service/read.rs", text, &Default::default());
    let names: Vec<String> = source.names.iter().map(Name::text).collect();
    let expected = [
        "crate::scoring::Model",
        "crate::scoring::limits",
        "crate::store",
        "tokio::sync::mpsc",
        "crate::service::Other",
        "crate::config::help",
        "crate::service::read::g",
        "crate::grpc::h",
    ];
    assert_eq!(names, expected);
    assert_eq!((source.room.as_str(), source.lines), ("service", 7));
}

#[test]
fn every_room_names_only_the_rooms_above_it() {
    for (position, (room, named)) in ROOMS.iter().enumerate() {
        for name in *named {
            let above = ROOMS[..position].iter().any(|(other, _)| other == name);
            assert!(above, "{room} may not name {name}, which stands below it");
        }
    }
    refuse(
        "an arrow between rooms is missing in ROOMS",
        |source, name| {
            let Some((room, named)) = ROOMS.iter().find(|(room, _)| *room == source.room) else {
                return !["lib", "main"].contains(&source.room.as_str());
            };
            name.room()
                .is_some_and(|other| other != *room && !named.contains(&other))
        },
    );
}

/// Fails with every name within a room that leads to a later floor, or to one that is not listed.
fn refuse_falling_arrows(room: &[&str], floors: &[&str]) {
    let facade = format!("src/{}/mod.rs", room.join("/"));
    let exported = source::exported(&facade);
    let floor_of = |module: &str| floors.iter().position(|floor| *floor == module);
    for floor in floors {
        let path = format!("src/{}/{floor}", room.join("/"));
        let is_there = |source: &Source| {
            source.path == format!("{path}.rs") || source.path == format!("{path}/mod.rs")
        };
        assert!(SOURCES.iter().any(is_there), "there is no {path}");
    }
    refuse(
        "a floor is named from below, or is not listed",
        |source, name| {
            let module: Vec<&str> = source.module.iter().map(String::as_str).collect();
            let own = module.strip_prefix(room);
            let Some([own, ..]) = own.filter(|_| source.path != facade) else {
                return false;
            };
            let named = name.own();
            let Some([named, ..]) = named.strip_prefix(room) else {
                return false;
            };
            let named = exported.get(*named).map_or(*named, String::as_str);
            match (floor_of(own), floor_of(named)) {
                (Some(own), Some(named)) => named > own,
                _ => true,
            }
        },
    );
}

#[test]
fn arrows_inside_of_scoring_lead_upward() {
    refuse_falling_arrows(&["scoring"], &FLOORS_OF_SCORING);
}

#[test]
fn arrows_inside_of_a_model_lead_upward_and_to_no_record() {
    refuse_falling_arrows(&["scoring", "model"], &FLOORS_OF_MODEL);
    refuse("a model knows no record", |source, name| {
        source.path.starts_with("src/scoring/model/") && name.has("Record")
    });
}

#[test]
fn fading_is_computed_in_one_place() {
    let offenders: Vec<_> = SOURCES
        .iter()
        .filter(|source| source.words.iter().any(|word| word == "exp2"))
        .map(|source| source.path.as_str())
        .collect();
    assert_eq!(offenders, ["src/scoring/decay.rs"]);
}

#[test]
fn scoring_is_pure() {
    refuse(
        "scoring knows no clock, no input or output and no randomness",
        |source, name| {
            let is_impure = match name.foreign().as_slice() {
                ["std", module, ..] => {
                    let (path, allowed) = NEEDS_A_STACK;
                    let text = name.text();
                    let is_allowed = source.path == path && allowed.contains(&text.as_str());
                    IMPURE.contains(module) && !PURE.contains(&text.as_str()) && !is_allowed
                }
                [first, ..] => {
                    source.dependencies.contains(*first) && !CRATES_OF_SCORING.contains(first)
                }
                [] => false,
            };
            source.room == "scoring" && (is_impure || name.has("SystemTime") || name.has("Instant"))
        },
    );
    for source in SOURCES.iter().filter(|source| source.room == "scoring") {
        let waits = source.words.iter().any(|word| word == "async");
        assert!(!waits, "{} is async", source.path);
    }
}

#[test]
fn what_is_near_to_a_name_is_found_in_one_place() {
    refuse("scoring::nearest and suggestion", |source, name| {
        name.has("strsim") && source.path != "src/scoring/written/diagnostic.rs"
    });
}

#[test]
fn only_the_embedded_store_names_its_engine() {
    refuse("fjall stays inside", |source, name| {
        name.has("fjall") && !source.path.starts_with("src/store/embedded/")
    });
}

#[test]
fn grpc_names_of_the_store_only_what_every_store_is() {
    refuse(
        "grpc works with any store and reads no record",
        |source, name| {
            let is_concrete = match name.own().as_slice() {
                ["store", item, ..] => !["Cursor", "Store", "StoreError"].contains(item),
                ["store"] | ["proto", "record", ..] => true,
                _ => false,
            };
            source.room == "grpc" && is_concrete
        },
    );
}

#[test]
fn messages_of_the_public_api_stay_in_front_of_the_service() {
    refuse("proto::v1 is the wire's", |source, name| {
        matches!(name.own().as_slice(), ["proto", "v1", ..])
            && !["api", "grpc", "cli"].contains(&source.room.as_str())
    });
}

#[test]
fn one_place_reads_the_clock() {
    // A client moves old data to now and prints instants; an error message formats one.
    let may_read = ["src/clock.rs", "src/cli/instant.rs"];
    refuse("whoever needs the clock is handed it", |source, name| {
        let formats = source.path == "src/api/status.rs" && name.has("UNIX_EPOCH");
        (name.has("SystemTime") || name.has("UNIX_EPOCH"))
            && !formats
            && !may_read.contains(&source.path.as_str())
    });
}

#[test]
fn whoever_counts_is_handed_the_counters() {
    refuse(
        "a meter of the whole process counts for everybody",
        |_, name| matches!(name.foreign().as_slice(), ["opentelemetry", "global", ..]),
    );
}

#[test]
fn one_place_reads_the_environment() {
    refuse("configuration comes from one lookup", |source, name| {
        name.text().contains("env::var") && source.path != "src/cli/configured.rs"
    });
}

#[test]
fn the_page_on_architecture_names_only_files_that_there_are() {
    let page = include_str!("../../ARCHITECTURE.md");
    let is_path = |word: &&str| {
        let ends = [".rs", ".py", ".lua", "/"]
            .iter()
            .any(|end| word.ends_with(end));
        ends && word.len() > 1 && !word.contains(['<', ':', '('])
    };
    let words = page.split(|sign: char| sign.is_whitespace() || "`|,;)".contains(sign));
    let named: Vec<&str> = words.filter(is_path).collect();
    assert!(named.len() > 40, "{named:?}");
    let files = source::files(&["src", "tests", "docs", "proto", "models"]);
    for path in named {
        let wanted = format!("/{}", path.trim_start_matches('/'));
        let is_there = |file: &String| match wanted.strip_suffix('/') {
            Some(directory) => file.contains(&format!("{directory}/")),
            None => file.ends_with(&wanted),
        };
        assert!(files.iter().any(is_there), "there is no {path}");
    }
}

#[test]
fn every_file_says_what_it_is_for_and_fits_in_one_reading() {
    for source in SOURCES.iter() {
        let says = source.text.starts_with("//! ");
        assert!(says, "{} does not begin with //!", source.path);
        assert!(
            source.lines <= MAX_LINES,
            "{} has {} lines before its tests, more than {MAX_LINES}; split it",
            source.path,
            source.lines
        );
    }
}
