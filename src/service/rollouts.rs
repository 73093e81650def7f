//! How a tenant comes to another model while it is served: the model is proposed, the ranks
//! of all records are built for it beside the ranks that answer, and then it answers. Every
//! step is in the store, so that any server can take the next one.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use super::{ServiceError, Shell, latest::Known, lineup::new_edition, stretch::Stretch};
use crate::{
    limits::{ANNOUNCED_FOR, INDEX_BATCH, LEASE_PERIOD, ROLLOUT_INTERVAL, ROLLOUT_RETRY_INTERVAL},
    scoring::{Tenant, index},
    store::{Edition, IndexEntry, Rollout, Store, StoreError},
};

/// Ticks of [`ROLLOUT_INTERVAL`] between looks at tenants that nobody has asked for here.
const TICKS_BETWEEN_ALL: u64 = 30;

/// How fast ranks are built.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// Nobody is served meanwhile.
    Unlimited,
    /// As the settings say, so that calls keep their share of the store.
    Limited,
}

impl<S: Store> Shell<S> {
    /// Proposes the latest models, and builds ranks where nobody could be answered without
    /// them, or where no other server is there to answer.
    pub(super) async fn prepare(&self) -> Result<(), ServiceError> {
        self.announce().await?;
        let configured = self.latest.all();
        self.publish_started().await?;
        for tenant in self.store.tenants().await? {
            if self.latest.of(&tenant).is_none() {
                tracing::warn!(%tenant, "a stored tenant has no model and is not served");
                continue;
            }
            loop {
                let others = self.announce().await?;
                let rollout = self.propose(&tenant).await?;
                if !self.raise_fence(&tenant, &rollout).await? {
                    continue;
                }
                if rollout.active.is_some() && (others > 0 || rollout.candidate.is_none()) {
                    break;
                }
                if !self.drive(&tenant, Pace::Unlimited).await? {
                    // Another server builds, or has died building.
                    tokio::time::sleep(ROLLOUT_RETRY_INTERVAL).await;
                }
            }
        }
        self.tell_overruled(&configured);
        Ok(())
    }

