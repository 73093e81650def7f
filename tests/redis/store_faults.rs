//! A store whose connection breaks at every place: what is written once stays written once,
//! and what is not known is not claimed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bellwether::{
    scoring::{
        Fingerprint, IdHash, KeyRange, ProfileId, RankChange, RankKey, RankName, Record, Tenant,
        Timestamp,
    },
    store::{
        Commit, Committed, Coordination as _, IndexGeneration, RankRange, RankStore, RecordStore,
        Rollout, StoreError, Stored, TopicTotals, TotalsChange, Version, redis::Redis,
    },
};

use super::{
    redis_servers::{Fault, RedisServer, TcpProxy, until},
    world::{PATIENCE, RESPONSE_TIMEOUT, open},
};

/// How much later than the response time-out an answer may come: a busy machine's delay, and
/// one attempt to connect again.
const SLACK: Duration = Duration::from_millis(1_500);

/// A store behind a proxy, and one past it.
struct Broken {
    _redis: RedisServer,
    proxy: TcpProxy,
    store: Arc<Redis>,
    clear: Redis,
    tenant: Tenant,
    rollout: Rollout,
}

impl Broken {
    async fn new() -> Self {
        let redis = RedisServer::start().await;
        let proxy = TcpProxy::start(redis.address()).await;
        let clear = open(&redis.url()).await;
        let store = open(&redis.url_by_way_of(proxy.address())).await;
        let tenant = Tenant::new("faults").unwrap();
        let generation = IndexGeneration {
            number: 1,
            model: Fingerprint(1),
        };
        let rollout = Rollout::begin(generation, 1);
        assert_eq!(clear.set_rollout(&tenant, &rollout).await, Ok(true));
        clear.fence(&tenant, &rollout).await.unwrap();
        Self {
            _redis: redis,
            proxy,
            store: Arc::new(store),
            clear,
            tenant,
            rollout,
        }
    }

    /// A write of the profile `ann`, as number `number`, on what is stored.
    fn commit(&self, before: Option<&Stored>, number: u64) -> Commit {
        let key = |number: u64| RankKey::new(number as f64).unwrap();
        Commit {
            profile_id: ann(),
            expected: before.map(|before| before.version),
            version: new_version(),
            record: Some(Record {
                event_count: number,
                ..Record::default()
            }),
            ranks: vec![(
                self.rollout.active.unwrap(),
                vec![RankChange {
                    rank: RankName::new("points"),
                    old: before.map(|before| key(before.record.event_count)),
                    new: Some(key(number)),
                }],
            )],
            totals: vec![TotalsChange {
                topic: "price".into(),
                touches: 1,
                advance_millionths: 5,
            }],
        }
    }

    async fn send(&self, commit: &Commit) -> Result<Committed, StoreError> {
        send(&self.store, &self.tenant, &self.rollout, commit).await
    }

    /// Sends a commit until it is answered, over a connection that may have to be made again.
    async fn send_until_answered(&self, commit: &Commit) -> Committed {
        until("a commit is answered", || async {
            self.send(commit).await.ok()
        })
        .await
    }

    async fn stored(&self) -> Option<Stored> {
        let mut loaded = self.clear.load(&self.tenant, &[ann()]).await;
        loaded.remove(0).unwrap()
    }

    /// Checks that all that `ann` has was written so many times, and no more.
    async fn assert_written(&self, times: u64) {
        let stored = self.stored().await.map(|stored| stored.record.event_count);
        assert_eq!(stored.unwrap_or(0), times);
        let totals = self.clear.totals(&self.tenant, &["price".to_owned()]).await;
        let expected = TopicTotals {
            touches: times,
            advance_millionths: 5 * times,
        };
        assert_eq!(totals, Ok(vec![expected]));
        let range = RankRange {
            rank: RankName::new("points"),
            keys: KeyRange::ALL,
        };
        let generation = self.rollout.active.unwrap();
        let page = self.clear.page(&self.tenant, generation, &range, None, 10);
        let page = page.await.unwrap();
        assert_eq!(page.total, times.min(1));
        for (key, _) in page.entries {
            assert_eq!(key.value(), times as f64);
        }
    }
}

