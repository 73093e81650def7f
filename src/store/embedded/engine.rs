//! The engine, fjall, on the files of one directory. Whatever it says or does when they are
//! damaged becomes a [`StoreError`] here, and it opens nothing that was not looked at before.

use std::{
    fs,
    io::{self, ErrorKind},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use fjall::{
    AbstractTree as _, AnyTree, Database, Keyspace, KeyspaceCreateOptions, LsmError,
    OwnedWriteBatch, PersistMode,
};
use xxhash_rust::xxh3::xxh3_128;

use super::{
    super::StoreError,
    directory::{damaged, unusable},
    entries::{Unread, UnreadEntries},
    keys::KeyBounds,
};

const KEYSPACE: &str = "records";
const MODELS: &str = "models";
const AUDIT: &str = "audit";
/// Where the engine keeps its tables, each in a directory with a file that names its version.
const TABLES: &str = "keyspaces";
const VERSION_OF_TABLE: &str = "current";
/// Blocks of records kept in memory: enough for some ten thousand hot profiles. A start fills it.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Writes kept in memory until they are sorted to disk; a few of these at a time.
const MEMTABLE_BYTES: u64 = 32 * 1024 * 1024;
/// Journals on disk: what a start after a crash replays at most.
const JOURNAL_BYTES: u64 = 256 * 1024 * 1024;
/// Threads that sort writes to disk: one stays free for flushes while the other compacts.
const WORKER_THREADS: usize = 2;
/// Memtables that wait to be sorted, and runs that wait to be merged, from which on a write waits.
/// The engine would hold it one or two later, and for ever when its threads have ended.
const MAX_UNSORTED: usize = 3;
const MAX_UNMERGED: usize = 28;
/// How long a write waits before it looks again.
const WAIT: Duration = Duration::from_millis(5);

/// The engine at work. Fields drop in order.
pub struct Engine {
    /// Records by profile.
    pub records: Keyspace,
    /// Notes of models.
    pub models: Keyspace,
    /// Audit entries by scope and time.
    pub audit: Keyspace,
    unread: UnreadEntries,
    database: Database,
    /// Held while a batch is put in.
    committing: Mutex<()>,
}

impl Engine {
    /// Makes the files of a new store.
    pub fn set_up(directory: &Path, records: &Path) -> Result<(), StoreError> {
        guarded(directory, || {
            let database = open_database(records)?;
            open_keyspace(&database)?;
            open_models(&database)?;
            open_audit(&database).map(drop)
        })
    }

    /// Opens files that were looked at, which replays the journal; `directory` is what they are
    /// called in errors.
    pub fn open(directory: &Path, records: &Path) -> Result<Self, StoreError> {
        // The engine would delete the rest of such a table, and go on without it.
        check_tables(directory, records)?;
        let database = guarded(directory, || open_database(records))?;
        if !database.keyspace_exists(KEYSPACE) {
            return Err(damaged(directory, "its table of records is missing"));
        }
        Ok(Self {
            records: guarded(directory, || open_keyspace(&database))?,
            models: guarded(directory, || open_models(&database))?,
            audit: guarded(directory, || open_audit(&database))?,
            unread: UnreadEntries::default(),
            database,
            committing: Mutex::default(),
        })
    }

    /// The records under some keys as they are now, whatever is written while they are read.
    pub fn records_now(&self, keys: &KeyBounds) -> fjall::Result<Unread> {
        // The engine shows what there is of a batch when it sorts others to disk meanwhile.
        let _whole = self
            .committing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // While one is open, the engine keeps everything in memory that is written meanwhile. An
        // iterator of its table has what it needs: the sorted files and the few memtables of now.
        let snapshot = self.database.snapshot();
        let AnyTree::Standard(table) = &self.records.tree else {
            return Err(LsmError::InvalidHeader("records").into());
        };
        let entries = table.create_range(keys, snapshot.seqno(), None);
        let entries = entries.map(|entry| entry.map_err(Into::into));
        Ok(self.unread.add(Box::new(entries)))
    }

    /// A batch to fill and to commit.
    pub fn batch(&self) -> OwnedWriteBatch {
        // The journal grows by appending: its new length is data to `fdatasync` too.
        self.database
            .batch()
            .durability(Some(PersistMode::SyncData))
    }

    /// Writes and syncs a batch. [`StoreError::Unavailable`] when the engine had given up before
    /// and nothing was written.
    pub fn commit(&self, batch: OwnedWriteBatch) -> Result<(), StoreError> {
        self.await_room()?;
        let _whole = self
            .committing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match catch_unwind(AssertUnwindSafe(|| batch.commit())) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(fjall::Error::Poisoned)) => Err(given_up()),
            Ok(Err(error)) => Err(StoreError::OutcomeUnknown(format!(
                "writing the journal failed: {error}"
            ))),
            Err(_) => Err(StoreError::OutcomeUnknown(
                "the storage engine stopped while writing".to_owned(),
            )),
        }
    }

    /// Whether the engine takes writes. It does not from when one of its threads could not sort
    /// writes to disk, for want of room or of descriptors, and says nowhere which.
    pub fn takes_writes(&self) -> Result<(), StoreError> {
        match self.database.persist(PersistMode::Buffer) {
            Ok(()) => Ok(()),
            Err(_) => Err(given_up()),
        }
    }

    fn await_room(&self) -> Result<(), StoreError> {
        let is_behind = |keyspace: &Keyspace| {
            keyspace.tree.sealed_memtable_count() >= MAX_UNSORTED
                || keyspace.tree.l0_run_count() >= MAX_UNMERGED
        };
        while [&self.records, &self.models, &self.audit]
            .into_iter()
            .any(is_behind)
        {
            self.takes_writes()?;
            // A thread that may block, as syncs do.
            thread::park_timeout(WAIT);
        }
        Ok(())
    }
}

