//! Damage is told from data and from what a crash leaves, named, and repaired with what is lost
//! said; nothing is changed before.

use std::{
    collections::BTreeMap,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use bellwether::{
    scoring::{ProfileId, Record},
    store::{
        Commit, ModelStore, Publication, RecordStore, StoreError, Version,
        embedded::{Embedded, repair},
    },
};

use crate::{commit, copy, files, large, numbered, profile, tenant, write};

/// Writes of the stores that are damaged here, each of a batch of its own.
const WRITES: u64 = 12;
const JOURNAL: &str = "records/0.jnl";

/// The write with this number, of a profile of its own.
fn alone(number: u64) -> Commit {
    Commit {
        profile_id: profile(number),
        ..numbered(number, None, 40 + 30 * number as usize)
    }
}

async fn fill(store: &Embedded, numbers: Range<u64>) {
    for number in numbers {
        write(store, alone(number)).await;
    }
}

/// A store that was closed.
async fn closed(directory: &Path) {
    let store = Embedded::open(directory).unwrap();
    let publication = Publication {
        revision: 1,
        after: 0,
        model: bellwether::scoring::Fingerprint(7),
    };
    assert!(store.publish("*", &publication, "a model").await.unwrap());
    fill(&store, 0..WRITES).await;
}

/// The files as `kill -9` leaves them after every write was acknowledged, and where the batch of
/// each begins in the journal.
async fn killed(directory: &Path) -> Vec<usize> {
    let living = tempfile::tempdir().unwrap();
    let store = Embedded::open(living.path()).unwrap();
    let mut starts = Vec::new();
    for number in 0..WRITES {
        let before = fs::metadata(living.path().join(JOURNAL)).unwrap().len();
        starts.push(before as usize);
        fill(&store, number..number + 1).await;
    }
    copy(living.path(), directory);
    starts
}

/// Which of the records are there; they are as they were written, or this panics.
async fn found(store: &Embedded) -> Vec<u64> {
    let mut found = Vec::new();
    for number in 0..WRITES {
        let loaded = store.load(&tenant(), &[profile(number)]).await.remove(0);
        if let Some(stored) = loaded.unwrap() {
            let written = alone(number);
            assert_eq!(Some(&*stored.record), written.record.as_ref());
            assert_eq!(stored.version, written.version);
            found.push(number);
        }
    }
    found
}

fn all() -> Vec<u64> {
    (0..WRITES).collect()
}

fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = files(directory).into_iter();
    files
        .map(|file| (file.clone(), fs::read(file).unwrap()))
        .collect()
}

fn flip(file: &Path, position: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[position] ^= 1 << (position % 8);
    fs::write(file, bytes).unwrap();
}

/// A refusal names the journal and a place in it, and has changed nothing.
fn assert_refused(directory: &Path, before: &BTreeMap<PathBuf, Vec<u8>>) {
    for open in [Embedded::open, Embedded::open_to_read] {
        let Err(StoreError::Corrupt(message)) = open(directory) else {
            panic!("is damaged");
        };
        for part in ["0.jnl, offset ", "bellwether repair"] {
            assert!(message.contains(part), "{message}");
        }
    }
    let after = contents(directory);
    assert!(after == *before, "a file has changed");
}

/// Flips over the whole journal of a store that was closed: its seal shows each.
#[tokio::test]
async fn every_flip_of_a_closed_journal_is_refused_and_nothing_is_changed() {
    let directory = tempfile::tempdir().unwrap();
    closed(directory.path()).await;
    let journal = directory.path().join(JOURNAL);
    let length = fs::metadata(&journal).unwrap().len() as usize;
    assert!(length > 2_000, "{length}");
    for position in (0..length).step_by(11) {
        flip(&journal, position);
        assert_refused(directory.path(), &contents(directory.path()));
        flip(&journal, position);
    }
    let store = Embedded::open(directory.path()).unwrap();
    assert_eq!(found(&store).await, all());
    let source = store.published_source("*").await.unwrap();
    assert_eq!(source.as_deref(), Some("a model"));
}

