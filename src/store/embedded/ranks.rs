//! Ranks and totals in memory. One lock per tenant: whoever reads it sees every commit
//! whole or not at all, so nobody is counted twice while moving.

use std::{
    cmp::Ordering,
    collections::HashMap,
    ops::{Bound, Range},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use wabi_tree::OSBTreeSet;

use super::super::{
    Cursor, IndexEntry, IndexGeneration, RankCounts, RankPage, RankRange, Rollout, StoreError,
    TopicTotals, TotalsChange, Version,
};
use crate::scoring::{KeyRange, Name, ProfileId, RankChange, RankKey, RankName, Tenant, Timestamp};

/// The ranks and totals of every tenant.
#[derive(Default)]
pub struct Ranks {
    tenants: RwLock<HashMap<Tenant, Arc<RwLock<TenantRanks>>>>,
}

impl Ranks {
    /// Makes a rollout the tenant's; [`StoreError::Superseded`] when it does not follow the
    /// one that is.
    pub fn raise(&self, tenant: &Tenant, rollout: &Rollout) -> Result<(), StoreError> {
        let seen = self.read(tenant, |ranks| ranks.rollout.epoch)?;
        if !rollout.follows(seen) {
            return Err(StoreError::Superseded);
        }
        if rollout.epoch > seen {
            let ranks = self.tenant_or_new(tenant)?;
            write(&ranks)?.rollout = rollout.clone();
        }
        Ok(())
    }

    /// Applies what one commit changes, as one step to every reader.
    pub fn apply(
        &self,
        tenant: &Tenant,
        profile_id: ProfileId,
        changes: &[(IndexGeneration, Vec<RankChange>)],
        totals: &[TotalsChange],
        latest_counted: Timestamp,
    ) -> Result<(), StoreError> {
        let ranks = self.tenant_or_new(tenant)?;
        let mut ranks = write(&ranks)?;
        ranks.apply(profile_id, changes);
        ranks.add_totals(totals);
        ranks.count_until(latest_counted);
        Ok(())
    }

    /// Adds the entries of records that still have the version of their entry.
    pub fn index(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        entries: Vec<IndexEntry>,
        version: impl Fn(&ProfileId) -> Result<Option<Version>, StoreError>,
    ) -> Result<(), StoreError> {
        let ranks = self.tenant_or_new(tenant)?;
        for entry in entries {
            // Who writes the record after this look moves the ranks after this entry.
            let mut ranks = write(&ranks)?;
            ranks.generation(generation)?;
            if version(&entry.profile_id)? == Some(entry.version) {
                ranks.insert(generation, entry);
            }
        }
        Ok(())
    }

    /// Adds what a record has to the totals, and notes the latest instant that was counted.
    pub fn add_record(
        &self,
        tenant: &Tenant,
        totals: &[TotalsChange],
        latest_counted: Timestamp,
    ) -> Result<(), StoreError> {
        let ranks = self.tenant_or_new(tenant)?;
        let mut ranks = write(&ranks)?;
        ranks.add_totals(totals);
        ranks.count_until(latest_counted);
        Ok(())
    }

    /// Deletes the ranks of a generation.
    pub fn drop_generation(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
    ) -> Result<(), StoreError> {
        let ranks = self.tenant_or_new(tenant)?;
        let dropped = write(&ranks)?.generations.remove(&generation);
        // Outside the lock: it may be long.
        drop(dropped);
        Ok(())
    }

    /// Some entries of a range, in page order.
    pub fn page(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        range: &RankRange,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<RankPage, StoreError> {
        self.read(tenant, |ranks| {
            let rank = ranks
                .generation(generation)?
                .and_then(|ranks| ranks.get(&range.rank));
            let page = rank.map(|rank| rank.page(&range.keys, after, limit));
            Ok(RankPage {
                latest_counted: ranks.latest_counted,
                ..page.unwrap_or_default()
            })
        })?
    }

    /// How many entries each range has, all at one moment.
    pub fn count(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        ranges: &[RankRange],
    ) -> Result<RankCounts, StoreError> {
        self.read(tenant, |tenant_ranks| {
            let ranks = tenant_ranks.generation(generation)?;
            let count = |range: &RankRange| {
                let rank = ranks.and_then(|ranks| ranks.get(&range.rank));
                rank.map_or(0, |rank| rank.positions(&range.keys).len() as u64)
            };
            Ok(RankCounts {
                counts: ranges.iter().map(count).collect(),
                latest_counted: tenant_ranks.latest_counted,
            })
        })?
    }

    /// The totals of topics, all at one moment.
    pub fn totals(
        &self,
        tenant: &Tenant,
        topics: &[String],
    ) -> Result<Vec<TopicTotals>, StoreError> {
        self.read(tenant, |ranks| {
            let totals = |topic: &String| {
                ranks
                    .totals
                    .get(topic.as_str())
                    .copied()
                    .unwrap_or_default()
            };
            topics.iter().map(totals).collect()
        })
    }

    fn read<T>(
        &self,
        tenant: &Tenant,
        answer: impl FnOnce(&TenantRanks) -> T,
    ) -> Result<T, StoreError> {
        let known = read(&self.tenants)?.get(tenant).cloned();
        match known {
            Some(ranks) => Ok(answer(&*read(&ranks)?)),
            None => Ok(answer(&TenantRanks::default())),
        }
    }

    fn tenant_or_new(&self, tenant: &Tenant) -> Result<Arc<RwLock<TenantRanks>>, StoreError> {
        if let Some(ranks) = read(&self.tenants)?.get(tenant) {
            return Ok(Arc::clone(ranks));
        }
        let mut tenants = write(&self.tenants)?;
        Ok(Arc::clone(tenants.entry(tenant.clone()).or_default()))
    }
}

fn read<T>(lock: &RwLock<T>) -> Result<RwLockReadGuard<'_, T>, StoreError> {
    lock.read().map_err(broken)
}

fn write<T>(lock: &RwLock<T>) -> Result<RwLockWriteGuard<'_, T>, StoreError> {
    lock.write().map_err(broken)
}

