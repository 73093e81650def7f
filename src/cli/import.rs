//! `bellwether import`: exported tenants into a store. The whole file is checked before
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
    transfer::{BATCH_PROFILES, Place},
};
use crate::{
    scoring::{ProfileId, Record, Tenant},
    store::{Access, ExportReader, OpenStore, Store, codec},
};

/// Bad lines that are named in full.
const NAMED_ERRORS: usize = 20;

/// Reads what `export` or `backup` wrote into a store. Every server on it must be stopped.
///
/// Every tenant of the file is written, each under its own name. With --tenant, of a file of all
/// tenants this one alone, and a file of one tenant is written under this name.
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
        let tenant = self.place.named_tenant()?;
        let tenant = tenant.as_ref();
        let failure = |error| Failure::io(self.file.display(), &error);
        let mut file = if self.file == Path::new("-") {
            spool().await?
        } else {
            File::open(&self.file).await.map_err(failure)?
        };
        let counts = match self.place.open(Access::Create).await? {
            OpenStore::Embedded(store) => self.check_and_write(&store, tenant, &mut file).await?,
            OpenStore::Redis(store) => self.check_and_write(&store, tenant, &mut file).await?,
        };
        let to = match counts.tenants.as_slice() {
            [tenant] => format!("tenant {tenant}"),
            tenants => format!("{} tenants", output::count(tenants.len() as u64)),
        };
        output::note!(
            "{} profiles written to {to}, {} were there already",
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
        tenant: Option<&Tenant>,
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Those that they were written to.
    pub(super) tenants: Vec<Tenant>,
    pub(super) written: u64,
    pub(super) unchanged: u64,
}

/// A profile with the number of its line.
type Numbered = (u64, ProfileId, Record);

/// Goes through the whole file; with a tenant, one of another name is passed over where the file is
/// of all.
pub(super) async fn visit<S: Store, R: AsyncRead + Unpin>(
    store: &S,
    wanted: Option<&Tenant>,
    source: R,
    mode: Mode,
) -> Result<Counts, Failure> {
    let mut visit = Visit {
        store,
        rewriting: None,
        mode,
        counts: Counts::default(),
        errors: Vec::new(),
        error_count: 0,
    };
    let mut reader = LineReader::with_limit(source, Position::default(), codec::MAX_LINE_BYTES);
    let mut batch = Vec::new();
    let mut file = ExportReader::default();
    while let Some((end, text)) = reader
        .next_text()
        .await
        .map_err(|error| Failure::io("cannot read the import", &error))?
    {
        let profile = match text.and_then(|text| file.read(&text)) {
            Ok(profile) => profile,
            Err(reason) => {
                visit.error(end.line, reason);
                continue;
            }
        };
        let target = target(&file, wanted);
        if target != visit.tenant() || batch.len() == BATCH_PROFILES {
            visit.take(std::mem::take(&mut batch)).await?;
            visit.turn_to(target);
        }
        if let (Some((profile_id, record)), Some(_)) = (profile, target) {
            batch.push((end.line, profile_id, record));
        }
    }
    visit.take(batch).await?;
    if let Err(reason) = file.end() {
        visit.mistake(reason);
    } else if let Some(wanted) = wanted
        && target(&file, Some(wanted)).is_none()
        && !file.tenants().contains(wanted)
    {
        visit.mistake(missing(wanted, file.tenants()));
    }
    visit.finish()
}

/// The tenant that profiles of the file are written to; `None` for those that are passed over.
fn target<'a>(file: &'a ExportReader, wanted: Option<&'a Tenant>) -> Option<&'a Tenant> {
    let current = file.tenants().last()?;
    match wanted {
        None => Some(current),
        // One tenant may be imported as another.
        Some(wanted) => (!file.is_of_all() || wanted == current).then_some(wanted),
    }
}

fn missing(wanted: &Tenant, tenants: &[Tenant]) -> String {
    let mut names: Vec<&str> = tenants.iter().map(Tenant::as_str).collect();
    let unnamed = names.len().saturating_sub(NAMED_ERRORS);
    names.truncate(NAMED_ERRORS);
    let held = match names.as_slice() {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    let more = match unnamed {
        0 => String::new(),
        unnamed => format!(" and {unnamed} more"),
    };
    format!("the file holds no tenant {wanted}; it holds {held}{more}")
}

struct Visit<'a, S> {
    store: &'a S,
    /// The tenant that is written to.
    rewriting: Option<Rewriting<'a, S>>,
    mode: Mode,
    counts: Counts,
    /// The first mistakes.
    errors: Vec<String>,
    error_count: usize,
}

impl<S: Store> Visit<'_, S> {
    fn error(&mut self, line: u64, reason: String) {
        self.mistake(format!("line {line}: {reason}"));
    }

    fn mistake(&mut self, mistake: String) {
        self.error_count += 1;
        if self.errors.len() < NAMED_ERRORS {
            self.errors.push(mistake);
        }
    }

    fn tenant(&self) -> Option<&Tenant> {
        self.rewriting.as_ref().map(|rewriting| &rewriting.tenant)
    }

    /// Writes to this tenant from now on.
    fn turn_to(&mut self, tenant: Option<&Tenant>) {
        if tenant == self.tenant() {
            return;
        }
        self.rewriting = tenant.map(|tenant| Rewriting::new(self.store, tenant));
        self.counts.tenants.extend(tenant.cloned());
    }

    /// Checks or writes some profiles.
    async fn take(&mut self, batch: Vec<Numbered>) -> Result<(), Failure> {
        let Some(mut rewriting) = self.rewriting.take() else {
            return Ok(());
        };
        let ids: Vec<_> = batch.iter().map(|(_, id, _)| id.clone()).collect();
        let mut commits = Vec::new();
        let stored = self.store.load(&rewriting.tenant, &ids).await;
        for ((line, profile_id, record), stored) in batch.into_iter().zip(stored) {
            let stored = stored?;
            if stored
                .as_ref()
                .is_some_and(|stored| *stored.record == record)
            {
                self.counts.unchanged += 1;
            } else if stored.is_some() && self.mode == (Mode::Check { replace: false }) {
                self.error(
                    line,
                    format!(
                        "the store holds profile {profile_id} of tenant {} with another record; --replace replaces it",
                        rewriting.tenant
                    ),
                );
            } else {
                commits.push(replacing(profile_id, stored.as_ref(), Some(record))?);
            }
        }
        if self.mode == Mode::Write {
            self.counts.written += commits.len() as u64;
            rewriting.write(commits).await?;
        }
        self.rewriting = Some(rewriting);
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
#[path = "import_tests.rs"]
mod tests;
