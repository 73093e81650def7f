//! Records on disk, in fjall. Whatever the engine says or does when its files are damaged
//! becomes a [`StoreError`] here.

use std::{
    fs::{self, DirEntry},
    io::ErrorKind,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, LsmError, OwnedWriteBatch, PersistMode};

use super::{
    super::{StoreError, Stored, Version, codec},
    directory::{Directory, damaged},
    keys,
};
use crate::scoring::{ProfileId, Tenant};

const KEYSPACE: &str = "records";
const MODELS: &str = "models";
/// Where the engine keeps its tables, each in a directory with a file that names its version.
const TABLES: &str = "keyspaces";
const VERSION_OF_TABLE: &str = "current";
/// Blocks of records kept in memory: enough for some ten thousand hot profiles.
const CACHE_BYTES: u64 = 128 * 1024 * 1024;
/// Writes kept in memory until they are sorted to disk; a few of these at a time.
const MEMTABLE_BYTES: u64 = 32 * 1024 * 1024;
/// Journals on disk: what a start after a crash replays at most.
const JOURNAL_BYTES: u64 = 256 * 1024 * 1024;
/// Threads that sort writes to disk: one stays free for flushes while the other compacts.
const WORKER_THREADS: usize = 2;

/// The records of every tenant. Fields drop in order: the directory is let go last.
pub struct Records {
    keyspace: Keyspace,
    models: Keyspace,
    database: Database,
    directory: Directory,
}

impl Records {
    /// Opens the records in a directory, creating it when it is missing.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let directory = Directory::claim(path, |records| {
            guarded(path, || {
                let database = open_database(records)?;
                open_keyspace(&database)?;
                open_models(&database).map(drop)
            })
        })?;
        let records = directory.records();
        // The engine takes the lack of either for a store that was never written.
        if !has_journal(&records) {
            return Err(damaged(path, "its journal is missing"));
        }
        // The engine would delete the rest of such a table, and go on without it.
        if has_torn_table(&records) {
            return Err(damaged(path, "a table is missing"));
        }
        let database = guarded(path, || open_database(&records))?;
        if !database.keyspace_exists(KEYSPACE) {
            return Err(damaged(path, "its table of records is missing"));
        }
        let keyspace = guarded(path, || open_keyspace(&database))?;
        let models = guarded(path, || open_models(&database))?;
        Ok(Self {
            keyspace,
            models,
            database,
            directory,
        })
    }

    /// The record of a profile. A point read: microseconds, so no thread is spent on it.
    pub fn load(
        &self,
        tenant: &Tenant,
        profile_id: &ProfileId,
    ) -> Result<Option<Stored>, StoreError> {
        let key = keys::key(tenant, profile_id);
        let Some(value) = self.guarded(|| self.keyspace.get(key))? else {
            return Ok(None);
        };
        self.stored(profile_id.clone(), &value).map(Some)
    }

    /// The version of what is stored under a key.
    pub fn version(&self, key: &[u8]) -> Result<Option<Version>, StoreError> {
        let Some(value) = self.guarded(|| self.keyspace.get(key))? else {
            return Ok(None);
        };
        let (version, _) = keys::parse_value(&value).map_err(|error| self.damaged(error))?;
        Ok(Some(version))
    }

    /// Up to `limit` records of a tenant in the order of their ids, after the given one.
    pub fn scan(
        &self,
        tenant: &Tenant,
        after: Option<&ProfileId>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let mut entries = self.keyspace.range(keys::range_after(tenant, after));
        let mut page = Vec::new();
        while page.len() < limit {
            let next =
                self.guarded(|| entries.next().map(|entry| entry.into_inner()).transpose())?;
            let Some((key, value)) = next else { break };
            let (_, profile_id) = keys::parse_key(&key).map_err(|error| self.damaged(error))?;
            page.push(self.stored(profile_id, &value)?);
        }
        Ok(page)
    }

    /// Every tenant that has a record: one seek for each.
    pub fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        let mut tenants = Vec::new();
        let mut from = Vec::new();
        while let Some(key) = self.guarded(|| {
            let mut entries = self.keyspace.range(from.as_slice()..);
            entries.next().map(|entry| entry.key()).transpose()
        })? {
            let (tenant, _) = keys::parse_key(&key).map_err(|error| self.damaged(error))?;
            from = keys::end_of(&tenant);
            tenants.push(tenant);
        }
        Ok(tenants)
    }

    /// Writes values under keys, or removes what is there, each key once, all or none of them,
    /// durably. Nobody reads them before they are durable.
    pub fn write(
        &self,
        values: impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>,
    ) -> Result<(), StoreError> {
        let mut batch = self.batch();
        for (key, value) in values {
            match value {
                Some(value) => batch.insert(&self.keyspace, key, value),
                None => batch.remove(&self.keyspace, key),
            }
        }
        commit(batch)
    }

    /// What is noted of models under a key.
    pub fn model_entry(&self, key: &str) -> Result<Option<String>, StoreError> {
        let Some(value) = self.guarded(|| self.models.get(key))? else {
            return Ok(None);
        };
        let text = String::from_utf8(value.to_vec());
        text.map(Some).map_err(|_| self.damaged_models())
    }

    /// Notes of models, all or none of them, durably.
    pub fn write_models(
        &self,
        values: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), StoreError> {
        let mut batch = self.batch();
        for (key, value) in values {
            batch.insert(&self.models, key, value);
        }
        commit(batch)
    }

    /// The error for notes of models that cannot be read.
    pub fn damaged_models(&self) -> StoreError {
        damaged(self.directory.path(), "its models cannot be read")
    }

    fn batch(&self) -> OwnedWriteBatch {
        // The journal grows by appending: its new length is data to `fdatasync` too.
        self.database
            .batch()
            .durability(Some(PersistMode::SyncData))
    }

    fn stored(&self, profile_id: ProfileId, value: &[u8]) -> Result<Stored, StoreError> {
        let (version, record) = keys::parse_value(value).map_err(|error| self.damaged(error))?;
        let record = codec::decode(record).map_err(|error| self.damaged(error))?;
        Ok(Stored {
            profile_id,
            version,
            record,
        })
    }

    fn guarded<T>(&self, read: impl FnOnce() -> fjall::Result<T>) -> Result<T, StoreError> {
        guarded(self.directory.path(), read)
    }

    fn damaged(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Corrupt(reason) => damaged(self.directory.path(), reason),
            other => other,
        }
    }
}

