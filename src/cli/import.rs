//! `bellwether import`: an exported tenant into a store. The whole file is checked before
//! anything is written, and running it again changes nothing.

use std::path::{Path, PathBuf};

use tokio::{
    fs::File,
    io::{AsyncRead, AsyncSeekExt as _, AsyncWriteExt as _},
};

use super::{
    failure::Failure,
    output,
    replay::lines::{LineReader, Position},
    rewriting::{Rewriting, refuse_servers, replacing},
    transfer::{BATCH_PROFILES, End, FORMAT, Header, Place},
};
use crate::{
    scoring::{ProfileId, Record, Tenant},
    store::{Access, OpenStore, Store, StoreError, codec},
};

/// Bad lines that are named in full.
const NAMED_ERRORS: usize = 20;

/// Reads a tenant that `export` wrote into a store. Every server on it must be stopped.
///
/// The whole file is checked first; with any mistake nothing is written. A profile whose
/// record is there already is skipped, so an import can be run again.
#[derive(Clone, Debug, clap::Args)]
pub struct Import {
    #[command(flatten)]
    place: Place,
    /// The file, or - for standard input.
    file: PathBuf,
    /// Replace the records of profiles that the store holds with other content.
    #[arg(long)]
    replace: bool,
}

impl Import {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let tenant = self.place.tenant()?;
        let failure = |error| Failure::io(self.file.display(), &error);
        let mut file = if self.file == Path::new("-") {
            spool().await?
        } else {
            File::open(&self.file).await.map_err(failure)?
        };
        let counts = match self.place.open(Access::Create).await? {
            OpenStore::Embedded(store) => self.check_and_write(&store, &tenant, &mut file).await?,
            OpenStore::Redis(store) => self.check_and_write(&store, &tenant, &mut file).await?,
        };
        output::note!(
            "{} profiles written to tenant {tenant}, {} were there already",
            output::count(counts.written),
            output::count(counts.unchanged)
        );
        Ok(())
    }
}

impl Import {
    async fn check_and_write(
        &self,
        store: &impl Store,
        tenant: &Tenant,
        file: &mut File,
    ) -> Result<Counts, Failure> {
        refuse_servers(store).await?;
        let check = Mode::Check {
            replace: self.replace,
        };
        visit(store, tenant, &mut *file, check).await?;
        let failure = |error| Failure::io(self.file.display(), &error);
        file.rewind().await.map_err(failure)?;
        visit(store, tenant, file, Mode::Write).await
    }
}

/// Standard input as a file, because it is read twice.
async fn spool() -> Result<File, Failure> {
    let failure = |error| Failure::io("standard input", &error);
    let mut file = File::from_std(tempfile::tempfile().map_err(failure)?);
    tokio::io::copy(&mut tokio::io::stdin(), &mut file)
        .await
        .map_err(failure)?;
    file.flush().await.map_err(failure)?;
    file.rewind().await.map_err(failure)?;
    Ok(file)
}

/// What to do with the profiles of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Find every mistake; a profile with another record is one unless it may be replaced.
    Check { replace: bool },
    /// Write what is not there yet.
    Write,
}

/// What became of the profiles of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) written: u64,
    pub(super) unchanged: u64,
}

/// A profile with the number of its line.
type Numbered = (u64, ProfileId, Record);

/// Goes through the whole file.
pub(super) async fn visit<S: Store, R: AsyncRead + Unpin>(
    store: &S,
    tenant: &Tenant,
    source: R,
    mode: Mode,
) -> Result<Counts, Failure> {
    let mut visit = Visit {
        rewriting: Rewriting::new(store, tenant),
        mode,
        counts: Counts::default(),
        errors: Vec::new(),
        error_count: 0,
    };
    let mut reader = LineReader::with_limit(source, Position::default(), codec::MAX_LINE_BYTES);
    let mut batch = Vec::new();
    let mut file = FileSoFar::default();
    while let Some((end, text)) = reader
        .next_text()
        .await
        .map_err(|error| Failure::io("cannot read the import", &error))?
    {
        match text.and_then(|text| file.read(&text)) {
            Ok(Some((profile_id, record))) => batch.push((end.line, profile_id, record)),
            Ok(None) => {}
            Err(reason) => visit.error(end.line, reason),
        }
        if batch.len() == BATCH_PROFILES {
            visit.take(std::mem::take(&mut batch)).await?;
        }
    }
    visit.take(batch).await?;
    if !file.has_ended {
        visit.errors.push(
            "the file is cut off: its last line, which counts the profiles, is missing".to_owned(),
        );
        visit.error_count += 1;
    }
    visit.finish()
}

