//! How many profiles a tenant may have, where that is bounded. What there is is counted once in a
//! while, and what is made here is taken off until then, so several servers together may make a few
//! more.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use rustc_hash::FxHashMap;
use tokio::time::Instant;

use super::{Service, ServiceError, Shell, write::Task, write::Work};
use crate::{
    rollout::ModelSnapshot,
    scoring::{KeyRange, ProfileId, Tenant},
    store::{RankRange, Store, StoreError},
};

/// How many profiles a tenant may have; `None` for as many as there are.
pub type ProfileLimits = Arc<dyn Fn(&Tenant) -> Option<u64> + Send + Sync>;

/// How long a count is believed.
const COUNTED_FOR: Duration = Duration::from_secs(1);

/// What is known of the tenants that are bounded.
#[derive(Default)]
pub(super) struct ProfileQuotas {
    limits: OnceLock<ProfileLimits>,
    counted: Mutex<FxHashMap<Tenant, Counted>>,
}

/// Profiles of a tenant.
#[derive(Clone, Copy)]
struct Counted {
    profiles: u64,
    at: Instant,
}

/// Room for new profiles.
pub(super) struct Room {
    /// How many more there may be.
    pub left: u64,
    /// Why there are no more.
    pub full: ServiceError,
}

impl Room {
    /// Without a bound.
    const fn unbounded() -> Self {
        Self {
            left: u64::MAX,
            full: ServiceError::TooManyProfiles { most: u64::MAX },
        }
    }
}

impl ProfileQuotas {
    fn limit(&self, tenant: &Tenant) -> Option<u64> {
        self.limits.get().and_then(|limits| limits(tenant))
    }

    fn counted(&self, tenant: &Tenant) -> Option<Counted> {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = counted.get(tenant).copied();
        counted.filter(|counted| counted.at.elapsed() < COUNTED_FOR)
    }

    /// Takes so many off what is left, and returns how many were left.
    fn take(&self, tenant: &Tenant, limit: u64, wanted: u64, counted: Counted) -> u64 {
        let mut known = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.entry(tenant.clone()).or_insert(counted);
        if known.at < counted.at {
            *known = counted;
        }
        let left = limit.saturating_sub(known.profiles);
        known.profiles = known.profiles.saturating_add(wanted.min(left));
        left
    }
}

impl<S: Store> Service<S> {
    /// Bounds from now on how many profiles tenants may have.
    pub fn limit_profiles(&self, limits: ProfileLimits) {
        // Once, before anybody calls.
        let _ = self.shell.profile_quotas.limits.set(limits);
    }
}

impl<S: Store> Shell<S> {
    /// How much room there is for profiles that there are not yet, where so many are wanted.
    pub(super) async fn room_for_profiles(
        &self,
        tenant: &Tenant,
        snapshot: &ModelSnapshot,
        wanted: u64,
    ) -> Room {
        let Some(most) = self.profile_quotas.limit(tenant).filter(|_| wanted > 0) else {
            return Room::unbounded();
        };
        let counted = match self.profile_quotas.counted(tenant) {
            Some(counted) => counted,
            None => match self.count_profiles(tenant, snapshot).await {
                Ok(counted) => counted,
                // The write finds out, and is done again by the model of then.
                Err(StoreError::Superseded) => return Room::unbounded(),
                Err(error) => {
                    return Room {
                        left: 0,
                        full: error.into(),
                    };
                }
            },
        };
        Room {
            left: self.profile_quotas.take(tenant, most, wanted, counted),
            full: ServiceError::TooManyProfiles { most },
        }
    }

    async fn count_profiles(
        &self,
        tenant: &Tenant,
        snapshot: &ModelSnapshot,
    ) -> Result<Counted, StoreError> {
        let at = Instant::now();
        let ranges: Vec<RankRange> = snapshot
            .model()
            .ladders()
            .map(|ladder| RankRange {
                rank: ladder.rank.clone(),
                keys: KeyRange::ALL,
            })
            .collect();
        let generation = snapshot.active.generation;
        let found = self.store.count(tenant, generation, &ranges).await?;
        Ok(Counted {
            profiles: found.counts.iter().sum(),
            at,
        })
    }
}

/// Whether work on a profile that there is not makes one: nothing is released of it.
pub(super) fn makes_profile(profile_id: &ProfileId, work: &[Work]) -> bool {
    profile_id.is_person()
        && work
            .iter()
            .any(|work| !matches!(&*work.task, Task::Release(_)))
}