/// Flips of what was written since the store was opened, after a kill. Before the last batch each
/// is refused, or changes nothing that is read: a number that stays in order. In the last batch it
/// cannot be told from a write that was not finished.
#[tokio::test]
async fn a_flip_after_a_kill_is_refused_or_takes_the_last_write_alone() {
    let parent = tempfile::tempdir().unwrap();
    let intact = parent.path().join("intact");
    let last_batch = *killed(&intact).await.last().unwrap();
    let length = fs::metadata(intact.join(JOURNAL)).unwrap().len() as usize;
    let mut refused = 0;
    for position in (0..length).step_by(13) {
        let damaged = parent.path().join("damaged");
        copy(&intact, &damaged);
        flip(&damaged.join(JOURNAL), position);
        match Embedded::open(&damaged) {
            Err(StoreError::Corrupt(message)) => {
                assert!(message.contains("0.jnl, offset "), "{message}");
                refused += 1;
            }
            Err(error) => panic!("{position}: {error}"),
            Ok(store) => {
                let found = found(&store).await;
                let is_last = position >= last_batch && found == all()[..WRITES as usize - 1];
                assert!(is_last || found == all(), "{position}: {found:?}");
            }
        }
        fs::remove_dir_all(&damaged).unwrap();
    }
    assert!(refused * 13 > length / 2, "{refused} of {length} bytes");
}

/// Flips of every other file, tables among them: refused, or all is read as it was written.
#[tokio::test]
async fn a_flip_of_any_other_file_is_refused_or_changes_nothing_that_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let tables = directory.path().join("records/keyspaces/1/tables");
    let store = Embedded::open(directory.path()).unwrap();
    fill(&store, 0..WRITES).await;
    // More than the engine keeps in memory, packed to little on disk.
    for number in WRITES.. {
        let expected = (number > WRITES).then(|| Version(number - 1));
        let change = Commit {
            profile_id: profile(WRITES),
            ..large(number, expected)
        };
        write(&store, change).await;
        if fs::read_dir(&tables).unwrap().count() > 0 {
            break;
        }
    }
    drop(store);
    let mut refusals = 0;
    let others = files(directory.path()).into_iter();
    for file in others.filter(|file| file.extension().is_none_or(|name| name != "jnl")) {
        let length = fs::metadata(&file).unwrap().len() as usize;
        let flips = length.min(14);
        for number in 0..flips {
            let position = number * length / flips;
            flip(&file, position);
            let read = match Embedded::open_to_read(directory.path()) {
                Ok(store) => read_truly(&store).await,
                Err(_) => false,
            };
            refusals += u32::from(!read);
            flip(&file, position);
        }
    }
    assert!(refusals > 40, "{refusals}");
    let store = Embedded::open(directory.path()).unwrap();
    assert_eq!(found(&store).await, all());
}

/// Whether every record is read as it was written; none is read as another or as missing.
async fn read_truly(store: &Embedded) -> bool {
    for number in 0..WRITES {
        match store.load(&tenant(), &[profile(number)]).await.remove(0) {
            Ok(Some(stored)) => assert_eq!(Some(&*stored.record), alone(number).record.as_ref()),
            Ok(None) => panic!("{number} is missing"),
            Err(error) => {
                assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
                return false;
            }
        }
    }
    true
}

#[tokio::test]
async fn a_write_that_was_not_finished_is_cut_off_by_a_start_and_left_by_an_export() {
    let directory = tempfile::tempdir().unwrap();
    let last_batch = *killed(directory.path()).await.last().unwrap();
    let journal = directory.path().join(JOURNAL);
    let whole = fs::read(&journal).unwrap();
    // Cut, with a hole, and with room that was made in advance behind it.
    let mut holey = whole.clone();
    holey[last_batch + 20..last_batch + 60].fill(0);
    let cut = whole[..whole.len() - 7].to_vec();
    let roomy = [&cut[..], &[0; 100_000]].concat();
    for torn in [cut, holey, roomy] {
        fs::write(&journal, &torn).unwrap();
        let before = contents(directory.path());
        let expected = &all()[..WRITES as usize - 1];
        let store = Embedded::open_to_read(directory.path()).unwrap();
        assert_eq!(found(&store).await, expected);
        assert!(commit(&store, alone(90)).await.is_err());
        drop(store);
        assert!(contents(directory.path()) == before, "a file has changed");
        assert_eq!(repair(directory.path()), Ok(None));
        assert!(contents(directory.path()) == before, "a file has changed");
        let copied = tempfile::tempdir().unwrap();
        let started = copied.path().join("started");
        copy(directory.path(), &started);
        let store = Embedded::open(&started).unwrap();
        assert_eq!(found(&store).await, expected);
        fill(&store, WRITES - 1..WRITES).await;
        drop(store);
        let store = Embedded::open(&started).unwrap();
        assert_eq!(found(&store).await, all());
    }
}

