//! Records on disk: keys and values of the engine, on files that stand where they were opened.

use std::{
    iter,
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, TryLockError},
    time::{Duration, Instant},
};

use fjall::{Keyspace, OwnedWriteBatch, UserKey, UserValue};
use tempfile::TempDir;

use super::{
    super::{StoreError, Stored, Version, codec},
    check::{Findings, examine},
    copy::copy_to_read,
    directory::{Directory, damaged, unusable},
    engine::{Engine, guarded},
    ground::Ground,
    keys,
    processors::on_all_processors,
};
use crate::scoring::{ProfileId, Tenant};

/// How often an engine that has given up is opened again at most.
const REOPENING_PERIOD: Duration = Duration::from_secs(1);
/// Records that a processor takes at a time when all are read.
const READ_AT_ONCE: usize = 1_000;

/// The records of every tenant. Fields drop in order: the directory is let go last.
pub struct Records {
    /// Why there is none, while it cannot be opened again.
    engine: RwLock<Result<Open, StoreError>>,
    /// When it was last tried.
    reopened: Mutex<Option<Instant>>,
    /// Why nothing is written any more.
    failure: OnceLock<StoreError>,
    /// Where the engine works on a copy, to read.
    copy: Option<TempDir>,
    directory: Directory,
}

/// An engine and the files that it was opened on.
pub(super) struct Open {
    pub(super) engine: Engine,
    ground: Ground,
}

