//! The store inside the process: records on disk, ranks in memory, one writing thread.
//!
//! Reads go straight to the records and the ranks. Commits queue for the writing thread,
//! which answers when they are durable, so nothing acknowledged is lost when the process
//! or the machine stops. Ranks start empty: the service fills them by `index_all`. The same pass
//! over the records adds them up, or an earlier one when somebody asks or writes before. Rollouts
//! are of one process, and forgotten with its ranks; which models are the latest is not.
//!
//! A directory that was damaged is refused and left as it is, see `check.rs`: the journal is
//! looked at before the engine opens it, which would cut it off at the damage. Not seen is a
//! journal that was cut after the process was killed: that is what a crash leaves of a write
//! that was never acknowledged, and the rest before it is served.

mod audit;
mod check;
mod coordination;
mod copy;
mod directory;
mod engine;
mod entries;
mod first_pass;
mod ground;
mod ids;
mod journal;
mod keys;
mod model_store;
mod moment;
mod notes;
mod processors;
mod publications;
mod rank;
mod rank_store;
mod ranks;
mod record_store;
mod records;
mod repair;
mod rollouts;
mod seal;
mod sums;
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
    audit::Audit,
    first_pass::add_up,
    publications::Publications,
    ranks::Ranks,
    records::Records,
    rollouts::Rollouts,
    writer::{Answers, EncodedCommit, Submission, Writer},
};
use super::{Observer, Rollout, StoreError, Traffic, recent::RecentRecords, traffic::Messages};
use crate::scoring::Tenant;

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
    recent: Arc<RecentRecords>,
    batches: Arc<Messages>,
    rollouts: Rollouts,
    publications: Arc<Publications>,
    audit: Arc<Audit>,
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
        Self::on(Records::open(path)?)
    }

    /// Opens the store in a directory to read its records, which changes none of its files. It
    /// takes no writes.
    pub fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        Self::on(Records::open_to_read(path)?)
    }

    fn on(records: Records) -> Result<Self, StoreError> {
        let records = Arc::new(records);
        let ranks = Arc::new(Ranks::of(records.tenants()?));
        let recent = Arc::new(RecentRecords::default());
        let (submissions, queue) = mpsc::channel(MAX_QUEUED);
        let (closing, closed) = std_mpsc::channel();
        let batches = Arc::new(Messages::new("commit"));
        let writer = Writer::new(
            records.clone(),
            ranks.clone(),
            recent.clone(),
            batches.clone(),
        );
        let writer = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                let _closing: std_mpsc::Sender<()> = closing;
                writer.run(queue);
            })
            .map_err(|error| StoreError::Unavailable(format!("no thread to write: {error}")))?;
        Ok(Self {
            publications: Arc::new(Publications::new(records.clone())),
            audit: Arc::new(Audit::new(records.clone())),
            records,
            ranks,
            recent,
            batches,
            rollouts: Rollouts::default(),
            submissions: Some(submissions),
            closed: Mutex::new(closed),
            writer: Some(writer),
        })
    }

    /// Has each batch told.
    pub fn observe(&self, observer: Observer) {
        self.batches.observe(observer);
    }

    /// What has been written, and what waits for the writing thread.
    pub fn traffic(&self) -> impl Fn() -> Vec<Traffic> + Send + Sync + 'static {
        let batches = Arc::clone(&self.batches);
        // Whoever only looks keeps no store open.
        let queue = self.submissions.as_ref().map(mpsc::Sender::downgrade);
        move || {
            let queue = queue.as_ref().and_then(mpsc::WeakSender::upgrade);
            let waiting = queue.map_or(0, |queue| queue.max_capacity() - queue.capacity());
            vec![batches.traffic(waiting)]
        }
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

    /// Makes sure that the records of a tenant are added up.
    async fn add_up(&self, tenant: &Tenant) -> Result<(), StoreError> {
        if !self.ranks.is_fresh(tenant)? {
            return Ok(());
        }
        let (ranks, tenant) = (Arc::clone(&self.ranks), tenant.clone());
        self.read_apart(move |records| add_up(records, &ranks, &tenant))
            .await
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
