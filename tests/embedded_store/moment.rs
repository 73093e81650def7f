//! What is sent of a store is of one moment, whatever is written meanwhile.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bellwether::{
    scoring::{ProfileId, Tenant},
    store::{Commit, Committed, RecordStore, Rollout, Stored, Version, embedded::Embedded},
};
use tokio::sync::mpsc;

use crate::{large, numbered, tenant};

/// Profiles between the two that are written in turn: they are read in several parts.
const BETWEEN: u64 = 3_000;

fn named(name: &str, number: u64, expected: Option<Version>) -> Commit {
    Commit {
        profile_id: ProfileId::new(name).unwrap(),
        ..numbered(number, expected, 0)
    }
}

async fn write(store: &Embedded, tenant: &Tenant, commits: Vec<Commit>) {
    for committed in store.commit(tenant, &Rollout::default(), commits).await {
        assert_eq!(committed, Ok(Committed::Written));
    }
}

/// The first writes of two tenants: `a` of one and `z` of the other stand at the two ends.
async fn begun(directory: &std::path::Path) -> (Arc<Embedded>, Tenant) {
    let store = Arc::new(Embedded::open(directory).unwrap());
    let other = Tenant::new("zzz").unwrap();
    write(&store, &tenant(), vec![named("a", 1, None)]).await;
    let between = (0..BETWEEN).map(|number| named(&format!("m{number:06}"), number, None));
    write(&store, &tenant(), between.collect()).await;
    write(&store, &other, vec![named("z", 1, None)]).await;
    (store, other)
}

type Batches = mpsc::Receiver<Vec<(Tenant, Stored)>>;

fn sent(store: &Arc<Embedded>) -> Batches {
    let (batches, received) = mpsc::channel(1);
    let store = Arc::clone(store);
    tokio::spawn(async move { store.send_all(None, batches).await.unwrap() });
    received
}

/// The numbers of all profiles that are still to come.
async fn rest(mut received: Batches, numbers: &mut BTreeMap<(String, String), u64>) {
    while let Some(batch) = received.recv().await {
        add(batch, numbers);
    }
}

fn add(batch: Vec<(Tenant, Stored)>, numbers: &mut BTreeMap<(String, String), u64>) {
    for (tenant, stored) in batch {
        let key = (tenant.to_string(), stored.profile_id.to_string());
        let last = numbers.last_key_value().map(|(key, _)| key.clone());
        assert!(
            last.is_none_or(|last| last < key),
            "{key:?} is out of order"
        );
        numbers.insert(key, stored.version.0);
    }
}

fn number(numbers: &BTreeMap<(String, String), u64>, tenant: &Tenant, name: &str) -> u64 {
    numbers[&(tenant.to_string(), name.to_owned())]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_after_it_began_is_not_sent_however_much_that_is() {
    let directory = tempfile::tempdir().unwrap();
    let (store, other) = begun(directory.path()).await;
    let mut received = sent(&store);
    let mut numbers = BTreeMap::new();
    add(received.recv().await.unwrap(), &mut numbers);

    // Enough that the engine sorts and merges files, those that are being read among them.
    let mut expected = None;
    for number in 10..90 {
        write(&store, &tenant(), vec![large(number * 5, expected)]).await;
        expected = Some(Version(number * 5));
    }
    write(&store, &other, vec![named("z", 2, Some(Version(1)))]).await;
    let dropped = |number| Commit {
        record: None,
        ..named(
            &format!("m{number:06}"),
            BETWEEN + number,
            Some(Version(number)),
        )
    };
    write(&store, &tenant(), (0..BETWEEN).map(dropped).collect()).await;

    rest(received, &mut numbers).await;
    assert_eq!(numbers.len() as u64, BETWEEN + 2);
    assert_eq!(number(&numbers, &other, "z"), 1);
    let mut numbers = BTreeMap::new();
    rest(sent(&store), &mut numbers).await;
    assert_eq!(numbers.len(), 3);
    assert_eq!(number(&numbers, &other, "z"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_one_of_many_is_of_one_moment_and_misses_nothing_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let (store, other) = begun(directory.path()).await;
    let (last, stop) = (
        Arc::new(AtomicU64::new(1)),
        Arc::new(AtomicBool::new(false)),
    );
    let writer = tokio::spawn({
        let (store, other, last, stop) = (store.clone(), other.clone(), last.clone(), stop.clone());
        async move {
            let mut filler = None;
            for number in 2.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                // First `a`, then `z`: no moment has more of `z` than of `a`, or two less.
                let before = Some(Version(number - 1));
                write(&store, &tenant(), vec![named("a", number, before)]).await;
                if number % 20 == 0 {
                    write(&store, &tenant(), vec![large(number * 5, filler)]).await;
                    filler = Some(Version(number * 5));
                }
                write(&store, &other, vec![named("z", number, before)]).await;
                last.store(number, Ordering::Release);
            }
        }
    });
    for _ in 0..30 {
        let acknowledged = last.load(Ordering::Acquire);
        let mut numbers = BTreeMap::new();
        rest(sent(&store), &mut numbers).await;
        let (a, z) = (
            number(&numbers, &tenant(), "a"),
            number(&numbers, &other, "z"),
        );
        assert!(a == z || a == z + 1, "{a} and {z} are of no one moment");
        assert!(
            z >= acknowledged,
            "{z} of {acknowledged} that were acknowledged"
        );
    }
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    assert!(
        last.load(Ordering::Acquire) > 30,
        "it was written meanwhile"
    );
}

#[tokio::test]
async fn who_receives_nothing_more_ends_it() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = begun(directory.path()).await;
    let (batches, mut received) = mpsc::channel(1);
    let tenant = tenant();
    let (sent, ()) = tokio::join!(store.send_all(Some(&tenant), batches), async {
        received.recv().await.unwrap();
        drop(received);
    });
    assert_eq!(sent, Ok(()));
}
