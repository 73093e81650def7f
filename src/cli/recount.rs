//! `bellwether recount`: what subjects and authors count, rebuilt from the events alone. A failover
//! that lost writes may leave them with more or less than their people's events come to.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{
    fs::File,
    io::{AsyncRead, stdin},
};

use super::{
    failure::Failure,
    output,
    replay::lines::{Entry, LineReader, Position},
    rewriting::{Rewriting, random, refuse_servers, replacing},
    transfer::{BATCH_PROFILES, Place},
};
use crate::{
    api::{self, EventPath},
    scoring::{Evaluator, HeldEvent, Incarnation, Model, ProfileId, Recollection, Record, Tenant},
    store::{Access, OpenStore, Scan, Store, Stored},
};

/// Bad lines that are named in full.
const NAMED_ERRORS: usize = 20;

/// Rebuilds what subjects count and what authors earned from a file of all events. Every server on
/// the store must be stopped.
///
/// The file is what `replay` reads, every event since the first, and is evaluated by the model that
/// the store serves, as a replay into an empty store would. Send all of it again before, so that
/// people count all of it. What people did themselves, and what anybody states, stays as it is.
/// With any bad line nothing is written, and running it again changes nothing.
#[derive(Clone, Debug, clap::Args)]
pub struct Recount {
    #[command(flatten)]
    place: Place,
    /// The events and profile updates, or - for standard input.
    file: PathBuf,
    /// The events that were taken back, as `retract` reads them.
    #[arg(long, value_name = "FILE")]
    retracted: Option<PathBuf>,
}

impl Recount {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let tenant = self.place.tenant()?;
        let remembered_events = self.place.remembered_events()?;
        let (counts, records) = match self.place.open(Access::Write).await? {
            OpenStore::Embedded(store) => self.recount(&store, &tenant, remembered_events).await?,
            OpenStore::Redis(store) => self.recount(&store, &tenant, remembered_events).await?,
        };
        output::note!(
            "{} of {} subjects and authors written to tenant {tenant}",
            output::count(counts),
            output::count(records)
        );
        Ok(())
    }

    /// How many subjects and authors were written, and how many there are.
    async fn recount(
        &self,
        store: &impl Store,
        tenant: &Tenant,
        remembered_events: usize,
    ) -> Result<(u64, u64), Failure> {
        refuse_servers(store).await?;
        let model = model_of(store, tenant).await?;
        let mut recounting = Recounting::new(model, remembered_events);
        recounting.read(&self.file, false).await?;
        if let Some(retracted) = &self.retracted {
            recounting.read(retracted, true).await?;
        }
        recounting.check()?;
        recounting.release_as_in(store, tenant).await?;
        recounting.write(store, tenant).await
    }
}

/// The model that servers of the store follow for a tenant: the latest, its own or that of all.
async fn model_of(store: &impl Store, tenant: &Tenant) -> Result<Arc<Model>, Failure> {
    let scopes = [tenant.as_str().to_owned(), String::new()];
    let published = store.publications(&scopes).await?;
    let published = scopes.iter().zip(published);
    let latest = published
        .filter_map(|(scope, publication)| Some((publication?.revision, scope)))
        .max();
    let source = match latest {
        Some((_, scope)) => store.published_source(scope).await?,
        None => None,
    };
    let source = source.ok_or_else(|| {
        Failure::new(format!(
            "the store has no model for tenant {tenant}; start a server on it once, and stop it"
        ))
    })?;
    let model = Model::parse(&source).map_err(|_| {
        Failure::new("this version cannot read the model of the store; use the one that serves it")
    })?;
    Ok(Arc::new(model))
}

/// Everything that the events come to, in memory.
struct Recounting {
    evaluator: Evaluator,
    errors: Vec<String>,
    error_count: usize,
}

impl Recounting {
    fn new(model: Arc<Model>, remembered_events: usize) -> Self {
        Self {
            evaluator: Evaluator::new(model, remembered_events),
            errors: Vec::new(),
            error_count: 0,
        }
    }

    async fn read(&mut self, file: &Path, are_retracted: bool) -> Result<(), Failure> {
        if file == Path::new("-") {
            return self.read_from(stdin(), file, are_retracted).await;
        }
        let failure = |error| Failure::io(file.display(), &error);
        let source = File::open(file).await.map_err(failure)?;
        self.read_from(source, file, are_retracted).await
    }

    async fn read_from(
        &mut self,
        source: impl AsyncRead + Unpin,
        file: &Path,
        are_retracted: bool,
    ) -> Result<(), Failure> {
        let failure = |error| Failure::io(file.display(), &error);
        let mut lines = LineReader::new(source, Position::default());
        while let Some(line) = lines.next().await.map_err(failure)? {
            let counted = match line.content {
                Ok(None) => continue,
                Ok(Some(entry)) => self.count(entry, are_retracted),
                Err(reason) => Err(reason),
            };
            if let Err(reason) = counted {
                self.error_count += 1;
                if self.errors.len() < NAMED_ERRORS {
                    let (file, line) = (file.display(), line.end.line);
                    self.errors.push(format!("{file}:{line}: {reason}"));
                }
            }
        }
        if let Some(cut_off) = lines.cut_off() {
            let file = file.display();
            self.error_count += 1;
            self.errors.push(format!("{file}: {cut_off}"));
        }
        Ok(())
    }

