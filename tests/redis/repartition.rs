//! Another number of partitions for a tenant: all is as it was, however often the work on it is
//! interrupted.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    task::Poll,
    time::Duration,
};

use bellwether::{
    clock::system_clock,
    scoring::{Fingerprint, ProfileId, RankChange, RankKey, RankName, Record, Tenant, Timestamp},
    store::{
        Commit, Committed, Coordination as _, IndexGeneration, ModelStore as _, RankPage,
        RankRange, RankStore as _, RecordStore as _, Rollout, SavedModel, StoreError, Stored,
        TopicTotals, TotalsChange, Version,
        redis::{Progress, Redis, RedisSettings, RepartitionError, Repartitioned, Repartitioning},
    },
};

use super::{
    alone::{GENERATION, everybody, id},
    people::Dice,
    redis_servers::{RedisCluster, RedisServer},
    world::settings,
};

const PEOPLE: u64 = 700;
/// Often enough that what was seen is believed.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
const TOPICS: [&str; 2] = ["price", "quality"];

pub fn now_millis() -> u64 {
    system_clock()().millis()
}

pub async fn repartition(
    store: &Redis,
    tenant: &Tenant,
    partitions: u32,
) -> Result<Repartitioned, RepartitionError> {
    let tell = |_| {};
    let work = Repartitioning::new(store, tenant, &now_millis, &tell)?;
    work.run(partitions).await
}

/// A store with one tenant of many profiles in two ranks, and what is known of topics.
struct Filled {
    store: Redis,
    tenant: Tenant,
    rollout: Rollout,
}

impl Filled {
    async fn new(url: &str, partitions: u32) -> Self {
        let store = with_partitions(url, partitions).await;
        let tenant = Tenant::new("alone").unwrap();
        let saved = SavedModel {
            fingerprint: GENERATION.model,
            source: String::new(),
            ranks: [rank("r"), rank("s"), rank("nobody")].into(),
        };
        store.save_model(&saved).await.unwrap();
        let rollout = Rollout::begin(GENERATION, 1);
        assert_eq!(store.set_rollout(&tenant, &rollout).await, Ok(true));
        store.fence(&tenant, &rollout).await.unwrap();
        let filled = Self {
            store,
            tenant,
            rollout,
        };
        filled.commit((0..PEOPLE).map(created).collect()).await;
        // Some leave again.
        let dropped = (0..PEOPLE).step_by(10).map(|number| Commit {
            expected: Some(Version(1 + number)),
            version: Version(1_000_000 + number),
            record: None,
            ranks: vec![(GENERATION, vec![change("r", None), change("s", None)])],
            ..created(number)
        });
        filled.commit(dropped.collect()).await;
        filled
    }

    async fn commit(&self, commits: Vec<Commit>) {
        let expected = vec![Ok(Committed::Written); commits.len()];
        let written = self
            .store
            .commit(&self.tenant, &self.rollout, commits)
            .await;
        assert_eq!(written, expected);
    }

    /// Everything that a store says of the tenant.
    async fn picture(&self, store: &Redis) -> Picture {
        let tenant = &self.tenant;
        let mut pages = Vec::new();
        for rank in ["r", "s", "nobody"] {
            let range = RankRange {
                rank: RankName::new(rank),
                ..everybody()
            };
            let page = store.page(tenant, GENERATION, &range, None, 2_000);
            pages.push(page.await.unwrap());
        }
        let counts = store
            .count(tenant, GENERATION, &[everybody()])
            .await
            .unwrap();
        assert_eq!(counts.counts, [pages[0].total]);
        let ids: Vec<ProfileId> = (0..PEOPLE).map(id).collect();
        let loaded = store.load(tenant, &ids).await.into_iter();
        Picture {
            scanned: store.scan(tenant, None, 2_000).await.unwrap(),
            records: store.record_count(tenant).await.unwrap(),
            loaded: loaded.map(|loaded| loaded.unwrap()).collect(),
            totals: store
                .totals(tenant, &TOPICS.map(str::to_owned))
                .await
                .unwrap(),
            pages,
        }
    }
}