impl Records {
    /// Opens the records in a directory, creating it when it is missing.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let set_up = |records: &Path| Engine::set_up(path, records);
        let directory = Directory::claim(path, set_up)?;
        let open = Open::on(&directory)?;
        Ok(Self::new(open, directory, None))
    }

    /// Opens the records in a directory to read them, which changes none of its files.
    pub fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        let directory = Directory::claim_as_it_is(path)?;
        let findings = look_at(&directory)?;
        let failed = |error: std::io::Error| {
            let temporary = std::env::temp_dir();
            StoreError::Misconfigured(format!(
                "{} cannot be read: {error}; its journal is copied to {}, where TMPDIR can name \
                 another place",
                path.display(),
                temporary.display()
            ))
        };
        let copy = tempfile::tempdir().map_err(failed)?;
        copy_to_read(&directory.records(), copy.path(), &findings).map_err(failed)?;
        let engine = Engine::open(directory.path(), copy.path())?;
        let open = Open {
            ground: Ground::new(&directory.marker(), copy.path()).map_err(failed)?,
            engine,
        };
        let records = Self::new(open, directory, Some(copy));
        let to_read = "the store was opened to be read".to_owned();
        let _ = records.failure.set(StoreError::Misconfigured(to_read));
        Ok(records)
    }

    fn new(open: Open, directory: Directory, copy: Option<TempDir>) -> Self {
        Self {
            engine: RwLock::new(Ok(open)),
            reopened: Mutex::default(),
            failure: OnceLock::new(),
            copy,
            directory,
        }
    }

    /// Whether records can be written: nothing has failed for good, the files stand where they
    /// were opened, and the engine is at work. One that has given up is opened again.
    pub fn ping(&self) -> Result<(), StoreError> {
        self.writable()?;
        let working = self.with(|open| {
            open.stands()?;
            open.engine.takes_writes()
        });
        working.or_else(|_| self.reopen())
    }

    /// Takes no more writes, for a reason. The first one is the one to tell.
    pub fn stop(&self, reason: impl std::fmt::Display) {
        let refusal = format!("no more writes are taken ({reason})");
        tracing::error!("the embedded store: {refusal}");
        let _ = self.failure.set(StoreError::Unavailable(refusal));
    }

    /// Why nothing is written any more, when that is so.
    pub fn writable(&self) -> Result<(), StoreError> {
        self.failure
            .get()
            .map_or(Ok(()), |failure| Err(failure.clone()))
    }

    /// Opens the engine again when it has given up. What it has acknowledged is in its journal,
    /// and it has written nothing since, so nobody notices but by the wait.
    pub fn reopen(&self) -> Result<(), StoreError> {
        self.writable()?;
        let mut slot = match self.engine.try_write() {
            Ok(slot) => slot,
            Err(TryLockError::Poisoned(slot)) => slot.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(busy()),
        };
        if let Ok(open) = &*slot {
            open.stands()?;
            if open.engine.takes_writes().is_ok() {
                return Ok(());
            }
        }
        {
            let mut reopened = self.reopened.lock().unwrap_or_else(PoisonError::into_inner);
            if reopened.is_some_and(|last| last.elapsed() < REOPENING_PERIOD) {
                return slot
                    .as_ref()
                    .map(drop)
                    .map_err(Clone::clone)
                    .and(Err(busy()));
            }
            *reopened = Some(Instant::now());
        }
        tracing::warn!("the storage engine could not sort writes to disk; opening it again");
        // Its files are free when it has gone.
        *slot = Err(busy());
        *slot = Open::on(&self.directory).map_err(|error| match error {
            // Whatever stands in the way may go.
            StoreError::Misconfigured(reason) => {
                tracing::error!(reason, "the embedded store cannot be opened again");
                StoreError::Unavailable("the store cannot be opened again yet".to_owned())
            }
            other => other,
        });
        slot.as_ref().map(drop).map_err(Clone::clone)
    }

    pub(super) fn with<T>(
        &self,
        act: impl FnOnce(&Open) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let slot = match self.engine.try_read() {
            Ok(slot) => slot,
            Err(TryLockError::Poisoned(slot)) => slot.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(busy()),
        };
        act(slot.as_ref().map_err(Clone::clone)?)
    }

    /// The record of a profile. A point read: microseconds, so no thread is spent on it.
    pub fn load(
        &self,
        tenant: &Tenant,
        profile_id: &ProfileId,
    ) -> Result<Option<Stored>, StoreError> {
        let key = keys::key(tenant, profile_id);
        let value = self.with(|open| self.guarded(|| open.engine.records.get(key)))?;
        let stored = value.map(|value| self.stored(profile_id.clone(), &value));
        stored.transpose()
    }

    /// The version of what is stored under a key.
    pub fn version(&self, key: &[u8]) -> Result<Option<Version>, StoreError> {
        let Some(value) = self.with(|open| self.guarded(|| open.engine.records.get(key)))? else {
            return Ok(None);
        };
        let (version, _) = codec::split_value(&value).map_err(|error| self.damaged(error))?;
        Ok(Some(version))
    }

    /// Up to `limit` records of a tenant in the order of their ids, after the given one.
    pub fn scan(
        &self,
        tenant: &Tenant,
        after: Option<&ProfileId>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.with(|open| {
            let mut entries = open.engine.records.range(keys::range_after(tenant, after));
            let mut page = Vec::new();
            while page.len() < limit {
                let next =
                    self.guarded(|| entries.next().map(|entry| entry.into_inner()).transpose())?;
                let Some((key, value)) = next else { break };
                page.push(self.stored_under(&key, &value)?.1);
            }
            Ok(page)
        })
    }

    /// Has all records of a tenant read on all processors. Each takes some that follow each other
    /// and adds them to a new `T`, one by one; these are returned in the order of ids.
    pub fn read_all<T: Default + Send>(
        &self,
        tenant: &Tenant,
        add: impl Fn(&mut T, Stored) -> Result<(), StoreError> + Sync,
    ) -> Result<Vec<T>, StoreError> {
        self.with(|open| {
            let mut entries = open.engine.records.range(keys::range_after(tenant, None));
            let mut next = || entries.next().map(|entry| entry.into_inner());
            let mut some = || {
                let some = self.guarded(|| (0..READ_AT_ONCE).map_while(|_| next()).collect());
                some.map(|some: Vec<_>| (!some.is_empty()).then_some(some))
            };
            let parts = iter::from_fn(|| some().transpose());
            on_all_processors(parts, |entries| {
                let mut part = T::default();
                for (key, value) in entries? {
                    add(&mut part, self.stored_under(&key, &value)?.1)?;
                }
                Ok(part)
            })
        })
    }

    /// Every tenant that has a record: one seek for each.
    pub fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        self.with(|open| {
            let mut tenants = Vec::new();
            let mut from = Vec::new();
            while let Some(key) = self.guarded(|| {
                let mut entries = open.engine.records.range(from.as_slice()..);
                entries.next().map(|entry| entry.key()).transpose()
            })? {
                let (tenant, _) = keys::parse_key(&key).map_err(|error| self.damaged(error))?;
                from = keys::end_of(&tenant);
                tenants.push(tenant);
            }
            Ok(tenants)
        })
    }

    /// Writes values under keys, or removes what is there, each key once, all or none of them,
    /// durably. Nobody reads them before they are durable.
    pub fn write(
        &self,
        values: impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>,
    ) -> Result<(), StoreError> {
        self.write_to(|engine| &engine.records, values)
    }

    /// Writes values to a keyspace likewise.
    pub(super) fn write_to<K: Into<UserKey>, V: Into<UserValue>>(
        &self,
        keyspace: fn(&Engine) -> &Keyspace,
        values: impl IntoIterator<Item = (K, Option<V>)>,
    ) -> Result<(), StoreError> {
        self.commit(|engine, batch| {
            let keyspace = keyspace(engine);
            for (key, value) in values {
                match value {
                    Some(value) => batch.insert(keyspace, key, value),
                    None => batch.remove(keyspace, key),
                }
            }
        })
    }

    /// Where they are.
    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a batch. When it is not known whether that happened, nothing more is written.
    pub(super) fn commit(
        &self,
        fill: impl FnOnce(&Engine, &mut OwnedWriteBatch),
    ) -> Result<(), StoreError> {
        self.writable()?;
        let written = self.with(|open| {
            open.stands()?;
            let mut batch = open.engine.batch();
            fill(&open.engine, &mut batch);
            open.engine.commit(batch)?;
            // What was written to a file that has gone meanwhile, nobody finds again.
            open.stands()
                .map_err(|error| StoreError::OutcomeUnknown(error.to_string()))
        });
        match &written {
            Err(error @ StoreError::OutcomeUnknown(_)) => {
                self.stop(format!(
                    "writing failed earlier: {error}; restart to recover what was acknowledged"
                ));
            }
            // The next write may find it at work again.
            Err(_) => drop(self.reopen()),
            Ok(()) => {}
        }
        written
    }

    /// The record of an entry, and whose it is.
    pub(super) fn stored_under(
        &self,
        key: &[u8],
        value: &[u8],
    ) -> Result<(Tenant, Stored), StoreError> {
        let (tenant, profile_id) = keys::parse_key(key).map_err(|error| self.damaged(error))?;
        Ok((tenant, self.stored(profile_id, value)?))
    }

    fn stored(&self, profile_id: ProfileId, value: &[u8]) -> Result<Stored, StoreError> {
        let (version, record) = codec::split_value(value).map_err(|error| self.damaged(error))?;
        let record = codec::decode(record).map_err(|error| self.damaged(error))?;
        Ok(Stored {
            profile_id,
            version,
            record: Arc::new(record),
            bytes: value.len(),
        })
    }

    pub(super) fn guarded<T>(
        &self,
        read: impl FnOnce() -> fjall::Result<T>,
    ) -> Result<T, StoreError> {
        guarded(self.directory.path(), read)
    }

    fn damaged(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Corrupt(reason) => damaged(self.directory.path(), reason),
            other => other,
        }
    }
}

