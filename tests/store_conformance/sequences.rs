//! Any sequence of operations, compared with a plain model of a store.

use std::collections::BTreeMap;

use bellwether::scoring::{KeyRange, RankChange, RankKey, RankName, Record, Tenant, Timestamp};
use bellwether::store::{
    Commit, Committed, Cursor, RankPage, RankRange, Store, TopicTotals, Version,
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};
use tokio::{runtime::Handle, task::block_in_place};

use super::{
    GENERATION, Subject, added, fenced, id, key, new_tenant, new_version, record, rollout,
};

const PROFILES: [&str; 5] = ["a", "aa", "b", "é", "z"];
const RANKS: [&str; 2] = ["r", "s"];
const TOPICS: [&str; 2] = ["coverage", "price"];

pub async fn any_sequence_of_operations_equals_a_plain_model(subject: impl Subject) {
    let store = subject.store();
    let mut runner = TestRunner::new(Config {
        cases: 48,
        failure_persistence: None,
        ..Config::default()
    });
    block_in_place(|| {
        runner
            .run(&vec(operation(), 1..40), |operations| {
                Handle::current().block_on(compare(&*store, &operations));
                Ok(())
            })
            .unwrap();
    });
}

#[derive(Clone, Debug)]
enum Operation {
    Commit(Vec<Write>),
    Repeat,
    Page {
        range: RankRange,
        cursor: Option<(f64, &'static str)>,
        limit: usize,
    },
    Count(Vec<RankRange>),
    Scan {
        after: Option<&'static str>,
        limit: usize,
    },
}

#[derive(Clone, Debug)]
struct Write {
    profile: &'static str,
    /// Whether the caller knows the current version.
    current: bool,
    event_count: u64,
    /// The time of the last event, in fifths of a second.
    last_event: u64,
    keys: Vec<Option<f64>>,
    topic: &'static str,
    touches: u64,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => writes().prop_map(Operation::Commit),
        1 => Just(Operation::Repeat),
        2 => (rank_range(), proptest::option::of((rank_key(), profile())), 0..7_usize)
            .prop_map(|(range, cursor, limit)| Operation::Page { range, cursor, limit }),
        1 => vec(rank_range(), 0..5).prop_map(Operation::Count),
        1 => (proptest::option::of(profile()), 0..7_usize)
            .prop_map(|(after, limit)| Operation::Scan { after, limit }),
    ]
}

/// Writes of different profiles.
fn writes() -> impl Strategy<Value = Vec<Write>> {
    vec(write(), 1..4).prop_map(|mut writes| {
        writes.sort_by_key(|write| write.profile);
        writes.dedup_by_key(|write| write.profile);
        writes
    })
}

fn write() -> impl Strategy<Value = Write> {
    let keys = vec(proptest::option::of(rank_key()), RANKS.len());
    let current = prop::bool::weighted(0.8);
    let topic = select(&TOPICS[..]);
    let numbers = (0..100_u64, 0..30_u64, 0..3_u64);
    (profile(), current, numbers, keys, topic).prop_map(
        |(profile, current, (event_count, last_event, touches), keys, topic)| Write {
            profile,
            current,
            event_count,
            last_event,
            keys,
            topic,
            touches,
        },
    )
}

fn profile() -> impl Strategy<Value = &'static str> {
    select(&PROFILES[..])
}

/// Few values, so that ties and borders are common.
fn rank_key() -> impl Strategy<Value = f64> {
    select(vec![
        f64::NEG_INFINITY,
        -1.5,
        0.0,
        1.0,
        1.0 + f64::EPSILON,
        4e9,
    ])
}

fn rank_range() -> impl Strategy<Value = RankRange> {
    let below = proptest::option::of(rank_key());
    (select(&RANKS[..]), rank_key(), below)
        .prop_map(|(rank, from, below)| super::range(rank, from, below))
}

#[derive(Default)]
struct Model {
    profiles: BTreeMap<&'static str, Profile>,
    totals: BTreeMap<&'static str, u64>,
    /// In seconds, rounded up.
    latest: u64,
}

struct Profile {
    version: Version,
    event_count: u64,
    keys: Vec<Option<f64>>,
}

impl Model {
    fn commit(&self, write: &Write) -> Commit {
        let profile = self.profiles.get(write.profile);
        let expected = match (write.current, profile) {
            (true, profile) => profile.map(|profile| profile.version),
            (false, Some(_)) => None,
            (false, None) => Some(new_version()),
        };
        let old_keys = profile.map(|profile| profile.keys.clone());
        let old_keys = old_keys.unwrap_or(vec![None; RANKS.len()]);
        let ranks = RANKS
            .iter()
            .zip(old_keys.iter().zip(&write.keys))
            .filter(|(_, (old, new))| old != new)
            .map(|(rank, (old, new))| RankChange {
                rank: RankName::new(*rank),
                old: old.map(key),
                new: new.map(key),
            })
            .collect();
        Commit {
            profile_id: id(write.profile),
            expected,
            version: new_version(),
            record: Some(Record {
                last_event_time: Timestamp::from_nanos(200_000_000 * write.last_event as i64)
                    .unwrap(),
                ..record(write.event_count)
            }),
            ranks: vec![(GENERATION, ranks)],
            totals: vec![added(write.topic, write.touches, 0)],
        }
    }

