//! A store whose operations are timed, each with a span of its own: one place for every store.

use std::time::Duration;

use tokio::{sync::mpsc, time::Instant};
use tracing::Instrument as _;

use crate::{
    scoring::{Fingerprint, ProfileId, RankKey, RankName, Record, Tenant},
    store::{
        AuditEntry, AuditScope, AuditStore, Commit, Committed, Coordination, Cursor, IndexEntry,
        IndexGeneration, ModelStore, Publication, RankCounts, RankPage, RankRange, RankStore,
        RecordStore, Rollout, SavedModel, StoreError, Stored, TokenKey, TopicTotals,
    },
    telemetry::StoreTimes,
};

/// A store, and where it is taken down how long its operations take.
#[derive(Debug)]
pub struct Measured<S> {
    store: S,
    times: StoreTimes,
}

/// What an operation came to.
trait Ended {
    /// Why it has failed; of several, why the first did.
    fn error(&self) -> Option<&StoreError>;
}

impl<T> Ended for Result<T, StoreError> {
    fn error(&self) -> Option<&StoreError> {
        self.as_ref().err()
    }
}

impl<T> Ended for Vec<Result<T, StoreError>> {
    fn error(&self) -> Option<&StoreError> {
        self.iter().find_map(Ended::error)
    }
}

const fn kind_of(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unavailable(_) => "unavailable",
        StoreError::OutcomeUnknown(_) => "outcome_unknown",
        StoreError::Superseded => "superseded",
        StoreError::Lost(_) => "lost",
        StoreError::Corrupt(_) => "corrupt",
        StoreError::TooLarge(_) => "too_large",
        StoreError::Misconfigured(_) => "misconfigured",
    }
}

impl<S> Measured<S> {
    /// Takes down how long operations of a store take.
    pub const fn new(store: S, times: StoreTimes) -> Self {
        Self { store, times }
    }

    async fn timed<T: Ended>(
        &self,
        operation: &'static str,
        work: impl Future<Output = T> + Send,
    ) -> T {
        let span = tracing::debug_span!(
            "store",
            otel.name = operation,
            otel.kind = "client",
            db.system.name = self.times.system(),
            db.operation.name = operation,
        );
        let began = Instant::now();
        let ended = work.instrument(span).await;
        let error = ended.error().map(kind_of);
        self.times.ended(operation, began.elapsed(), error);
        ended
    }
}

impl<S: RecordStore> RecordStore for Measured<S> {
    async fn load_to_commit(
        &self,
        tenant: &Tenant,
        profile_ids: &[ProfileId],
        to_commit: usize,
    ) -> Vec<Result<Option<Stored>, StoreError>> {
        self.timed(
            "load",
            self.store.load_to_commit(tenant, profile_ids, to_commit),
        )
        .await
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
        self.timed("commit", self.store.commit(tenant, rollout, commits))
            .await
    }

    async fn scan(
        &self,
        tenant: &Tenant,
        after: Option<&ProfileId>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.timed("scan", self.store.scan(tenant, after, limit))
            .await
    }

    /// Not timed: how long it takes is a matter of who receives them.
    async fn send_all(
        &self,
        tenant: Option<&Tenant>,
        batches: mpsc::Sender<Vec<(Tenant, Stored)>>,
    ) -> Result<(), StoreError> {
        self.store.send_all(tenant, batches).await
    }

    async fn record_count(&self, tenant: &Tenant) -> Result<u64, StoreError> {
        self.timed("record_count", self.store.record_count(tenant))
            .await
    }

    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        self.timed("tenants", self.store.tenants()).await
    }

    async fn tenant_count(&self) -> Result<u64, StoreError> {
        self.timed("tenant_count", self.store.tenant_count()).await
    }

    async fn have_losses(&self, tenants: &[Tenant]) -> Result<Vec<bool>, StoreError> {
        self.timed("have_losses", self.store.have_losses(tenants))
            .await
    }
}

