//! A store that stops in the middle.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bellwether::{
    scoring::{ProfileId, Tenant},
    store::{
        Commit, Committed, Cursor, IndexEntry, RankPage, RankRange, Store, StoreError, Stored,
        TopicTotals, embedded::Embedded,
    },
};

/// A store that takes a number of commits and then no more, as one whose disk is full.
pub struct Failing {
    pub store: Embedded,
    pub commits_left: Arc<AtomicUsize>,
}

impl Store for Failing {
    async fn load(
        &self,
        tenant: &Tenant,
        profile_ids: &[ProfileId],
    ) -> Vec<Result<Option<Stored>, StoreError>> {
        self.store.load(tenant, profile_ids).await
    }

    async fn commit(
        &self,
        tenant: &Tenant,
        commits: Vec<Commit>,
    ) -> Vec<Result<Committed, StoreError>> {
        let take = |left: usize| left.checked_sub(1);
        let order = Ordering::SeqCst;
        if self.commits_left.fetch_update(order, order, take).is_err() {
            let full = StoreError::Unavailable("the disk is full".to_owned());
            return vec![Err(full); commits.len()];
        }
        self.store.commit(tenant, commits).await
    }

    async fn page(
        &self,
        tenant: &Tenant,
        range: &RankRange,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<RankPage, StoreError> {
        self.store.page(tenant, range, after, limit).await
    }

    async fn count(&self, tenant: &Tenant, ranges: &[RankRange]) -> Result<Vec<u64>, StoreError> {
        self.store.count(tenant, ranges).await
    }

    async fn totals(
        &self,
        tenant: &Tenant,
        topics: &[String],
    ) -> Result<Vec<TopicTotals>, StoreError> {
        self.store.totals(tenant, topics).await
    }

    async fn scan(
        &self,
        tenant: &Tenant,
        after: Option<&ProfileId>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.store.scan(tenant, after, limit).await
    }

    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        self.store.tenants().await
    }

    async fn index(&self, tenant: &Tenant, entries: Vec<IndexEntry>) -> Result<(), StoreError> {
        self.store.index(tenant, entries).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
}