#[tokio::test]
async fn a_journal_that_was_cut_or_lost_while_the_store_was_closed_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    closed(directory.path()).await;
    let journal = directory.path().join(JOURNAL);
    let whole = fs::read(&journal).unwrap();
    let end = whole.len();
    let mut zeroed = whole.clone();
    zeroed[end - 300..].fill(0);
    for damaged in [&whole[..end - 200], &zeroed, &[0; 5_000], &[]] {
        fs::write(&journal, damaged).unwrap();
        assert_refused(directory.path(), &contents(directory.path()));
    }
    fs::remove_file(&journal).unwrap();
    assert_refused(directory.path(), &contents(directory.path()));
    // What is still there can be had.
    fs::write(&journal, &whole[..end - 200]).unwrap();
    let repaired = repair(directory.path()).unwrap().unwrap();
    assert_eq!(repaired.damages.len(), 1);
    let store = Embedded::open(directory.path()).unwrap();
    assert_eq!(found(&store).await, all()[..WRITES as usize - 1]);
}

#[tokio::test]
async fn a_repair_keeps_a_copy_and_every_other_write_and_names_what_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let store = Embedded::open(path).unwrap();
    let journal = path.join(JOURNAL);
    let mut starts = Vec::new();
    for number in 0..WRITES {
        starts.push(fs::metadata(&journal).unwrap().len() as usize);
        fill(&store, number..number + 1).await;
    }
    // Written again later, so nothing of it is lost.
    let again = Commit {
        expected: Some(Version(3)),
        version: Version(50),
        ..alone(3)
    };
    write(&store, again).await;
    drop(store);
    for number in [3, 6] {
        flip(&journal, starts[number] + 60);
    }
    let damaged = fs::read(&journal).unwrap();
    let repaired = repair(path).unwrap().unwrap();
    assert_eq!(fs::read(repaired.copy.join("0.jnl")).unwrap(), damaged);
    assert_eq!(repaired.batches as u64, WRITES + 1 - 2);
    let lost: Vec<_> = repaired.losses.iter().map(|loss| &loss.profiles).collect();
    assert_eq!(lost, [&vec![], &vec![(tenant(), profile(6))]]);
    let places: Vec<_> = repaired
        .losses
        .iter()
        .map(|loss| loss.range.start)
        .collect();
    assert_eq!(places, [starts[3], starts[6]]);
    assert!(repaired.damages[0].contains(&starts[3].to_string()));
    assert_eq!(repair(path), Ok(None));
    let store = Embedded::open(path).unwrap();
    let expected: Vec<_> = all().into_iter().filter(|number| *number != 6).collect();
    let ids: Vec<ProfileId> = expected.iter().map(|number| profile(*number)).collect();
    let loaded = store.load(&tenant(), &ids).await;
    let records: Vec<Record> = loaded
        .into_iter()
        .map(|stored| Arc::unwrap_or_clone(stored.unwrap().unwrap().record))
        .collect();
    let written = expected.iter().map(|number| alone(*number).record.unwrap());
    assert_eq!(records, written.collect::<Vec<_>>());
    assert_eq!(store.load(&tenant(), &[profile(6)]).await, [Ok(None)]);
}

/// Nothing covers the number of a batch but the order of all.
#[tokio::test]
async fn a_repair_loses_nothing_to_a_number_that_breaks_the_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let starts = killed(path).await;
    let journal = path.join(JOURNAL);
    let whole = fs::read(&journal).unwrap();
    let mut repairs = 0;
    for bit in [0, 1, 2, 3, 40] {
        let mut damaged = whole.clone();
        // Behind the tag and how many items there are.
        damaged[starts[6] + 5 + bit / 8] ^= 1 << (bit % 8);
        fs::write(&journal, damaged).unwrap();
        if let Some(repaired) = repair(path).unwrap() {
            assert_eq!(repaired.losses, []);
            repairs += 1;
        }
        let store = Embedded::open_to_read(path).unwrap();
        assert_eq!(found(&store).await, all(), "{bit}");
    }
    assert!(repairs > 1, "{repairs}");
}
