//! The store inside the process: records on disk, ranks in memory, one writing thread.
//!
//! Reads go straight to the records and the ranks. Commits queue for the writing thread,
//! which answers when they are durable, so nothing acknowledged is lost when the process
//! or the machine stops. Ranks start empty: the service fills them by `index`. Rollouts are
//! of one process, and forgotten with its ranks; which models are the latest is not.
//!
//! A directory that was damaged is refused and left as it is, see `check.rs`: the journal is
//! looked at before the engine opens it, which would cut it off at the damage. Not seen is a
//! journal that was cut after the process was killed: that is what a crash leaves of a write
//! that was never acknowledged, and the rest before it is served.

mod check;
mod copy;
mod directory;
mod engine;
mod ground;
mod journal;
mod keys;
mod publications;
mod ranks;
mod records;
mod repair;
mod rollouts;
mod seal;
mod writer;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError, mpsc as std_mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    task,
};

pub use self::repair::{Loss, Repair, repair};
use self::{
    publications::Publications,
    ranks::Ranks,
    records::Records,
    rollouts::Rollouts,
    writer::{Answers, EncodedCommit, Submission, Writer},
};
use super::{
    Commit, Committed, Cursor, IndexEntry, IndexGeneration, Publication, RankPage, RankRange,
    Rollout, SavedModel, Store, StoreError, Stored, TopicTotals, TotalsChange,
};
use crate::scoring::{Fingerprint, ProfileId, RankName, Tenant};

/// Calls of `commit` that may wait for the writing thread; a further one waits to wait.
const MAX_QUEUED: usize = 1_024;
/// How long closing waits for the last batch.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);
/// Records that are read at a time to add up the totals.
const TOTALS_BATCH: usize = 1_000;
/// Records that `load` reads before it lets other tasks run.
const LOADS_BETWEEN_YIELDS: usize = 64;

/// A store in a directory of this machine, used by one process at a time.
///
/// Dropping it writes what is queued and lets the directory go.
pub struct Embedded {
    records: Arc<Records>,
    ranks: Arc<Ranks>,
    rollouts: Rollouts,
    publications: Arc<Publications>,
    /// `None` while closing.
    submissions: Option<mpsc::Sender<Submission>>,
    /// Disconnects when the writing thread has ended; the mutex makes it shareable.
    closed: Mutex<std_mpsc::Receiver<()>>,
    writer: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Opens the store in a directory, creating it when it is missing. Blocks while the
    /// journal is replayed and the totals are added up.
    ///
    /// [`StoreError::Misconfigured`] when another process holds the directory, when it
    /// holds something else, or when its format is unknown; [`StoreError::Corrupt`] when
    /// its data is damaged.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::on(Records::open(path)?)
    }

    /// Opens the store in a directory to read its records, which changes none of its files. It
    /// takes no writes.
    pub fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        Self::on(Records::open_to_read(path)?)
    }

    fn on(records: Records) -> Result<Self, StoreError> {
        let records = Arc::new(records);
        let ranks = Arc::new(Ranks::default());
        add_up_totals(&records, &ranks)?;
        let (submissions, queue) = mpsc::channel(MAX_QUEUED);
        let (closing, closed) = std_mpsc::channel();
        let writer = Writer::new(records.clone(), ranks.clone());
        let writer = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                let _closing: std_mpsc::Sender<()> = closing;
                writer.run(queue);
            })
            .map_err(|error| StoreError::Unavailable(format!("no thread to write: {error}")))?;
        Ok(Self {
            publications: Arc::new(Publications::new(records.clone())),
            records,
            ranks,
            rollouts: Rollouts::default(),
            submissions: Some(submissions),
            closed: Mutex::new(closed),
            writer: Some(writer),
        })
    }

    /// Has commits written; an error when that holds for all of them.
    async fn submit(
        &self,
        tenant: &Tenant,
        rollout: &Rollout,
        commits: Vec<EncodedCommit>,
    ) -> Answers {
        let (answer, answers) = oneshot::channel();
        let submission = Submission {
            tenant: tenant.clone(),
            rollout: rollout.clone(),
            commits,
            answer,
        };
        let closed = || StoreError::Unavailable("the store is closed".to_owned());
        let submissions = self.submissions.as_ref().ok_or_else(closed)?;
        submissions.send(submission).await.map_err(|_| closed())?;
        let stopped = || StoreError::OutcomeUnknown("the writing thread stopped".to_owned());
        answers.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Runs a long read on a thread that may block.
    async fn read_apart<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Records) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let records = Arc::clone(&self.records);
        task::spawn_blocking(move || read(&records))
            .await
            .unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }
}

