//! Coordination in the embedded store, where one process has the directory.

use std::{sync::Arc, time::Duration};

use tokio::task;

use super::{
    super::{Coordination, Rollout, StoreError, TokenKey},
    Embedded,
    records::Records,
};
use crate::scoring::Tenant;

impl Coordination for Embedded {
    async fn rollout(&self, tenant: &Tenant) -> Result<Rollout, StoreError> {
        Ok(self.rollouts.rollout(tenant))
    }

    async fn rollouts(&self, tenants: &[Tenant]) -> Result<Vec<Rollout>, StoreError> {
        let rollouts = tenants.iter().map(|tenant| self.rollouts.rollout(tenant));
        Ok(rollouts.collect())
    }

    async fn set_rollout(&self, tenant: &Tenant, rollout: &Rollout) -> Result<bool, StoreError> {
        Ok(self.rollouts.set_rollout(tenant, rollout))
    }

    async fn fence(&self, tenant: &Tenant, rollout: &Rollout) -> Result<(), StoreError> {
        // Through the writing thread, so that no earlier commit is still on its way.
        self.submit(tenant, rollout, Vec::new()).await.map(drop)
    }

    /// Always: one process has the directory.
    async fn lease(
        &self,
        _tenant: &Tenant,
        _server: u64,
        _period: Duration,
    ) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn token_key(&self, proposed: &TokenKey) -> Result<TokenKey, StoreError> {
        let (publications, proposed) = (Arc::clone(&self.publications), proposed.clone());
        task::spawn_blocking(move || publications.token_key(&proposed))
            .await
            .unwrap_or_else(|error| Err(StoreError::OutcomeUnknown(error.to_string())))
    }

    fn is_shared(&self) -> bool {
        false
    }

    /// None beside the one that asks.
    async fn servers(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn announce(&self, _server: u64, _period: Duration) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        if self
            .submissions
            .as_ref()
            .is_none_or(|submissions| submissions.is_closed())
        {
            return Err(StoreError::Unavailable(
                "the writing thread stopped".to_owned(),
            ));
        }
        self.read_apart(Records::ping).await
    }
}
