//! What the embedded store promises beyond the conformance suite: nothing acknowledged is
//! lost to a kill, one process at a time, and damage is told from data.
#![allow(clippy::unwrap_used, clippy::panic)]

mod damage;
mod ground;
mod moment;

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use bellwether::{
    scoring::{EffectMemory, IdHash, ProfileId, Record, Tenant, Timestamp},
    store::{
        Commit, Committed, Coordination, RecordStore, Rollout, StoreError, Version,
        embedded::Embedded,
    },
};

/// The directory that a child process is to write to; absent in an ordinary run.
const CHILD_DIRECTORY: &str = "BELLWETHER_TEST_CHILD_DIRECTORY";
const PROFILES: u64 = 5;

fn tenant() -> Tenant {
    Tenant::new("test").unwrap()
}

fn profile(number: u64) -> ProfileId {
    ProfileId::new(&format!("p{number}")).unwrap()
}

/// The write with this number: profiles take turns.
fn numbered(number: u64, expected: Option<Version>, text_bytes: usize) -> Commit {
    let filler = bellwether::scoring::AttributeValue::String("x".repeat(text_bytes));
    Commit {
        profile_id: profile(number % PROFILES),
        expected,
        version: Version(number),
        record: Some(Record {
            attributes: [("filler".to_owned(), filler)].into(),
            event_count: number,
            ..Record::default()
        }),
        ranks: Vec::new(),
        totals: Vec::new(),
    }
}

/// A write of a record of 2 MB, which take little room on disk: a few fill what the engine keeps
/// in memory.
fn large(number: u64, expected: Option<Version>) -> Commit {
    Commit {
        record: Some(Record {
            effects: EffectMemory {
                remembered: vec![(Timestamp::EPOCH, IdHash(0)); 250_000],
                horizon: None,
            },
            ..Record::default()
        }),
        ..numbered(number, expected, 0)
    }
}

/// Writes until it is killed or a write fails; prints the version of each acknowledged one.
async fn write_and_print(directory: &Path, text_bytes: usize) -> (Embedded, StoreError) {
    let store = Embedded::open(directory).unwrap();
    let ids: Vec<_> = (0..PROFILES).map(profile).collect();
    let mut versions: Vec<_> = store
        .load(&tenant(), &ids)
        .await
        .into_iter()
        .map(|stored| stored.unwrap().map(|stored| stored.version))
        .collect();
    let last = versions.iter().flatten().map(|version| version.0).max();
    for number in last.map_or(0, |last| last + 1).. {
        let expected = &mut versions[(number % PROFILES) as usize];
        let commit = numbered(number, *expected, text_bytes);
        match store
            .commit(&tenant(), &Rollout::default(), vec![commit])
            .await
            .remove(0)
        {
            Ok(Committed::Written) => *expected = Some(Version(number)),
            Ok(Committed::Conflict) => panic!("nobody else writes"),
            Err(error) => return (store, error),
        }
        println!("acknowledged {number}");
        std::io::stdout().flush().unwrap();
    }
    unreachable!("numbers do not end")
}

fn child_directory() -> Option<PathBuf> {
    env::var_os(CHILD_DIRECTORY).map(PathBuf::from)
}

/// Held while a process is made: until it runs its program it holds the open files of this
/// one, locks too.
static SPAWNING: Mutex<()> = Mutex::new(());