impl Store for Embedded {
    async fn load(
        &self,
        tenant: &Tenant,
        profile_ids: &[ProfileId],
    ) -> Vec<Result<Option<Stored>, StoreError>> {
        let mut loaded = Vec::with_capacity(profile_ids.len());
        for (index, profile_id) in profile_ids.iter().enumerate() {
            if index > 0 && index % LOADS_BETWEEN_YIELDS == 0 {
                task::yield_now().await;
            }
            loaded.push(self.records.load(tenant, profile_id));
        }
        loaded
    }

    async fn commit(
        &self,
        tenant: &Tenant,
        rollout: &Rollout,
        commits: Vec<Commit>,
    ) -> Vec<Result<Committed, StoreError>> {
        let count = commits.len();
        let commits = commits
            .into_iter()
            .map(|commit| EncodedCommit::new(tenant, commit))
            .collect();
        let answers = self.submit(tenant, rollout, commits).await;
        answers.unwrap_or_else(|error| vec![Err(error); count])
    }

    async fn page(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        range: &RankRange,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<RankPage, StoreError> {
        self.ranks.page(tenant, generation, range, after, limit)
    }

    async fn count(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        ranges: &[RankRange],
    ) -> Result<Vec<u64>, StoreError> {
        self.ranks.count(tenant, generation, ranges)
    }

    async fn totals(
        &self,
        tenant: &Tenant,
        topics: &[String],
    ) -> Result<Vec<TopicTotals>, StoreError> {
        self.ranks.totals(tenant, topics)
    }

    async fn scan(
        &self,
        tenant: &Tenant,
        after: Option<&ProfileId>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let (tenant, after) = (tenant.clone(), after.cloned());
        self.read_apart(move |records| records.scan(&tenant, after.as_ref(), limit))
            .await
    }

    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        self.read_apart(Records::tenants).await
    }

    async fn tenant_count(&self) -> Result<u64, StoreError> {
        Ok(self.rollouts.tenant_count())
    }

    /// None: what the directory holds is there as a whole, or refused.
    async fn have_losses(&self, tenants: &[Tenant]) -> Result<Vec<bool>, StoreError> {
        Ok(vec![false; tenants.len()])
    }

    async fn rollout(&self, tenant: &Tenant) -> Result<Rollout, StoreError> {
        Ok(self.rollouts.rollout(tenant))
    }

    async fn rollouts(&self, tenants: &[Tenant]) -> Result<Vec<Rollout>, StoreError> {
        let rollouts = tenants.iter().map(|tenant| self.rollouts.rollout(tenant));
        Ok(rollouts.collect())
    }

    async fn set_rollout(&self, tenant: &Tenant, rollout: &Rollout) -> Result<bool, StoreError> {
        Ok(self.rollouts.set_rollout(tenant, rollout))
    }

    async fn publications(
        &self,
        scopes: &[String],
    ) -> Result<Vec<Option<Publication>>, StoreError> {
        let latest = scopes.iter().map(|scope| self.publications.latest(scope));
        latest.collect()
    }

    async fn publish(
        &self,
        scope: &str,
        publication: &Publication,
        source: &str,
    ) -> Result<bool, StoreError> {
        let publications = Arc::clone(&self.publications);
        let (scope, publication, source) = (scope.to_owned(), *publication, source.to_owned());
        task::spawn_blocking(move || publications.publish(&scope, &publication, &source))
            .await
            .unwrap_or_else(|error| Err(StoreError::OutcomeUnknown(error.to_string())))
    }