    fn count(&mut self, entry: Entry, is_retracted: bool) -> Result<(), String> {
        let said = |status: tonic::Status| status.message().to_owned();
        match entry {
            Entry::Event(event) => {
                let event = api::event(event, EventPath::Single).map_err(said)?;
                let at = event.time.ok_or(
                    "the event has no time: it counted when it arrived, which the file does not say",
                )?;
                if is_retracted {
                    self.evaluator.retract(&event, at);
                } else {
                    self.evaluator.apply(&event, at);
                }
                Ok(())
            }
            Entry::Update(_) if is_retracted => Err("an update cannot be taken back".to_owned()),
            Entry::Update(update) => {
                let update = update.read().map_err(said)?;
                let updated =
                    self.evaluator
                        .update(&update.profile_id, &update.attributes, &update.removed);
                updated.map_err(|error| error.to_string())
            }
        }
    }

    fn check(&self) -> Result<(), Failure> {
        if self.error_count == 0 {
            return Ok(());
        }
        let mut text = self.errors.join("\n");
        let unnamed = self.error_count - self.errors.len();
        if unnamed > 0 {
            text += &format!("\nand {unnamed} more");
        }
        Err(Failure::new(format!("nothing was written:\n{text}")))
    }

    /// Releases what a quarantine rule holds here and the store holds no more.
    async fn release_as_in(&mut self, store: &impl Store, tenant: &Tenant) -> Result<(), Failure> {
        let holders = self.evaluator.records().iter();
        let holders = holders.filter(|(_, record)| !record.quarantine.is_empty());
        let holders: Vec<ProfileId> = holders.map(|(id, _)| id.clone()).collect();
        for ids in holders.chunks(BATCH_PROFILES) {
            let loaded = store.load(tenant, ids).await;
            for (id, stored) in ids.iter().zip(loaded) {
                let Some(Stored { record, .. }) = stored? else {
                    continue;
                };
                let held = self.evaluator.records()[id].quarantine.clone();
                for held in held.iter().filter(|held| was_released(&record, held)) {
                    self.evaluator.release(id, held.id);
                }
            }
        }
        Ok(())
    }

    /// Gives every subject and author what it comes to here.
    async fn write(self, store: &impl Store, tenant: &Tenant) -> Result<(u64, u64), Failure> {
        let mut records_of_events = self.evaluator.into_records();
        let mut rewriting = Rewriting::new(store, tenant);
        let (mut written, mut records) = (0, 0);
        let mut scan = Scan::new(store, tenant, None, BATCH_PROFILES);
        while let Some(batch) = scan.next().await? {
            let mut commits = Vec::new();
            for stored in batch {
                let id = stored.profile_id.clone();
                let recount = records_of_events.remove(&id).unwrap_or_default();
                let record = stored.record.recounted(id.is_person(), &recount);
                records += u64::from(is_of_others(&id, &record));
                if record != *stored.record {
                    let nothing = Record {
                        incarnation: record.incarnation,
                        ..Record::default()
                    };
                    let record = (record != nothing).then_some(record);
                    commits.push(replacing(id, Some(&stored), record)?);
                }
            }
            written += commits.len() as u64;
            rewriting.write(commits).await?;
        }
        let missing = missing(records_of_events);
        for batch in missing.chunks(BATCH_PROFILES) {
            let commits = batch.iter().cloned();
            let commits = commits.map(|(id, mut record)| {
                record.incarnate(Incarnation(random()?));
                replacing(id, None, Some(record))
            });
            let commits = commits.collect::<Result<Vec<_>, _>>()?;
            (written, records) = (
                written + commits.len() as u64,
                records + commits.len() as u64,
            );
            rewriting.write(commits).await?;
        }
        Ok((written, records))
    }
}

/// Subjects and authors that the store does not have.
fn missing(records: BTreeMap<ProfileId, Record>) -> Vec<(ProfileId, Record)> {
    let missing = records.into_iter().map(|(id, recount)| {
        let record = Record::default().recounted(id.is_person(), &recount);
        (id, record)
    });
    missing
        .filter(|(id, record)| is_of_others(id, record))
        .collect()
}

fn is_of_others(profile_id: &ProfileId, record: &Record) -> bool {
    !profile_id.is_person() || !record.influence.is_empty()
}

/// Whether a store has counted an event that a rule held: it neither holds nor has dropped it.
fn was_released(stored: &Record, held: &HeldEvent) -> bool {
    let is_held = |other: &HeldEvent| (other.id, other.known_by) == (held.id, held.known_by);
    let recall = |id| stored.memory.recall(held.known_by, id);
    !stored.quarantine.iter().any(is_held)
        && recall(held.id) != Recollection::New
        && !matches!(recall(held.id.of_retraction()), Recollection::Known(_))
}