impl Open {
    /// Opens the engine on the files of a directory, after a look at them.
    fn on(directory: &Directory) -> Result<Self, StoreError> {
        let findings = look_at(directory)?;
        findings.cut_torn()?;
        let (path, records) = (directory.path(), directory.records());
        let failed = |error| unusable(path, &error);
        findings.seal(false).write(path).map_err(failed)?;
        Ok(Self {
            engine: Engine::open(path, &records)?,
            ground: Ground::new(&directory.marker(), &records).map_err(failed)?,
        })
    }

    /// Whether the files are where they were when it was opened.
    fn stands(&self) -> Result<(), StoreError> {
        match self.ground.lost() {
            None => Ok(()),
            // Callers are told the reason too, and a path is none of their business.
            Some(path) => Err(StoreError::Unavailable(format!(
                "\"{}\" is no longer the file that the store was opened on: its directory was moved, \
                 removed or replaced; move it back, or stop the server and start it on the right one",
                path.file_name().unwrap_or_default().display()
            ))),
        }
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        let slot = self
            .engine
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let Ok(open) = std::mem::replace(slot, Err(busy())) else {
            return;
        };
        let is_sound = self.copy.is_none() && self.failure.get().is_none() && open.stands().is_ok();
        // The engine has written all that it writes when it has gone.
        drop(open);
        if is_sound && let Err(error) = seal(&self.directory) {
            tracing::warn!(%error, "the journal of the embedded store is not sealed");
        }
    }
}

