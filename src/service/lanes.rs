//! One lane per profile: work for one profile is done in the order it came, and what comes
//! while some of it is being done is folded into the next round.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::scoring::{ProfileId, Tenant};

type Key = (Tenant, ProfileId);

/// The lanes that are occupied, with the work that waits on each.
#[derive(Debug)]
pub(super) struct Lanes<W> {
    waiting: Mutex<HashMap<Key, Vec<W>>>,
}

/// Lanes that the holder occupies; dropping them frees the lanes and drops what waits, so
/// that a failure cannot block a profile.
pub(super) struct Occupied<'a, W> {
    lanes: &'a Lanes<W>,
    tenant: Tenant,
    profile_ids: Vec<ProfileId>,
}

/// Work by profile.
pub(super) type Round<W> = Vec<(ProfileId, Vec<W>)>;

impl<W> Lanes<W> {
    pub(super) fn new() -> Self {
        Self {
            waiting: Mutex::new(HashMap::new()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Vec<W>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues work. Returns the part that the caller has to do, because its lanes were free
    /// and are now occupied.
    pub(super) fn enter(&self, tenant: &Tenant, work: Vec<(ProfileId, W)>) -> Round<W> {
        let mut positions: HashMap<ProfileId, usize> = HashMap::new();
        let mut round: Round<W> = Vec::new();
        let mut waiting = self.lock();
        for (profile_id, work) in work {
            if let Some(position) = positions.get(&profile_id) {
                round[*position].1.push(work);
                continue;
            }
            match waiting.entry((tenant.clone(), profile_id.clone())) {
                Entry::Occupied(mut lane) => lane.get_mut().push(work),
                Entry::Vacant(lane) => {
                    lane.insert(Vec::new());
                    positions.insert(profile_id.clone(), round.len());
                    round.push((profile_id, vec![work]));
                }
            }
        }
        round
    }

    /// Takes over the lanes of a round.
    pub(super) fn occupy(&self, tenant: &Tenant, round: &Round<W>) -> Occupied<'_, W> {
        Occupied {
            lanes: self,
            tenant: tenant.clone(),
            profile_ids: round
                .iter()
                .map(|(profile_id, _)| profile_id.clone())
                .collect(),
        }
    }
}

impl<W> Occupied<'_, W> {
    /// Takes what came meanwhile and frees the lanes where nothing did.
    pub(super) fn next_round(&mut self) -> Round<W> {
        let mut round = Vec::new();
        let mut waiting = self.lanes.lock();
        self.profile_ids.retain(|profile_id| {
            let Entry::Occupied(mut lane) =
                waiting.entry((self.tenant.clone(), profile_id.clone()))
            else {
                return false;
            };
            if lane.get().is_empty() {
                lane.remove();
                return false;
            }
            round.push((profile_id.clone(), std::mem::take(lane.get_mut())));
            true
        });
        round
    }
}

impl<W> Drop for Occupied<'_, W> {
    fn drop(&mut self) {
        let mut waiting = self.lanes.lock();
        for profile_id in self.profile_ids.drain(..) {
            waiting.remove(&(self.tenant.clone(), profile_id));
        }
    }
}
