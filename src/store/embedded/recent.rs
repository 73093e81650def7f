//! The records that were read or written lately, as they are, so that they need not be read and
//! decoded again. What is here is what is stored: who writes puts it here before anybody is told,
//! and who reads adds nothing that was written over meanwhile.

use std::{sync::Arc, time::Duration};

use quick_cache::{
    Weighter,
    sync::{Cache, GuardResult},
};

use super::super::{StoreError, Stored, Version};
use crate::scoring::{ProfileId, Record, Tenant};

/// Bytes of records in memory, about.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Bytes in memory of a record without anything in it, with its id and its place here.
const LEAST_BYTES: usize = 1_024;
/// Bytes in memory for each byte of a record as it is stored, about.
const BYTES_PER_STORED_BYTE: usize = 2;
/// Records of a usual size that there is room for.
const EXPECTED: usize = MAX_BYTES / 2_048;

type Key = (Tenant, ProfileId);

/// A record, the write that it comes from, and how many bytes it takes as it is stored.
#[derive(Clone)]
pub struct Recent {
    pub version: Version,
    pub record: Arc<Record>,
    pub bytes: usize,
}

impl Recent {
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

impl RecentRecords {
    pub fn new() -> Self {
        Self::of(Cache::with_weighter(EXPECTED, MAX_BYTES as u64, Weight))
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
            GuardResult::Value(recent) => Ok(Some(Stored {
                profile_id: key.1,
                version: recent.version,
                record: recent.record,
                bytes: recent.bytes,
            })),
            GuardResult::Guard(place) => {
                let stored = read()?;
                let recent = stored.as_ref().map(|stored| Recent {
                    version: stored.version,
                    record: Arc::clone(&stored.record),
                    bytes: stored.bytes,
                });
                if let Some(recent) = recent.filter(|recent| self.keeps(recent)) {
                    // Whoever has written it since has taken the place.
                    drop(place.insert(recent));
                }
                Ok(stored)
            }
            // Somebody else is reading it.
            GuardResult::Timeout => read(),
        }
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
            record: Arc::new(record),
            bytes,
        }
    }

    fn stored(number: u64, version: u64) -> Stored {
        let Recent {
            version,
            record,
            bytes,
        } = recent(version, 200);
        Stored {
            profile_id: id(number),
            version,
            record,
            bytes,
        }
    }

    /// The version that is read of a profile, where the engine has another one.
    fn read(records: &RecentRecords, number: u64, in_engine: Option<u64>) -> Option<u64> {
        let read = || Ok(in_engine.map(|version| stored(number, version)));
        let found = records.get_or_read(&tenant(), &id(number), read).unwrap();
        found.map(|found| {
            assert_eq!(found.record.event_count, found.version.0);
            found.version.0
        })
    }

    #[test]
    fn what_was_read_is_not_read_again_and_absence_is_not_kept() {
        let records = RecentRecords::new();
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
        let records = RecentRecords::new();
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
            steps in prop::collection::vec((0..40_u64, 0..4_u8), 0..400),
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