#[derive(Debug, PartialEq)]
struct Picture {
    scanned: Vec<Stored>,
    records: u64,
    loaded: Vec<Option<Stored>>,
    totals: Vec<TopicTotals>,
    pages: Vec<RankPage>,
}

async fn with_partitions(url: &str, partitions: u32) -> Redis {
    let settings = RedisSettings {
        partitions: Some(partitions),
        ..settings(url)
    };
    Redis::open(&settings).await.unwrap()
}

fn rank(name: &str) -> RankName {
    RankName::new(name)
}

fn change(name: &str, new: Option<RankKey>) -> RankChange {
    RankChange {
        rank: rank(name),
        old: None,
        new,
    }
}

fn created(number: u64) -> Commit {
    let mut changes = vec![change("r", RankKey::new(-(number as f64)))];
    if number.is_multiple_of(3) {
        changes.push(change("s", RankKey::new((number % 7) as f64 / 3.0)));
    }
    Commit {
        profile_id: id(number),
        expected: None,
        version: Version(1 + number),
        record: Some(Record {
            event_count: number,
            last_event_time: Timestamp::from_seconds(1_000 + number),
            ..Record::default()
        }),
        ranks: vec![(GENERATION, changes)],
        totals: vec![TotalsChange {
            topic: TOPICS[number as usize % 2].into(),
            touches: 1,
            advance_millionths: i64::try_from(number).unwrap(),
        }],
    }
}

/// The keys of a Redis that match.
pub async fn keys(redis: &RedisServer, pattern: &str) -> Vec<String> {
    let mut connection = redis.connection().await;
    let mut command = redis::cmd("KEYS");
    command.arg(pattern);
    command.query_async(&mut connection).await.unwrap()
}

