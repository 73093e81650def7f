//! Where a replay stands, in a file that is replaced in one step, so that a later run goes
//! on from there.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::lines::Position;
use crate::cli::failure::Failure;

/// Bytes at the start of a source by which it is known again.
const KNOWN_BY_BYTES: u64 = 64 * 1024;

/// How a source is known again, also when it has been moved or has grown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Where it was found, for people.
    path: PathBuf,
    /// How many bytes at its start are hashed.
    first_bytes: u64,
    /// Their XXH3 hash, in hexadecimal.
    first_hash: String,
}

impl Source {
    /// The source in this file.
    pub fn of(path: &Path) -> Result<Self, Failure> {
        Self::read(path, KNOWN_BY_BYTES).map_err(|error| Failure::io(path.display(), &error))
    }

    fn read(path: &Path, bytes: u64) -> io::Result<Self> {
        let mut first = Vec::new();
        File::open(path)?.take(bytes).read_to_end(&mut first)?;
        Ok(Self {
            path: path.to_owned(),
            first_bytes: first.len() as u64,
            first_hash: format!("{:016x}", xxh3_64(&first)),
        })
    }

    /// Whether the file still begins like this source.
    fn is(&self, path: &Path) -> io::Result<bool> {
        let now = Self::read(path, self.first_bytes)?;
        Ok(now.first_bytes == self.first_bytes && now.first_hash == self.first_hash)
    }
}

/// What a checkpoint file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// What is replayed.
    pub source: Source,
    /// Into which server.
    pub server: String,
    /// For which tenant; empty for the default one.
    pub tenant: String,
    /// By how many seconds events are moved. Kept, because an event at another time is
    /// another event.
    pub shift_seconds: i64,
    /// Every line before it has its answer.
    pub position: Position,
}

impl Checkpoint {
    /// Reads the checkpoint in this file; `None` when there is no such file.
    pub fn load(path: &Path) -> Result<Option<Self>, Failure> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::io(path.display(), &error)),
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| Failure::new(format!("{} is no checkpoint: {error}", path.display())))
    }

    /// Refuses to go on with another source, server or tenant, where the position means
    /// nothing.
    pub fn require(&self, source: &Path, server: &str, tenant: &str) -> Result<(), Failure> {
        let size = std::fs::metadata(source)
            .map_err(|error| Failure::io(source.display(), &error))?
            .len();
        let is_same = self
            .source
            .is(source)
            .map_err(|error| Failure::io(source.display(), &error))?;
        if !is_same || size < self.position.byte {
            return Err(Failure::new(format!(
                "the checkpoint is of {} as it was at line {}, and {} has other content; \
                 name another checkpoint file to replay from the start",
                self.source.path.display(),
                self.position.line,
                source.display()
            )));
        }
        for (what, then, now) in [
            ("server", self.server.as_str(), server),
            ("tenant", self.tenant.as_str(), tenant),
        ] {
            if then != now {
                return Err(Failure::new(format!(
                    "the checkpoint is of {what} {then:?}, not {now:?}; \
                     name another checkpoint file to replay from the start"
                )));
            }
        }
        Ok(())
    }

    /// Replaces the file: after a crash it holds either the old or the new checkpoint.
    pub fn save(&self, path: &Path) -> Result<(), Failure> {
        self.write(path)
            .map_err(|error| Failure::io(path.display(), &error))
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        // The new name is durable only when the directory is.
        File::open(directory)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(source: &Path) -> Checkpoint {
        Checkpoint {
            source: Source::of(source).unwrap(),
            server: "http://server".to_owned(),
            tenant: String::new(),
            shift_seconds: 7,
            position: Position { line: 2, byte: 4 },
        }
    }

    #[test]
    fn a_checkpoint_reads_as_it_was_saved() {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("events.jsonl");
        let file = directory.path().join("checkpoint.json");
        std::fs::write(&source, "a\nb\nc\n").unwrap();
        assert_eq!(Checkpoint::load(&file), Ok(None));
        let first = checkpoint(&source);
        first.save(&file).unwrap();
        let mut second = first.clone();
        second.position = Position { line: 3, byte: 6 };
        second.save(&file).unwrap();
        assert_eq!(Checkpoint::load(&file), Ok(Some(second)));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_source_that_was_moved_or_has_grown_is_known_again() {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("events.jsonl");
        std::fs::write(&source, "a\nb\nc\n").unwrap();
        let checkpoint = checkpoint(&source);
        let moved = directory.path().join("moved.jsonl");
        std::fs::write(&moved, "a\nb\nc\nd\n").unwrap();
        assert_eq!(checkpoint.require(&moved, "http://server", ""), Ok(()));
    }

    #[test]
    fn another_source_server_or_tenant_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("events.jsonl");
        std::fs::write(&source, "a\nb\nc\n").unwrap();
        let checkpoint = checkpoint(&source);
        let refusal = |server, tenant| {
            checkpoint
                .require(&source, server, tenant)
                .unwrap_err()
                .to_string()
        };
        assert!(refusal("http://other", "").contains("server"));
        assert!(refusal("http://server", "acme").contains("tenant"));
        for other in ["x\nb\nc\n", "a\n"] {
            std::fs::write(&source, other).unwrap();
            assert!(refusal("http://server", "").contains("other content"));
        }
    }

    #[test]
    fn a_file_that_is_no_checkpoint_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("checkpoint.json");
        std::fs::write(&file, "{}").unwrap();
        let failure = Checkpoint::load(&file).unwrap_err().to_string();
        assert!(failure.contains("is no checkpoint"), "{failure}");
    }
}