fn given_up() -> StoreError {
    StoreError::Unavailable(
        "the storage engine could not sort writes to disk; it is opened again".to_owned(),
    )
}

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

fn open_audit(database: &Database) -> fjall::Result<Keyspace> {
    database.keyspace(AUDIT, KeyspaceCreateOptions::default)
}

/// Which version of a table is current stands in one file with a hash of the file of that
/// version, which the engine writes and does not compare.
fn check_tables(directory: &Path, records: &Path) -> Result<(), StoreError> {
    let failed = |error: io::Error| unusable(directory, &error);
    for table in fs::read_dir(records.join(TABLES)).map_err(failed)? {
        let table = table.map_err(failed)?.path();
        let current = table.join(VERSION_OF_TABLE);
        let is_right = match fs::read(&current) {
            Ok(bytes) => is_version(&table, &bytes).map_err(failed)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if is_unfinished(&table).map_err(failed)? {
                    continue;
                }
                return Err(damaged(directory, "a table is missing"));
            }
            Err(error) => return Err(failed(error)),
        };
        if !is_right {
            let current = current.display();
            let reason = format!("{current}, or the file that it names, is not what was written");
            return Err(damaged(directory, reason));
        }
    }
    Ok(())
}

/// Whether a keyspace was being added to a store of an earlier version when its start was cut off:
/// there is no file in it yet, and the engine removes it.
fn is_unfinished(table: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(table)? {
        let path = entry?.path();
        if !path.is_dir() || fs::read_dir(path)?.next().is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether these bytes name a version of a table by its number and the hash of its file.
fn is_version(table: &Path, bytes: &[u8]) -> io::Result<bool> {
    let Some((number, rest)) = bytes.split_first_chunk() else {
        return Ok(false);
    };
    let Some((hash, [0])) = rest.split_first_chunk() else {
        return Ok(false);
    };
    match fs::read(table.join(format!("v{}", u64::from_le_bytes(*number)))) {
        Ok(version) => Ok(xxh3_128(&version) == u128::from_le_bytes(*hash)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Runs a read of the engine, which answers some damage by an error and some by a panic.
pub fn guarded<T>(path: &Path, read: impl FnOnce() -> fjall::Result<T>) -> Result<T, StoreError> {
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
            // Callers are told the reason too, and a path is none of their business.
            StoreError::Unavailable(format!("the files of the store cannot be read: {cause}"))
        }
        fjall::Error::Locked => StoreError::Misconfigured(format!(
            "another process is using the files in {}; stop it",
            path.display()
        )),
        other => damaged(path, other),
    }
}