async fn assert_all_is_as_before(url: &str, before: u32, after: u32) {
    let filled = Filled::new(url, before).await;
    let expected = filled.picture(&filled.store).await;
    assert_eq!(expected.scanned.len() as u64, PEOPLE - PEOPLE / 10);
    // Knows nothing of it, and has read before.
    let other = with_partitions(url, before).await;
    assert_eq!(filled.picture(&other).await, expected);

    let tool = with_partitions(url, before).await;
    let done = repartition(&tool, &filled.tenant, after).await.unwrap();
    assert!(done.copied >= PEOPLE - PEOPLE / 10, "{done:?}");
    assert!(done.pause.is_some());
    for store in [&filled.store, &other, &tool] {
        assert_eq!(filled.picture(store).await, expected);
    }
    let rollout = tool.rollout(&filled.tenant).await.unwrap();
    assert_eq!(rollout.partitions, Some(after));
    assert!(rollout.is_at_rest());

    // Whoever writes by what was is told so, and nothing is written.
    let late = filled
        .store
        .commit(&filled.tenant, &filled.rollout, vec![created(PEOPLE)]);
    assert_eq!(late.await, [Err(StoreError::Superseded)]);
    let again = repartition(&tool, &filled.tenant, after).await.unwrap();
    assert_eq!(again, Repartitioned::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_that_grows_from_four_partitions_to_seven_is_as_it_was() {
    let redis = RedisServer::start().await;
    assert_all_is_as_before(&redis.url(), 4, 7).await;
    assert!(keys(&redis, "{alone:4:*").await.is_empty());
    assert!(keys(&redis, "*:written").await.is_empty());
    assert!(keys(&redis, "*:copied").await.is_empty());
    assert_eq!(keys(&redis, "{alone:7:*:fence").await.len(), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_that_shrinks_from_sixteen_partitions_to_three_is_as_it_was() {
    let redis = RedisServer::start().await;
    assert_all_is_as_before(&redis.url(), 16, 3).await;
    assert!(keys(&redis, "{alone:16:*").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_in_a_cluster_is_as_it_was() {
    let cluster = RedisCluster::start().await;
    assert_all_is_as_before(&cluster.url(), 4, 7).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cancelled_leaves_nothing_and_may_begin_again() {
    let redis = RedisServer::start().await;
    let filled = Filled::new(&redis.url(), 4).await;
    let expected = filled.picture(&filled.store).await;
    // Dropped when all was copied once.
    let following = tokio::sync::Notify::new();
    let tell = |progress| {
        if let Progress::Following { .. } = progress {
            following.notify_one();
        }
    };
    let work = Repartitioning::new(&filled.store, &filled.tenant, &now_millis, &tell).unwrap();
    tokio::select! {
        ended = work.run(7) => panic!("{ended:?}"),
        () = following.notified() => {}
    }
    let rollout = filled.store.rollout(&filled.tenant).await.unwrap();
    assert_eq!(rollout.repartition.map(|going| going.partitions), Some(7));
    assert_eq!(keys(&redis, "{alone:7:*:ids").await.len(), 7);
    // Another number is no way on.
    let refused = repartition(&filled.store, &filled.tenant, 5).await;
    let told = refused.unwrap_err().to_string();
    assert!(
        told.contains("--partitions 7") && told.contains("--cancel"),
        "{told}"
    );

    let tell = |_| {};
    let work = Repartitioning::new(&filled.store, &filled.tenant, &now_millis, &tell).unwrap();
    assert_eq!(work.cancel().await, Ok(true));
    assert_eq!(work.cancel().await, Ok(false));
    assert!(keys(&redis, "{alone:7:*").await.is_empty());
    assert_eq!(filled.picture(&filled.store).await, expected);
    let cancelled = filled.store.rollout(&filled.tenant).await.unwrap();
    assert!(cancelled.is_at_rest() && cancelled.partitions.is_none());
    repartition(&filled.store, &filled.tenant, 7).await.unwrap();
    assert_eq!(filled.picture(&filled.store).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_that_another_model_comes_to_is_not_repartitioned() {
    let redis = RedisServer::start().await;
    let filled = Filled::new(&redis.url(), 4).await;
    let candidate = IndexGeneration {
        number: 2,
        model: Fingerprint(2),
    };
    let proposed = filled.rollout.establish(2).propose(candidate, 3);
    let established = filled.rollout.establish(2);
    for rollout in [&established, &proposed] {
        assert_eq!(
            filled.store.set_rollout(&filled.tenant, rollout).await,
            Ok(true)
        );
    }
    let refused = repartition(&filled.store, &filled.tenant, 7).await;
    let told = refused.unwrap_err().to_string();
    assert!(told.contains("another model"), "{told}");
    let nobody = Tenant::new("nobody").unwrap();
    let refused = repartition(&filled.store, &nobody, 7).await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("no tenant nobody")
    );
}

/// Polls a run until nobody may commit, then so many times more, and drops it. Returns whether it
/// ended before.
async fn run_for(work: &Repartitioning<'_>, switching: &AtomicBool, polls: usize) -> bool {
    switching.store(false, Ordering::Relaxed);
    let mut run = std::pin::pin!(work.run(7));
    let mut polled = 0;
    std::future::poll_fn(|context| {
        if let Poll::Ready(ended) = run.as_mut().poll(context) {
            ended.unwrap();
            return Poll::Ready(true);
        }
        polled += usize::from(switching.load(Ordering::Relaxed));
        if polled > polls {
            return Poll::Ready(false);
        }
        Poll::Pending
    })
    .await
}

/// The next write of somebody who stays.
fn rewritten(number: u64, written: u64) -> Commit {
    let ranks = [("r", written % 5), ("s", written % 3)];
    let ranks = ranks.map(|(name, key)| change(name, RankKey::new(key as f64).filter(|_| key > 0)));
    Commit {
        expected: Some(Version(1 + number + 10_000 * written)),
        version: Version(1 + number + 10_000 * (written + 1)),
        ranks: vec![(GENERATION, ranks.into())],
        ..created(number)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_ends_at_any_step_is_followed_by_another() {
    let (redis, other) = (RedisServer::start().await, RedisServer::start().await);
    let moved = Filled::new(&redis.url(), 4).await;
    let stays = Filled::new(&other.url(), 4).await;
    let (switching, all) = (AtomicBool::new(false), AtomicU64::new(u64::MAX));
    let tell = |progress| match progress {
        Progress::Copying { copied, .. } if copied >= all.load(Ordering::Relaxed) => {
            switching.store(true, Ordering::Relaxed);
        }
        Progress::Switching => switching.store(true, Ordering::Relaxed),
        _ => {}
    };
    let work = Repartitioning::new(&moved.store, &moved.tenant, &now_millis, &tell).unwrap();
    let mut dice = Dice(3);
    let mut points: Vec<(u64, usize)> = (0..40)
        .map(|_| (dice.roll(PEOPLE), dice.roll(12) as usize))
        .collect();
    points.extend([0, 1, 2, 4, 6, 9, 13].map(|polls| (u64::MAX, polls)));
    for (written, (copied, polls)) in (0..).zip(points) {
        all.store(copied, Ordering::Relaxed);
        let ended = run_for(&work, &switching, polls).await;
        // As a server would.
        let mut rollout = moved.store.rollout(&moved.tenant).await.unwrap();
        if let Some(reopened) = rollout.reopen(now_millis()) {
            assert_eq!(
                moved.store.set_rollout(&moved.tenant, &reopened).await,
                Ok(true)
            );
            rollout = reopened;
        }
        let commits: Vec<Commit> = (1..PEOPLE)
            .step_by(10)
            .map(|number| rewritten(number, written))
            .collect();
        let expected = vec![Ok(Committed::Written); commits.len()];
        let committed = moved.store.commit(&moved.tenant, &rollout, commits.clone());
        assert_eq!(committed.await, expected);
        stays.commit(commits).await;
        if ended {
            break;
        }
    }
    work.run(7).await.unwrap();
    let expected = stays.picture(&stays.store).await;
    for store in [&moved.store, &with_partitions(&redis.url(), 4).await] {
        assert_eq!(moved.picture(store).await, expected);
    }
    assert!(keys(&redis, "{alone:4:*").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_not_noticed_the_switch_reads_what_was_written_after_it() {
    let redis = RedisServer::start().await;
    let filled = Filled::new(&redis.url(), 4).await;
    let (tenant, other) = (&filled.tenant, with_partitions(&redis.url(), 4).await);
    let moved = tokio::sync::Notify::new();
    let tell = |progress| {
        if let Progress::Deleting { .. } = progress {
            moved.notify_one();
        }
    };
    let work = Repartitioning::new(&filled.store, tenant, &now_millis, &tell).unwrap();
    // As a server does.
    let looks = async {
        loop {
            other.rollout(tenant).await.unwrap();
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    };
    tokio::select! {
        biased;
        () = moved.notified() => {}
        ended = work.run(7) => panic!("{ended:?}"),
        () = looks => {}
    }
    let rollout = filled.store.rollout(tenant).await.unwrap();
    assert_eq!(rollout.partitions, Some(7));
    let commit = rewritten(1, 1);
    let commit = Commit {
        expected: Some(Version(2)),
        ..commit
    };
    let written = filled.store.commit(tenant, &rollout, vec![commit.clone()]);
    assert_eq!(written.await, [Ok(Committed::Written)]);
    let loaded = other.load(tenant, &[id(1)]).await.pop().unwrap();
    assert_eq!(loaded.unwrap().unwrap().version, commit.version);
    assert_eq!(
        filled.picture(&other).await,
        filled.picture(&filled.store).await
    );
}
