//! How a tenant comes to another model while it is served: the model is proposed, the ranks
//! of all records are built for it beside the ranks that answer, and then it answers. Every
//! step is in the store, so that any server can take the next one.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{Deployment, RolloutError, latest::Known, snapshot::new_generation};
use crate::{
    limits::{ANNOUNCED_FOR, FAILOVER_LOSES, INDEX_BATCH, LEASE_PERIOD, ROLLOUT_RETRY_INTERVAL},
    scoring::{Model, ProfileId, Record, Tenant, index},
    store::{IndexEntry, IndexGeneration, Rollout, Scan, Store, StoreError},
    stretch::Stretch,
};

/// Rollouts that are read at a time.
pub(super) const ROLLOUTS_BATCH: usize = 512;

/// How fast ranks are built.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// Nobody is served meanwhile.
    Unlimited,
    /// As the settings say, so that calls keep their share of the store.
    Limited,
}

/// Whether something is left to do for a rollout, whatever the latest model is.
pub(super) fn is_unfinished(rollout: &Rollout) -> bool {
    rollout.candidate.is_some() || !rollout.discarded.is_empty() || rollout.is_switching()
}

impl<S: Store> Deployment<S> {
    /// Proposes the latest models, and builds ranks where nobody could be answered without
    /// them, or where no other server is there to answer.
    pub(super) async fn prepare(&self) -> Result<(), RolloutError> {
        self.announce().await?;
        let configured = self.latest.all();
        self.publish_started().await?;
        let tenants = self.store.tenants().await?;
        for tenants in tenants.chunks(ROLLOUTS_BATCH) {
            let rollouts = self.store.rollouts(tenants).await?;
            let losses = self.store.have_losses(tenants).await?;
            for ((tenant, rollout), has_loss) in tenants.iter().zip(rollouts).zip(losses) {
                let Some(latest) = self.latest.of(tenant) else {
                    tracing::warn!(%tenant, "a stored tenant has no model and is not served");
                    continue;
                };
                let is_ready = rollout.active.is_some()
                    && !has_loss
                    && !is_unfinished(&rollout)
                    && self.following(&rollout, &latest)?.is_none();
                if !is_ready {
                    self.prepare_tenant(tenant).await?;
                }
            }
        }
        self.tell_overruled(&configured);
        self.is_ready.store(true, Ordering::Release);
        Ok(())
    }

    async fn prepare_tenant(&self, tenant: &Tenant) -> Result<(), RolloutError> {
        loop {
            let others = self.announce().await?;
            let rollout = self.propose(tenant).await?;
            if !self.raise_fence(tenant, &rollout).await? {
                continue;
            }
            if rollout.active.is_some() && (others > 0 || rollout.candidate.is_none()) {
                return Ok(());
            }
            if !self.drive(tenant, Pace::Unlimited).await? {
                // Another server builds, or has died building.
                tokio::time::sleep(ROLLOUT_RETRY_INTERVAL).await;
            }
        }
    }

    /// Makes the latest model the candidate of a tenant, unless it is that already, or a later
    /// one was followed that this server has not heard of.
    pub(super) async fn propose(&self, tenant: &Tenant) -> Result<Rollout, RolloutError> {
        loop {
            let latest = self.latest_of(tenant)?;
            let rollout = self.store.rollout(tenant).await?;
            let Some(next) = self.following(&rollout, &latest)? else {
                return Ok(rollout);
            };
            // What a failover has brought back must be found out before anything follows it.
            if !self.raise_fence(tenant, &rollout).await? {
                continue;
            }
            self.save_model(&latest.model).await?;
            if self.store.set_rollout(tenant, &next).await? {
                let model = latest.model.fingerprint();
                tracing::info!(%tenant, %model, epoch = next.epoch, "model proposed");
                return Ok(next);
            }
        }
    }

