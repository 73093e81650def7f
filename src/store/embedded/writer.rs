//! The one thread that writes. It takes every commit that waits, checks versions, writes
//! one batch, syncs once, moves the ranks, and only then answers.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::{mpsc, oneshot};

use super::{
    super::{
        Commit, Committed, IndexGeneration, Rollout, StoreError, TotalsChange, Version, codec,
        recent::{Recent, RecentRecords},
        traffic::Messages,
    },
    first_pass::add_up,
    keys,
    ranks::Ranks,
    records::Records,
    sums::SumsChange,
};
use crate::scoring::{ProfileId, RankChange, Record, Tenant, Timestamp};

/// Bytes of one batch, from which on no further submission joins it: bounds how long the
/// first one waits.
const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;

/// What became of each commit of a submission; an error when none was looked at.
pub type Answers = Result<Vec<Result<Committed, StoreError>>, StoreError>;

/// Commits of one caller.
pub struct Submission {
    /// Whose profiles.
    pub tenant: Tenant,
    /// The models whose ranks the commits maintain. Without commits it only takes effect.
    pub rollout: Rollout,
    /// In the order of the answers.
    pub commits: Vec<EncodedCommit>,
    /// Where the answers go.
    pub answer: oneshot::Sender<Answers>,
}

impl Submission {
    fn bytes(&self) -> usize {
        self.commits.iter().map(|commit| commit.bytes).sum()
    }
}

/// A commit as it is written; encoded by the caller, whose time is less precious than the
/// writer's.
pub struct EncodedCommit {
    key: Vec<u8>,
    /// `None` drops the record.
    value: Option<Vec<u8>>,
    record: Option<Arc<Record>>,
    /// Of the value.
    bytes: usize,
    profile_id: ProfileId,
    expected: Option<Version>,
    version: Version,
    ranks: Vec<(IndexGeneration, Vec<RankChange>)>,
    totals: Vec<TotalsChange>,
    latest_counted: Timestamp,
}

impl EncodedCommit {
    /// The encoded form of a commit.
    pub fn new(tenant: &Tenant, commit: Commit) -> Self {
        let encoded = |record| codec::encode_value(commit.version, record);
        let value = commit.record.as_ref().map(encoded);
        Self {
            latest_counted: commit.latest_counted(),
            key: keys::key(tenant, &commit.profile_id),
            bytes: value.as_ref().map_or(0, Vec::len),
            value,
            record: commit.record.map(Arc::new),
            profile_id: commit.profile_id,
            expected: commit.expected,
            version: commit.version,
            ranks: commit.ranks,
            totals: commit.totals,
        }
    }
}

/// The state of the writing thread.
pub struct Writer {
    records: Arc<Records>,
    ranks: Arc<Ranks>,
    recent: Arc<RecentRecords>,
    batches: Arc<Messages>,
}

/// The values of a batch by key, `None` for a record to drop, with their versions.
type Batch = HashMap<Vec<u8>, (Version, Option<Vec<u8>>)>;

/// What is decided about a commit before its batch is written.
enum Decision {
    /// The batch has no part in the answer.
    Answered(Result<Committed, StoreError>),
    /// The batch writes it, and so there are so many records more, or fewer.
    Written(i64),
    /// An earlier submission of the same batch has written it.
    Repeated,
}

impl Writer {
    /// A writer to these records and ranks.
    pub const fn new(
        records: Arc<Records>,
        ranks: Arc<Ranks>,
        recent: Arc<RecentRecords>,
        batches: Arc<Messages>,
    ) -> Self {
        Self {
            records,
            ranks,
            recent,
            batches,
        }
    }

    /// Writes what is submitted, until nobody can submit any more.
    pub fn run(self, mut submissions: mpsc::Receiver<Submission>) {
        while let Some(first) = submissions.blocking_recv() {
            let mut bytes = first.bytes();
            let mut group = vec![first];
            while bytes < MAX_BATCH_BYTES {
                let Ok(next) = submissions.try_recv() else {
                    break;
                };
                bytes += next.bytes();
                group.push(next);
            }
            self.write(group);
        }
    }