/// What has been read of a file.
#[derive(Default)]
struct FileSoFar {
    has_header: bool,
    has_ended: bool,
    profiles: u64,
    last: Option<ProfileId>,
}

impl FileSoFar {
    /// Reads the next line; a profile when it is one.
    fn read(&mut self, text: &str) -> Result<Option<(ProfileId, Record)>, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        if !self.has_header {
            self.has_header = true;
            let header: Header = serde_json::from_str(text)
                .map_err(|error| format!("not the header of an export: {error}"))?;
            return match header.format {
                FORMAT => Ok(None),
                other => Err(format!(
                    "the export has format {other}; this version reads format {FORMAT}"
                )),
            };
        }
        if self.has_ended {
            return Err("something follows the closing line".to_owned());
        }
        if let Ok(End { profiles }) = serde_json::from_str(text) {
            self.has_ended = true;
            return if profiles == self.profiles {
                Ok(None)
            } else {
                Err(format!(
                    "the closing line counts {profiles} profiles, and {} came before it",
                    self.profiles
                ))
            };
        }
        self.profiles += 1;
        let (profile_id, record) = codec::from_line(text).map_err(|error| match error {
            StoreError::Corrupt(reason) => reason,
            other => other.to_string(),
        })?;
        if self.last.as_ref().is_some_and(|last| *last >= profile_id) {
            return Err(format!(
                "profile {profile_id} is out of order: an export holds each profile once, in \
                 ascending order of ids"
            ));
        }
        self.last = Some(profile_id.clone());
        Ok(Some((profile_id, record)))
    }
}

struct Visit<'a, S> {
    rewriting: Rewriting<'a, S>,
    mode: Mode,
    counts: Counts,
    /// The first mistakes.
    errors: Vec<String>,
    error_count: usize,
}

