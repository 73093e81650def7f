//! The models of a tenant as one piece of work sees them: which one answers, and whose ranks
//! its commits maintain. Remembered until the store says that they have changed.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{Deployment, RolloutError};
use crate::{
    scoring::{Fingerprint, Model, ProfileId, RankChange, Record, Tenant, moves},
    store::{IndexGeneration, Rollout, SavedModel, Store, StoreError},
};

/// How often a tenant's first models are read again when several servers set them at once.
const MAX_ATTEMPTS: usize = 8;

/// A model with the building of its ranks.
#[derive(Clone, Debug)]
pub(crate) struct Ranked {
    pub generation: IndexGeneration,
    pub model: Arc<Model>,
}

/// The models of a tenant.
#[derive(Debug)]
pub(crate) struct ModelSnapshot {
    pub rollout: Rollout,
    /// What answers.
    pub active: Ranked,
    /// What is going to.
    candidate: Option<Ranked>,
}

impl ModelSnapshot {
    pub(crate) fn model(&self) -> &Model {
        &self.active.model
    }

    /// The record that the ranks of a candidate have to move from; `None` without candidate.
    pub(crate) fn before(&self, stored: Option<&Record>) -> Option<Record> {
        self.candidate.as_ref().and(stored).cloned()
    }

    /// The moves in all ranks that a commit maintains, from those in the active model's.
    pub(crate) fn moves(
        &self,
        profile_id: &ProfileId,
        active: Vec<RankChange>,
        before: Option<&Record>,
        after: Option<&Record>,
    ) -> Vec<(IndexGeneration, Vec<RankChange>)> {
        let mut all = vec![(self.active.generation, active)];
        if let Some(Ranked { generation, model }) = &self.candidate {
            all.push((*generation, moves(model, profile_id, before, after)));
        }
        all
    }
}

/// A building of ranks that there never was before.
pub(super) fn new_generation(model: &Model) -> Result<IndexGeneration, StoreError> {
    let number = getrandom::u64().map_err(|error| {
        StoreError::Unavailable(format!("no randomness for a generation: {error}"))
    })?;
    Ok(IndexGeneration {
        number,
        model: model.fingerprint(),
    })
}

/// What is remembered of the tenants' models, as long as somebody asks for them.
#[derive(Debug, Default)]
pub(super) struct ModelSnapshots {
    tenants: RwLock<HashMap<Tenant, Remembered>>,
}

#[derive(Debug)]
struct Remembered {
    snapshot: Arc<ModelSnapshot>,
    /// Whether somebody has asked for it since the last look.
    is_used: AtomicBool,
    /// Looks in a row at which nobody had.
    idle_looks: u32,
}

impl ModelSnapshots {
    fn read(&self) -> RwLockReadGuard<'_, HashMap<Tenant, Remembered>> {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Tenant, Remembered>> {
        self.tenants.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, tenant: &Tenant) -> Option<Arc<ModelSnapshot>> {
        let tenants = self.read();
        let known = tenants.get(tenant)?;
        if !known.is_used.load(Ordering::Relaxed) {
            known.is_used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(&known.snapshot))
    }

    /// Remembers a snapshot unless a later one is known.
    fn remember(&self, tenant: &Tenant, snapshot: &Arc<ModelSnapshot>) {
        let mut tenants = self.write();
        let epoch = snapshot.rollout.epoch;
        let known = tenants.get(tenant);
        if known.is_none_or(|known| known.snapshot.rollout.epoch < epoch) {
            let remembered = Remembered {
                snapshot: Arc::clone(snapshot),
                is_used: AtomicBool::new(true),
                idle_looks: 0,
            };
            tenants.insert(tenant.clone(), remembered);
        }
    }

    /// Of how many tenants the models are remembered.
    pub(super) fn count(&self) -> usize {
        self.read().len()
    }

    /// Whether the models of a tenant are remembered: it has records, or had some.
    pub(super) fn knows(&self, tenant: &Tenant) -> bool {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.contains_key(tenant)
    }

    /// The rollout that is remembered.
    pub(super) fn rollout(&self, tenant: &Tenant) -> Option<Rollout> {
        let tenants = self.read();
        let known = tenants.get(tenant)?;
        Some(known.snapshot.rollout.clone())
    }

    /// Forgets what is remembered of epochs before the given one.
    pub(super) fn forget_before(&self, tenant: &Tenant, epoch: u64) {
        let mut tenants = self.write();
        if let Some(known) = tenants.get(tenant)
            && known.snapshot.rollout.epoch < epoch
        {
            tenants.remove(tenant);
        }
    }

    /// The tenants that are remembered. One that nobody has asked for at so many looks in a row
    /// is forgotten, so that it costs nothing.
    pub(super) fn look(&self, most_idle_looks: u32) -> Vec<Tenant> {
        let mut tenants = self.write();
        tenants.retain(|_, known| {
            let is_used = std::mem::take(known.is_used.get_mut());
            known.idle_looks = if is_used { 0 } else { known.idle_looks + 1 };
            known.idle_looks < most_idle_looks
        });
        tenants.keys().cloned().collect()
    }
}

