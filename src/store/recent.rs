//! The records that were read or written lately, as they are, so that they need not be decoded
//! again. Who is about to change a record takes it out, so that it need not be copied.
//!
//! A store that one process has for itself need not even read them: what is here is what is stored,
//! because who writes puts it here before anybody is told, and who reads adds nothing that was
//! written over meanwhile. Where others write, too, the store is asked, and what is here serves if
//! it is of the version that the store has.

use std::{sync::Arc, time::Duration};

use quick_cache::{
    Weighter,
    sync::{Cache, EntryAction, EntryResult, GuardResult},
};

use super::{StoreError, Stored, Version};
use crate::scoring::{ProfileId, Record, Tenant};

/// Bytes of records in memory, about.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Bytes in memory of a record without anything in it, with its id and its place here.
const LEAST_BYTES: usize = 1_024;
/// Bytes in memory for each byte of a record as it is stored, about.
const BYTES_PER_STORED_BYTE: usize = 2;
/// Bytes in memory of a record of a usual size.
const BYTES_EXPECTED: usize = 2_048;

type Key = (Tenant, ProfileId);

/// A record that was read or written lately.
#[derive(Clone, Debug)]
pub struct Recent {
    /// The write that it comes from.
    pub version: Version,
    /// `None` while somebody has taken it out.
    pub record: Option<Arc<Record>>,
    /// How many bytes it takes as it is stored.
    pub bytes: usize,
}

impl Recent {
    fn of(stored: &Stored) -> Self {
        Self {
            version: stored.version,
            record: Some(Arc::clone(&stored.record)),
            bytes: stored.bytes,
        }
    }

    fn stored(self, profile_id: &ProfileId) -> Option<Stored> {
        Some(Stored {
            profile_id: profile_id.clone(),
            version: self.version,
            record: self.record?,
            bytes: self.bytes,
        })
    }

