//! The targets of `fuzz/` on its seeds, on what a few changes make of them and on any bytes: so few
//! that they run with every other test. The fuzzer runs more.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::{fs, path::Path};

use proptest::{prelude::*, sample::Index};

/// What every seed of a target and some bytes lead to.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let files = fs::read_dir(seeds.join(target)).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 1, "where are the seeds of {target}?");
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// A change of bytes: where, which and how.
type Change = (Index, u8, u8);

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = (any::<Index>(), any::<u8>(), 0..5_u8);
    proptest::collection::vec(change, 0..12)
}

fn changed(seed: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for (place, byte, how) in changes {
        let place = place.index(bytes.len() + 1);
        match how {
            0 => bytes.insert(place, *byte),
            1 => bytes.truncate(place),
            2 => drop(bytes.drain(place..(place + usize::from(*byte)).min(bytes.len()))),
            3 => bytes.extend_from_within(place..),
            _ => {
                if let Some(old) = bytes.get_mut(place) {
                    *old ^= byte;
                }
            }
        }
        bytes.truncate(64 * 1024);
    }
    bytes
}

/// Runs a target on its seeds, on so many changed ones and on as many of any bytes.
fn run(target: &str, cases: u32, of: fn(&[u8])) {
    let seeds = seeds(target);
    for seed in &seeds {
        of(seed);
    }
    let inputs = prop_oneof![
        3 => (any::<Index>(), changes())
            .prop_map(move |(seed, changes)| changed(&seeds[seed.index(seeds.len())], &changes)),
        1 => proptest::collection::vec(any::<u8>(), 0..200),
    ];
    proptest!(ProptestConfig::with_cases(cases), |(input in inputs)| of(&input));
}

#[test]
fn events_are_refused_or_counted() {
    run("events", 500, targets::events::run);
}

#[test]
fn model_files_are_refused_with_a_place_or_are_models() {
    run("model_files", 100, |data| {
        targets::model_files::run(data);
    });
}

#[test]
fn page_tokens_are_refused_or_are_what_they_stand_for() {
    run("page_tokens", 500, targets::page_tokens::run);
}

#[test]
fn records_are_refused_or_can_be_used() {
    run("records", 500, targets::records::run);
}
