//! What a profile takes of a Redis: records committed by the store itself, each with its
//! places in one, three and six ranks.

use bellwether::{
    scoring::{
        Context, Fingerprint, ProfileId, RankChange, RankKey, RankName, Record, Tenant, Timestamp,
        apply,
    },
    store::{
        Commit, Committed, Coordination as _, IndexGeneration, RecordStore as _, Rollout, Version,
        codec,
        redis::{Redis, RedisAddress, RedisSettings},
    },
};
use redis::aio::MultiplexedConnection;

use crate::{
    arguments::Arguments,
    events::EVENTS_PER_PROFILE,
    made_up::{event, model},
    redis_server::RedisServer,
};

/// Unless fewer are asked for.
const PROFILES: usize = 100_000;
const PROFILES_PER_COMMIT: usize = 1_000;
const RANKS: [usize; 3] = [1, 3, 6];
/// Entries of a set that Redis measures to estimate the whole; 0 measures all.
const ALL: usize = 0;

pub async fn measure(arguments: &Arguments) {
    let profiles = usize::try_from(arguments.profiles).unwrap().min(PROFILES);
    let record = typical_record();
    println!(
        "{profiles} profiles of {EVENTS_PER_PROFILE} events; a record takes {} bytes, and 8 of its version",
        codec::encode(&record).len()
    );
    println!(
        "\n{:<8} {:>12} {:>12} {:>12} {:>12} {:>12}",
        "ranks", "bytes each", "record", "id", "each rank", "rest"
    );
    for ranks in RANKS {
        measure_with(&record, profiles, ranks).await;
    }
}

/// A record after the events of a profile, by the built-in model.
fn typical_record() -> Record {
    let model = model();
    let first_time = Timestamp::from_nanos(1_767_225_600_000_000_000).unwrap();
    let mut record = Record::default();
    for number in 0..EVENTS_PER_PROFILE {
        let event = event("member-0", "member-1", number, first_time);
        let context = Context::at(event.time.unwrap(), 256);
        record = apply(&model, record, &event, &context).1.record;
    }
    record
}

async fn measure_with(record: &Record, profiles: usize, ranks: usize) {
    let server = RedisServer::start();
    let address = RedisAddress::parse(&server.address()).unwrap();
    let store = Redis::open(&RedisSettings::new(address)).await.unwrap();
    let before = used_memory(&server).await;
    fill(&store, record, profiles, ranks).await;
    let taken = used_memory(&server).await - before;

    let mut connection = server.connect().await;
    let record_bytes = mean_of_records(&mut connection).await;
    let ids = sum_of(&mut connection, "*}:ids").await;
    let places = sum_of(&mut connection, "*}:rank:*").await;
    let each = |bytes: u64| bytes as f64 / profiles as f64;
    let rank = each(places) / ranks as f64;
    let rest = each(taken) - record_bytes - each(ids) - each(places);
    println!(
        "{ranks:<8} {:>12.0} {record_bytes:>12.0} {:>12.0} {rank:>12.0} {rest:>12.0}",
        each(taken),
        each(ids),
    );
}

async fn fill(store: &Redis, record: &Record, profiles: usize, ranks: usize) {
    let tenant = Tenant::new("").unwrap();
    let generation = IndexGeneration {
        number: 1,
        model: Fingerprint(1),
    };
    let rollout = Rollout::begin(generation, 0);
    assert_eq!(store.set_rollout(&tenant, &rollout).await, Ok(true));
    store.fence(&tenant, &rollout).await.unwrap();
    let names: Vec<RankName> = (0..ranks)
        .map(|number| RankName::new(format!("score:rank-{number}")))
        .collect();
    for first in (0..profiles).step_by(PROFILES_PER_COMMIT) {
        let last = profiles.min(first + PROFILES_PER_COMMIT);
        let commits = (first..last).map(|number| {
            let changes = names.iter().enumerate().map(|(place, rank)| RankChange {
                rank: rank.clone(),
                old: None,
                new: RankKey::new((number * 7_919 % profiles * (place + 1)) as f64 / 1_000.0),
            });
            Commit {
                profile_id: ProfileId::new(&format!("member-{number}")).unwrap(),
                expected: None,
                version: Version(number as u64 + 1),
                record: Some(record.clone()),
                ranks: vec![(generation, changes.collect())],
                totals: Vec::new(),
            }
        });
        let results = store.commit(&tenant, &rollout, commits.collect()).await;
        for result in results {
            assert_eq!(result, Ok(Committed::Written));
        }
    }
}

async fn used_memory(server: &RedisServer) -> u64 {
    server.info("used_memory").await.parse().unwrap()
}

async fn keys(connection: &mut MultiplexedConnection, pattern: &str) -> Vec<String> {
    let mut keys = redis::cmd("KEYS");
    keys.arg(pattern).query_async(connection).await.unwrap()
}

async fn memory_of(connection: &mut MultiplexedConnection, key: &str) -> u64 {
    let mut usage = redis::cmd("MEMORY");
    usage.arg("USAGE").arg(key).arg("SAMPLES").arg(ALL);
    usage.query_async(connection).await.unwrap()
}

async fn sum_of(connection: &mut MultiplexedConnection, pattern: &str) -> u64 {
    let mut sum = 0;
    for key in keys(connection, pattern).await {
        sum += memory_of(connection, &key).await;
    }
    sum
}

/// A hundredth of the records.
async fn mean_of_records(connection: &mut MultiplexedConnection) -> f64 {
    let records = keys(connection, "*}:profile:member-*77").await;
    let mut sum = 0;
    for key in &records {
        sum += memory_of(connection, key).await;
    }
    sum as f64 / records.len() as f64
}
