//! Writing: commits of one partition that concurrent callers ask for, by one script.

use std::sync::Arc;

use redis::{Cmd, Value};

use super::{
    super::{
        Commit, Committed, StoreError,
        codec::{self, MAX_RECORD_BYTES},
        recent::{Recent, RecentRecords},
    },
    connection::{Answer, Connection},
    failure::{self, Failure, unexpected},
    fence::Fence,
    gathering::{Carrier, Size, apart},
    keys::{self, PartitionKeys},
    list,
    places::Places,
    scores::score,
    scripts::COMMIT,
};
use crate::scoring::{ProfileId, Tenant};

/// Commits of one script, and about how many bytes of values: bounds how long Redis is busy
/// with it, for everybody else waits.
pub const CAPACITY: Size = Size {
    items: 64,
    bytes: 1024 * 1024,
};

/// Where commits are written, and what they are compared with there.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Target {
    pub tenant: Tenant,
    pub partitions: u32,
    pub partition: u32,
    pub fence: Fence,
}

/// A commit with the bytes that it writes.
pub struct Encoded {
    commit: Commit,
    /// Empty for a drop.
    value: Vec<u8>,
}

impl Encoded {
    pub fn new(commit: Commit) -> Result<Self, StoreError> {
        let value = value(&commit)?;
        Ok(Self { commit, value })
    }

    /// The record as it has been written; `None` when it was dropped.
    fn into_recent(self) -> (ProfileId, Option<Recent>) {
        let recent = self.commit.record.map(|record| Recent {
            version: self.commit.version,
            record: Some(Arc::new(record)),
            bytes: self.value.len(),
        });
        (self.commit.profile_id, recent)
    }

    pub fn size(&self) -> Size {
        Size {
            items: 1,
            bytes: self.value.len(),
        }
    }
}

/// Of each commit of a request.
pub type Answers = Vec<Result<Committed, StoreError>>;

/// Carries commits, and brings what has become of them.
pub struct Commits {
    pub connection: Arc<Connection>,
    pub recent: Arc<RecentRecords>,
}

impl Carrier for Commits {
    type Destination = Target;
    type Request = Vec<Encoded>;
    type Answer = Answers;

    const CAPACITY: Size = CAPACITY;

    fn size(request: &Vec<Encoded>) -> Size {
        Size {
            items: request.len(),
            bytes: request.iter().map(|encoded| encoded.value.len()).sum(),
        }
    }

    async fn send(
        &self,
        target: &Target,
        requests: Vec<Vec<Encoded>>,
    ) -> Result<Vec<Result<Answers, StoreError>>, Failure> {
        let together: Vec<&Encoded> = requests.iter().flatten().collect();
        let answers = match self.write(target, &together, false).await {
            // What is wrong with the data of one commit must not fail the others.
            Err(failure) if together.len() > 1 && failure::is_of_data(&failure.error) => {
                self.write_each(target, &together).await
            }
            answers => answers?,
        };
        let answers = apart(answers, requests.iter().map(Vec::len));
        for (request, answers) in requests.into_iter().zip(&answers) {
            let written = request.into_iter().zip(answers.iter().flatten());
            let written = written.filter(|(_, answer)| matches!(answer, Ok(Committed::Written)));
            for (encoded, _) in written {
                let (profile_id, recent) = encoded.into_recent();
                self.recent.written(&target.tenant, &profile_id, recent);
            }
        }
        Ok(answers)
    }

    fn error(failure: Failure) -> StoreError {
        failure.of_write()
    }
}

impl Commits {
    /// Writes each commit by a script of its own, after one for all of them has ended in the midst
    /// of its work. Those that it had written are found written.
    async fn write_each(&self, target: &Target, commits: &[&Encoded]) -> Answers {
        let mut answers = Vec::with_capacity(commits.len());
        for commit in commits.chunks(1) {
            match self.write(target, commit, true).await {
                Ok(written) => answers.extend(written),
                Err(failure) => {
                    let is_timeout = failure.error.is_timeout();
                    let error = failure.of_write();
                    if is_timeout {
                        // The others would wait as long, one after the other. The script that was
                        // for all may have written them.
                        answers.resize(commits.len(), Err(error));
                        return answers;
                    }
                    answers.push(Err(error));
                }
            }
        }
        answers
    }

