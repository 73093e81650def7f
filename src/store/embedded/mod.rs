//! The store inside the process: records on disk, ranks in memory, one writing thread.
//!
//! Reads go straight to the records and the ranks. Commits queue for the writing thread,
//! which answers when they are durable, so nothing acknowledged is lost when the process
//! or the machine stops. Ranks and totals start empty: the service fills them by `index`.
//!
//! A directory that is damaged while nobody uses it is refused where that can be seen: a
//! file that is missing, and what fails its checksum. Not seen is a journal that was cut, or
//! overwritten so that it holds no whole batch: that is what a crash leaves of a write that
//! was never acknowledged, and the rest before it is served. Copies are made by `export`.

mod directory;
mod keys;
mod ranks;
mod records;
mod writer;

use std::{
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError, mpsc as std_mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    task,
};

use self::{
    ranks::Ranks,
    records::Records,
    writer::{EncodedCommit, Submission, Writer},
};
use super::{
    Commit, Committed, Cursor, IndexEntry, RankPage, RankRange, Store, StoreError, Stored,
    TopicTotals,
};
use crate::scoring::{ProfileId, Tenant};

/// Calls of `commit` that may wait for the writing thread; a further one waits to wait.
const MAX_QUEUED: usize = 1_024;
/// How long closing waits for the last batch.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);
/// Records that `load` reads before it lets other tasks run.
const LOADS_BETWEEN_YIELDS: usize = 64;

/// A store in a directory of this machine, used by one process at a time.
///
/// Dropping it writes what is queued and lets the directory go.
pub struct Embedded {
    records: Arc<Records>,
    ranks: Arc<Ranks>,
    failure: Arc<OnceLock<StoreError>>,
    /// `None` while closing.
    submissions: Option<mpsc::Sender<Submission>>,
    /// Disconnects when the writing thread has ended; the mutex makes it shareable.
    closed: Mutex<std_mpsc::Receiver<()>>,
    writer: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Opens the store in a directory, creating it when it is missing. Blocks while the
    /// journal is replayed.
    ///
    /// [`StoreError::Misconfigured`] when another process holds the directory, when it
    /// holds something else, or when its format is unknown; [`StoreError::Corrupt`] when
    /// its data is damaged.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let records = Arc::new(Records::open(path)?);
        let ranks = Arc::new(Ranks::default());
        let failure = Arc::new(OnceLock::new());
        let (submissions, queue) = mpsc::channel(MAX_QUEUED);
        let (closing, closed) = std_mpsc::channel();
        let writer = Writer::new(records.clone(), ranks.clone(), failure.clone());
        let writer = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                let _closing: std_mpsc::Sender<()> = closing;
                writer.run(queue);
            })
            .map_err(|error| StoreError::Unavailable(format!("no thread to write: {error}")))?;
        Ok(Self {
            records,
            ranks,
            failure,
            submissions: Some(submissions),
            closed: Mutex::new(closed),
            writer: Some(writer),
        })
    }

    async fn submit(&self, submission: Submission) -> Result<(), StoreError> {
        let closed = || StoreError::Unavailable("the store is closed".to_owned());
        let submissions = self.submissions.as_ref().ok_or_else(closed)?;
        submissions.send(submission).await.map_err(|_| closed())
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
        commits: Vec<Commit>,
    ) -> Vec<Result<Committed, StoreError>> {
        let count = commits.len();
        let (answer, answers) = oneshot::channel();
        let commits = commits
            .into_iter()
            .map(|commit| EncodedCommit::new(tenant, commit))
            .collect();
        let submission = Submission {
            tenant: tenant.clone(),
            commits,
            answer,
        };
        if let Err(error) = self.submit(submission).await {
            return vec![Err(error); count];
        }
        answers.await.unwrap_or_else(|_| {
            let stopped = "the writing thread stopped".to_owned();
            vec![Err(StoreError::OutcomeUnknown(stopped)); count]
        })
    }

    async fn page(
        &self,
        tenant: &Tenant,
        range: &RankRange,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<RankPage, StoreError> {
        self.ranks.page(tenant, range, after, limit)
    }

    async fn count(&self, tenant: &Tenant, ranges: &[RankRange]) -> Result<Vec<u64>, StoreError> {
        self.ranks.count(tenant, ranges)
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

    async fn index(&self, tenant: &Tenant, entries: Vec<IndexEntry>) -> Result<(), StoreError> {
        self.ranks.index(tenant, entries)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        if let Some(failure) = self.failure.get() {
            return Err(failure.clone());
        }
        match &self.submissions {
            Some(submissions) if !submissions.is_closed() => Ok(()),
            _ => Err(StoreError::Unavailable(
                "the writing thread stopped".to_owned(),
            )),
        }
    }
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
