//! Whether the files of a store still stand where they were opened. A directory that is renamed
//! or removed under a running process takes writes all the same, and nobody finds them again.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::journal::Journal;

/// The files of a store that is open.
pub struct Ground {
    /// The mark of the directory, which holds the lock, and the directory of the engine.
    fixed: [(PathBuf, Identity); 2],
    records: PathBuf,
    /// The journal's latest file; the engine begins a new one from time to time.
    journal: Mutex<(u64, Identity)>,
}

/// How many files of the journal may be new since the last look.
const NEW_FILES: u64 = 8;

/// What a file is, whatever it is called: device and number.
type Identity = (u64, u64);

impl Ground {
    /// The files as they stand now.
    pub fn new(marker: &Path, records: &Path) -> io::Result<Self> {
        let fixed = |path: &Path| Ok::<_, io::Error>((path.to_owned(), identity(path)?));
        Ok(Self {
            fixed: [fixed(marker)?, fixed(records)?],
            journal: Mutex::new(latest(records)?),
            records: records.to_owned(),
        })
    }

    /// What is no longer where it was, when something is not. A few microseconds.
    pub fn lost(&self) -> Option<PathBuf> {
        let moved = self.fixed.iter().find(|(path, is)| !is_at(path, *is));
        if let Some((path, _)) = moved {
            return Some(path.clone());
        }
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let path_of = |id: u64| Journal::path(&self.records, id);
        let first = journal.0 + 1;
        // Those before a new file may be deleted.
        for id in first..first + NEW_FILES {
            if let Ok(is) = identity(&path_of(id)) {
                *journal = (id, is);
            } else if is_at(&path_of(journal.0), journal.1) {
                break;
            }
        }
        let (id, is) = *journal;
        (!is_at(&path_of(id), is)).then(|| path_of(id))
    }
}

fn latest(records: &Path) -> io::Result<(u64, Identity)> {
    let (id, path) = Journal::all(records)?
        .pop()
        .ok_or(io::ErrorKind::NotFound)?;
    Ok((id, identity(&path)?))
}

fn is_at(path: &Path, is: Identity) -> bool {
    identity(path).is_ok_and(|found| found == is)
}

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Elsewhere only whether there is a file.
#[cfg(not(unix))]
fn identity(path: &Path) -> io::Result<Identity> {
    fs::metadata(path).map(|_| (0, 0))
}
