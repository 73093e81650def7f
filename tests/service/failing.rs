//! A store that stops in the middle.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bellwether::{
    scoring::{Fingerprint, ProfileId, RankName, Tenant},
    store::{
        AuditEntry, AuditScope, AuditStore, Commit, Committed, Coordination, Cursor, IndexEntry,
        IndexGeneration, ModelStore, Publication, RankCounts, RankPage, RankRange, RankStore,
        RecordStore, Rollout, SavedModel, StoreError, Stored, TokenKey, TopicTotals,
        embedded::Embedded,
    },
};

/// A store that takes a number of commits and then no more, as one whose disk is full.
pub struct Failing {
    pub store: Embedded,
    pub commits_left: Arc<AtomicUsize>,
    /// Servers that seem to be there beside the one that asks.
    pub others: u64,
    /// Whether somebody else always publishes first.
    pub refuses_publications: bool,
    /// Whose records cannot be read.
    pub damaged: Vec<ProfileId>,
    /// Whether ranks cannot be counted.
    pub refuses_counts: bool,
    /// Whether nothing can be noted of who does what.
    pub refuses_audit: bool,
}

impl Failing {
    /// A store on which nothing fails.
    pub fn well(store: Embedded) -> Self {
        Self {
            store,
            commits_left: Arc::new(AtomicUsize::new(usize::MAX)),
            others: 0,
            refuses_publications: false,
            damaged: Vec::new(),
            refuses_counts: false,
            refuses_audit: false,
        }
    }
}

impl RecordStore for Failing {
    async fn load_to_commit(
        &self,
        tenant: &Tenant,
        profile_ids: &[ProfileId],
        to_commit: usize,
    ) -> Vec<Result<Option<Stored>, StoreError>> {
        let loading = self.store.load_to_commit(tenant, profile_ids, to_commit);
        let loaded = loading.await;
        let loaded = profile_ids.iter().zip(loaded);
        loaded
            .map(|(id, loaded)| match self.damaged.contains(id) {
                true => Err(StoreError::Corrupt("a bad sector".to_owned())),
                false => loaded,
            })
            .collect()
    }

    fn give_back(&self, tenant: &Tenant, stored: Stored) {
        self.store.give_back(tenant, stored);
    }

    async fn commit(
        &self,
        tenant: &Tenant,
        rollout: &Rollout,
        commits: Vec<Commit>,
    ) -> Vec<Result<Committed, StoreError>> {
        let take = |left: usize| left.checked_sub(1);
        let order = Ordering::SeqCst;
        if self.commits_left.fetch_update(order, order, take).is_err() {
            let full = StoreError::Unavailable("the disk is full".to_owned());
            return vec![Err(full); commits.len()];
        }
        self.store.commit(tenant, rollout, commits).await
    }

    async fn scan(
        &self,
        tenant: &Tenant,
        after: Option<&ProfileId>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.store.scan(tenant, after, limit).await
    }

    async fn record_count(&self, tenant: &Tenant) -> Result<u64, StoreError> {
        self.store.record_count(tenant).await
    }

    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        self.store.tenants().await
    }

    async fn tenant_count(&self) -> Result<u64, StoreError> {
        self.store.tenant_count().await
    }

    async fn have_losses(&self, tenants: &[Tenant]) -> Result<Vec<bool>, StoreError> {
        self.store.have_losses(tenants).await
    }
}

