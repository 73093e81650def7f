//! Ranks of the embedded store, in memory.

use std::sync::Arc;

use super::{
    super::{
        Cursor, IndexEntry, IndexGeneration, RankCounts, RankPage, RankRange, RankStore,
        StoreError, TopicTotals,
    },
    Embedded,
    first_pass::build,
    keys,
};
use crate::scoring::{ProfileId, RankKey, RankName, Record, Tenant};

impl RankStore for Embedded {
    async fn page(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        range: &RankRange,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<RankPage, StoreError> {
        self.add_up(tenant).await?;
        self.ranks.page(tenant, generation, range, after, limit)
    }

    async fn count(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        ranges: &[RankRange],
    ) -> Result<RankCounts, StoreError> {
        self.add_up(tenant).await?;
        self.ranks.count(tenant, generation, ranges)
    }

    async fn totals(
        &self,
        tenant: &Tenant,
        topics: &[String],
    ) -> Result<Vec<TopicTotals>, StoreError> {
        self.add_up(tenant).await?;
        self.ranks.totals(tenant, topics)
    }

    async fn index(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        entries: Vec<IndexEntry>,
    ) -> Result<(), StoreError> {
        self.add_up(tenant).await?;
        let last = entries.last().map(|entry| entry.profile_id.clone());
        self.ranks
            .index(tenant, generation, entries, |profile_id| {
                self.records.version(&keys::key(tenant, profile_id))
            })?;
        if let Some(last) = last {
            self.rollouts.set_indexed(tenant, generation, last);
        }
        Ok(())
    }

    async fn index_all(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        entries_of: impl Fn(&ProfileId, &Record) -> Vec<(RankName, RankKey)> + Send + Sync + 'static,
    ) -> Result<Option<u64>, StoreError> {
        let (ranks, tenant) = (Arc::clone(&self.ranks), tenant.clone());
        self.read_apart(move |records| build(records, &ranks, &tenant, generation, entries_of))
            .await
    }

    async fn indexed_to(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
    ) -> Result<Option<ProfileId>, StoreError> {
        Ok(self.rollouts.indexed_to(tenant, generation))
    }

    async fn drop_ranks(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        _ranks: &[RankName],
    ) -> Result<(), StoreError> {
        // There may be many.
        let (ranks, tenant) = (Arc::clone(&self.ranks), tenant.clone());
        self.read_apart(move |_| ranks.drop_generation(&tenant, generation))
            .await
    }
}