fn commit(batch: OwnedWriteBatch) -> Result<(), StoreError> {
    match catch_unwind(AssertUnwindSafe(|| batch.commit())) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(fjall::Error::Poisoned)) => Err(StoreError::Unavailable(
            "the storage engine takes no more writes after an earlier failure".to_owned(),
        )),
        Ok(Err(error)) => Err(StoreError::OutcomeUnknown(format!(
            "writing the journal failed: {error}"
        ))),
        Err(_) => Err(StoreError::OutcomeUnknown(
            "the storage engine stopped while writing".to_owned(),
        )),
    }
}

fn has_journal(records: &Path) -> bool {
    let is_journal = |file: &DirEntry| file.path().extension().is_some_and(|name| name == "jnl");
    fs::read_dir(records)
        .is_ok_and(|mut files| files.any(|file| file.is_ok_and(|file| is_journal(&file))))
}

/// Replays the journal. What is torn at its end was never acknowledged, so the engine cuts it
/// off; it cannot tell that from a journal that somebody cut later.
fn open_database(records: &Path) -> fjall::Result<Database> {
    Database::builder(records)
        .cache_size(CACHE_BYTES)
        .max_journaling_size(JOURNAL_BYTES)
        .worker_threads(WORKER_THREADS)
        .open()
}

fn open_keyspace(database: &Database) -> fjall::Result<Keyspace> {
    database.keyspace(KEYSPACE, || {
        KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES)
    })
}

fn open_models(database: &Database) -> fjall::Result<Keyspace> {
    database.keyspace(MODELS, KeyspaceCreateOptions::default)
}

fn has_torn_table(records: &Path) -> bool {
    let is_torn = |table: &DirEntry| !table.path().join(VERSION_OF_TABLE).exists();
    fs::read_dir(records.join(TABLES))
        .is_ok_and(|mut tables| tables.any(|table| table.is_ok_and(|table| is_torn(&table))))
}

/// Runs a read of the engine, which answers some damage by an error and some by a panic.
fn guarded<T>(path: &Path, read: impl FnOnce() -> fjall::Result<T>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(from_engine(path, &error)),
        Err(_) => Err(damaged(path, "the storage engine stopped at it")),
    }
}

fn from_engine(path: &Path, error: &fjall::Error) -> StoreError {
    match error {
        fjall::Error::Io(cause) | fjall::Error::Storage(LsmError::Io(cause))
            if !matches!(
                cause.kind(),
                ErrorKind::NotFound
                    | ErrorKind::UnexpectedEof
                    | ErrorKind::InvalidData
                    | ErrorKind::InvalidInput
                    | ErrorKind::AlreadyExists
                    | ErrorKind::Other
            ) =>
        {
            StoreError::Unavailable(format!("reading {} failed: {cause}", path.display()))
        }
        fjall::Error::Locked => StoreError::Misconfigured(format!(
            "another process is using the files in {}; stop it",
            path.display()
        )),
        other => damaged(path, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
