//! The store takes no writes that nobody would find again, and goes on when what stood in the
//! way has gone.

use std::{
    fs::{self, File},
    path::Path,
    time::Duration,
};

use bellwether::store::{
    Commit, Committed, Coordination, RecordStore, StoreError, embedded::Embedded,
};

use crate::{child_directory, commit, large, numbered, profile, spawn, tenant, write};

fn alone(number: u64) -> Commit {
    Commit {
        profile_id: profile(number),
        ..numbered(number, None, 100)
    }
}

async fn refusal(store: &Embedded, number: u64) -> String {
    match commit(store, alone(number)).await {
        Err(StoreError::Unavailable(reason)) => {
            // Callers are told it.
            assert!(!reason.contains('/'), "{reason}");
            reason
        }
        other => panic!("should be refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_store_whose_directory_is_moved_away_takes_no_writes_until_it_is_back() {
    let parent = tempfile::tempdir().unwrap();
    let (path, other) = (parent.path().join("store"), parent.path().join("other"));
    let store = Embedded::open(&path).unwrap();
    write(&store, alone(0)).await;
    fs::rename(&path, &other).unwrap();
    let reason = refusal(&store, 1).await;
    assert!(reason.contains("moved, removed or replaced"), "{reason}");
    assert!(store.ping().await.is_err());
    // Another store in its place is not this one.
    drop(Embedded::open(&path).unwrap());
    refusal(&store, 1).await;
    assert!(store.ping().await.is_err());
    fs::remove_dir_all(&path).unwrap();
    fs::rename(&other, &path).unwrap();
    assert_eq!(store.ping().await, Ok(()));
    write(&store, alone(1)).await;
    drop(store);
    let store = Embedded::open(&path).unwrap();
    let loaded = store.load(&tenant(), &[profile(0), profile(1)]).await;
    assert!(loaded.iter().all(|stored| matches!(stored, Ok(Some(_)))));
}

#[tokio::test]
async fn a_store_whose_files_are_removed_takes_no_more_writes() {
    for removed in ["", "records", "records/0.jnl", "bellwether-store"] {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("store");
        let store = Embedded::open(&path).unwrap();
        write(&store, alone(0)).await;
        let target = path.join(removed);
        if target.is_dir() {
            fs::remove_dir_all(&target).unwrap();
        } else {
            fs::remove_file(&target).unwrap();
        }
        let refused = store.ping().await.unwrap_err().to_string();
        assert!(refused.contains("moved, removed"), "{removed}: {refused}");
        refusal(&store, 1).await;
    }
}

fn alone_and_large(number: u64) -> Commit {
    Commit {
        profile_id: profile(number),
        ..large(number, None)
    }
}

/// Opens files until there are no descriptors left.
fn all_descriptors() -> Vec<File> {
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    files
}

async fn want_descriptors_and_get_them(directory: &Path) {
    let store = Embedded::open(directory).unwrap();
    let taken = all_descriptors();
    let mut acknowledged = Vec::new();
    let error = 'refused: {
        for number in 0..10_000 {
            match commit(&store, alone_and_large(number)).await {
                Ok(Committed::Written) => acknowledged.push(number),
                Ok(Committed::Conflict) => panic!("nobody else writes"),
                Err(error) => break 'refused error,
            }
        }
        panic!("the engine needs descriptors to sort its writes");
    };
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(store.ping().await.is_err());
    drop(taken);
    // It is tried again once a second.
    while store.ping().await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let next = acknowledged.len() as u64;
    write(&store, alone_and_large(next)).await;
    acknowledged.push(next);
    drop(store);
    let store = Embedded::open(directory).unwrap();
    for number in acknowledged {
        let stored = store.load(&tenant(), &[profile(number)]).await.remove(0);
        assert_eq!(stored.unwrap().unwrap().version.0, number);
    }
    println!("went on");
}

#[tokio::test]
async fn a_store_that_finds_no_descriptor_goes_on_when_there_are_some() {
    if let Some(directory) = child_directory() {
        return want_descriptors_and_get_them(&directory).await;
    }
    let parent = tempfile::tempdir().unwrap();
    let test = "ground::a_store_that_finds_no_descriptor_goes_on_when_there_are_some";
    let child = spawn(test, &parent.path().join("store"), "ulimit -n 64;");
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && printed.contains("went on"),
        "{}: {printed}",
        output.status
    );
}
