//! Ranks and sums in memory. One lock per tenant: whoever reads it sees every commit
//! whole or not at all, so nobody is counted twice while moving.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use super::{
    super::{
        Cursor, IndexEntry, IndexGeneration, RankCounts, RankPage, RankRange, Rollout, StoreError,
        TopicTotals, Version,
    },
    ids::{IdNumber, Ids},
    rank::{Place, Rank},
    sums::{Sums, SumsChange},
};
use crate::scoring::{ProfileId, RankChange, RankKey, RankName, Tenant, Timestamp};

/// The ranks and sums of every tenant.
#[derive(Default)]
pub struct Ranks {
    tenants: RwLock<HashMap<Tenant, Arc<RwLock<TenantRanks>>>>,
}

impl Ranks {
    /// Ranks in which nobody stands yet. The records of these tenants are still to be added up.
    pub fn of(tenants: Vec<Tenant>) -> Self {
        let fresh = |tenant| {
            let ranks = TenantRanks {
                is_fresh: true,
                ..TenantRanks::default()
            };
            (tenant, Arc::new(RwLock::new(ranks)))
        };
        Self {
            tenants: RwLock::new(tenants.into_iter().map(fresh).collect()),
        }
    }

    /// Whether the records of a tenant are still to be added up. Until then nothing is written
    /// and nobody stands in a rank.
    pub fn is_fresh(&self, tenant: &Tenant) -> Result<bool, StoreError> {
        self.read(tenant, |ranks| ranks.is_fresh)
    }

    /// Sets what the records of a tenant add up to, unless that was done.
    pub fn set_sums(&self, tenant: &Tenant, sums: Sums) -> Result<(), StoreError> {
        let ranks = self.tenant_or_new(tenant)?;
        let mut ranks = write(&ranks)?;
        if ranks.is_fresh {
            ranks.is_fresh = false;
            ranks.sums = sums;
        }
        Ok(())
    }