fn broken<T>(_: PoisonError<T>) -> StoreError {
    StoreError::Unavailable(
        "the ranks were left half changed by a failure; restart to rebuild them".to_owned(),
    )
}

type RanksByName = HashMap<RankName, Rank>;

#[derive(Default)]
struct TenantRanks {
    rollout: Rollout,
    generations: HashMap<IndexGeneration, RanksByName>,
    totals: HashMap<Name, TopicTotals>,
    latest_counted: Timestamp,
}

impl TenantRanks {
    /// The ranks of a generation that is maintained; `None` when nobody stands in any.
    fn generation(&self, generation: IndexGeneration) -> Result<Option<&RanksByName>, StoreError> {
        let rollout = &self.rollout;
        if rollout.epoch > 0
            && !rollout
                .maintained()
                .any(|maintained| maintained == generation)
        {
            return Err(StoreError::Superseded);
        }
        Ok(self.generations.get(&generation))
    }

    fn apply(&mut self, profile_id: ProfileId, changes: &[(IndexGeneration, Vec<RankChange>)]) {
        let mut shared = None;
        for (generation, changes) in changes {
            let Some(ranks) = self.generations.get_mut(generation) else {
                continue;
            };
            for change in changes {
                if let (Some(rank), Some(old)) = (ranks.get_mut(&change.rank), change.old) {
                    let taken = rank.places.take(&Place::of(old, &profile_id));
                    shared = shared.or(taken.and_then(|place| place.profile_id));
                }
            }
        }
        // The id that the ranks hold already, so that all of them share one allocation.
        let profile_id = shared.unwrap_or(profile_id);
        for (generation, changes) in changes {
            let ranks = self.generations.entry(*generation).or_default();
            for change in changes {
                if let Some(new) = change.new {
                    let rank = ranks.entry(change.rank.clone()).or_default();
                    rank.places.insert(Place::of(new, &profile_id));
                }
            }
        }
    }

    fn insert(&mut self, generation: IndexGeneration, entry: IndexEntry) {
        let ranks = self.generations.entry(generation).or_default();
        for (name, key) in entry.ranks {
            let rank = ranks.entry(name).or_default();
            rank.places.insert(Place::of(key, &entry.profile_id));
        }
    }

    fn count_until(&mut self, instant: Timestamp) {
        self.latest_counted = self.latest_counted.max(instant);
    }

