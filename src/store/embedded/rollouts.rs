//! Rollouts and models of the one process that holds the directory. Nothing of them is
//! kept: the ranks are built anew at every start, and with them everything here.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::super::{IndexGeneration, Rollout, SavedModel};
use crate::scoring::{Fingerprint, ProfileId, Tenant};

/// The rollouts of every tenant.
#[derive(Default)]
pub struct Rollouts {
    tenants: Mutex<HashMap<Tenant, TenantRollout>>,
    /// With the instant at which each was saved last.
    models: Mutex<HashMap<Fingerprint, (SavedModel, Instant)>>,
}

#[derive(Default)]
struct TenantRollout {
    rollout: Rollout,
    indexed: Option<(IndexGeneration, ProfileId)>,
}

impl Rollouts {
    fn lock(&self) -> MutexGuard<'_, HashMap<Tenant, TenantRollout>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rollout of a tenant; of epoch 0 when it has none.
    pub fn rollout(&self, tenant: &Tenant) -> Rollout {
        let tenants = self.lock();
        let known = tenants.get(tenant);
        known.map_or_else(Rollout::default, |known| known.rollout.clone())
    }

    /// Replaces the rollout that the given one was made from. Returns whether the given one is in place.
    pub fn set_rollout(&self, tenant: &Tenant, rollout: &Rollout) -> bool {
        let mut tenants = self.lock();
        let known = tenants.entry(tenant.clone()).or_default();
        if known.rollout.epoch == rollout.after {
            known.rollout = rollout.clone();
        }
        known.rollout == *rollout
    }

    /// How many tenants have a rollout.
    pub fn tenant_count(&self) -> u64 {
        let tenants = self.lock();
        let begun = tenants.values().filter(|known| known.rollout.epoch > 0);
        begun.count() as u64
    }

    fn models(&self) -> MutexGuard<'_, HashMap<Fingerprint, (SavedModel, Instant)>> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a model.
    pub fn save_model(&self, model: &SavedModel) {
        let saved = (model.clone(), Instant::now());
        self.models().insert(model.fingerprint, saved);
    }

    /// A model that was saved.
    pub fn model(&self, fingerprint: Fingerprint) -> Option<SavedModel> {
        let models = self.models();
        models.get(&fingerprint).map(|(model, _)| model.clone())
    }

    /// Deletes models that are not needed and were not saved for that long. Returns how many
    /// others are not needed.
    pub fn forget_models(&self, needed: &[Fingerprint], unsaved_for: Duration) -> u64 {
        let mut models = self.models();
        models.retain(|fingerprint, (_, saved)| {
            needed.contains(fingerprint) || saved.elapsed() < unsaved_for
        });
        let unneeded = models.keys().filter(|model| !needed.contains(model));
        unneeded.count() as u64
    }

    /// Notes that everything up to a profile is indexed.
    pub fn set_indexed(&self, tenant: &Tenant, generation: IndexGeneration, last: ProfileId) {
        let mut tenants = self.lock();
        tenants.entry(tenant.clone()).or_default().indexed = Some((generation, last));
    }

    /// The last profile that is known to be indexed.
    pub fn indexed_to(&self, tenant: &Tenant, generation: IndexGeneration) -> Option<ProfileId> {
        let tenants = self.lock();
        let (indexed, last) = tenants.get(tenant)?.indexed.as_ref()?;
        (*indexed == generation).then(|| last.clone())
    }
}
