//! The data directory: ours alone, and one process at a time.
//!
//! `bellwether-store` marks the directory, names its format and carries the lock;
//! `records` holds the engine's files. The mark is complete only after the engine has
//! been set up, so a directory that was interrupted while it was made is made anew, and
//! one that has lost its records is not mistaken for a new one.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use super::super::StoreError;

const MARKER: &str = "bellwether-store";
const RECORDS: &str = "records";
const UNFINISHED: &str = "records.unfinished";
const FORMAT: &str = "bellwether embedded store, format 1\n";
/// More than any marker that a version of this store writes.
const MAX_MARKER_BYTES: u64 = 256;

/// A data directory that this process holds.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Locked as long as it is open.
    marker: File,
}

impl Directory {
    /// Takes the directory for this process, creating it when it is missing, and has
    /// `set_up` create the engine's files in a new one.
    pub fn claim(
        path: &Path,
        set_up: impl FnOnce(&Path) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        let failed = |error: std::io::Error| unusable(path, &error);
        create(path).map_err(failed)?;
        let marked = path.join(MARKER).try_exists().map_err(failed)?;
        if !marked && fs::read_dir(path).map_err(failed)?.next().is_some() {
            return Err(StoreError::Misconfigured(format!(
                "{} holds something else than a Bellwether store; name an empty or a new directory",
                path.display()
            )));
        }
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let (mut directory, format) = Self::lock(path, &options)?;
        if format.is_empty() {
            directory.finish(set_up)?;
            return Ok(directory);
        }
        directory.check_format(&format)?;
        Ok(directory)
    }

    /// Takes a directory that was set up, and changes nothing in it.
    pub fn claim_as_it_is(path: &Path) -> Result<Self, StoreError> {
        if !path.join(MARKER).is_file() {
            return Err(StoreError::Misconfigured(format!(
                "there is no store in {}",
                path.display()
            )));
        }
        let (directory, format) = Self::lock(path, OpenOptions::new().read(true))?;
        directory.check_format(&format)?;
        Ok(directory)
    }

