//! How many records tenants may have, where that is bounded, and how many they have as far as this
//! server knows: what the store counted at most a second ago, while this server made none, and what
//! this server has made since. So one server alone is exact; what others make within that second is
//! not seen.

use std::{
    num::NonZeroU64,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustc_hash::FxHashMap;
use tokio::{
    sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock},
    time::Instant,
};

use crate::{
    scoring::Tenant,
    store::{Commit, Committed, StoreError},
};

/// How many records a tenant may have; `None` for as many as there is room for.
pub type ProfileLimits = Arc<dyn Fn(&Tenant) -> Option<NonZeroU64> + Send + Sync>;

/// How long it is believed what the store has counted.
const BELIEVED_FOR: Duration = Duration::from_secs(1);
/// Counts that are kept before those that nobody needs are forgotten.
const MAX_COUNTS: usize = 10_000;

/// What is known of the tenants that are bounded.
#[derive(Default)]
pub(super) struct ProfileQuotas {
    limits: OnceLock<ProfileLimits>,
    /// Whether any tenant has been bounded: otherwise nothing is locked.
    is_any_counted: AtomicBool,
    counts: Mutex<FxHashMap<Tenant, Arc<RecordCount>>>,
}

impl ProfileQuotas {
    /// Bounds tenants from now on; what was set first stays.
    pub(super) fn set(&self, limits: ProfileLimits) {
        let _is_first = self.limits.set(limits);
    }

    /// How many records a tenant may have.
    pub(super) fn most(&self, tenant: &Tenant) -> Option<u64> {
        let limits = self.limits.get()?;
        limits(tenant).map(NonZeroU64::get)
    }

    fn lock(&self) -> MutexGuard<'_, FxHashMap<Tenant, Arc<RecordCount>>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The count of a tenant that is bounded.
    pub(super) fn count_of(&self, tenant: &Tenant) -> Arc<RecordCount> {
        self.is_any_counted.store(true, Ordering::Relaxed);
        let mut counts = self.lock();
        if counts.len() >= MAX_COUNTS && !counts.contains_key(tenant) {
            counts.retain(|_, count| Arc::strong_count(count) > 1 || !count.is_old());
        }
        Arc::clone(counts.entry(tenant.clone()).or_default())
    }

    /// What commits are about to change of a tenant's count, if it is kept.
    pub(super) fn changes(&self, tenant: &Tenant, commits: &[Commit]) -> Option<RecordChanges> {
        if !self.is_any_counted.load(Ordering::Relaxed) {
            return None;
        }
        let change = |commit: &Commit| {
            i64::from(commit.record.is_some()) - i64::from(commit.expected.is_some())
        };
        if commits.iter().all(|commit| change(commit) == 0) {
            return None;
        }
        let count = self.lock().get(tenant).map(Arc::clone)?;
        let changes = commits.iter().map(change).collect();
        Some(RecordChanges { count, changes })
    }
}

/// How many records more or fewer each of some commits makes.
pub(super) struct RecordChanges {
    count: Arc<RecordCount>,
    changes: Vec<i64>,
}

impl RecordChanges {
    /// Counts what was written, and what may have been.
    pub(super) fn follow(self, results: &[Result<Committed, StoreError>]) {
        let changes = self.changes.iter().zip(results);
        let counted = changes.filter(|(change, result)| match result {
            Ok(Committed::Written) => true,
            Err(StoreError::OutcomeUnknown(_)) => **change > 0,
            _ => false,
        });
        let change = counted.map(|(change, _)| change).sum();
        let mut known = self.count.lock();
        known.records = known.records.saturating_add_signed(change);
    }
}

/// The records of one tenant.
#[derive(Default)]
pub(super) struct RecordCount {
    /// Shared by all that make records in room that is reserved; had alone by who has to know that
    /// nothing is on its way.
    making: Arc<RwLock<()>>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// With what was made here since the store has counted.
    records: u64,
    /// How many more there may be when all that is on its way is done.
    reserved: u64,
    /// When the store began to count.
    counted: Option<Instant>,
}

impl RecordCount {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the store has to count again.
    pub(super) fn is_old(&self) -> bool {
        let counted = self.lock().counted;
        counted.is_none_or(|counted| counted.elapsed() >= BELIEVED_FOR)
    }

    /// Waits until nothing is on its way that makes records, and has nothing begin.
    pub(super) async fn alone(self: &Arc<Self>) -> RecordRoom {
        RecordRoom::Alone {
            _count: Arc::clone(self),
            _alone: Arc::clone(&self.making).write_owned().await,
        }
    }

    /// Takes what the store has counted since an instant. Only for who is alone, so that all that was
    /// made here is in it.
    pub(super) fn set(&self, records: u64, counted: Instant) {
        let mut known = self.lock();
        known.records = records;
        known.counted = Some(counted);
    }

    /// Reserves room for so many records, if there is room for all of them whatever comes of others
    /// that are on their way.
    pub(super) async fn share(self: &Arc<Self>, most: u64, wanted: u64) -> Option<RecordRoom> {
        let shared = Arc::clone(&self.making).read_owned().await;
        let mut known = self.lock();
        let reserved = known.reserved + wanted;
        if known.records.saturating_add(reserved) > most {
            return None;
        }
        known.reserved = reserved;
        drop(known);
        Some(RecordRoom::Shared {
            count: Arc::clone(self),
            reserved: wanted,
            _shared: shared,
        })
    }

    /// How many more records there may be. Exact for who is alone.
    pub(super) fn left(&self, most: u64) -> u64 {
        most.saturating_sub(self.lock().records)
    }
}

