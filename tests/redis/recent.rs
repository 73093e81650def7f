//! Records that were decoded lately serve only as long as Redis has the same write of them.

use bellwether::{
    scoring::{ProfileId, Record},
    store::{
        Commit, Committed, RecordStore as _, StoreError, Stored, Version,
        redis::{Redis, RedisSettings},
    },
};
use redis::cmd;

use super::{
    alone::{Alone, id, ranked, rollout},
    world::settings,
};

/// The key of the record that all is about.
const KEY: &str = "{alone:1:0}:profile:p0007";

/// The store of another server.
async fn another(alone: &Alone) -> Redis {
    let settings = RedisSettings {
        partitions: None,
        ..settings(&alone.redis.url())
    };
    Redis::open(&settings).await.unwrap()
}

async fn load(alone: &Alone, store: &Redis) -> Result<Option<Stored>, StoreError> {
    store.load(&alone.tenant, &[id(7)]).await.remove(0)
}

async fn load_to_commit(alone: &Alone, store: &Redis) -> Result<Option<Stored>, StoreError> {
    let ids = [id(7)];
    let loaded = store.load_to_commit(&alone.tenant, &ids, 1);
    loaded.await.remove(0)
}

/// The same profile after another event.
fn next(stored: &Stored, version: u64) -> Commit {
    Commit {
        expected: Some(stored.version),
        version: Version(version),
        record: Some(Record {
            event_count: stored.record.event_count + 1,
            ..Record::default()
        }),
        ..ranked(7)
    }
}

async fn commit(alone: &Alone, store: &Redis, commit: Commit) {
    let written = store.commit(&alone.tenant, &rollout(), vec![commit]).await;
    assert_eq!(written, [Ok(Committed::Written)]);
}

async fn run(alone: &Alone, name: &str, arguments: &[&[u8]]) {
    let mut connection = alone.redis.connection().await;
    let () = cmd(name)
        .arg(arguments)
        .query_async(&mut connection)
        .await
        .unwrap();
}

fn seen(loaded: Result<Option<Stored>, StoreError>) -> Option<(ProfileId, u64, u64)> {
    let stored = loaded.unwrap()?;
    Some((
        stored.profile_id,
        stored.version.0,
        stored.record.event_count,
    ))
}

#[tokio::test]
async fn what_another_server_has_written_is_read_and_changed_as_it_stands() {
    let alone = Alone::new(1).await;
    let (first, second) = (&alone.store, &another(&alone).await);
    commit(&alone, first, ranked(7)).await;
    for (round, (reader, writer)) in [(first, second), (second, first)]
        .repeat(5)
        .iter()
        .enumerate()
    {
        let round = round as u64;
        let expected = Some((id(7), if round == 0 { 8 } else { 99 + round }, 7 + round));
        assert_eq!(seen(load(&alone, reader).await), expected);
        let stored = load_to_commit(&alone, writer).await.unwrap().unwrap();
        assert_eq!(stored.record.event_count, 7 + round);
        commit(&alone, writer, next(&stored, 100 + round)).await;
        let expected = Some((id(7), 100 + round, 8 + round));
        assert_eq!(seen(load_to_commit(&alone, reader).await), expected);
        assert_eq!(seen(load(&alone, reader).await), expected);
    }
}

#[tokio::test]
async fn what_redis_has_lost_is_not_there_and_what_it_has_gone_back_to_is() {
    let alone = Alone::new(1).await;
    commit(&alone, &alone.store, ranked(7)).await;
    let stored = load_to_commit(&alone, &alone.store).await.unwrap().unwrap();
    let mut connection = alone.redis.connection().await;
    let before: Vec<u8> = cmd("GET")
        .arg(KEY)
        .query_async(&mut connection)
        .await
        .unwrap();
    commit(&alone, &alone.store, next(&stored, 100)).await;
    run(&alone, "SET", &[KEY.as_bytes(), &before]).await;
    assert_eq!(seen(load(&alone, &alone.store).await), Some((id(7), 8, 7)));
    run(&alone, "DEL", &[KEY.as_bytes()]).await;
    assert_eq!(seen(load(&alone, &alone.store).await), None);
    assert_eq!(seen(load_to_commit(&alone, &alone.store).await), None);
}

/// What follows the version is made unreadable, so that whoever decodes it notices.
#[tokio::test]
async fn what_is_of_the_same_write_is_not_decoded_again() {
    let alone = Alone::new(1).await;
    let stranger = another(&alone).await;
    commit(&alone, &alone.store, ranked(7)).await;
    run(
        &alone,
        "SETRANGE",
        &[KEY.as_bytes(), b"8", b"\xff\xff\xff\xff"],
    )
    .await;
    let is_damaged = |loaded| matches!(loaded, Err(StoreError::Corrupt(_)));
    assert_eq!(seen(load(&alone, &alone.store).await), Some((id(7), 8, 7)));
    let taken = load_to_commit(&alone, &alone.store).await;
    assert_eq!(seen(taken.clone()), Some((id(7), 8, 7)));
    assert!(
        is_damaged(load_to_commit(&alone, &alone.store).await),
        "it was taken out"
    );
    alone
        .store
        .give_back(&alone.tenant, taken.unwrap().unwrap());
    assert_eq!(seen(load(&alone, &alone.store).await), Some((id(7), 8, 7)));
    assert!(is_damaged(load(&alone, &stranger).await));
    let scanned = alone.store.scan(&alone.tenant, None, 10).await;
    assert!(
        matches!(scanned, Err(StoreError::Corrupt(_))),
        "a scan reads what is stored"
    );
}