impl<S: Store> Visit<'_, S> {
    fn error(&mut self, line: u64, reason: String) {
        self.error_count += 1;
        if self.errors.len() < NAMED_ERRORS {
            self.errors.push(format!("line {line}: {reason}"));
        }
    }

    /// Checks or writes some profiles.
    async fn take(&mut self, batch: Vec<Numbered>) -> Result<(), Failure> {
        let ids: Vec<_> = batch.iter().map(|(_, id, _)| id.clone()).collect();
        let mut commits = Vec::new();
        let (store, tenant) = (self.rewriting.store, self.rewriting.tenant);
        for ((line, profile_id, record), stored) in
            batch.into_iter().zip(store.load(tenant, &ids).await)
        {
            let stored = stored?;
            if stored
                .as_ref()
                .is_some_and(|stored| *stored.record == record)
            {
                self.counts.unchanged += 1;
            } else if stored.is_some() && self.mode == (Mode::Check { replace: false }) {
                self.error(
                    line,
                    format!("the store holds profile {profile_id} with another record; --replace replaces it"),
                );
            } else {
                commits.push(replacing(profile_id, stored.as_ref(), Some(record))?);
            }
        }
        if self.mode == Mode::Write {
            self.counts.written += commits.len() as u64;
            self.rewriting.write(commits).await?;
        }
        Ok(())
    }

    fn finish(self) -> Result<Counts, Failure> {
        if self.error_count == 0 {
            return Ok(self.counts);
        }
        let mut text = self.errors.join("\n");
        let unnamed = self.error_count - self.errors.len();
        if unnamed > 0 {
            text += &format!("\nand {unnamed} more");
        }
        Err(Failure::new(format!("nothing was written:\n{text}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::export::export,
        scoring::{
            AttributeValue, CountGroup, EventMemory, IdHash, RememberedEvent, SignalCount,
            Timestamp,
        },
        store::{Commit, RecordStore, Rollout, Version, embedded::Embedded},
    };

    const CHECK: Mode = Mode::Check { replace: false };

    fn tenant() -> Tenant {
        Tenant::new("acme").unwrap()
    }

    /// A record with numbers that only an exact form keeps, and with null.
    fn record(seed: u64) -> Record {
        let value = 0.1 + 0.2 * seed as f64 + f64::EPSILON;
        let time = Timestamp::from_nanos(1_700_000_000_123_456_789 + seed as i64).unwrap();
        Record {
            attributes: [
                ("crm_id".to_owned(), AttributeValue::Number(value)),
                (
                    "sizes".to_owned(),
                    AttributeValue::List(vec![AttributeValue::Null]),
                ),
            ]
            .into(),
            event_count: u64::MAX - seed,
            counts: vec![CountGroup {
                half_life: None,
                counts: vec![SignalCount {
                    signal: "asked".into(),
                    value,
                    keys: Vec::new(),
                    capped: 0.0,
                }],
            }],
            memory: EventMemory {
                remembered: vec![RememberedEvent::new(time, IdHash(u64::MAX - seed), "ask")],
                ..EventMemory::default()
            },
            ..Record::default()
        }
    }

    async fn store(directory: &Path, profiles: u64) -> Embedded {
        let store = Embedded::open(directory).unwrap();
        let commits = (0..profiles)
            .map(|seed| Commit {
                profile_id: ProfileId::new(&format!("p{seed:04}")).unwrap(),
                expected: None,
                version: Version(seed + 1),
                record: Some(record(seed)),
                ranks: Vec::new(),
                totals: Vec::new(),
            })
            .collect();
        for committed in store.commit(&tenant(), &Rollout::default(), commits).await {
            committed.unwrap();
        }
        store
    }

    async fn exported(store: &Embedded) -> String {
        let mut bytes = Vec::new();
        export(store, &tenant(), &mut bytes).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }

    async fn import(store: &Embedded, text: &str, mode: Mode) -> Result<Counts, Failure> {
        visit(store, &tenant(), text.as_bytes(), mode).await
    }

    #[tokio::test]
    async fn an_imported_tenant_is_exported_as_the_same_bytes_and_a_second_import_writes_nothing() {
        let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let text = exported(&store(directories[0].path(), 1_203).await).await;
        assert_eq!(text.lines().count(), 1_205);
        let copy = store(directories[1].path(), 0).await;
        import(&copy, &text, CHECK).await.unwrap();
        let first = import(&copy, &text, Mode::Write).await.unwrap();
        assert_eq!((first.written, first.unchanged), (1_203, 0));
        assert_eq!(exported(&copy).await, text);
        let second = import(&copy, &text, Mode::Write).await.unwrap();
        assert_eq!((second.written, second.unchanged), (0, 1_203));
        let id = ProfileId::new("p0007").unwrap();
        let stored = copy
            .load(&tenant(), &[id])
            .await
            .remove(0)
            .unwrap()
            .unwrap();
        assert_eq!(*stored.record, record(7));
    }

    #[tokio::test]
    async fn a_profile_with_another_record_is_refused_unless_it_may_be_replaced() {
        let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let text = exported(&store(directories[0].path(), 2).await).await;
        let other = store(directories[1].path(), 2).await;
        let changed = text.replacen("asked", "answered", 1);
        let failure = import(&other, &changed, CHECK)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            failure.contains("line 2") && failure.contains("--replace"),
            "{failure}"
        );
        assert_eq!(exported(&other).await, text);
        import(&other, &changed, Mode::Check { replace: true })
            .await
            .unwrap();
        let counts = import(&other, &changed, Mode::Write).await.unwrap();
        assert_eq!((counts.written, counts.unchanged), (1, 1));
        assert_eq!(exported(&other).await, changed);
    }

    #[tokio::test]
    async fn bad_lines_are_named_with_their_numbers() {
        let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let text = exported(&store(directories[0].path(), 3).await).await;
        let empty = store(directories[1].path(), 0).await;
        let lines: Vec<_> = text.lines().collect();
        let refusal = async |lines: &[&str]| {
            import(&empty, &lines.join("\n"), CHECK)
                .await
                .unwrap_err()
                .to_string()
        };
        let cut = refusal(&lines[..4]).await;
        assert!(cut.contains("cut off"), "{cut}");
        let missing = refusal(&[lines[0], lines[1], lines[2], lines[4]]).await;
        assert!(
            missing.contains("line 4") && missing.contains("counts 3"),
            "{missing}"
        );
        let twice = refusal(&[lines[0], lines[1], lines[1], lines[2], lines[4]]).await;
        assert!(
            twice.contains("line 3: profile p0000 is out of order"),
            "{twice}"
        );
        let headless = refusal(&lines[1..]).await;
        assert!(headless.contains("line 1: not the header"), "{headless}");
        let broken = refusal(&[lines[0], "{", lines[2], lines[3], lines[4]]).await;
        assert!(broken.contains("line 2: not a profile"), "{broken}");
        let newer = lines[0].replace("\"format\":1", "\"format\":2");
        let newer = refusal(&[&newer, lines[1], lines[2], lines[3], lines[4]]).await;
        assert!(newer.contains("format 2"), "{newer}");
    }
}