impl RankStore for Failing {
    async fn page(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        range: &RankRange,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<RankPage, StoreError> {
        self.store
            .page(tenant, generation, range, after, limit)
            .await
    }

    async fn count(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        ranges: &[RankRange],
    ) -> Result<RankCounts, StoreError> {
        if self.refuses_counts {
            let away = StoreError::Unavailable("the ranks are away".to_owned());
            return Err(away);
        }
        self.store.count(tenant, generation, ranges).await
    }

    async fn totals(
        &self,
        tenant: &Tenant,
        topics: &[String],
    ) -> Result<Vec<TopicTotals>, StoreError> {
        self.store.totals(tenant, topics).await
    }

    async fn index(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        entries: Vec<IndexEntry>,
    ) -> Result<(), StoreError> {
        self.store.index(tenant, generation, entries).await
    }

    async fn indexed_to(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
    ) -> Result<Option<ProfileId>, StoreError> {
        self.store.indexed_to(tenant, generation).await
    }

    async fn drop_ranks(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        ranks: &[RankName],
    ) -> Result<(), StoreError> {
        self.store.drop_ranks(tenant, generation, ranks).await
    }
}

impl ModelStore for Failing {
    async fn publications(
        &self,
        scopes: &[String],
    ) -> Result<Vec<Option<Publication>>, StoreError> {
        self.store.publications(scopes).await
    }

    async fn publish(
        &self,
        scope: &str,
        publication: &Publication,
        source: &str,
    ) -> Result<bool, StoreError> {
        if self.refuses_publications {
            return Ok(false);
        }
        self.store.publish(scope, publication, source).await
    }

    async fn published_source(&self, scope: &str) -> Result<Option<String>, StoreError> {
        self.store.published_source(scope).await
    }

    async fn revision(&self, scope: &str, model: Fingerprint) -> Result<Option<u64>, StoreError> {
        self.store.revision(scope, model).await
    }

    async fn save_model(&self, model: &SavedModel) -> Result<(), StoreError> {
        self.store.save_model(model).await
    }

    async fn model(&self, fingerprint: Fingerprint) -> Result<Option<SavedModel>, StoreError> {
        self.store.model(fingerprint).await
    }

    async fn forget_models(
        &self,
        needed: &[Fingerprint],
        unsaved_for: Duration,
    ) -> Result<u64, StoreError> {
        self.store.forget_models(needed, unsaved_for).await
    }
}

impl AuditStore for Failing {
    async fn add_audit_entry(
        &self,
        scope: &AuditScope,
        entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        if self.refuses_audit {
            let lost = "the connection was lost".to_owned();
            return Err(StoreError::OutcomeUnknown(lost));
        }
        self.store.add_audit_entry(scope, entry).await
    }

    async fn audit_entries(
        &self,
        scope: &AuditScope,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.store.audit_entries(scope, limit).await
    }
}

impl Coordination for Failing {
    async fn rollout(&self, tenant: &Tenant) -> Result<Rollout, StoreError> {
        self.store.rollout(tenant).await
    }

    async fn rollouts(&self, tenants: &[Tenant]) -> Result<Vec<Rollout>, StoreError> {
        self.store.rollouts(tenants).await
    }

    async fn set_rollout(&self, tenant: &Tenant, rollout: &Rollout) -> Result<bool, StoreError> {
        self.store.set_rollout(tenant, rollout).await
    }

    async fn fence(&self, tenant: &Tenant, rollout: &Rollout) -> Result<(), StoreError> {
        self.store.fence(tenant, rollout).await
    }

    async fn lease(
        &self,
        tenant: &Tenant,
        server: u64,
        period: Duration,
    ) -> Result<bool, StoreError> {
        self.store.lease(tenant, server, period).await
    }

    async fn token_key(&self, proposed: &TokenKey) -> Result<TokenKey, StoreError> {
        self.store.token_key(proposed).await
    }

    fn is_shared(&self) -> bool {
        self.others > 0
    }

    async fn servers(&self) -> Result<u64, StoreError> {
        Ok(self.store.servers().await? + self.others)
    }

    async fn announce(&self, server: u64, period: Duration) -> Result<u64, StoreError> {
        Ok(self.store.announce(server, period).await? + self.others)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        if self.commits_left.load(Ordering::SeqCst) == 0 {
            return Err(StoreError::Unavailable("the disk is full".to_owned()));
        }
        self.store.ping().await
    }
}
