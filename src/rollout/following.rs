//! What every server does now and then: looks at what others have changed, takes on rollouts that
//! are unfinished, and deletes models that nobody needs. What is finished costs nothing: the
//! rollouts of tenants that nobody asks for are read many at a time, once a minute.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    Deployment, RolloutError,
    steps::{Pace, ROLLOUTS_BATCH, is_unfinished},
};
use crate::{
    limits::{IDLE_LOOKS, MODEL_KEPT_FOR, ROLLOUT_INTERVAL},
    scoring::Tenant,
    store::{Rollout, Store},
    telemetry::is_new,
};

/// Ticks of [`ROLLOUT_INTERVAL`] between looks at tenants that nobody has asked for here.
const TICKS_BETWEEN_ALL: u64 = 30;

/// The tenants whose rollouts are known to be unfinished, and whether models may be left that
/// nobody needs. All others cost nothing.
#[derive(Debug)]
pub(super) struct Unfinished {
    tenants: Mutex<BTreeSet<Tenant>>,
    may_have_left_models: AtomicBool,
}

impl Default for Unfinished {
    fn default() -> Self {
        Self {
            tenants: Mutex::default(),
            // Those of rollouts that were finished before this server was there.
            may_have_left_models: AtomicBool::new(true),
        }
    }
}

impl Unfinished {
    /// Notes that a model may be left that nobody needs any more.
    pub(super) fn note_left_models(&self) {
        self.may_have_left_models.store(true, Ordering::Release);
    }

    /// How many tenants have something to do.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Tenant>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Store> Deployment<S> {
    /// The tenants whose rollouts have something to do. All are looked at now and then, and when
    /// there is another model; between, those of which it is known.
    async fn tenants_at(&self, is_turn_of_all: bool) -> Result<Vec<Tenant>, RolloutError> {
        let has_changed = self.latest.take_changed();
        if has_changed || is_turn_of_all {
            let found = self.find_unfinished(is_turn_of_all).await;
            if found.is_err() && has_changed {
                self.latest.mark_changed();
            }
            found?;
        }
        Ok(self.unfinished.lock().iter().cloned().collect())
    }

    /// Looks for rollouts that are unfinished, and for models that nobody needs any more.
    async fn find_unfinished(&self, is_turn_of_all: bool) -> Result<(), RolloutError> {
        let may_have_left = &self.unfinished.may_have_left_models;
        let is_cleaning = is_turn_of_all && may_have_left.load(Ordering::Acquire);
        let mut needed = BTreeSet::new();
        for tenants in self.store.tenants().await?.chunks(ROLLOUTS_BATCH) {
            let rollouts = self.store.rollouts(tenants).await?;
            for (tenant, rollout) in tenants.iter().zip(rollouts) {
                let generations = rollout
                    .maintained()
                    .chain(rollout.discarded.iter().copied())
                    .chain(rollout.left_over.map(|left| left.generation));
                needed.extend(generations.map(|generation| generation.model));
                if is_turn_of_all && rollout.is_repartitioned() {
                    warn_of_repartition(tenant);
                }
                self.note_unfinished(tenant, &rollout)?;
            }
        }
        let known = self.latest.all();
        needed.extend(known.iter().map(|(_, known)| known.model.fingerprint()));
        if is_turn_of_all {
            let mut saved = BTreeSet::new();
            for (_, known) in &known {
                // A failover may have lost it.
                if saved.insert(known.model.fingerprint()) {
                    self.save_model(&known.model).await?;
                }
            }
        }
        if is_cleaning {
            let needed: Vec<_> = needed.into_iter().collect();
            // Set again by a rollout that is finished meanwhile.
            may_have_left.store(false, Ordering::Release);
            let left = self.store.forget_models(&needed, MODEL_KEPT_FOR).await;
            if left != Ok(0) {
                may_have_left.store(true, Ordering::Release);
            }
            left?;
        }
        Ok(())
    }

    /// Notes a tenant whose rollout has something to do.
    fn note_unfinished(&self, tenant: &Tenant, rollout: &Rollout) -> Result<(), RolloutError> {
        if let Some(latest) = self.latest.of(tenant)
            && (is_unfinished(rollout) || self.following(rollout, &latest)?.is_some())
        {
            self.unfinished.lock().insert(tenant.clone());
        }
        Ok(())
    }