impl<S: RankStore> RankStore for Measured<S> {
    async fn page(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        range: &RankRange,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<RankPage, StoreError> {
        self.timed(
            "page",
            self.store.page(tenant, generation, range, after, limit),
        )
        .await
    }

    async fn count(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        ranges: &[RankRange],
    ) -> Result<RankCounts, StoreError> {
        self.timed("count", self.store.count(tenant, generation, ranges))
            .await
    }

    async fn totals(
        &self,
        tenant: &Tenant,
        topics: &[String],
    ) -> Result<Vec<TopicTotals>, StoreError> {
        self.timed("totals", self.store.totals(tenant, topics))
            .await
    }

    async fn index(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        entries: Vec<IndexEntry>,
    ) -> Result<(), StoreError> {
        self.timed("index", self.store.index(tenant, generation, entries))
            .await
    }

    async fn index_all(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        entries_of: impl Fn(&ProfileId, &Record) -> Vec<(RankName, RankKey)> + Send + Sync + 'static,
    ) -> Result<Option<u64>, StoreError> {
        self.timed(
            "index_all",
            self.store.index_all(tenant, generation, entries_of),
        )
        .await
    }

    async fn indexed_to(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
    ) -> Result<Option<ProfileId>, StoreError> {
        self.timed("indexed_to", self.store.indexed_to(tenant, generation))
            .await
    }

    async fn drop_ranks(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        ranks: &[RankName],
    ) -> Result<(), StoreError> {
        self.timed(
            "drop_ranks",
            self.store.drop_ranks(tenant, generation, ranks),
        )
        .await
    }
}

impl<S: ModelStore> ModelStore for Measured<S> {
    async fn publications(
        &self,
        scopes: &[String],
    ) -> Result<Vec<Option<Publication>>, StoreError> {
        self.timed("publications", self.store.publications(scopes))
            .await
    }

    async fn publish(
        &self,
        scope: &str,
        publication: &Publication,
        source: &str,
    ) -> Result<bool, StoreError> {
        self.timed("publish", self.store.publish(scope, publication, source))
            .await
    }

    async fn published_source(&self, scope: &str) -> Result<Option<String>, StoreError> {
        self.timed("published_source", self.store.published_source(scope))
            .await
    }

    async fn revision(&self, scope: &str, model: Fingerprint) -> Result<Option<u64>, StoreError> {
        self.timed("revision", self.store.revision(scope, model))
            .await
    }

    async fn save_model(&self, model: &SavedModel) -> Result<(), StoreError> {
        self.timed("save_model", self.store.save_model(model)).await
    }

    async fn model(&self, fingerprint: Fingerprint) -> Result<Option<SavedModel>, StoreError> {
        self.timed("model", self.store.model(fingerprint)).await
    }

    async fn forget_models(
        &self,
        needed: &[Fingerprint],
        unsaved_for: Duration,
    ) -> Result<u64, StoreError> {
        self.timed(
            "forget_models",
            self.store.forget_models(needed, unsaved_for),
        )
        .await
    }
}

impl<S: AuditStore> AuditStore for Measured<S> {
    async fn add_audit_entry(
        &self,
        scope: &AuditScope,
        entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        self.timed("add_audit_entry", self.store.add_audit_entry(scope, entry))
            .await
    }

    async fn audit_entries(
        &self,
        scope: &AuditScope,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.timed("audit_entries", self.store.audit_entries(scope, limit))
            .await
    }
}

impl<S: Coordination> Coordination for Measured<S> {
    async fn rollout(&self, tenant: &Tenant) -> Result<Rollout, StoreError> {
        self.timed("rollout", self.store.rollout(tenant)).await
    }

    async fn rollouts(&self, tenants: &[Tenant]) -> Result<Vec<Rollout>, StoreError> {
        self.timed("rollouts", self.store.rollouts(tenants)).await
    }

    async fn set_rollout(&self, tenant: &Tenant, rollout: &Rollout) -> Result<bool, StoreError> {
        self.timed("set_rollout", self.store.set_rollout(tenant, rollout))
            .await
    }

    async fn fence(&self, tenant: &Tenant, rollout: &Rollout) -> Result<(), StoreError> {
        self.timed("fence", self.store.fence(tenant, rollout)).await
    }

    async fn lease(
        &self,
        tenant: &Tenant,
        server: u64,
        period: Duration,
    ) -> Result<bool, StoreError> {
        self.timed("lease", self.store.lease(tenant, server, period))
            .await
    }

    async fn token_key(&self, proposed: &TokenKey) -> Result<TokenKey, StoreError> {
        self.timed("token_key", self.store.token_key(proposed))
            .await
    }

    fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    async fn servers(&self) -> Result<u64, StoreError> {
        self.timed("servers", self.store.servers()).await
    }

    async fn announce(&self, server: u64, period: Duration) -> Result<u64, StoreError> {
        self.timed("announce", self.store.announce(server, period))
            .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.timed("ping", self.store.ping()).await
    }
}