    /// Sets what the records of a tenant come to, unless they were added up before. Returns
    /// whether it did.
    pub fn set_built(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        built: Built,
    ) -> Result<bool, StoreError> {
        let ranks = self.tenant_or_new(tenant)?;
        let mut ranks = write(&ranks)?;
        ranks.generation(generation)?;
        if !ranks.is_fresh {
            return Ok(false);
        }
        ranks.is_fresh = false;
        ranks.sums = built.sums;
        ranks.ids = built.ids;
        ranks.generations.insert(generation, built.ranks);
        Ok(true)
    }

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
        profile_id: &ProfileId,
        changes: &[(IndexGeneration, Vec<RankChange>)],
        sums: &SumsChange<'_>,
    ) -> Result<(), StoreError> {
        let ranks = self.tenant_or_new(tenant)?;
        let mut ranks = write(&ranks)?;
        ranks.sums.follow(sums);
        ranks.apply(profile_id, changes)
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
                ranks.index(generation, entry)?;
            }
        }
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
        for rank in dropped.iter().flat_map(HashMap::values) {
            for numbers in rank.ids() {
                // Some at a time: there may be many.
                let mut ranks = write(&ranks)?;
                numbers.iter().for_each(|id| ranks.ids.release(*id));
            }
        }
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
                .and_then(|named| named.get(&range.rank));
            let page = rank.map(|rank| ranks.page(rank, range, after, limit));
            Ok(RankPage {
                latest_counted: ranks.sums.latest_counted(),
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
                rank.map_or(0, |rank| {
                    rank.positions(&range.keys, &tenant_ranks.ids).len() as u64
                })
            };
            Ok(RankCounts {
                counts: ranges.iter().map(count).collect(),
                latest_counted: tenant_ranks.sums.latest_counted(),
            })
        })?
    }

    /// How many records a tenant has.
    pub fn record_count(&self, tenant: &Tenant) -> Result<u64, StoreError> {
        self.read(tenant, |ranks| ranks.sums.records())
    }

    /// The totals of topics, all at one moment.
    pub fn totals(
        &self,
        tenant: &Tenant,
        topics: &[String],
    ) -> Result<Vec<TopicTotals>, StoreError> {
        self.read(tenant, |ranks| {
            let totals = topics.iter().map(|topic| ranks.sums.of_topic(topic));
            totals.collect()
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

/// The ranks of a generation.
pub type RanksByName = HashMap<RankName, Rank>;

/// What all records of a tenant come to.
pub struct Built {
    /// What they add up to.
    pub sums: Sums,
    /// The ids of those who stand in ranks.
    pub ids: Ids,
    /// Where they stand.
    pub ranks: RanksByName,
}

#[derive(Default)]
struct TenantRanks {
    rollout: Rollout,
    is_fresh: bool,
    ids: Ids,
    generations: HashMap<IndexGeneration, RanksByName>,
    sums: Sums,
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

    fn apply(
        &mut self,
        profile_id: &ProfileId,
        changes: &[(IndexGeneration, Vec<RankChange>)],
    ) -> Result<(), StoreError> {
        let mut held = Vec::new();
        for (generation, changes) in changes {
            let Some(ranks) = self.generations.get_mut(generation) else {
                continue;
            };
            for change in changes {
                if let (Some(rank), Some(old)) = (ranks.get_mut(&change.rank), change.old) {
                    let place = Place::of(old, profile_id.as_str());
                    held.extend(rank.remove(&place, &self.ids));
                }
            }
        }
        for (generation, changes) in changes {
            for change in changes {
                if let Some(new) = change.new {
                    self.insert(*generation, &change.rank, new, profile_id, &mut held)?;
                }
            }
        }
        held.into_iter().for_each(|id| self.ids.release(id));
        Ok(())
    }

    fn index(&mut self, generation: IndexGeneration, entry: IndexEntry) -> Result<(), StoreError> {
        let mut held = Vec::new();
        for (rank, key) in entry.ranks {
            self.insert(generation, &rank, key, &entry.profile_id, &mut held)?;
        }
        held.into_iter().for_each(|id| self.ids.release(id));
        Ok(())
    }

    /// Adds an entry of a profile under the first of the numbers that are held of its id, so that
    /// all of them share one; under a new one when none is.
    fn insert(
        &mut self,
        generation: IndexGeneration,
        rank: &RankName,
        key: RankKey,
        profile_id: &ProfileId,
        held: &mut Vec<IdNumber>,
    ) -> Result<(), StoreError> {
        if held.is_empty() {
            held.push(self.ids.add(profile_id.as_str())?);
        }
        let ranks = self.generations.entry(generation).or_default();
        let rank = ranks.entry(rank.clone()).or_default();
        for id in held.iter().take(1) {
            if rank.insert(key, *id, &self.ids) {
                self.ids.hold(*id);
            }
        }
        Ok(())
    }

    fn page(
        &self,
        rank: &Rank,
        range: &RankRange,
        after: Option<&Cursor>,
        limit: usize,
    ) -> RankPage {
        let range = rank.positions(&range.keys, &self.ids);
        let mut start = range.start;
        if let Some(cursor) = after {
            let place = Place::of(cursor.key, cursor.profile_id.as_str());
            start = rank
                .position_after(&place, &self.ids)
                .clamp(range.start, range.end);
        }
        let entries = rank
            .entries_from(start)
            .take(limit.min(range.end - start))
            .filter_map(|(key, id)| Some((key, ProfileId::stored(self.ids.text(id))?)));
        RankPage {
            entries: entries.collect(),
            preceding: (start - range.start) as u64,
            total: range.len() as u64,
            latest_counted: Timestamp::EPOCH,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::Fingerprint;

    const GENERATION: IndexGeneration = IndexGeneration {
        number: 1,
        model: Fingerprint(1),
    };

    fn change(rank: &str, old: Option<f64>, new: Option<f64>) -> RankChange {
        RankChange {
            rank: RankName::new(rank),
            old: old.and_then(RankKey::new),
            new: new.and_then(RankKey::new),
        }
    }

    fn apply(ranks: &mut TenantRanks, profile: &str, changes: &[RankChange]) {
        let profile_id = ProfileId::new(profile).unwrap();
        let changes = [(GENERATION, changes.to_vec())];
        ranks.apply(&profile_id, &changes).unwrap();
    }

    /// The numbers in a rank, in page order.
    fn numbers(ranks: &TenantRanks, rank: &str) -> Vec<IdNumber> {
        let rank = &ranks.generations[&GENERATION][&RankName::new(rank)];
        rank.ids().flatten().copied().collect()
    }

    #[test]
    fn the_ranks_of_a_profile_share_its_id() {
        let mut ranks = TenantRanks::default();
        let first = [change("a", None, Some(1.0)), change("b", None, Some(1.0))];
        apply(&mut ranks, "anna", &first);
        let moved = [
            change("a", Some(1.0), Some(2.0)),
            change("c", None, Some(3.0)),
        ];
        apply(&mut ranks, "anna", &moved);
        let [a, b, c] = ["a", "b", "c"].map(|rank| numbers(&ranks, rank));
        assert!(a == b && b == c && a.len() == 1);
    }

    #[test]
    fn the_number_of_who_stands_nowhere_is_given_to_another() {
        let mut ranks = TenantRanks::default();
        apply(&mut ranks, "anna", &[change("a", None, Some(1.0))]);
        let annas = numbers(&ranks, "a");
        // Who stands there already takes no further number.
        apply(&mut ranks, "anna", &[change("a", None, Some(1.0))]);
        apply(&mut ranks, "anna", &[change("a", Some(1.0), None)]);
        apply(&mut ranks, "ben", &[change("b", None, Some(1.0))]);
        assert_eq!(numbers(&ranks, "b"), annas);
        assert_eq!(ranks.ids.text(annas[0]), "ben");
    }

    #[test]
    fn ids_are_kept_until_the_last_generation_has_gone() {
        let ranks = Ranks::default();
        let tenant = Tenant::new("test").unwrap();
        let profile_id = ProfileId::new("anna").unwrap();
        let other = IndexGeneration {
            number: 2,
            ..GENERATION
        };
        let changes = [GENERATION, other].map(|of| (of, vec![change("a", None, Some(1.0))]));
        let sums = SumsChange {
            records: 1,
            totals: &[],
            latest_counted: Timestamp::EPOCH,
        };
        let applied = ranks.apply(&tenant, &profile_id, &changes, &sums);
        applied.unwrap();
        ranks.drop_generation(&tenant, GENERATION).unwrap();
        let all = RankRange {
            rank: RankName::new("a"),
            keys: crate::scoring::KeyRange::ALL,
        };
        let page = ranks.page(&tenant, other, &all, None, 10).unwrap();
        assert_eq!(page.entries[0].1, profile_id);
    }
}