    /// Writes commits by one script, which may have been `begun` before.
    async fn write(
        &self,
        target: &Target,
        commits: &[&Encoded],
        begun: bool,
    ) -> Result<Answers, Failure> {
        let mut keys = PartitionKeys::new(&target.tenant, target.partitions, target.partition);
        let call = commit_call(&mut keys, &target.fence, commits);
        let run = self.connection.run_durably(&COMMIT, &call, keys.home());
        let (Answer { value, sent_before }, replicated) = run.await.map_err(|failure| Failure {
            sent_before: failure.sent_before || begun,
            ..failure
        })?;
        let results = match list(value) {
            Ok(results) if results.len() == commits.len() => results,
            _ => return Ok(vec![Err(unexpected()); commits.len()]),
        };
        let answers = results.iter().map(|result| match result {
            Value::Int(1) if replicated => Ok(Committed::Written),
            Value::Int(1) => Err(too_few_replicas()),
            // The first sending may have written it, and another writer followed.
            Value::Int(0) if sent_before || begun => Err(StoreError::OutcomeUnknown(
                "the connection was lost; the record has changed since".to_owned(),
            )),
            Value::Int(0) => Ok(Committed::Conflict),
            _ => Err(unexpected()),
        });
        Ok(answers.collect())
    }
}

pub fn too_few_replicas() -> StoreError {
    let message = "written, but fewer replicas than configured have it";
    StoreError::OutcomeUnknown(message.to_owned())
}

/// The bytes that a commit writes; none for a drop.
fn value(commit: &Commit) -> Result<Vec<u8>, StoreError> {
    let Some(record) = &commit.record else {
        return Ok(Vec::new());
    };
    let value = codec::encode_value(commit.version, record);
    if value.len() > MAX_RECORD_BYTES {
        return Err(StoreError::TooLarge(format!(
            "{} bytes; at most {MAX_RECORD_BYTES} are allowed",
            value.len()
        )));
    }
    Ok(value)
}

fn commit_call(keys: &mut PartitionKeys, fence: &Fence, group: &[&Encoded]) -> Cmd {
    // The place of the rank of each change, in the order of the changes.
    let (mut places, mut order) = (Places::default(), Vec::new());
    let (mut arguments, mut bytes) = (5, 0);
    for Encoded { commit, value } in group {
        arguments += 7 + 4 * commit.totals.len();
        bytes += value.len() + 128;
        for (generation, changes) in &commit.ranks {
            arguments += 2 * changes.len();
            bytes += 32 * changes.len();
            let found = changes.iter().map(|change| &change.rank);
            order.extend(found.map(|rank| places.of(generation.number, rank)));
        }
    }
    bytes += 80 * places.ranks.len();

    let keys_of_all = 3 + usize::from(fence.is_copying);
    let keys_count = keys_of_all + group.len() + places.ranks.len();
    let mut call = COMMIT.call(keys_count, arguments, bytes);
    call.arg(keys.fence()).arg(keys.ids()).arg(keys.totals());
    for encoded in group {
        call.arg(keys.record(&encoded.commit.profile_id));
    }
    for (generation, rank) in &places.ranks {
        call.arg(keys.rank(*generation, rank));
    }
    if fence.is_copying {
        call.arg(keys.written());
    }
    fence.add_to(&mut call);
    call.arg(u8::from(fence.is_copying)).arg(group.len());
    let mut order = order.into_iter();
    for Encoded { commit, value } in group {
        match commit.expected {
            Some(version) => call.arg(&version.0.to_be_bytes()[..]),
            None => call.arg(""),
        };
        call.arg(&commit.version.0.to_be_bytes()[..])
            .arg(&value[..])
            .arg(commit.profile_id.as_str())
            .arg(commit.latest_counted().seconds_up());
        let changes = commit.ranks.iter().flat_map(|(_, changes)| changes);
        call.arg(changes.clone().count());
        for (change, place) in changes.zip(order.by_ref()) {
            call.arg(place);
            match change.new {
                Some(key) => call.arg(score(key)),
                None => call.arg(""),
            };
        }
        call.arg(2 * commit.totals.len());
        for change in &commit.totals {
            call.arg(keys::touches_field(&change.topic))
                .arg(change.touches)
                .arg(keys::advances_field(&change.topic))
                .arg(change.advance_millionths);
        }
    }
    call
}
