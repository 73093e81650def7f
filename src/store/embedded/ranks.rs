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
    Cursor, IndexEntry, RankPage, RankRange, StoreError, TopicTotals, TotalsChange,
};
use crate::scoring::{KeyRange, ProfileId, RankChange, RankKey, RankName, Tenant};

/// The ranks and totals of every tenant.
#[derive(Default)]
pub struct Ranks {
    tenants: RwLock<HashMap<Tenant, Arc<RwLock<TenantRanks>>>>,
}

impl Ranks {
    /// Applies what one commit changes, as one step to every reader.
    pub fn apply(
        &self,
        tenant: &Tenant,
        profile_id: ProfileId,
        changes: &[RankChange],
        totals: &[TotalsChange],
    ) -> Result<(), StoreError> {
        if changes.is_empty() && totals.is_empty() {
            return Ok(());
        }
        let ranks = self.tenant_or_new(tenant)?;
        let mut ranks = write(&ranks)?;
        ranks.apply(profile_id, changes);
        ranks.add_totals(totals);
        Ok(())
    }

    /// Adds the entries of records that the ranks do not hold yet.
    pub fn index(&self, tenant: &Tenant, entries: Vec<IndexEntry>) -> Result<(), StoreError> {
        let ranks = self.tenant_or_new(tenant)?;
        let mut ranks = write(&ranks)?;
        for entry in entries {
            if ranks.insert(&entry) {
                ranks.add_totals(&entry.totals);
            }
        }
        Ok(())
    }

    /// Some entries of a range, in page order.
    pub fn page(
        &self,
        tenant: &Tenant,
        range: &RankRange,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<RankPage, StoreError> {
        self.read(tenant, |ranks| match ranks.ranks.get(&range.rank) {
            Some(rank) => rank.page(&range.keys, after, limit),
            None => RankPage::default(),
        })
    }

    /// How many entries each range has, all at one moment.
    pub fn count(&self, tenant: &Tenant, ranges: &[RankRange]) -> Result<Vec<u64>, StoreError> {
        self.read(tenant, |ranks| {
            let count = |range: &RankRange| {
                let rank = ranks.ranks.get(&range.rank);
                rank.map_or(0, |rank| rank.positions(&range.keys).len() as u64)
            };
            ranges.iter().map(count).collect()
        })
    }

    /// The totals of topics, all at one moment.
    pub fn totals(
        &self,
        tenant: &Tenant,
        topics: &[String],
    ) -> Result<Vec<TopicTotals>, StoreError> {
        self.read(tenant, |ranks| {
            let totals = |topic| ranks.totals.get(topic).copied().unwrap_or_default();
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

#[derive(Default)]
struct TenantRanks {
    ranks: HashMap<RankName, Rank>,
    totals: HashMap<String, TopicTotals>,
}

impl TenantRanks {
    fn apply(&mut self, profile_id: ProfileId, changes: &[RankChange]) {
        let mut shared = None;
        for change in changes {
            if let (Some(rank), Some(old)) = (self.ranks.get_mut(&change.rank), change.old) {
                let taken = rank.places.take(&Place::of(old, &profile_id));
                shared = shared.or(taken.and_then(|place| place.profile_id));
            }
        }
        // The id that the ranks hold already, so that all of them share one allocation.
        let profile_id = shared.unwrap_or(profile_id);
        for change in changes {
            if let Some(new) = change.new {
                let rank = self.ranks.entry(change.rank.clone()).or_default();
                rank.places.insert(Place::of(new, &profile_id));
            }
        }
    }

    /// Whether the record was not held yet.
    fn insert(&mut self, entry: &IndexEntry) -> bool {
        let mut added = entry.ranks.is_empty();
        for (name, key) in &entry.ranks {
            let rank = self.ranks.entry(name.clone()).or_default();
            added |= rank.places.insert(Place::of(*key, &entry.profile_id));
        }
        added
    }

    fn add_totals(&mut self, changes: &[TotalsChange]) {
        for TotalsChange { topic, added } in changes {
            if !self.totals.contains_key(topic) {
                self.totals.insert(topic.clone(), TopicTotals::default());
            }
            if let Some(totals) = self.totals.get_mut(topic) {
                totals.touches = totals.touches.saturating_add(added.touches);
                totals.advance_millionths = totals
                    .advance_millionths
                    .saturating_add(added.advance_millionths);
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

    #[test]
    fn the_ranks_of_a_profile_share_its_id() {
        let id = |text| ProfileId::new(text).unwrap();
        let change = |rank: &str, old: Option<f64>, new: f64| RankChange {
            rank: RankName::new(rank),
            old: old.and_then(RankKey::new),
            new: RankKey::new(new),
        };
        let mut ranks = TenantRanks::default();
        ranks.apply(
            id("anna"),
            &[change("a", None, 1.0), change("b", None, 1.0)],
        );
        ranks.apply(
            id("anna"),
            &[change("a", Some(1.0), 2.0), change("c", None, 3.0)],
        );
        let ids: Vec<_> = ["a", "b", "c"]
            .map(|name| &ranks.ranks[&RankName::new(name)])
            .map(|rank| rank.places.first().unwrap().profile_id.clone().unwrap())
            .iter()
            .map(|id| id.as_str().as_ptr())
            .collect();
        assert!(ids.iter().all(|pointer| *pointer == ids[0]));
    }
}
