//! Commits: one script for those of one partition that were asked for together.

use std::collections::HashMap;

use futures_util::future::join_all;
use redis::{Cmd, Value};

use super::{
    super::{
        Commit, Committed, IndexEntry, IndexGeneration, Rollout, StoreError,
        codec::{self, MAX_RECORD_BYTES},
    },
    Redis, count,
    failure::unexpected,
    keys::{self, PartitionKeys},
    list,
    scores::score,
    scripts::{COMMIT, INDEX},
};
use crate::scoring::{RankName, Tenant};

/// Commits of one script, and about how many bytes of values: bounds how long Redis is busy
/// with it, for everybody else waits.
const MAX_COMMITS: usize = 64;
const MAX_BYTES: usize = 1024 * 1024;

/// What a partition remembers of a rollout, and what it must not have seen.
pub struct Fence {
    epoch: u64,
    after: u64,
    text: String,
}

impl Fence {
    /// The fence of a rollout: its epoch, then the numbers of the generations that are maintained.
    pub fn of(rollout: &Rollout) -> Self {
        let mut text = rollout.epoch.to_string();
        for generation in rollout.maintained() {
            text.push(' ');
            text.push_str(&generation.number.to_string());
        }
        Self {
            epoch: rollout.epoch,
            after: rollout.after,
            text,
        }
    }

    /// The arguments of a script that compares it.
    pub fn add_to(&self, call: &mut Cmd) {
        call.arg(self.epoch).arg(self.after).arg(&self.text);
    }
}

/// A commit with the bytes that it writes.
struct Encoded<'a> {
    position: usize,
    commit: &'a Commit,
    /// Empty for a drop.
    value: Vec<u8>,
}

type Answers = Vec<Result<Committed, StoreError>>;

impl Redis {
    pub(super) async fn write_commits(
        &self,
        tenant: &Tenant,
        rollout: &Rollout,
        commits: &[Commit],
    ) -> Answers {
        let fence = Fence::of(rollout);
        if let [commit] = commits {
            return match encoded(commit) {
                Err(error) => vec![Err(error)],
                Ok(value) => {
                    let mut keys = self.partition_of(tenant, &commit.profile_id);
                    let encoded = Encoded {
                        position: 0,
                        commit,
                        value,
                    };
                    self.write_group(&mut keys, &fence, &[encoded]).await
                }
            };
        }

        let mut answers: Answers = vec![Ok(Committed::Conflict); commits.len()];
        let mut groups = Vec::new();
        let partitions = self.by_partition(commits.iter().map(|commit| &commit.profile_id));
        for (partition, positions) in partitions {
            let mut group = Vec::new();
            let mut bytes = 0;
            for position in positions {
                let commit = &commits[position];
                let value = match encoded(commit) {
                    Ok(value) => value,
                    Err(error) => {
                        answers[position] = Err(error);
                        continue;
                    }
                };
                if group.len() == MAX_COMMITS || (bytes + value.len() > MAX_BYTES && bytes > 0) {
                    groups.push((partition, std::mem::take(&mut group)));
                    bytes = 0;
                }
                bytes += value.len();
                group.push(Encoded {
                    position,
                    commit,
                    value,
                });
            }
            if !group.is_empty() {
                groups.push((partition, group));
            }
        }
        let fence = &fence;
        let written = join_all(groups.into_iter().map(|(partition, group)| async move {
            let mut keys = PartitionKeys::new(tenant, partition);
            let answers = self.write_group(&mut keys, fence, &group).await;
            let positions = group.into_iter().map(|encoded| encoded.position);
            positions.zip(answers).collect::<Vec<_>>()
        }))
        .await;
        for (position, answer) in written.into_iter().flatten() {
            answers[position] = answer;
        }
        answers
    }