/// Room for the records that work is about to make, until it is dropped.
pub(super) enum RecordRoom {
    /// It makes none, or as many as it likes.
    Unbounded,
    Shared {
        count: Arc<RecordCount>,
        reserved: u64,
        _shared: OwnedRwLockReadGuard<()>,
    },
    /// Nobody else makes any. With the count, so that it is not forgotten meanwhile.
    Alone {
        _count: Arc<RecordCount>,
        _alone: OwnedRwLockWriteGuard<()>,
    },
}

impl Drop for RecordRoom {
    fn drop(&mut self) {
        if let Self::Shared {
            count, reserved, ..
        } = self
        {
            // Before the next one can be alone.
            let mut known = count.lock();
            known.reserved = known.reserved.saturating_sub(*reserved);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::{
        scoring::{ProfileId, Record},
        store::Version,
    };

    fn tenant() -> Tenant {
        Tenant::new("acme").unwrap()
    }

    fn bounded() -> (ProfileQuotas, Arc<RecordCount>) {
        let quotas = ProfileQuotas::default();
        quotas.set(Arc::new(|tenant| {
            let is_bounded = tenant.as_str() == "acme";
            is_bounded.then_some(NonZeroU64::MIN)
        }));
        let count = quotas.count_of(&tenant());
        (quotas, count)
    }

    fn commit(expected: Option<u64>, record: Option<Record>) -> Commit {
        Commit {
            profile_id: ProfileId::new("anna").unwrap(),
            expected: expected.map(Version),
            version: Version(9),
            record,
            ranks: Vec::new(),
            totals: Vec::new(),
        }
    }

    #[test]
    fn without_limits_nothing_is_bounded_or_counted() {
        let quotas = ProfileQuotas::default();
        assert_eq!(quotas.most(&tenant()), None);
        let made = [commit(None, Some(Record::default()))];
        assert!(quotas.changes(&tenant(), &made).is_none());
        let (quotas, _) = bounded();
        assert_eq!(quotas.most(&tenant()), Some(1));
        let other = Tenant::new("other").unwrap();
        assert_eq!(quotas.most(&other), None);
        assert!(quotas.changes(&other, &made).is_none());
    }

    #[tokio::test]
    async fn room_that_is_reserved_is_given_back_and_nobody_gets_the_last_twice() {
        let (_, count) = bounded();
        count.set(7, Instant::now());
        let first = count.share(10, 2).await.unwrap();
        assert!(count.share(10, 2).await.is_none());
        let second = count.share(10, 1).await.unwrap();
        assert!(count.share(10, 1).await.is_none());
        drop(first);
        assert!(count.share(10, 3).await.is_none());
        let third = count.share(10, 2).await.unwrap();
        drop((second, third));
        assert_eq!(count.lock().reserved, 0);
    }

    #[tokio::test]
    async fn who_is_alone_waits_for_all_that_is_on_its_way() {
        let (_, count) = bounded();
        let shared = count.share(10, 1).await.unwrap();
        let mut alone = Box::pin(count.alone());
        assert!((&mut alone).now_or_never().is_none());
        // Nobody passes who waits.
        assert!(count.share(10, 1).now_or_never().is_none());
        drop(shared);
        let alone = alone.await;
        assert!(count.share(10, 1).now_or_never().is_none());
        drop(alone);
        assert!(count.share(10, 1).now_or_never().flatten().is_some());
    }

    #[test]
    fn what_was_written_or_may_have_been_is_counted() {
        let (quotas, count) = bounded();
        count.set(5, Instant::now());
        let record = || Some(Record::default());
        let unknown = || Err(StoreError::OutcomeUnknown(String::new()));
        let away = || Err(StoreError::Unavailable(String::new()));
        let (made, changed, dropped) = (
            || commit(None, record()),
            || commit(Some(1), record()),
            || commit(Some(1), None),
        );
        for (commit, result, left) in [
            (made(), Ok(Committed::Written), 4),
            (made(), Ok(Committed::Conflict), 4),
            (made(), unknown(), 3),
            (made(), away(), 3),
            (dropped(), Ok(Committed::Written), 4),
            (dropped(), unknown(), 4),
            (dropped(), Ok(Committed::Conflict), 4),
        ] {
            let changes = quotas.changes(&tenant(), &[commit]).unwrap();
            changes.follow(&[result]);
            assert_eq!(count.left(10), left);
        }
        assert!(quotas.changes(&tenant(), &[changed()]).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_store_counted_is_believed_for_a_second() {
        let (_, count) = bounded();
        assert!(count.is_old());
        count.set(5, Instant::now());
        assert!(!count.is_old());
        tokio::time::advance(BELIEVED_FOR).await;
        assert!(count.is_old());
    }

    #[tokio::test(start_paused = true)]
    async fn counts_that_nobody_needs_are_forgotten_when_there_are_many() {
        let (quotas, count) = bounded();
        let named = |number: usize| Tenant::new(&format!("t{number}")).unwrap();
        for number in 1..MAX_COUNTS {
            quotas.count_of(&named(number)).set(1, Instant::now());
        }
        tokio::time::advance(BELIEVED_FOR).await;
        quotas.count_of(&named(1)).set(2, Instant::now());
        drop(quotas.count_of(&named(MAX_COUNTS)));
        assert_eq!(quotas.lock().len(), 3);
        assert!(Arc::ptr_eq(&count, &quotas.count_of(&tenant())));
        assert_eq!(quotas.count_of(&named(1)).left(10), 8);
    }
}
