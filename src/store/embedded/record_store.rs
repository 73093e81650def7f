//! Records of the embedded store: read in place, written by the writing thread.

use std::sync::Arc;

use tokio::{sync::mpsc, task};

use super::{
    super::{Commit, Committed, RecordStore, Rollout, StoreError, Stored},
    Embedded, LOADS_BETWEEN_YIELDS,
    moment::Moment,
    records::Records,
    writer::EncodedCommit,
};
use crate::scoring::{ProfileId, Tenant};

fn stopped(error: &task::JoinError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

impl RecordStore for Embedded {
    async fn load_to_commit(
        &self,
        tenant: &Tenant,
        profile_ids: &[ProfileId],
        to_commit: usize,
    ) -> Vec<Result<Option<Stored>, StoreError>> {
        let mut loaded = Vec::with_capacity(profile_ids.len());
        for (index, profile_id) in profile_ids.iter().enumerate() {
            if index > 0 && index % LOADS_BETWEEN_YIELDS == 0 {
                task::yield_now().await;
            }
            let read = || self.records.load(tenant, profile_id);
            loaded.push(if index < to_commit {
                self.recent.take_or_read(tenant, profile_id, read)
            } else {
                self.recent.get_or_read(tenant, profile_id, read)
            });
        }
        loaded
    }

    fn give_back(&self, tenant: &Tenant, stored: Stored) {
        self.recent.give_back(tenant, &stored);
    }

    async fn commit(
        &self,
        tenant: &Tenant,
        rollout: &Rollout,
        commits: Vec<Commit>,
    ) -> Vec<Result<Committed, StoreError>> {
        let count = commits.len();
        let commits = commits
            .into_iter()
            .map(|commit| EncodedCommit::new(tenant, commit))
            .collect();
        let answers = self.submit(tenant, rollout, commits).await;
        answers.unwrap_or_else(|error| vec![Err(error); count])
    }

    async fn scan(
        &self,
        tenant: &Tenant,
        after: Option<&ProfileId>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let (tenant, after) = (tenant.clone(), after.cloned());
        self.read_apart(move |records| records.scan(&tenant, after.as_ref(), limit))
            .await
    }

    async fn send_all(
        &self,
        tenant: Option<&Tenant>,
        batches: mpsc::Sender<Vec<(Tenant, Stored)>>,
    ) -> Result<(), StoreError> {
        let (records, tenant) = (Arc::clone(&self.records), tenant.cloned());
        let begun = task::spawn_blocking(move || Moment::new(records, tenant.as_ref()));
        let mut moment = begun.await.unwrap_or_else(|error| Err(stopped(&error)))?;
        loop {
            let read = task::spawn_blocking(move || moment.next().map(|batch| (moment, batch)));
            let batch;
            (moment, batch) = read.await.unwrap_or_else(|error| Err(stopped(&error)))?;
            if batch.is_empty() || batches.send(batch).await.is_err() {
                return Ok(());
            }
        }
    }

    async fn record_count(&self, tenant: &Tenant) -> Result<u64, StoreError> {
        self.add_up(tenant).await?;
        self.ranks.record_count(tenant)
    }

    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        self.read_apart(Records::tenants).await
    }

    async fn tenant_count(&self) -> Result<u64, StoreError> {
        Ok(self.rollouts.tenant_count())
    }

    /// None: what the directory holds is there as a whole, or refused.
    async fn have_losses(&self, tenants: &[Tenant]) -> Result<Vec<bool>, StoreError> {
        Ok(vec![false; tenants.len()])
    }
}