/// Seals what the journal says.
fn seal(directory: &Directory) -> Result<(), StoreError> {
    let findings = look_at(directory)?;
    let sealed = findings.seal(true).write(directory.path());
    sealed.map_err(|error| unusable(directory.path(), &error))
}

/// What the journal of a directory says; an error when it is damaged.
fn look_at(directory: &Directory) -> Result<Findings, StoreError> {
    let path = directory.path();
    let findings = examine(path, &directory.records()).map_err(|error| unusable(path, &error))?;
    findings.refuse_damage(path)?;
    Ok(findings)
}

fn busy() -> StoreError {
    StoreError::Unavailable("the store is being opened again".to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Where the engine keeps its tables.
    const TABLES: &str = "keyspaces";

    fn opened_once() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        drop(Records::open(directory.path()).unwrap());
        directory
    }

    fn assert_damaged(directory: &tempfile::TempDir) {
        for _ in 0..2 {
            let refused = Records::open(directory.path()).err().unwrap();
            assert!(matches!(refused, StoreError::Corrupt(_)), "{refused}");
        }
    }

    #[test]
    fn a_store_without_its_journal_is_damaged_and_not_empty() {
        let directory = opened_once();
        let records = directory.path().join("records");
        for file in fs::read_dir(&records).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|name| name == "jnl") {
                fs::remove_file(path).unwrap();
            }
        }
        assert_damaged(&directory);
    }

    #[test]
    fn a_store_that_has_lost_its_models_is_damaged() {
        let directory = opened_once();
        let tables = directory.path().join("records").join(TABLES);
        fs::remove_file(tables.join("2/current")).unwrap();
        assert_damaged(&directory);
    }

    #[test]
    fn a_store_without_its_table_is_damaged_and_not_empty() {
        let directory = opened_once();
        fs::remove_file(directory.path().join("records/keyspaces/1/current")).unwrap();
        assert_damaged(&directory);
    }

    #[test]
    fn a_table_that_a_start_did_not_finish_adding_is_passed_over_unless_it_holds_something() {
        let directory = opened_once();
        let tables = directory.path().join("records").join(TABLES);
        // As a store of before there were audit entries, whose first start after that was cut off.
        fs::remove_dir_all(tables.join("3")).unwrap();
        let begun = tables.join("9").join("tables");
        fs::create_dir_all(&begun).unwrap();
        fs::write(begun.join("1"), "what was sorted to disk").unwrap();
        assert_damaged(&directory);
        fs::remove_file(begun.join("1")).unwrap();
        drop(Records::open_to_read(directory.path()).unwrap());
        let records = Records::open(directory.path()).unwrap();
        let entry = (b"scope".to_vec(), Some("entry".to_owned()));
        records.write_audit([entry]).unwrap();
        drop(records);
        let records = Records::open(directory.path()).unwrap();
        let kept = records.audit_entries(b"a".to_vec()..b"z".to_vec(), 9);
        assert_eq!(kept, Ok(vec!["entry".to_owned()]));
    }
}