    fn write(&self, mut group: Vec<Submission>) {
        let mut batch = Batch::new();
        let mut decisions = Vec::with_capacity(group.len());
        for submission in &mut group {
            let admitted = self.admit(submission).map(|()| {
                let commits = submission.commits.iter_mut();
                commits
                    .map(|commit| self.decide(&submission.tenant, commit, &mut batch))
                    .collect::<Vec<_>>()
            });
            decisions.push(admitted);
        }
        let written = self.write_batch(batch);
        for (submission, decisions) in group.into_iter().zip(decisions) {
            let answers = decisions.map(|decisions| {
                let commits = submission.commits.into_iter().zip(decisions);
                commits
                    .map(|(commit, decision)| match decision {
                        Decision::Answered(answer) => answer,
                        Decision::Repeated => written.clone(),
                        Decision::Written(records) => {
                            if written.is_ok() {
                                self.follow(&submission.tenant, commit, records);
                            }
                            written.clone()
                        }
                    })
                    .collect()
            });
            // A caller that has gone away wants no answer.
            let _ = submission.answer.send(answers);
        }
    }

    /// Whether a submission is of the current epoch, or of a later one, which then is current.
    fn admit(&self, submission: &Submission) -> Result<(), StoreError> {
        self.records.writable()?;
        self.ranks.raise(&submission.tenant, &submission.rollout)?;
        if submission.commits.is_empty() {
            return Ok(());
        }
        // What is written from here on is added to what was there before.
        add_up(&self.records, &self.ranks, &submission.tenant)
    }

    fn decide(&self, tenant: &Tenant, commit: &mut EncodedCommit, batch: &mut Batch) -> Decision {
        let bytes = commit.bytes;
        if bytes > codec::MAX_RECORD_BYTES {
            return Decision::Answered(Err(StoreError::TooLarge(format!(
                "{bytes} bytes; at most {} are allowed",
                codec::MAX_RECORD_BYTES
            ))));
        }
        let current = match batch.get(&commit.key) {
            Some((version, _)) if *version == commit.version => return Decision::Repeated,
            Some((version, value)) => value.as_ref().map(|_| *version),
            None => match self.version(tenant, commit) {
                Ok(version) => version,
                Err(error) => return Decision::Answered(Err(error)),
            },
        };
        if current == Some(commit.version) {
            return Decision::Answered(Ok(Committed::Written));
        }
        if current.is_none() && commit.value.is_none() {
            return Decision::Answered(Ok(Committed::Written));
        }
        if current != commit.expected {
            return Decision::Answered(Ok(Committed::Conflict));
        }
        // One value per key, the last one: the engine gives a batch a single sequence
        // number, under which it could not tell two values of a key apart.
        let value = commit.value.take();
        let records = i64::from(value.is_some()) - i64::from(current.is_some());
        batch.insert(commit.key.clone(), (commit.version, value));
        Decision::Written(records)
    }

    fn version(
        &self,
        tenant: &Tenant,
        commit: &EncodedCommit,
    ) -> Result<Option<Version>, StoreError> {
        match self.recent.version(tenant, &commit.profile_id) {
            Some(version) => Ok(Some(version)),
            None => self.records.version(&commit.key),
        }
    }

    fn write_batch(&self, batch: Batch) -> Result<Committed, StoreError> {
        if batch.is_empty() {
            return Ok(Committed::Written);
        }
        let _in_flight = self.batches.send(batch.len());
        let values = batch.into_iter().map(|(key, (_, value))| (key, value));
        self.records.write(values).map(|()| Committed::Written)
    }

    /// Has whoever reads see what has been written.
    fn follow(&self, tenant: &Tenant, commit: EncodedCommit, records: i64) {
        let bytes = commit.bytes;
        let recent = commit.record.map(|record| Recent {
            version: commit.version,
            record: Some(record),
            bytes,
        });
        self.recent.written(tenant, &commit.profile_id, recent);
        let sums = SumsChange {
            records,
            totals: &commit.totals,
            latest_counted: commit.latest_counted,
        };
        let moved = self
            .ranks
            .apply(tenant, &commit.profile_id, &commit.ranks, &sums);
        if let Err(error) = moved {
            self.records.stop(error);
        }
    }
}