    fn add_totals(&mut self, changes: &[TotalsChange]) {
        for change in changes {
            if !self.totals.contains_key(&change.topic) {
                self.totals
                    .insert(change.topic.clone(), TopicTotals::default());
            }
            if let Some(totals) = self.totals.get_mut(&change.topic) {
                totals.touches = totals.touches.saturating_add_signed(change.touches);
                totals.advance_millionths = totals
                    .advance_millionths
                    .saturating_add_signed(change.advance_millionths);
            }
        }
    }
}

/// Profiles in page order. A wabi_tree, because it counts a range in O(log n) and inserts
/// in O(log n); indexset rebuilds an index over all its nodes whenever one splits.
#[derive(Default)]
struct Rank {
    places: OSBTreeSet<Place>,
}

impl Rank {
    fn page(&self, keys: &KeyRange, after: Option<&Cursor>, limit: usize) -> RankPage {
        let range = self.positions(keys);
        let mut start = range.start;
        let mut bound = match keys.below {
            Some(below) => Bound::Excluded(Place::end_of(below)),
            None => Bound::Unbounded,
        };
        if let Some(cursor) = after {
            let place = Place::of(cursor.key, &cursor.profile_id);
            let position = self.position_after(&place);
            if position > start {
                start = position.min(range.end);
                bound = Bound::Excluded(place);
            }
        }
        let entries = self
            .places
            .range((bound, Bound::Unbounded))
            .take(limit.min(range.end - start))
            .filter_map(|place| Some((place.key, place.profile_id.clone()?)))
            .collect();
        RankPage {
            entries,
            preceding: (start - range.start) as u64,
            total: range.len() as u64,
            latest_counted: Timestamp::EPOCH,
        }
    }

    /// Where the entries of a range stand, in page order.
    fn positions(&self, keys: &KeyRange) -> Range<usize> {
        let start = keys
            .below
            .map_or(0, |below| self.position_after(&Place::end_of(below)));
        let end = self.position_after(&Place::end_of(keys.from));
        start..end.max(start)
    }

    fn position_after(&self, place: &Place) -> usize {
        let following = (Bound::Excluded(place), Bound::Unbounded);
        self.places.len() - self.places.range(following).len()
    }
}

/// Where a profile stands: the greatest key first, equals by profile id.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    key: RankKey,
    /// `None` stands behind every profile of the key: a bound, never an entry.
    profile_id: Option<ProfileId>,
}

impl Place {
    fn of(key: RankKey, profile_id: &ProfileId) -> Self {
        Self {
            key,
            profile_id: Some(profile_id.clone()),
        }
    }

    fn end_of(key: RankKey) -> Self {
        Self {
            key,
            profile_id: None,
        }
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_key = other.key.cmp(&self.key);
        by_key.then_with(|| match (&self.profile_id, &other.profile_id) {
            (Some(own), Some(others)) => own.cmp(others),
            (own, others) => own.is_none().cmp(&others.is_none()),
        })
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::Fingerprint;

    #[test]
    fn the_ranks_of_a_profile_share_its_id() {
        let id = |text| ProfileId::new(text).unwrap();
        let change = |rank: &str, old: Option<f64>, new: f64| RankChange {
            rank: RankName::new(rank),
            old: old.and_then(RankKey::new),
            new: RankKey::new(new),
        };
        let generation = IndexGeneration {
            number: 1,
            model: Fingerprint(1),
        };
        let mut ranks = TenantRanks::default();
        let anna = |changes: &[RankChange]| [(generation, changes.to_vec())];
        let first = [change("a", None, 1.0), change("b", None, 1.0)];
        ranks.apply(id("anna"), &anna(&first));
        let second = [change("a", Some(1.0), 2.0), change("c", None, 3.0)];
        ranks.apply(id("anna"), &anna(&second));
        let ids: Vec<_> = ["a", "b", "c"]
            .map(|name| &ranks.generations[&generation][&RankName::new(name)])
            .map(|rank| rank.places.first().unwrap().profile_id.clone().unwrap())
            .iter()
            .map(|id| id.as_str().as_ptr())
            .collect();
        assert!(ids.iter().all(|pointer| *pointer == ids[0]));
    }
}