    /// Makes the latest model the candidate of a tenant, unless it is that already, or a later
    /// one was followed that this server has not heard of.
    async fn propose(&self, tenant: &Tenant) -> Result<Rollout, ServiceError> {
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
            self.save_model(tenant, &latest.model).await?;
            if self.store.set_rollout(tenant, &next).await? {
                let model = latest.model.fingerprint();
                tracing::info!(%tenant, %model, epoch = next.epoch, "model proposed");
                return Ok(next);
            }
        }
    }

    /// The rollout that brings a tenant to a model; `None` when nothing is to be done for it.
    fn following(&self, rollout: &Rollout, latest: &Known) -> Result<Option<Rollout>, StoreError> {
        let model = latest.model.fingerprint();
        let is_latest = |edition: Option<Edition>| edition.is_some_and(|of| of.model == model);
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
            rollout.propose(new_edition(&latest.model)?, now)
        };
        Ok(Some(next.of_revision(latest.revision)))
    }

    /// Takes a tenant's rollout as far as it goes: builds the candidate's ranks, has it
    /// answer, deletes what is discarded. Returns whether it did: not while another server
    /// does it, or changes the rollout.
    async fn drive(&self, tenant: &Tenant, pace: Pace) -> Result<bool, ServiceError> {
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
            self.lineups.forget_before(tenant, promoted.epoch);
            tracing::info!(%tenant, model = %candidate.model, epoch = promoted.epoch, "model active");
            rollout = promoted;
        }
        if !self.raise_fence(tenant, &rollout).await? {
            return Ok(false);
        }
        if rollout.discarded.is_empty() {
            return Ok(true);
        }
        for edition in &rollout.discarded {
            match self.store.model(tenant, edition.model).await? {
                Some(saved) => {
                    let ranks = &saved.ranks;
                    self.store.drop_ranks(tenant, *edition, ranks).await?;
                }
                None => tracing::warn!(%tenant, %edition, "the ranks of a lost model are left"),
            }
        }
        let forgotten = rollout.forget_discarded(self.now().millis());
        if self.store.set_rollout(tenant, &forgotten).await? {
            self.lineups.forget_before(tenant, forgotten.epoch);
        }
        Ok(true)
    }

    /// Finds out why the store has refused a rollout: it has another one, or a failover has lost
    /// a fence or a step.
    pub(super) async fn clear_up(
        &self,
        tenant: &Tenant,
        refused: &Rollout,
    ) -> Result<(), ServiceError> {
        self.lineups.forget_before(tenant, refused.epoch + 1);
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
    async fn raise_fence(&self, tenant: &Tenant, rollout: &Rollout) -> Result<bool, ServiceError> {
        match self.store.fence(tenant, rollout).await {
            Err(StoreError::Superseded) => {}
            fenced => return Ok(fenced.map(|()| true)?),
        }
        if self.store.rollout(tenant).await? == *rollout {
            tracing::error!(%tenant, epoch = rollout.epoch, "the store has lost a step of the rollout; the ranks are built anew");
            let reset = rollout.reset(self.now().millis());
            self.store.set_rollout(tenant, &reset).await?;
        }
        Ok(false)
    }

    /// Indexes every record. Returns whether all are, and not another server has taken over.
    async fn build(
        &self,
        tenant: &Tenant,
        candidate: Edition,
        pace: Pace,
    ) -> Result<bool, ServiceError> {
        let model = self.model_of(tenant, candidate.model).await?;
        let mut after = self.store.indexed_to(tenant, candidate).await?;
        let mut indexed = 0_u64;
        if after.is_some() {
            tracing::info!(%tenant, model = %candidate.model, "going on with ranks that were left unfinished");
        }
        let mut stretch = Stretch::default();
        loop {
            let records = self.store.scan(tenant, after.as_ref(), INDEX_BATCH).await?;
            let Some(last) = records.last() else {
                break;
            };
            after = Some(last.profile_id.clone());
            let count = records.len();
            let mut entries = Vec::with_capacity(count);
            for stored in records {
                entries.push(IndexEntry {
                    ranks: index(&model, &stored.profile_id, &stored.record),
                    profile_id: stored.profile_id,
                    version: stored.version,
                });
                stretch.took(model.standing_steps()).await;
            }
            match self.store.index(tenant, candidate, entries).await {
                Err(StoreError::Superseded) => return Ok(false),
                indexed => indexed?,
            }
            indexed += count as u64;
            crate::telemetry::count_indexed(count as u64);
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

    async fn holds_lease(&self, tenant: &Tenant) -> Result<bool, StoreError> {
        self.store.lease(tenant, self.server, LEASE_PERIOD).await
    }

    /// Says that this server serves. Returns how many others do.
    pub(super) async fn announce(&self) -> Result<u64, StoreError> {
        self.store.announce(self.server, ANNOUNCED_FOR).await
    }

    /// The tenants to look at: those that calls came for; all now and then, and when there is
    /// another model.
    async fn tenants_at(&self, tick: u64) -> Result<Vec<Tenant>, StoreError> {
        let has_changed = self.latest.take_changed();
        if has_changed || tick.is_multiple_of(TICKS_BETWEEN_ALL) {
            let tenants = self.store.tenants().await;
            if tenants.is_err() && has_changed {
                self.latest.mark_changed();
            }
            tenants
        } else {
            Ok(self.lineups.tenants())
        }
    }

    /// Forgets what other servers have changed.
    async fn look(&self) -> Result<(), ServiceError> {
        self.announce().await?;
        warn_of(self.follow_publications().await);
        for tenant in self.lineups.tenants() {
            warn_of(self.look_at(&tenant).await);
        }
        Ok(())
    }

    async fn look_at(&self, tenant: &Tenant) -> Result<(), ServiceError> {
        let rollout = self.store.rollout(tenant).await?;
        match self.lineups.rollout(tenant) {
            // A failover has lost the last step; whoever knows it takes it again.
            Some(known) if known.after == rollout.epoch => {
                self.store.set_rollout(tenant, &known).await?;
            }
            _ => self.lineups.forget_before(tenant, rollout.epoch),
        }
        Ok(())
    }

    /// Takes on rollouts that are unfinished.
    async fn advance(&self, tick: u64) -> Result<(), ServiceError> {
        for tenant in self.tenants_at(tick).await? {
            if self.latest.of(&tenant).is_some() {
                warn_of(self.advance_tenant(&tenant, tick).await);
            }
        }
        Ok(())
    }

    async fn advance_tenant(&self, tenant: &Tenant, tick: u64) -> Result<(), ServiceError> {
        // Imports, failovers and servers with an old file may have left another one.
        let rollout = self.propose(tenant).await?;
        let is_turn_of_all = tick.is_multiple_of(TICKS_BETWEEN_ALL);
        let model = self.latest_of(tenant)?.model;
        let is_latest = |edition: Edition| edition.model == model.fingerprint();
        if is_turn_of_all && rollout.maintained().any(is_latest) {
            self.save_model(tenant, &model).await?;
        }
        let has_work = rollout.candidate.is_some() || !rollout.discarded.is_empty();
        if has_work || is_turn_of_all {
            let pace = match rollout.active {
                Some(_) => Pace::Limited,
                None => Pace::Unlimited,
            };
            self.drive(tenant, pace).await?;
        }
        Ok(())
    }
}

/// Follows what other servers do, as long as the service lives.
pub(super) async fn follow<S: Store>(shell: Weak<Shell<S>>) {
    while let Some(shell) = next_tick(&shell).await {
        let stopping = shell.stopping.clone();
        match stopping.run_until_cancelled(shell.look()).await {
            Some(looked) => warn_of(looked),
            None => return,
        }
    }
}

/// Takes on unfinished rollouts, as long as the service lives.
pub(super) async fn advance<S: Store>(shell: Weak<Shell<S>>) {
    let mut tick = 0;
    while let Some(shell) = next_tick(&shell).await {
        let stopping = shell.stopping.clone();
        match stopping.run_until_cancelled(shell.advance(tick)).await {
            Some(advanced) => warn_of(advanced),
            None => return,
        }
        tick += 1;
    }
}

async fn next_tick<S>(shell: &Weak<Shell<S>>) -> Option<Arc<Shell<S>>> {
    let stopping = shell.upgrade()?.stopping.clone();
    let slept = stopping.run_until_cancelled(tokio::time::sleep(ROLLOUT_INTERVAL));
    slept.await?;
    shell.upgrade()
}

fn warn_of(result: Result<(), ServiceError>) {
    if let Err(error) = result {
        tracing::warn!(%error, "the rollouts of models cannot be followed now");
    }
}