    fn weight(&self) -> u64 {
        (LEAST_BYTES + BYTES_PER_STORED_BYTE * self.bytes) as u64
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Recent> for Weight {
    fn weight(&self, _: &Key, recent: &Recent) -> u64 {
        recent.weight()
    }
}

/// Records by tenant and id, within so many bytes by their weight.
pub struct RecentRecords {
    records: Cache<Key, Recent, Weight>,
    /// What is heavier is not kept: it would throw out most of what shares its lock.
    heaviest: u64,
}

impl Default for RecentRecords {
    /// Within 64 MiB.
    fn default() -> Self {
        Self::within(MAX_BYTES)
    }
}

impl RecentRecords {
    /// Within so many bytes.
    pub fn within(bytes: usize) -> Self {
        let expected = bytes / BYTES_EXPECTED;
        Self::of(Cache::with_weighter(expected, bytes as u64, Weight))
    }

    fn of(records: Cache<Key, Recent, Weight>) -> Self {
        Self {
            heaviest: records.shard_capacity() / 2,
            records,
        }
    }

    /// The record of a profile, which is read when it is not here.
    pub fn get_or_read(
        &self,
        tenant: &Tenant,
        profile_id: &ProfileId,
        read: impl FnOnce() -> Result<Option<Stored>, StoreError>,
    ) -> Result<Option<Stored>, StoreError> {
        let key = (tenant.clone(), profile_id.clone());
        match self.records.get_value_or_guard(&key, Some(Duration::ZERO)) {
            GuardResult::Value(recent) => match recent.stored(profile_id) {
                Some(stored) => Ok(Some(stored)),
                None => {
                    let stored = read()?;
                    if let Some(stored) = &stored {
                        self.give_back(tenant, stored);
                    }
                    Ok(stored)
                }
            },
            GuardResult::Guard(place) => {
                let stored = read()?;
                let recent = stored.as_ref().map(Recent::of);
                if let Some(recent) = recent.filter(|recent| self.keeps(recent)) {
                    // Not where somebody has written it since.
                    drop(place.insert(recent));
                }
                Ok(stored)
            }
            // Somebody else is reading it.
            GuardResult::Timeout => read(),
        }
    }

    /// The same for who is about to change it: here is only its version until it is written, given
    /// back, or read by somebody else.
    pub fn take_or_read(
        &self,
        tenant: &Tenant,
        profile_id: &ProfileId,
        read: impl FnOnce() -> Result<Option<Stored>, StoreError>,
    ) -> Result<Option<Stored>, StoreError> {
        let key = (tenant.clone(), profile_id.clone());
        let take_out = |_: &Key, recent: &mut Recent| {
            let record = recent.record.take();
            EntryAction::Retain(Recent { record, ..*recent }.stored(profile_id))
        };
        match self.records.entry(&key, Some(Duration::ZERO), take_out) {
            EntryResult::Retained(Some(stored)) => Ok(Some(stored)),
            EntryResult::Vacant(place) => {
                let stored = read()?;
                let taken_out = stored.as_ref().map(|stored| Recent {
                    record: None,
                    ..Recent::of(stored)
                });
                if let Some(taken_out) = taken_out.filter(|recent| self.keeps(recent)) {
                    drop(place.insert(taken_out));
                }
                Ok(stored)
            }
            // Somebody else has taken it out, or is reading it.
            _ => read(),
        }
    }

    /// Puts a record where one was taken out, unless it was written since.
    pub fn give_back(&self, tenant: &Tenant, stored: &Stored) {
        let key = (tenant.clone(), stored.profile_id.clone());
        if self.records.peek(&key).is_none() {
            return;
        }
        let put_back = |_: &Key, recent: &mut Recent| {
            if recent.version == stored.version && recent.record.is_none() {
                recent.record = Some(Arc::clone(&stored.record));
            }
            EntryAction::Retain(())
        };
        // Where nothing is there any more, nothing is put.
        drop(self.records.entry(&key, Some(Duration::ZERO), put_back));
    }

    /// The record of a profile, if what is here is of the version that the store has. It is taken
    /// out for who is about to change it.
    pub fn of_version(
        &self,
        tenant: &Tenant,
        profile_id: &ProfileId,
        version: Version,
        to_change: bool,
    ) -> Option<Arc<Record>> {
        let key = (tenant.clone(), profile_id.clone());
        let is_stored = |recent: &Recent| recent.version == version;
        if !to_change {
            let recent = self.records.get(&key).filter(is_stored);
            return recent.and_then(|recent| recent.record);
        }
        // Mostly it is there or not, which is told without a lock against all others.
        let is_here = |recent: Recent| is_stored(&recent) && recent.record.is_some();
        if !self.records.peek(&key).is_some_and(is_here) {
            return None;
        }
        let take_out = |_: &Key, recent: &mut Recent| {
            let record = recent.record.take_if(|_| recent.version == version);
            EntryAction::Retain(record)
        };
        match self.records.entry(&key, Some(Duration::ZERO), take_out) {
            EntryResult::Retained(found) => found,
            _ => None,
        }
    }

    /// Keeps what has been read of a store that others write, too; only its version if it is about
    /// to be changed, until it is written or given back.
    pub fn read(&self, tenant: &Tenant, stored: &Stored, to_change: bool) {
        let key = (tenant.clone(), stored.profile_id.clone());
        let here = self.records.peek(&key);
        if here.is_some_and(|recent| recent.version == stored.version) {
            if !to_change {
                self.give_back(tenant, stored);
            }
            return;
        }
        let mut recent = Recent::of(stored);
        if to_change {
            recent.record = None;
        }
        self.written(tenant, &stored.profile_id, Some(recent));
    }

    /// The version of a record, when it is here.
    pub fn version(&self, tenant: &Tenant, profile_id: &ProfileId) -> Option<Version> {
        let recent = self.records.peek(&(tenant.clone(), profile_id.clone()));
        recent.map(|recent| recent.version)
    }

    fn keeps(&self, recent: &Recent) -> bool {
        recent.weight() <= self.heaviest
    }

    /// Keeps what has been written; `None` when the record was dropped.
    pub fn written(&self, tenant: &Tenant, profile_id: &ProfileId, written: Option<Recent>) {
        let key = (tenant.clone(), profile_id.clone());
        match written.filter(|recent| self.keeps(recent)) {
            Some(recent) => self.records.insert(key, recent),
            // Also the place that somebody has taken who reads what was there before. The cache
            // itself would leave it when what is put there is too heavy.
            None => drop(self.records.remove(&key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;
    use quick_cache::{DefaultHashBuilder, OptionsBuilder, sync::DefaultLifecycle};

    use super::*;

    /// More bytes than are kept of one record, however much room there is.
    const TOO_HEAVY: usize = MAX_BYTES;

    /// With room for so many small records behind one lock, whatever machine it is.
    fn with_room_for(records: usize) -> RecentRecords {
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(records)
            .weight_capacity(records as u64 * recent(0, 200).weight())
            .build();
        RecentRecords::of(Cache::with_options(
            options.unwrap(),
            Weight,
            DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        ))
    }

    fn tenant() -> Tenant {
        Tenant::new("test").unwrap()
    }

    fn id(number: u64) -> ProfileId {
        ProfileId::new(&format!("p{number}")).unwrap()
    }

    fn recent(version: u64, bytes: usize) -> Recent {
        let record = Record {
            event_count: version,
            ..Record::default()
        };
        Recent {
            version: Version(version),
            record: Some(Arc::new(record)),
            bytes,
        }
    }

    fn stored(number: u64, version: u64) -> Stored {
        recent(version, 200).stored(&id(number)).unwrap()
    }

    /// The version that is read of a profile, where the engine has another one.
    fn read(records: &RecentRecords, number: u64, in_engine: Option<u64>) -> Option<u64> {
        let read = || Ok(in_engine.map(|version| stored(number, version)));
        version_of(records.get_or_read(&tenant(), &id(number), read))
    }

    /// The same for who is about to change it.
    fn taken(records: &RecentRecords, number: u64, in_engine: Option<u64>) -> Option<u64> {
        let read = || Ok(in_engine.map(|version| stored(number, version)));
        version_of(records.take_or_read(&tenant(), &id(number), read))
    }

    fn version_of(found: Result<Option<Stored>, StoreError>) -> Option<u64> {
        found.unwrap().map(|found| {
            assert_eq!(found.record.event_count, found.version.0);
            found.version.0
        })
    }

    #[test]
    fn what_was_read_is_not_read_again_and_absence_is_not_kept() {
        let records = RecentRecords::default();
        assert_eq!(read(&records, 1, None), None);
        assert_eq!(read(&records, 1, Some(1)), Some(1));
        assert_eq!(read(&records, 1, None), Some(1));
        assert_eq!(records.version(&tenant(), &id(1)), Some(Version(1)));
    }

    #[test]
    fn what_was_written_over_while_it_was_read_is_not_kept() {
        for written in [Some(recent(2, 200)), Some(recent(2, TOO_HEAVY)), None] {
            let records = with_room_for(100);
            let found = records.get_or_read(&tenant(), &id(1), || {
                records.written(&tenant(), &id(1), written.clone());
                Ok(Some(stored(1, 1)))
            });
            assert_eq!(found.unwrap().unwrap().version, Version(1));
            let in_engine = written.as_ref().map(|recent| recent.version.0);
            assert_eq!(read(&records, 1, in_engine), in_engine);
        }
    }

    #[test]
    fn who_reads_what_somebody_else_is_reading_waits_for_nobody() {
        let records = RecentRecords::default();
        let both = Cell::new(false);
        let found = records.get_or_read(&tenant(), &id(1), || {
            assert_eq!(read(&records, 1, Some(7)), Some(7));
            both.set(true);
            Ok(Some(stored(1, 7)))
        });
        assert!(found.is_ok() && both.get());
        assert_eq!(read(&records, 1, None), Some(7));
    }

    #[test]
    fn what_was_taken_is_nobody_elses_and_is_here_again_once_it_is_written_or_read() {
        let records = RecentRecords::default();
        records.written(&tenant(), &id(1), Some(recent(1, 200)));
        let mut taken_record = records
            .take_or_read(&tenant(), &id(1), || Ok(None))
            .unwrap()
            .unwrap()
            .record;
        assert!(
            Arc::get_mut(&mut taken_record).is_some(),
            "nobody shares it"
        );
        assert_eq!(records.version(&tenant(), &id(1)), Some(Version(1)));
        assert_eq!(taken(&records, 1, Some(1)), Some(1));
        assert_eq!(read(&records, 1, Some(1)), Some(1));
        assert_eq!(read(&records, 1, None), Some(1), "it was given back");
        assert_eq!(taken(&records, 1, None), Some(1));
        records.written(&tenant(), &id(1), Some(recent(2, 200)));
        assert_eq!(read(&records, 1, None), Some(2));
        assert_eq!(taken(&records, 2, None), None);
        assert_eq!(read(&records, 2, Some(3)), Some(3));
    }

    #[test]
    fn what_comes_to_nothing_is_given_back_and_found() {
        let records = RecentRecords::default();
        assert_eq!(taken(&records, 1, Some(1)), Some(1));
        records.give_back(&tenant(), &stored(1, 1));
        assert_eq!(read(&records, 1, None), Some(1));
        assert_eq!(taken(&records, 1, None), Some(1));
        records.written(&tenant(), &id(1), Some(recent(2, 200)));
        assert_eq!(taken(&records, 1, None), Some(2));
        records.give_back(&tenant(), &stored(1, 1));
        assert_eq!(read(&records, 1, Some(2)), Some(2), "not what is older");
        records.give_back(&tenant(), &stored(2, 1));
        assert_eq!(records.version(&tenant(), &id(2)), None);
    }

    #[test]
    fn what_was_read_is_not_given_back_over_what_was_written_meanwhile() {
        let records = RecentRecords::default();
        records.written(&tenant(), &id(1), Some(recent(1, 200)));
        assert_eq!(taken(&records, 1, None), Some(1));
        let found = records.get_or_read(&tenant(), &id(1), || {
            records.written(&tenant(), &id(1), Some(recent(2, 200)));
            assert_eq!(taken(&records, 1, None), Some(2));
            Ok(Some(stored(1, 1)))
        });
        assert_eq!(version_of(found), Some(1));
        assert_eq!(read(&records, 1, Some(2)), Some(2));
    }

    #[test]
    fn what_is_of_another_version_than_the_store_has_does_not_serve() {
        let records = RecentRecords::default();
        let find = |version, to_change| {
            let found = records.of_version(&tenant(), &id(1), Version(version), to_change);
            found.map(|record| record.event_count)
        };
        assert_eq!((find(1, false), find(1, true)), (None, None));
        records.written(&tenant(), &id(1), Some(recent(1, 200)));
        assert_eq!((find(2, false), find(2, true)), (None, None));
        assert_eq!((find(1, false), find(1, true)), (Some(1), Some(1)));
        assert_eq!(
            (find(1, false), find(1, true)),
            (None, None),
            "it was taken out"
        );
        records.give_back(&tenant(), &stored(1, 1));
        assert_eq!(find(1, false), Some(1));
        records.written(&tenant(), &id(1), Some(recent(2, 200)));
        assert_eq!((find(1, false), find(2, true)), (None, Some(2)));
        for (version, to_change) in [(3, false), (4, true)] {
            records.read(&tenant(), &stored(1, version), to_change);
            assert_eq!(find(version, false).is_none(), to_change);
            assert_eq!(find(version - 1, false), None);
        }
        records.give_back(&tenant(), &stored(1, 4));
        assert_eq!(find(4, true), Some(4));
    }

    #[test]
    fn what_is_written_is_found_while_there_is_room() {
        let records = with_room_for(100);
        for number in 0..20 {
            records.written(&tenant(), &id(number), Some(recent(number, 200)));
        }
        let found = (0..20).filter(|number| records.version(&tenant(), &id(*number)).is_some());
        assert_eq!(found.count(), 20);
    }

    proptest! {
        /// However little room there is, and whatever is thrown out.
        #[test]
        fn nothing_older_than_the_last_write_is_found(
            steps in prop::collection::vec((0..40_u64, 0..5_u8), 0..400),
            room in 4..40_usize,
        ) {
            let records = with_room_for(room);
            let mut engine = std::collections::BTreeMap::new();
            for (version, (number, step)) in steps.into_iter().enumerate() {
                let version = version as u64;
                match step {
                    0 | 1 => {
                        let bytes = [200, TOO_HEAVY][usize::from(step)];
                        engine.insert(number, version);
                        let written = Some(recent(version, bytes));
                        records.written(&tenant(), &id(number), written);
                    }
                    2 if version.is_multiple_of(5) => {
                        engine.remove(&number);
                        records.written(&tenant(), &id(number), None);
                    }
                    3 => {
                        let in_engine = engine.get(&number).copied();
                        prop_assert_eq!(taken(&records, number, in_engine), in_engine);
                        if let (Some(version), true) = (in_engine, version.is_multiple_of(3)) {
                            records.give_back(&tenant(), &stored(number, version));
                        }
                    }
                    _ => {
                        let in_engine = engine.get(&number).copied();
                        prop_assert_eq!(read(&records, number, in_engine), in_engine);
                    }
                }
                if let Some(found) = records.version(&tenant(), &id(number)) {
                    prop_assert_eq!(Some(found.0), engine.get(&number).copied());
                }
            }
        }
    }
}