async fn send(
    store: &Redis,
    tenant: &Tenant,
    rollout: &Rollout,
    commit: &Commit,
) -> Result<Committed, StoreError> {
    let mut results = store.commit(tenant, rollout, vec![commit.clone()]).await;
    assert_eq!(results.len(), 1);
    results.remove(0)
}

fn ann() -> ProfileId {
    ProfileId::new("ann").unwrap()
}

fn new_version() -> Version {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Version(NEXT.fetch_add(1, Ordering::Relaxed))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_cut_off_before_it_arrived_is_not_written_and_can_be_sent_again() {
    let broken = Broken::new().await;
    let commit = broken.commit(None, 1);
    broken.proxy.set(Fault::CutBeforeRequest { every: 1 });
    let unknown = broken.send(&commit).await;
    assert!(
        matches!(unknown, Err(StoreError::OutcomeUnknown(_))),
        "{unknown:?}"
    );
    assert!(broken.proxy.faults() > 0);
    broken.assert_written(0).await;
    broken.proxy.set(Fault::Pass);
    assert_eq!(
        broken.send_until_answered(&commit).await,
        Committed::Written
    );
    broken.assert_written(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_was_cut_off_is_written_once_however_often_it_is_sent() {
    let broken = Broken::new().await;
    let commit = broken.commit(None, 1);
    broken.proxy.set(Fault::CutBeforeReply { every: 1 });
    for _ in 0..3 {
        let unknown = broken.send(&commit).await;
        assert!(unknown.is_err(), "{unknown:?}");
    }
    broken.proxy.set(Fault::Pass);
    for _ in 0..3 {
        assert_eq!(
            broken.send_until_answered(&commit).await,
            Committed::Written
        );
    }
    broken.assert_written(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_commit_whose_answer_was_cut_off_is_said_to_be_unknown() {
    let broken = Broken::new().await;
    broken.proxy.set(Fault::CutBeforeReply { every: 1 });
    let unknown = broken.send(&broken.commit(None, 1)).await;
    assert!(
        matches!(unknown, Err(StoreError::OutcomeUnknown(_))),
        "{unknown:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_connection_leaves_nothing_written_and_is_made_again() {
    let broken = Broken::new().await;
    let commit = broken.commit(None, 1);
    broken.proxy.set(Fault::Refuse);
    // The first call may find out that the connection is gone only by sending.
    let refused = until("the store knows that it has no connection", || async {
        match broken.send(&commit).await {
            Err(StoreError::Unavailable(message)) => Some(message),
            Err(StoreError::OutcomeUnknown(_)) => None,
            other => panic!("{other:?}"),
        }
    });
    refused.await;
    let loaded = broken.store.load(&broken.tenant, &[ann()]).await;
    assert!(
        matches!(loaded[..], [Err(StoreError::Unavailable(_))]),
        "{loaded:?}"
    );
    broken.assert_written(0).await;
    broken.proxy.set(Fault::Pass);
    assert_eq!(
        broken.send_until_answered(&commit).await,
        Committed::Written
    );
    broken.assert_written(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_never_answers_is_given_up_in_time() {
    let broken = Broken::new().await;
    let first = broken.commit(None, 1);
    assert_eq!(broken.send(&first).await, Ok(Committed::Written));
    broken.proxy.set(Fault::HalfOpen);
    let begun = Instant::now();
    let loaded = broken.store.load(&broken.tenant, &[ann()]).await;
    assert!(
        matches!(loaded[..], [Err(StoreError::Unavailable(_))]),
        "{loaded:?}"
    );
    assert!(
        begun.elapsed() < RESPONSE_TIMEOUT + SLACK,
        "{:?}",
        begun.elapsed()
    );

    let second = broken.commit(broken.stored().await.as_ref(), 2);
    let begun = Instant::now();
    let unknown = broken.send(&second).await;
    assert!(unknown.is_err(), "{unknown:?}");
    assert!(
        begun.elapsed() < RESPONSE_TIMEOUT + SLACK,
        "{:?}",
        begun.elapsed()
    );
    let begun = Instant::now();
    broken.store.ping().await.unwrap_err();
    assert!(
        begun.elapsed() < RESPONSE_TIMEOUT + SLACK,
        "{:?}",
        begun.elapsed()
    );

    broken.proxy.set(Fault::Pass);
    assert_eq!(
        broken.send_until_answered(&second).await,
        Committed::Written
    );
    broken.assert_written(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delay_within_the_time_out_fails_nothing_and_holds_nobody_up() {
    let broken = Broken::new().await;
    let delay = Duration::from_millis(60);
    broken.proxy.set(Fault::Delay(delay));
    let begun = Instant::now();
    let first = broken.commit(None, 1);
    assert_eq!(broken.send(&first).await, Ok(Committed::Written));
    assert!(begun.elapsed() >= delay);
    let begun = Instant::now();
    let ids = [ann()];
    let loads = (0..50).map(|_| broken.store.load(&broken.tenant, &ids));
    for loaded in futures_util::future::join_all(loads).await {
        assert!(matches!(loaded[..], [Ok(Some(_))]), "{loaded:?}");
    }
    assert!(begun.elapsed() < 25 * delay, "{:?}", begun.elapsed());
    broken.assert_written(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_trickles_in_is_read_whole() {
    let broken = Broken::new().await;
    let first = broken.commit(None, 1);
    assert_eq!(broken.send(&first).await, Ok(Committed::Written));
    broken.proxy.set(Fault::Slow {
        bytes: 1,
        pause: Duration::from_millis(1),
    });
    let loaded = broken.store.load(&broken.tenant, &[ann()]).await;
    assert_eq!(loaded, [Ok(broken.stored().await)]);
    assert!(broken.proxy.faults() > 0);
}

/// Several writers count on one profile while connections are cut at random places.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_increment_is_lost_or_doubled_while_connections_are_cut() {
    const WRITERS: u64 = 4;
    const EACH: u64 = 25;
    let broken = Arc::new(Broken::new().await);
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let broken = Arc::clone(&broken);
            tokio::spawn(async move {
                for _ in 0..EACH {
                    increment(&broken).await;
                }
            })
        })
        .collect();
    let faults = async {
        for every in [3, 5, 4, 7].into_iter().cycle() {
            broken.proxy.set(Fault::CutBeforeReply { every });
            broken.proxy.until_faults(2).await;
            broken.proxy.set(Fault::CutBeforeRequest { every });
            broken.proxy.until_faults(2).await;
            broken.proxy.set(Fault::Pass);
        }
    };
    let written = futures_util::future::join_all(writers);
    let written = tokio::time::timeout(PATIENCE, async {
        tokio::select! {
            written = written => written,
            () = faults => unreachable!("faults go on for ever"),
        }
    });
    for writer in written.await.expect("all is written in time") {
        writer.unwrap();
    }
    assert!(broken.proxy.faults() > 4);
    broken.proxy.set(Fault::Pass);
    broken.assert_written(WRITERS * EACH).await;
}

/// Adds one, whatever fails on the way. A write whose answer was lost may be found beneath
/// that of another writer, by its mark.
async fn increment(broken: &Broken) {
    let mark = IdHash(new_version().0);
    let load = || async {
        let loaded = broken.store.load(&broken.tenant, &[ann()]).await.remove(0);
        loaded.ok()
    };
    loop {
        let before = until("the profile is read", load).await;
        let marks = before.as_ref().map(|before| before.record.effects.clone());
        let mut marks = marks.unwrap_or_default();
        if marks.knows(mark) {
            return;
        }
        marks.remembered.push((Timestamp::EPOCH, mark));
        let count = marks.remembered.len() as u64;
        let mut commit = broken.commit(before.as_ref(), count);
        commit.record.as_mut().unwrap().effects = marks;
        // On a conflict, or when it was written: looks again.
        broken.send_until_answered(&commit).await;
    }
}