    /// Forgets what other servers have changed.
    async fn look(&self) -> Result<(), RolloutError> {
        if self.ground.check().is_err() {
            return Ok(());
        }
        self.announce().await?;
        warn_of(self.follow_publications().await);
        for tenants in self.snapshots.look(IDLE_LOOKS).chunks(ROLLOUTS_BATCH) {
            let rollouts = self.store.rollouts(tenants).await?;
            for (tenant, rollout) in tenants.iter().zip(rollouts) {
                warn_of(self.look_at(tenant, rollout).await);
            }
        }
        Ok(())
    }

    async fn look_at(&self, tenant: &Tenant, rollout: Rollout) -> Result<(), RolloutError> {
        self.note_unfinished(tenant, &rollout)?;
        match self.snapshots.rollout(tenant) {
            // A failover has lost the last step, or all; whoever knows it takes it again.
            Some(known) if rollout.epoch == 0 => {
                let first = Rollout { after: 0, ..known };
                self.store.set_rollout(tenant, &first).await?;
            }
            Some(known) if known.after == rollout.epoch => {
                self.store.set_rollout(tenant, &known).await?;
            }
            _ => self.snapshots.forget_before(tenant, rollout.epoch),
        }
        Ok(())
    }

    /// Takes on rollouts that are unfinished.
    async fn advance(&self, tick: u64) -> Result<(), RolloutError> {
        if self.ground.check().is_err() {
            return Ok(());
        }
        let is_turn_of_all = tick.is_multiple_of(TICKS_BETWEEN_ALL);
        for tenant in self.tenants_at(is_turn_of_all).await? {
            let advanced = match self.latest.of(&tenant) {
                Some(_) => self.advance_tenant(&tenant).await,
                None => Ok(true),
            };
            if let Ok(true) = advanced {
                self.unfinished.lock().remove(&tenant);
            }
            warn_of(advanced.map(drop));
        }
        Ok(())
    }

    /// Takes the next steps of a tenant's rollout. Returns whether it is finished.
    async fn advance_tenant(&self, tenant: &Tenant) -> Result<bool, RolloutError> {
        // Imports, failovers and servers with an old file may have left another one.
        let rollout = self.propose(tenant).await?;
        if !is_unfinished(&rollout) {
            return Ok(true);
        }
        if rollout.is_switching() {
            self.reopen(tenant, &rollout).await?;
            return Ok(false);
        }
        let pace = match rollout.active {
            Some(_) => Pace::Limited,
            None => Pace::Unlimited,
        };
        self.drive(tenant, pace).await
    }
}

/// Follows what other servers do, as long as the deployment lives.
pub(super) async fn follow<S: Store>(deployment: Weak<Deployment<S>>) {
    while let Some(deployment) = next_tick(&deployment).await {
        let stopping = deployment.stopping.clone();
        match stopping.run_until_cancelled(deployment.look()).await {
            Some(looked) => warn_of(looked),
            None => return,
        }
    }
}

/// Takes on unfinished rollouts, as long as the deployment lives.
pub(super) async fn advance<S: Store>(deployment: Weak<Deployment<S>>) {
    let mut tick = 0;
    while let Some(deployment) = next_tick(&deployment).await {
        let stopping = deployment.stopping.clone();
        match stopping.run_until_cancelled(deployment.advance(tick)).await {
            Some(advanced) => warn_of(advanced),
            None => return,
        }
        tick += 1;
    }
}

async fn next_tick<S>(deployment: &Weak<Deployment<S>>) -> Option<Arc<Deployment<S>>> {
    let stopping = deployment.upgrade()?.stopping.clone();
    let slept = stopping.run_until_cancelled(tokio::time::sleep(ROLLOUT_INTERVAL));
    slept.await?;
    deployment.upgrade()
}

/// Nobody continues it by himself, and until then it takes room and models wait.
fn warn_of_repartition(tenant: &Tenant) {
    let line = "a repartition is not finished; unless `bellwether repartition` runs, run it again, or with --cancel";
    if is_new([line, "", ""]) {
        tracing::warn!(%tenant, "{line}");
    }
}

fn warn_of(result: Result<(), RolloutError>) {
    let line = "the rollouts of models cannot be followed now";
    if let Err(error) = result
        && is_new([line, "", ""])
    {
        tracing::warn!(%error, "{line}");
    }
}