    /// The rollout that brings a tenant to a model; `None` when nothing is to be done for it.
    pub(super) fn following(
        &self,
        rollout: &Rollout,
        latest: &Known,
    ) -> Result<Option<Rollout>, StoreError> {
        // Its ranks would not be among what is copied.
        if rollout.repartition.is_some() {
            return Ok(None);
        }
        let model = latest.model.fingerprint();
        let is_latest =
            |generation: Option<IndexGeneration>| generation.is_some_and(|of| of.model == model);
        let is_late = rollout.maintained().next().is_some() && latest.revision < rollout.revision;
        let is_active = is_latest(rollout.active);
        if is_late || is_latest(rollout.candidate) || (is_active && rollout.candidate.is_none()) {
            return Ok(None);
        }
        let now = self.now().millis();
        let next = if is_active {
            // Another model was on its way: this is the way back.
            rollout.withdraw(now)
        } else {
            rollout.propose(new_generation(&latest.model)?, now)
        };
        Ok(Some(next.of_revision(latest.revision)))
    }

    /// Takes a tenant's rollout as far as it goes: builds the candidate's ranks, has it
    /// answer, deletes what is discarded. Returns whether it did: not while another server
    /// does it, or changes the rollout.
    pub(super) async fn drive(&self, tenant: &Tenant, pace: Pace) -> Result<bool, RolloutError> {
        let mut rollout = self.store.rollout(tenant).await?;
        if let Some(candidate) = rollout.candidate {
            // Whoever cannot read it leaves it to others.
            self.model_of(tenant, candidate.model).await?;
        }
        if !self.holds_lease(tenant).await? {
            return Ok(false);
        }
        if let Some(candidate) = rollout.candidate {
            if !self.raise_fence(tenant, &rollout).await? {
                return Ok(false);
            }
            if !self.build(tenant, candidate, pace).await? {
                return Ok(false);
            }
            let promoted = rollout.promote(self.now().millis());
            if !self.store.set_rollout(tenant, &promoted).await? {
                return Ok(false);
            }
            self.snapshots.forget_before(tenant, promoted.epoch);
            tracing::info!(%tenant, model = %candidate.model, epoch = promoted.epoch, "model active");
            rollout = promoted;
        }
        if !self.raise_fence(tenant, &rollout).await? {
            return Ok(false);
        }
        if rollout.discarded.is_empty() {
            return Ok(true);
        }
        for generation in &rollout.discarded {
            match self.store.model(generation.model).await? {
                Some(saved) => {
                    let ranks = &saved.ranks;
                    self.store.drop_ranks(tenant, *generation, ranks).await?;
                }
                None => tracing::warn!(%tenant, %generation, "the ranks of a lost model are left"),
            }
        }
        let forgotten = rollout.forget_discarded(self.now().millis());
        if self.store.set_rollout(tenant, &forgotten).await? {
            self.snapshots.forget_before(tenant, forgotten.epoch);
            self.unfinished.note_left_models();
        }
        Ok(true)
    }

    /// Finds out why the store has refused a rollout: it has another one, or a failover has lost
    /// a fence or a step.
    pub(crate) async fn clear_up(
        &self,
        tenant: &Tenant,
        refused: &Rollout,
    ) -> Result<(), RolloutError> {
        self.snapshots.forget_before(tenant, refused.epoch + 1);
        if self.store.rollout(tenant).await? == *refused {
            self.raise_fence(tenant, refused).await?;
        }
        Ok(())
    }

    /// Has every commit of an earlier epoch refused. Returns whether the rollout is still the
    /// tenant's.
    ///
    /// When it is, and a later one has been seen all the same, a failover has lost a step that
    /// nobody remembers: which ranks are maintained is not known then, and they are built anew.
    /// So they are where a part of the store is gone, but only at a start, so that somebody
    /// knows, or when the step is so recent that a failover may have lost it alone.
    pub(super) async fn raise_fence(
        &self,
        tenant: &Tenant,
        rollout: &Rollout,
    ) -> Result<bool, RolloutError> {
        match self.store.fence(tenant, rollout).await {
            Err(StoreError::Superseded) => {}
            Err(StoreError::Lost(reason)) if self.may_go_on_without(rollout) => {
                tracing::error!(%tenant, %reason, "going on with what is left of the tenant");
            }
            fenced => return Ok(fenced.map(|()| true)?),
        }
        if self.store.rollout(tenant).await? == *rollout {
            tracing::error!(%tenant, epoch = rollout.epoch, "the store has lost a step of the rollout; the ranks are built anew");
            let reset = rollout.reset(self.now().millis());
            self.store.set_rollout(tenant, &reset).await?;
        }
        Ok(false)
    }

