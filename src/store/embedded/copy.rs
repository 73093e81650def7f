//! A copy of the engine's files to read: the engine cannot open a journal without cutting it off
//! where it ends. Tables never change, so they are linked.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

use super::{check::Findings, journal};

/// Where the engine keeps the files that never change.
const TABLES: &str = "tables";

/// Copies the engine's files, those of the journal as far as they can be read.
pub fn copy_to_read(records: &Path, to: &Path, findings: &Findings) -> io::Result<()> {
    for (path, readable) in &findings.files {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let mut journal = File::open(path)?.take(readable.bytes as u64);
        io::copy(&mut journal, &mut File::create(to.join(name))?)?;
    }
    copy_others(&records.canonicalize()?, to)
}

fn copy_others(from: &Path, to: &Path) -> io::Result<()> {
    let is_tables = from.file_name().is_some_and(|name| name == TABLES);
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            copy_others(&path, &target)?;
        } else if is_tables {
            link(&path, &target)?;
        } else if !journal::is_journal(&path) {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn link(path: &Path, target: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(path, target)
}

#[cfg(not(unix))]
fn link(path: &Path, target: &Path) -> io::Result<()> {
    fs::copy(path, target).map(drop)
}