    async fn published_source(&self, scope: &str) -> Result<Option<String>, StoreError> {
        self.publications.source(scope)
    }

    async fn revision(&self, scope: &str, model: Fingerprint) -> Result<Option<u64>, StoreError> {
        self.publications.revision(scope, model)
    }

    async fn fence(&self, tenant: &Tenant, rollout: &Rollout) -> Result<(), StoreError> {
        // Through the writing thread, so that no earlier commit is still on its way.
        self.submit(tenant, rollout, Vec::new()).await.map(drop)
    }

    async fn save_model(&self, model: &SavedModel) -> Result<(), StoreError> {
        self.rollouts.save_model(model);
        Ok(())
    }

    async fn model(&self, fingerprint: Fingerprint) -> Result<Option<SavedModel>, StoreError> {
        Ok(self.rollouts.model(fingerprint))
    }

    async fn forget_models(
        &self,
        needed: &[Fingerprint],
        unsaved_for: Duration,
    ) -> Result<u64, StoreError> {
        let latest = self.publications.latest_models()?;
        let needed: Vec<Fingerprint> = needed.iter().copied().chain(latest).collect();
        let left = self.rollouts.forget_models(&needed, unsaved_for);
        let publications = Arc::clone(&self.publications);
        task::spawn_blocking(move || publications.forget_sources(&needed))
            .await
            .unwrap_or_else(|error| Err(StoreError::OutcomeUnknown(error.to_string())))?;
        Ok(left)
    }

    async fn index(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        entries: Vec<IndexEntry>,
    ) -> Result<(), StoreError> {
        let last = entries.last().map(|entry| entry.profile_id.clone());
        self.ranks
            .index(tenant, generation, entries, |profile_id| {
                self.records.version(&keys::key(tenant, profile_id))
            })?;
        if let Some(last) = last {
            self.rollouts.set_indexed(tenant, generation, last);
        }
        Ok(())
    }

    async fn indexed_to(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
    ) -> Result<Option<ProfileId>, StoreError> {
        Ok(self.rollouts.indexed_to(tenant, generation))
    }

    async fn drop_ranks(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        _ranks: &[RankName],
    ) -> Result<(), StoreError> {
        self.ranks.drop_generation(tenant, generation)
    }

    /// Always: one process has the directory.
    async fn lease(
        &self,
        _tenant: &Tenant,
        _server: u64,
        _period: Duration,
    ) -> Result<bool, StoreError> {
        Ok(true)
    }

    fn is_shared(&self) -> bool {
        false
    }

    /// None beside the one that asks.
    async fn servers(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn announce(&self, _server: u64, _period: Duration) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        if self
            .submissions
            .as_ref()
            .is_none_or(|submissions| submissions.is_closed())
        {
            return Err(StoreError::Unavailable(
                "the writing thread stopped".to_owned(),
            ));
        }
        self.read_apart(Records::ping).await
    }
}

fn add_up_totals(records: &Records, ranks: &Ranks) -> Result<(), StoreError> {
    for tenant in records.tenants()? {
        let mut after = None;
        loop {
            let page = records.scan(&tenant, after.as_ref(), TOTALS_BATCH)?;
            let Some(last) = page.last() else { break };
            after = Some(last.profile_id.clone());
            for stored in &page {
                let shares = stored.record.topic_deltas();
                let totals: Vec<_> = shares.map(TotalsChange::adding).collect();
                ranks.add_totals(&tenant, &totals)?;
            }
        }
    }
    Ok(())
}

impl Drop for Embedded {
    fn drop(&mut self) {
        drop(self.submissions.take());
        // The engine holds a writer for ever when it cannot sort writes to disk; what was
        // acknowledged is durable all the same.
        let closed = self
            .closed
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if closed.recv_timeout(CLOSE_TIMEOUT) == Err(std_mpsc::RecvTimeoutError::Timeout) {
            tracing::error!("the storage engine does not finish its last write; leaving it");
            return;
        }
        if self
            .writer
            .take()
            .is_some_and(|writer| writer.join().is_err())
        {
            tracing::error!("the writing thread of the embedded store had failed");
        }
    }
}
