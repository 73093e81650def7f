//! The moment in which a tenant comes to another number of partitions, as writers see it: they wait
//! for a few milliseconds. When whoever changes the number has died in it, a server has them go on.

use std::sync::Arc;

use tokio::{sync::Mutex as AsyncMutex, time::Instant};

use super::{Deployment, RolloutError, snapshot::ModelSnapshot};
use crate::{
    limits::{MAX_SWITCH_WAIT, REOPEN_INTERVAL, REOPEN_LEASE_PERIOD, SWITCH_LOOK_INTERVAL},
    scoring::Tenant,
    store::{Rollout, Store},
};

/// Writers that wait.
#[derive(Debug, Default)]
pub(super) struct Switches {
    /// One of them asks the store, and all go on by what it finds.
    asking: AsyncMutex<()>,
}

impl<S: Store> Deployment<S> {
    /// The models of a tenant, once commits may be made.
    pub(super) async fn open_snapshot(
        &self,
        tenant: &Tenant,
    ) -> Result<Arc<ModelSnapshot>, RolloutError> {
        let snapshot = self.snapshot(tenant).await?;
        if !snapshot.rollout.is_switching() {
            return Ok(snapshot);
        }
        let begun = Instant::now();
        let _asking = self.switches.asking.lock().await;
        let mut tried = Instant::now();
        loop {
            let snapshot = self.snapshot(tenant).await?;
            let rollout = &snapshot.rollout;
            if !rollout.is_switching() {
                return Ok(snapshot);
            }
            if begun.elapsed() >= MAX_SWITCH_WAIT {
                return Err(RolloutError::Repartitioning {
                    tenant: tenant.to_string(),
                });
            }
            if tried.elapsed() >= REOPEN_INTERVAL {
                tried = Instant::now();
                self.reopen(tenant, rollout).await?;
            }
            tokio::time::sleep(SWITCH_LOOK_INTERVAL).await;
            self.snapshots.forget_before(tenant, rollout.epoch + 1);
        }
    }

    /// Has commits be made again, when nobody works on a switch any more.
    pub(super) async fn reopen(
        &self,
        tenant: &Tenant,
        rollout: &Rollout,
    ) -> Result<(), RolloutError> {
        let Some(reopened) = rollout.reopen(self.now().millis()) else {
            return Ok(());
        };
        let is_free = self.store.lease(tenant, self.server, REOPEN_LEASE_PERIOD);
        if is_free.await? && self.store.set_rollout(tenant, &reopened).await? {
            tracing::warn!(%tenant, epoch = reopened.epoch, "a repartition was interrupted; commits go on, and running it again does, too");
            self.snapshots.forget_before(tenant, reopened.epoch);
            self.raise_fence(tenant, &reopened).await?;
        }
        Ok(())
    }
}