    fn apply(&mut self, write: &Write, version: Version) -> Committed {
        if !write.current {
            return Committed::Conflict;
        }
        let profile = Profile {
            version,
            event_count: write.event_count,
            keys: write.keys.clone(),
        };
        self.profiles.insert(write.profile, profile);
        self.latest = self.latest.max(write.last_event.div_ceil(5));
        *self.totals.entry(write.topic).or_default() += write.touches;
        Committed::Written
    }

    /// The entries of a range in page order.
    fn entries(&self, range: &RankRange) -> Vec<(RankKey, &'static str)> {
        let rank = RANKS.iter().position(|rank| *rank == range.rank.as_str());
        let mut entries: Vec<_> = self
            .profiles
            .iter()
            .filter_map(|(name, profile)| Some((key(profile.keys[rank.unwrap()]?), *name)))
            .filter(|(key, _)| range.keys.contains(*key))
            .collect();
        entries.sort_by(|first, second| (second.0, first.1).cmp(&(first.0, second.1)));
        entries
    }

    fn page(&self, range: &RankRange, cursor: Option<(f64, &str)>, limit: usize) -> RankPage {
        let entries = self.entries(range);
        let total = entries.len() as u64;
        let (before, after): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(entry, name)| {
            cursor.is_some_and(|(value, profile)| {
                *entry > key(value) || (*entry == key(value) && *name <= profile)
            })
        });
        RankPage {
            entries: after
                .into_iter()
                .take(limit)
                .map(|(key, name)| (key, id(name)))
                .collect(),
            preceding: before.len() as u64,
            total,
            latest_counted: Timestamp::from_seconds(self.latest),
        }
    }
}

async fn compare(store: &impl Store, operations: &[Operation]) {
    let tenant = new_tenant();
    fenced(store, &tenant).await;
    let mut model = Model::default();
    let mut last_written = Vec::new();
    for operation in operations {
        match operation {
            Operation::Commit(writes) => {
                let commits: Vec<_> = writes.iter().map(|write| model.commit(write)).collect();
                let results = store.commit(&tenant, &rollout(), commits.clone()).await;
                let expected: Vec<_> = writes
                    .iter()
                    .zip(&commits)
                    .map(|(write, commit)| Ok(model.apply(write, commit.version)))
                    .collect();
                assert_eq!(results, expected);
                last_written = commits
                    .into_iter()
                    .zip(&expected)
                    .filter(|(_, result)| **result == Ok(Committed::Written))
                    .map(|(commit, _)| commit)
                    .collect();
            }
            Operation::Repeat => {
                let expected = vec![Ok(Committed::Written); last_written.len()];
                let results = store
                    .commit(&tenant, &rollout(), last_written.clone())
                    .await;
                assert_eq!(results, expected);
            }
            Operation::Page {
                range,
                cursor,
                limit,
            } => {
                let after = cursor.map(|(value, profile)| Cursor {
                    key: key(value),
                    profile_id: id(profile),
                });
                let page = store
                    .page(&tenant, GENERATION, range, after.as_ref(), *limit)
                    .await;
                assert_eq!(page, Ok(model.page(range, *cursor, *limit)));
            }
            Operation::Count(ranges) => {
                let counts = store.count(&tenant, GENERATION, ranges).await.unwrap();
                let entries = ranges.iter().map(|range| model.entries(range).len() as u64);
                assert_eq!(counts.counts, entries.collect::<Vec<_>>());
                assert_eq!(counts.latest_counted, Timestamp::from_seconds(model.latest));
            }
            Operation::Scan { after, limit } => {
                let after_id = after.map(id);
                let scanned = store.scan(&tenant, after_id.as_ref(), *limit).await;
                let scanned: Vec<_> = scanned
                    .unwrap()
                    .into_iter()
                    .map(|stored| (stored.profile_id, stored.version))
                    .collect();
                let expected: Vec<_> = model
                    .profiles
                    .iter()
                    .filter(|(name, _)| after.is_none_or(|after| **name > after))
                    .take(*limit)
                    .map(|(name, profile)| (id(name), profile.version))
                    .collect();
                assert_eq!(scanned, expected);
            }
        }
    }
    let records = store.record_count(&tenant).await;
    assert_eq!(records, Ok(model.profiles.len() as u64));
    compare_all(store, &tenant, &model).await;
}

async fn compare_all(store: &impl Store, tenant: &Tenant, model: &Model) {
    for loaded in PROFILES {
        let stored = super::load_one(store, tenant, loaded).await;
        let stored = stored.map(|stored| (stored.version, stored.record.event_count));
        let expected = model.profiles.get(loaded);
        let expected = expected.map(|profile| (profile.version, profile.event_count));
        assert_eq!(stored, expected);
    }
    for rank in RANKS {
        let range = RankRange {
            rank: RankName::new(rank),
            keys: KeyRange::ALL,
        };
        let page = store.page(tenant, GENERATION, &range, None, 100).await;
        assert_eq!(page, Ok(model.page(&range, None, 100)));
    }
    let totals = store.totals(tenant, &TOPICS.map(str::to_owned)).await;
    let expected = TOPICS.map(|topic| TopicTotals {
        touches: model.totals.get(topic).copied().unwrap_or_default(),
        advance_millionths: 0,
    });
    assert_eq!(totals, Ok(expected.to_vec()));
}