    /// The directory, locked, and the format that its mark names.
    fn lock(path: &Path, options: &OpenOptions) -> Result<(Self, Vec<u8>), StoreError> {
        let failed = |error: std::io::Error| unusable(path, &error);
        let mut marker = options.open(path.join(MARKER)).map_err(failed)?;
        match marker.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Misconfigured(format!(
                    "another process is using {}; stop it, or name another directory",
                    path.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut format = Vec::new();
        Read::by_ref(&mut marker)
            .take(MAX_MARKER_BYTES)
            .read_to_end(&mut format)
            .map_err(failed)?;
        let directory = Self {
            path: path.to_owned(),
            marker,
        };
        Ok((directory, format))
    }

    fn check_format(&self, format: &[u8]) -> Result<(), StoreError> {
        if format != FORMAT.as_bytes() {
            return Err(StoreError::Misconfigured(format!(
                "{} is in a format that this version does not read: {:?}; use the version that \
                 wrote it to export the data",
                self.path.display(),
                String::from_utf8_lossy(format).trim_end()
            )));
        }
        if !self.records().is_dir() {
            return Err(damaged(&self.path, "its records are missing"));
        }
        Ok(())
    }

    /// The file that marks it and carries the lock.
    pub fn marker(&self) -> PathBuf {
        self.path.join(MARKER)
    }

    /// Where the engine's files are.
    pub fn records(&self) -> PathBuf {
        self.path.join(RECORDS)
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn finish(
        &mut self,
        set_up: impl FnOnce(&Path) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let failed = |error: std::io::Error| unusable(&self.path, &error);
        let records = self.records();
        if !records.try_exists().map_err(failed)? {
            let unfinished = self.path.join(UNFINISHED);
            if unfinished.try_exists().map_err(failed)? {
                fs::remove_dir_all(&unfinished).map_err(failed)?;
            }
            set_up(&unfinished)?;
            fs::rename(&unfinished, &records).map_err(failed)?;
            sync_directory(&self.path).map_err(failed)?;
        }
        self.marker
            .write_all(FORMAT.as_bytes())
            .and_then(|()| self.marker.sync_all())
            .map_err(failed)
    }
}

/// Creates a directory so that it survives a crash.
fn create(path: &Path) -> std::io::Result<()> {
    if path.try_exists()? {
        return Ok(());
    }
    fs::create_dir_all(path)?;
    match path.canonicalize()?.parent() {
        Some(parent) => sync_directory(parent),
        None => Ok(()),
    }
}

/// Makes what was renamed in a directory survive a crash.
#[cfg(unix)]
pub fn sync_directory(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

/// Not every system can.
#[cfg(not(unix))]
pub fn sync_directory(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// The error for files that cannot be used now.
pub fn unusable(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Misconfigured(format!("{} cannot be used: {error}", path.display()))
}

/// The error for data that was written and cannot be read.
pub fn damaged(path: &Path, reason: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!(
        "{} is damaged ({reason}); move it away and import the latest export into a new directory",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_up(path: &Path) -> Result<(), StoreError> {
        fs::create_dir(path).unwrap();
        fs::write(path.join("file"), "engine").unwrap();
        Ok(())
    }

    #[test]
    fn a_new_directory_is_created_and_found_again() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        drop(Directory::claim(&path, set_up).unwrap());
        let again = Directory::claim(&path, |_| panic!("it is set up already")).unwrap();
        assert_eq!(fs::read(again.records().join("file")).unwrap(), b"engine");
    }

    #[test]
    fn what_was_interrupted_while_it_was_made_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let interrupted = Directory::claim(directory.path(), |path| {
            fs::create_dir(path).unwrap();
            fs::write(path.join("half"), "").unwrap();
            Err(StoreError::Unavailable("a crash".to_owned()))
        });
        assert!(matches!(interrupted, Err(StoreError::Unavailable(_))));
        let made = Directory::claim(directory.path(), set_up).unwrap();
        assert!(made.records().join("file").exists());
        assert!(!made.records().join("half").exists());
    }

    #[test]
    fn what_somebody_else_put_there_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("letters.txt"), "dear").unwrap();
        let refused = Directory::claim(directory.path(), set_up).unwrap_err();
        assert!(matches!(refused, StoreError::Misconfigured(_)), "{refused}");
        let left: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
        assert_eq!(left.len(), 1);
    }

    #[test]
    fn an_unknown_format_is_refused_with_its_name() {
        let directory = tempfile::tempdir().unwrap();
        drop(Directory::claim(directory.path(), set_up).unwrap());
        let marker = directory.path().join(MARKER);
        fs::write(marker, "bellwether embedded store, format 7\n").unwrap();
        let refused = Directory::claim(directory.path(), set_up).unwrap_err();
        assert!(refused.to_string().contains("format 7"), "{refused}");
    }

    #[test]
    fn a_directory_that_lost_its_records_is_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let records = Directory::claim(directory.path(), set_up)
            .unwrap()
            .records();
        fs::remove_dir_all(records).unwrap();
        let refused = Directory::claim(directory.path(), set_up).unwrap_err();
        assert!(matches!(refused, StoreError::Corrupt(_)), "{refused}");
    }

    #[test]
    fn two_cannot_hold_one_directory() {
        let directory = tempfile::tempdir().unwrap();
        let first = Directory::claim(directory.path(), set_up).unwrap();
        let refused = Directory::claim(directory.path(), set_up).unwrap_err();
        let name = directory.path().display().to_string();
        assert!(matches!(refused, StoreError::Misconfigured(_)), "{refused}");
        assert!(refused.to_string().contains(&name), "{refused}");
        drop(first);
        assert!(Directory::claim(directory.path(), set_up).is_ok());
    }
}
