//! The models of a tenant as one piece of work sees them: which one answers, and whose ranks
//! its commits maintain. Remembered until the store says that they have changed.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::{ServiceError, Shell};
use crate::{
    scoring::{Fingerprint, Model, ProfileId, RankChange, Record, Tenant, moves},
    store::{Edition, Rollout, SavedModel, Store, StoreError},
};

/// How often a tenant's first models are read again when several servers set them at once.
const MAX_ATTEMPTS: usize = 8;

/// A model with the building of its ranks.
#[derive(Clone, Debug)]
pub(super) struct Ranked {
    pub edition: Edition,
    pub model: Arc<Model>,
}

/// The models of a tenant.
#[derive(Debug)]
pub(super) struct Lineup {
    pub rollout: Rollout,
    /// What answers.
    pub active: Ranked,
    /// What is going to.
    candidate: Option<Ranked>,
}

impl Lineup {
    pub(super) fn model(&self) -> &Model {
        &self.active.model
    }

    /// The record that the ranks of a candidate have to move from; `None` without candidate.
    pub(super) fn before(&self, stored: Option<&Record>) -> Option<Record> {
        self.candidate.as_ref().and(stored).cloned()
    }

    /// The moves in all ranks that a commit maintains, from those in the active model's.
    pub(super) fn moves(
        &self,
        profile_id: &ProfileId,
        active: Vec<RankChange>,
        before: Option<&Record>,
        after: Option<&Record>,
    ) -> Vec<(Edition, Vec<RankChange>)> {
        let mut all = vec![(self.active.edition, active)];
        if let Some(Ranked { edition, model }) = &self.candidate {
            all.push((*edition, moves(model, profile_id, before, after)));
        }
        all
    }
}

/// A building of ranks that there never was before.
pub(super) fn new_edition(model: &Model) -> Result<Edition, StoreError> {
    let number = getrandom::u64().map_err(|error| {
        StoreError::Unavailable(format!("no randomness for an edition: {error}"))
    })?;
    Ok(Edition {
        number,
        model: model.fingerprint(),
    })
}

/// What is remembered of the tenants' models.
#[derive(Debug, Default)]
pub(super) struct Lineups {
    tenants: RwLock<HashMap<Tenant, Arc<Lineup>>>,
}

impl Lineups {
    fn get(&self, tenant: &Tenant) -> Option<Arc<Lineup>> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.get(tenant).cloned()
    }

    /// Remembers a lineup unless a later one is known.
    fn remember(&self, tenant: &Tenant, lineup: &Arc<Lineup>) {
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        let epoch = lineup.rollout.epoch;
        let known = tenants.get(tenant);
        if known.is_none_or(|known| known.rollout.epoch < epoch) {
            tenants.insert(tenant.clone(), Arc::clone(lineup));
        }
    }

    /// The rollout that is remembered.
    pub(super) fn rollout(&self, tenant: &Tenant) -> Option<Rollout> {
        self.get(tenant).map(|lineup| lineup.rollout.clone())
    }

    /// Forgets what is remembered of epochs before the given one.
    pub(super) fn forget_before(&self, tenant: &Tenant, epoch: u64) {
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = tenants.get(tenant)
            && known.rollout.epoch < epoch
        {
            tenants.remove(tenant);
        }
    }

    /// The tenants that are remembered.
    pub(super) fn tenants(&self) -> Vec<Tenant> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.keys().cloned().collect()
    }
}

impl<S: Store> Shell<S> {
    /// The models of a tenant, for reading. One that never had any is empty, and is answered
    /// by the latest model.
    pub(super) async fn lineup(&self, tenant: &Tenant) -> Result<Arc<Lineup>, ServiceError> {
        if let Some(lineup) = self.lineups.get(tenant) {
            return Ok(lineup);
        }
        let latest = self.latest_of(tenant)?.model;
        let rollout = self.store.rollout(tenant).await?;
        if rollout.epoch == 0 {
            let edition = Edition {
                number: 0,
                model: latest.fingerprint(),
            };
            return Ok(Arc::new(Lineup {
                rollout,
                active: Ranked {
                    edition,
                    model: latest,
                },
                candidate: None,
            }));
        }
        let active = rollout.active;
        let active = active.ok_or_else(|| ServiceError::RanksBuilding {
            tenant: tenant.to_string(),
        })?;
        let candidate = match rollout.candidate {
            Some(edition) => Some(self.ranked(tenant, edition).await?),
            None => None,
        };
        let lineup = Arc::new(Lineup {
            active: self.ranked(tenant, active).await?,
            candidate,
            rollout,
        });
        self.lineups.remember(tenant, &lineup);
        Ok(lineup)
    }

    /// The models of a tenant, for writing. One that never had any gets the latest.
    pub(super) async fn lineup_for_writing(
        &self,
        tenant: &Tenant,
    ) -> Result<Arc<Lineup>, ServiceError> {
        for _ in 0..MAX_ATTEMPTS {
            let lineup = self.lineup(tenant).await?;
            if lineup.rollout.epoch > 0 {
                return Ok(lineup);
            }
            let latest = self.latest_of(tenant)?;
            self.save_model(tenant, &latest.model).await?;
            // Whether this server was the first or another one, the next look shows it.
            let rollout = Rollout::begin(new_edition(&latest.model)?, self.now().millis())
                .of_revision(latest.revision);
            self.store.set_rollout(tenant, &rollout).await?;
        }
        Err(ServiceError::ModelsChanging(format!("tenant {tenant}")))
    }

    pub(super) async fn save_model(
        &self,
        tenant: &Tenant,
        model: &Model,
    ) -> Result<(), StoreError> {
        let saved = SavedModel {
            fingerprint: model.fingerprint(),
            source: model.source().to_owned(),
            ranks: model.rank_names(),
        };
        self.store.save_model(tenant, &saved).await
    }

    async fn ranked(&self, tenant: &Tenant, edition: Edition) -> Result<Ranked, ServiceError> {
        let model = self.model_of(tenant, edition.model).await?;
        Ok(Ranked { edition, model })
    }

    /// The model of a fingerprint: the latest one, one that is in use, or the saved one.
    pub(super) async fn model_of(
        &self,
        tenant: &Tenant,
        fingerprint: Fingerprint,
    ) -> Result<Arc<Model>, ServiceError> {
        let latest = self.latest_of(tenant)?.model;
        if latest.fingerprint() == fingerprint {
            return Ok(latest);
        }
        if let Some(model) = self.latest.in_use(fingerprint) {
            return Ok(model);
        }
        let saved = self.store.model(tenant, fingerprint).await?;
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