    /// Whether a part of a tenant that is gone may be taken for lost.
    pub(crate) fn may_go_on_without(&self, rollout: &Rollout) -> bool {
        let lately = u64::try_from(FAILOVER_LOSES.as_millis()).unwrap_or(u64::MAX);
        !self.is_ready.load(Ordering::Acquire)
            || rollout.epoch.saturating_add(lately) > self.now().millis()
    }

    /// Indexes every record. Returns whether all are, and not another server has taken over.
    async fn build(
        &self,
        tenant: &Tenant,
        candidate: IndexGeneration,
        pace: Pace,
    ) -> Result<bool, RolloutError> {
        let model = self.model_of(tenant, candidate.model).await?;
        if let Pace::Unlimited = pace {
            match self.build_at_once(tenant, candidate, &model).await {
                Ok(None) => {}
                Ok(Some(profiles)) => {
                    tracing::info!(%tenant, model = %candidate.model, profiles, "ranks built");
                    return Ok(true);
                }
                Err(StoreError::Superseded) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        let indexed_to = self.store.indexed_to(tenant, candidate).await?;
        let mut indexed = 0_u64;
        if indexed_to.is_some() {
            tracing::info!(%tenant, model = %candidate.model, "going on with ranks that were left unfinished");
        }
        let mut stretch = Stretch::default();
        let mut scan = Scan::new(&*self.store, tenant, indexed_to, INDEX_BATCH);
        while let Some(records) = scan.next().await? {
            let count = records.len();
            let mut entries = Vec::with_capacity(count);
            for stored in records {
                entries.push(IndexEntry {
                    ranks: index(&model, &stored.profile_id, &stored.record),
                    profile_id: stored.profile_id,
                    version: stored.version,
                });
                stretch.took(model.clock_free_steps()).await;
            }
            match self.store.index(tenant, candidate, entries).await {
                Err(StoreError::Superseded) => return Ok(false),
                indexed => indexed?,
            }
            indexed += count as u64;
            self.counters.indexed(count);
            tracing::debug!(%tenant, model = %candidate.model, indexed, "building ranks");
            if let Pace::Limited = pace {
                let rate = f64::from(self.settings.rebuild_rate.max(1));
                tokio::time::sleep(Duration::from_secs_f64(count as f64 / rate)).await;
            }
            self.announce().await?;
            if !self.holds_lease(tenant).await? {
                return Ok(false);
            }
        }
        tracing::info!(%tenant, model = %candidate.model, profiles = indexed, "ranks built");
        Ok(true)
    }

    /// Indexes every record, where the store can do that at once. Returns how many there are.
    async fn build_at_once(
        &self,
        tenant: &Tenant,
        candidate: IndexGeneration,
        model: &Arc<Model>,
    ) -> Result<Option<u64>, StoreError> {
        let model = Arc::clone(model);
        let entries_of =
            move |profile_id: &ProfileId, record: &Record| index(&model, profile_id, record);
        let built = self.store.index_all(tenant, candidate, entries_of).await?;
        if let Some(profiles) = built {
            self.counters
                .indexed(usize::try_from(profiles).unwrap_or(usize::MAX));
        }
        Ok(built)
    }

    async fn holds_lease(&self, tenant: &Tenant) -> Result<bool, StoreError> {
        self.store.lease(tenant, self.server, LEASE_PERIOD).await
    }

    /// Says that this server serves. Returns how many others do.
    pub(super) async fn announce(&self) -> Result<u64, StoreError> {
        self.store.announce(self.server, ANNOUNCED_FOR).await
    }
}
