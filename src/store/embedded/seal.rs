//! The seal: what the journal said when it was last known to be whole, when the store was opened
//! or closed, so that what was changed or cut off meanwhile is noticed though nothing stands
//! behind it. The journal only grows, and its oldest files go when the engine has sorted what they
//! say to tables.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use xxhash_rust::xxh3::xxh3_64;

use super::{directory::sync_directory, journal::Journal};

const FILE: &str = "bellwether-seal";
const UNFINISHED: &str = "bellwether-seal.unfinished";
const FORMAT: &str = "bellwether seal, format 1";

/// What every file of the journal said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Whether the store was closed then, and no file has gone since.
    pub is_closed: bool,
    /// The files, ascending.
    pub files: Vec<SealedFile>,
}

/// What a file of the journal said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedFile {
    /// Which one.
    pub id: u64,
    /// How much of it.
    pub bytes: usize,
    /// A hash of that.
    pub hash: u64,
}

impl SealedFile {
    /// The first bytes of a file as they are.
    pub fn of(journal: &Journal, bytes: usize) -> Self {
        Self {
            id: journal.id,
            bytes,
            hash: xxh3_64(&journal.bytes[..bytes]),
        }
    }

    /// Whether a file still says that.
    pub fn holds(&self, journal: &Journal) -> bool {
        let sealed = journal.bytes.get(..self.bytes);
        sealed.is_some_and(|sealed| xxh3_64(sealed) == self.hash)
    }
}

impl Seal {
    /// Where the seal of a directory stands.
    pub fn path(directory: &Path) -> PathBuf {
        directory.join(FILE)
    }

    /// The seal of a directory; `None` when it has none, as those of earlier versions.
    pub fn read(directory: &Path) -> io::Result<Option<Self>> {
        match fs::read_to_string(Self::path(directory)) {
            Ok(text) => parse(&text).map(Some).ok_or_else(|| {
                io::Error::new(ErrorKind::InvalidData, format!("{FILE} cannot be read"))
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts it in the place of the one before, all or nothing.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        let unfinished = directory.join(UNFINISHED);
        let mut file = File::create(&unfinished)?;
        file.write_all(self.text().as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, Self::path(directory))?;
        sync_directory(directory)
    }

    fn text(&self) -> String {
        let state = if self.is_closed { "closed" } else { "open" };
        let mut text = format!("{FORMAT}\n{state}\n");
        for SealedFile { id, bytes, hash } in &self.files {
            text += &format!("{id} {bytes} {hash:016x}\n");
        }
        let hash = xxh3_64(text.as_bytes());
        text + &format!("{hash:016x}\n")
    }
}

fn parse(text: &str) -> Option<Seal> {
    let mut lines = text.strip_prefix(FORMAT)?.strip_prefix('\n')?.lines();
    let is_closed = lines.next()? == "closed";
    let mut files = Vec::new();
    for line in lines {
        let words: Vec<_> = line.split(' ').collect();
        if let [id, bytes, hash] = words[..] {
            files.push(SealedFile {
                id: id.parse().ok()?,
                bytes: bytes.parse().ok()?,
                hash: u64::from_str_radix(hash, 16).ok()?,
            });
        }
    }
    let seal = Seal { is_closed, files };
    // Its last line, the hash of the others, included.
    (seal.text() == text).then_some(seal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal() -> Seal {
        let file = |id, bytes, hash| SealedFile { id, bytes, hash };
        Seal {
            is_closed: true,
            files: vec![file(3, 70_000_000, u64::MAX), file(4, 0, 1)],
        }
    }

    #[test]
    fn a_seal_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Seal::read(directory.path()).unwrap(), None);
        for is_closed in [true, false] {
            let seal = Seal {
                is_closed,
                ..seal()
            };
            seal.write(directory.path()).unwrap();
            assert_eq!(Seal::read(directory.path()).unwrap(), Some(seal));
        }
    }

    #[test]
    fn a_seal_that_was_changed_is_refused() {
        let text = seal().text();
        for position in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[position] ^= 1;
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(parse(&changed), None, "{changed}");
        }
        assert_eq!(parse(&text[..text.len() - 1]), None);
    }
}