    /// Writes commits of one partition by one script.
    async fn write_group(
        &self,
        keys: &mut PartitionKeys,
        fence: &Fence,
        group: &[Encoded<'_>],
    ) -> Answers {
        let call = commit_call(keys, fence, group);
        let all = |error: StoreError| vec![Err(error); group.len()];
        let (answer, replicated) = match self
            .connection
            .run_durably(&COMMIT, &call, keys.home())
            .await
        {
            Ok(answered) => answered,
            Err(failure) => return all(failure.of_write()),
        };
        let results = match list(answer.value) {
            Ok(results) if results.len() == group.len() => results,
            Ok(_) => return all(unexpected()),
            Err(error) => return all(error),
        };
        results
            .iter()
            .map(|result| match result {
                Value::Int(1) if replicated => Ok(Committed::Written),
                Value::Int(1) => Err(too_few_replicas()),
                // The first sending may have written it, and another writer followed.
                Value::Int(0) if answer.sent_before => Err(StoreError::OutcomeUnknown(
                    "the connection was lost; the record has changed since".to_owned(),
                )),
                Value::Int(0) => Ok(Committed::Conflict),
                _ => Err(unexpected()),
            })
            .collect()
    }

    pub(super) async fn add_entries(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        entries: &[IndexEntry],
    ) -> Result<(), StoreError> {
        let Some(last) = entries.last() else {
            return Ok(());
        };
        let mut calls = Vec::new();
        for (partition, positions) in
            self.by_partition(entries.iter().map(|entry| &entry.profile_id))
        {
            for positions in positions.chunks(MAX_COMMITS) {
                let mut keys = PartitionKeys::new(tenant, partition);
                let group: Vec<&IndexEntry> = positions
                    .iter()
                    .map(|&position| &entries[position])
                    .collect();
                calls.push((index_call(&mut keys, generation, &group), keys));
            }
        }
        let runs = calls
            .iter()
            .map(|(call, keys)| self.connection.run_durably(&INDEX, call, keys.home()));
        for answer in join_all(runs).await {
            let (answer, replicated) = answer.map_err(|failure| failure.of_write())?;
            count(&answer.value)?;
            if !replicated {
                return Err(too_few_replicas());
            }
        }
        let key = keys::indexed(tenant, generation.number);
        let mut command = redis::cmd("SET");
        command.arg(&key).arg(last.profile_id.as_str());
        let answer = self.connection.send(&command, &key).await;
        answer.map(|_| ()).map_err(|failure| failure.of_write())
    }
}

fn too_few_replicas() -> StoreError {
    let message = "written, but fewer replicas than configured have it";
    StoreError::OutcomeUnknown(message.to_owned())
}

/// The bytes that a commit writes; none for a drop.
fn encoded(commit: &Commit) -> Result<Vec<u8>, StoreError> {
    let Some(record) = &commit.record else {
        return Ok(Vec::new());
    };
    let record = codec::encode(record);
    let bytes = size_of::<u64>() + record.len();
    if bytes > MAX_RECORD_BYTES {
        return Err(StoreError::TooLarge(format!(
            "{bytes} bytes; at most {MAX_RECORD_BYTES} are allowed"
        )));
    }
    let mut value = Vec::with_capacity(bytes);
    value.extend_from_slice(&commit.version.0.to_be_bytes());
    value.extend_from_slice(&record);
    Ok(value)
}

/// The distinct ranks of a call, by their places among its keys.
#[derive(Default)]
struct Places<'a> {
    places: HashMap<(u64, &'a RankName), usize>,
    ranks: Vec<(u64, &'a RankName)>,
}

impl<'a> Places<'a> {
    fn add(&mut self, generation: u64, rank: &'a RankName) {
        let rank = (generation, rank);
        if let std::collections::hash_map::Entry::Vacant(vacant) = self.places.entry(rank) {
            self.ranks.push(rank);
            vacant.insert(self.ranks.len());
        }
    }

    /// From 1; 0 when it was not added.
    fn place(&self, generation: u64, rank: &'a RankName) -> usize {
        self.places.get(&(generation, rank)).copied().unwrap_or(0)
    }
}

fn commit_call(keys: &mut PartitionKeys, fence: &Fence, group: &[Encoded<'_>]) -> Cmd {
    let mut places = Places::default();
    let (mut arguments, mut bytes) = (4, 0);
    for Encoded { commit, value, .. } in group {
        arguments += 7 + 4 * commit.totals.len();
        bytes += value.len() + 128;
        for (generation, changes) in &commit.ranks {
            arguments += 2 * changes.len();
            bytes += 32 * changes.len();
            for change in changes {
                places.add(generation.number, &change.rank);
            }
        }
    }
    bytes += 80 * places.ranks.len();

    let mut call = COMMIT.call(3 + group.len() + places.ranks.len(), arguments, bytes);
    call.arg(keys.fence()).arg(keys.ids()).arg(keys.totals());
    for encoded in group {
        call.arg(keys.record(&encoded.commit.profile_id));
    }
    for (generation, rank) in &places.ranks {
        call.arg(keys.rank(*generation, rank));
    }
    fence.add_to(&mut call);
    call.arg(group.len());
    for Encoded { commit, value, .. } in group {
        match commit.expected {
            Some(version) => call.arg(&version.0.to_be_bytes()[..]),
            None => call.arg(""),
        };
        call.arg(&commit.version.0.to_be_bytes()[..])
            .arg(&value[..])
            .arg(commit.profile_id.as_str())
            .arg(commit.latest_counted().seconds_up());
        let changes: usize = commit.ranks.iter().map(|(_, changes)| changes.len()).sum();
        call.arg(changes);
        for (generation, changes) in &commit.ranks {
            for change in changes {
                call.arg(places.place(generation.number, &change.rank));
                match change.new {
                    Some(key) => call.arg(score(key)),
                    None => call.arg(""),
                };
            }
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

fn index_call(keys: &mut PartitionKeys, generation: IndexGeneration, group: &[&IndexEntry]) -> Cmd {
    let mut places = Places::default();
    let mut arguments = 2;
    for entry in group {
        arguments += 3 + 2 * entry.ranks.len();
        for (rank, _) in &entry.ranks {
            places.add(generation.number, rank);
        }
    }
    let bytes = 32 * arguments + 80 * (group.len() + places.ranks.len());
    let mut call = INDEX.call(1 + group.len() + places.ranks.len(), arguments, bytes);
    call.arg(keys.fence());
    for entry in group {
        call.arg(keys.record(&entry.profile_id));
    }
    for (number, rank) in &places.ranks {
        call.arg(keys.rank(*number, rank));
    }
    call.arg(generation.number).arg(group.len());
    for entry in group {
        call.arg(&entry.version.0.to_be_bytes()[..])
            .arg(entry.profile_id.as_str())
            .arg(entry.ranks.len());
        for (rank, key) in &entry.ranks {
            call.arg(places.place(generation.number, rank))
                .arg(score(*key));
        }
    }
    call
}