impl<S: Store> Deployment<S> {
    /// The models of a tenant, for reading. One that never had any is empty, and is answered
    /// by the latest model.
    pub(crate) async fn snapshot(
        &self,
        tenant: &Tenant,
    ) -> Result<Arc<ModelSnapshot>, RolloutError> {
        self.ground.check()?;
        if let Some(snapshot) = self.snapshots.get(tenant) {
            return Ok(snapshot);
        }
        let latest = self.latest_of(tenant)?.model;
        let rollout = self.established(tenant).await?;
        if rollout.epoch == 0 {
            self.may_exist(tenant)?;
            let generation = IndexGeneration {
                number: 0,
                model: latest.fingerprint(),
            };
            return Ok(Arc::new(ModelSnapshot {
                rollout,
                active: Ranked {
                    generation,
                    model: latest,
                },
                candidate: None,
            }));
        }
        let active = rollout.active;
        let active = active.ok_or_else(|| RolloutError::RanksBuilding {
            tenant: tenant.to_string(),
        })?;
        let candidate = match rollout.candidate {
            Some(generation) => Some(self.ranked(tenant, generation).await?),
            None => None,
        };
        let snapshot = Arc::new(ModelSnapshot {
            active: self.ranked(tenant, active).await?,
            candidate,
            rollout,
        });
        self.snapshots.remember(tenant, &snapshot);
        Ok(snapshot)
    }

    /// The rollout of a tenant. One that was only begun is completed first: from then on a fence
    /// that is missing tells of a loss.
    async fn established(&self, tenant: &Tenant) -> Result<Rollout, RolloutError> {
        for _ in 0..MAX_ATTEMPTS {
            let rollout = self.store.rollout(tenant).await?;
            if !rollout.is_only_begun() {
                return Ok(rollout);
            }
            if self.raise_fence(tenant, &rollout).await? {
                let established = rollout.establish(self.now().millis());
                self.store.set_rollout(tenant, &established).await?;
            }
        }
        Err(RolloutError::ModelsChanging(format!("tenant {tenant}")))
    }

    /// The models of a tenant, for writing, once that may be. One that never had any gets the
    /// latest.
    pub(crate) async fn snapshot_for_writing(
        &self,
        tenant: &Tenant,
    ) -> Result<Arc<ModelSnapshot>, RolloutError> {
        for _ in 0..MAX_ATTEMPTS {
            let snapshot = self.open_snapshot(tenant).await?;
            if snapshot.rollout.epoch > 0 {
                return Ok(snapshot);
            }
            // One after the other, so that none is counted twice or not at all.
            let _beginning = self.new_tenants.begin().await;
            self.check_new_tenant(tenant).await?;
            let latest = self.latest_of(tenant)?;
            self.save_model(&latest.model).await?;
            // Whether this server was the first or another one, the next look shows it.
            let rollout = Rollout::begin(new_generation(&latest.model)?, self.now().millis())
                .of_revision(latest.revision);
            self.store.set_rollout(tenant, &rollout).await?;
        }
        Err(RolloutError::ModelsChanging(format!("tenant {tenant}")))
    }

    pub(super) async fn save_model(&self, model: &Model) -> Result<(), StoreError> {
        let saved = SavedModel {
            fingerprint: model.fingerprint(),
            source: model.source().to_owned(),
            ranks: model.rank_names(),
        };
        self.store.save_model(&saved).await
    }

    async fn ranked(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
    ) -> Result<Ranked, RolloutError> {
        let model = self.model_of(tenant, generation.model).await?;
        Ok(Ranked { generation, model })
    }

    /// The model of a fingerprint: the latest one, one that is in use, or the saved one.
    pub(super) async fn model_of(
        &self,
        tenant: &Tenant,
        fingerprint: Fingerprint,
    ) -> Result<Arc<Model>, RolloutError> {
        let latest = self.latest_of(tenant)?.model;
        if latest.fingerprint() == fingerprint {
            return Ok(latest);
        }
        if let Some(model) = self.latest.in_use(fingerprint) {
            return Ok(model);
        }
        let saved = self.store.model(fingerprint).await?;
        let saved = saved.ok_or_else(|| {
            StoreError::Unavailable(format!(
                "the model {fingerprint} of tenant {tenant} is missing; a server that was started with it saves it again"
            ))
        })?;
        let read = self.read_model(fingerprint, saved.source).await;
        Ok(read.ok_or_else(|| {
            StoreError::Misconfigured(format!(
                "the model {fingerprint} of tenant {tenant} is of another version of Bellwether; run one version"
            ))
        })?)
    }

    /// The model of a source in the store; `None` when this version reads another one in it, or
    /// none at all.
    pub(super) async fn read_model(
        &self,
        fingerprint: Fingerprint,
        source: String,
    ) -> Option<Arc<Model>> {
        let model = self.reading.read(source).await.ok()?.ok()?;
        (model.fingerprint() == fingerprint).then(|| self.latest.share(model))
    }
}
