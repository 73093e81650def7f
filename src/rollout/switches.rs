//! The moment in which a tenant comes to another number of partitions, as writers see it: they wait
//! for a few milliseconds. When whoever changes the number has died in it, a server has them go on.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Mutex as AsyncMutex, time::Instant};

use super::{Deployment, RolloutError, snapshot::ModelSnapshot};
use crate::{
    limits::{MAX_SWITCH_WAIT, REOPEN_INTERVAL, REOPEN_LEASE_PERIOD, SWITCH_LOOK_INTERVAL},
    scoring::Tenant,
    store::{Rollout, Store},
};

/// Writers that wait, by tenant. One of them asks the store, and all go on by what it finds.
#[derive(Debug, Default)]
pub(super) struct Switches(Mutex<BTreeMap<Tenant, Asking>>);

/// Held by who asks; with when it was last tried to have writers go on.
type Asking = Arc<AsyncMutex<Instant>>;

impl Switches {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Tenant, Asking>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, tenant: &Tenant) -> Asking {
        let mut switches = self.lock();
        let asking = switches
            .entry(tenant.clone())
            .or_insert_with(|| Arc::new(AsyncMutex::new(Instant::now())));
        Arc::clone(asking)
    }

    /// Forgets a switch that is over. Who still waits for it finds that, too.
    fn forget(&self, tenant: &Tenant) {
        self.lock().remove(tenant);
    }
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
        let asking = self.switches.of(tenant);
        let mut tried = asking.lock().await;
        loop {
            let snapshot = self.snapshot(tenant).await?;
            let rollout = &snapshot.rollout;
            if !rollout.is_switching() {
                self.switches.forget(tenant);
                return Ok(snapshot);
            }
            if begun.elapsed() >= MAX_SWITCH_WAIT {
                return Err(RolloutError::Repartitioning {
                    tenant: tenant.to_string(),
                });
            }
            if tried.elapsed() >= REOPEN_INTERVAL {
                *tried = Instant::now();
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