/// Runs one test of this file in a process of its own, behind a shell's `prelude`.
fn spawn(test: &str, directory: &Path, prelude: &str) -> Child {
    let _spawning = SPAWNING.lock().unwrap();
    let script = format!("{prelude} exec \"$0\" --exact {test} --nocapture");
    Command::new("sh")
        .args(["-c", &script])
        .arg(env::current_exe().unwrap())
        .env(CHILD_DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The number that a line of the child acknowledges, whatever the test harness puts
/// before it.
fn acknowledged(line: &str) -> Option<u64> {
    let (_, number) = line.split_once("acknowledged ")?;
    number.trim().parse().ok()
}

/// Opens the directory and checks that every write up to the last acknowledged is there.
async fn find_acknowledged(directory: &Path, last: u64) {
    let store = Embedded::open(directory).unwrap();
    for number in last.saturating_sub(PROFILES - 1)..=last {
        let loaded = store.load(&tenant(), &[profile(number % PROFILES)]).await;
        let stored = loaded[0].clone().unwrap().unwrap();
        assert!(stored.version.0 >= number, "{number} was acknowledged");
        assert_eq!(stored.record.event_count, stored.version.0);
    }
}

/// What becomes of one commit.
async fn commit(store: &Embedded, commit: Commit) -> Result<Committed, StoreError> {
    let (tenant, rollout) = (tenant(), Rollout::default());
    store
        .commit(&tenant, &rollout, vec![commit])
        .await
        .remove(0)
}

/// Writes one commit, which must succeed.
async fn write(store: &Embedded, change: Commit) {
    assert_eq!(commit(store, change).await, Ok(Committed::Written));
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    if let Some(directory) = child_directory() {
        let (_, error) = write_and_print(&directory, 2_000).await;
        panic!("writes until it is killed: {error}");
    }
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("store");
    let test = "nothing_acknowledged_is_lost_when_the_process_is_killed";
    for acknowledgements in [1, 40, 150] {
        let mut child = spawn(test, &directory, "");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut numbers = lines
            .by_ref()
            .filter_map(|line| acknowledged(&line.unwrap()));
        let mut last = numbers.nth(acknowledgements - 1).unwrap();
        child.kill().unwrap();
        // What it printed before the signal came was acknowledged too.
        last = numbers.last().unwrap_or(last);
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(9));
        find_acknowledged(&directory, last).await;
    }
}

#[tokio::test]
async fn a_disk_that_takes_no_more_stops_the_writes_and_loses_nothing() {
    if let Some(directory) = child_directory() {
        let (store, first) = write_and_print(&directory, 10_000).await;
        if matches!(first, StoreError::OutcomeUnknown(_)) {
            let next = commit(&store, numbered(u64::MAX, None, 1)).await;
            assert!(matches!(next, Err(StoreError::Unavailable(_))), "{next:?}");
            assert!(store.ping().await.is_err());
            assert!(store.load(&tenant(), &[profile(1)]).await[0].is_ok());
        } else {
            // Where the engine's own threads meet the full disk first, it may go on.
            assert!(matches!(first, StoreError::Unavailable(_)), "{first}");
        }
        println!("refused");
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("store");
    drop(Embedded::open(&directory).unwrap());
    let test = "a_disk_that_takes_no_more_stops_the_writes_and_loses_nothing";
    // A limit on the size of files is the full disk that needs no rights.
    let child = spawn(test, &directory, "trap '' XFSZ; ulimit -f 1024;");
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && printed.contains("refused"),
        "{}: {printed}",
        output.status
    );
    let last = printed
        .lines()
        .filter_map(acknowledged)
        .next_back()
        .unwrap();
    find_acknowledged(&directory, last).await;
}

#[tokio::test]
async fn a_second_process_is_refused_with_the_name_of_the_directory() {
    if let Some(directory) = child_directory() {
        let Err(error) = Embedded::open(&directory) else {
            panic!("the directory is taken");
        };
        println!("refused: {error}");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let store = Embedded::open(directory.path()).unwrap();
    let test = "a_second_process_is_refused_with_the_name_of_the_directory";
    let output = spawn(test, directory.path(), "")
        .wait_with_output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let expected = format!("another process is using {}", directory.path().display());
    assert!(printed.contains(&expected), "{printed}");
    let _nobody_spawns = SPAWNING.lock().unwrap();
    drop(store);
    assert!(Embedded::open(directory.path()).is_ok());
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
