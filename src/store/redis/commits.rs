//! Commits by partition, and the building of ranks.

use futures_util::future::join_all;
use redis::Cmd;

use super::{
    super::{Commit, Committed, IndexEntry, IndexGeneration, Rollout, StoreError},
    Redis, by_partition, count,
    failure::unexpected,
    fence::Fence,
    gathering::Size,
    keys::{self, PartitionKeys},
    places::Places,
    scores::score,
    scripts::INDEX,
    writing::{Answers, CAPACITY, Encoded, Target, too_few_replicas},
};
use crate::scoring::Tenant;

/// Commits of one caller and one partition, with their positions among all of the caller's.
#[derive(Default)]
struct Request {
    positions: Vec<usize>,
    commits: Vec<Encoded>,
}

impl Redis {
    pub(super) async fn write_commits(
        &self,
        tenant: &Tenant,
        rollout: &Rollout,
        commits: Vec<Commit>,
    ) -> Answers {
        let (fence, partitions) = (&Fence::of(rollout), self.partitions_by(rollout));
        let commits = match <[Commit; 1]>::try_from(commits) {
            Ok([commit]) => return vec![self.write_one(tenant, fence, partitions, commit).await],
            Err(commits) => commits,
        };
        let groups = by_partition(partitions, commits.iter().map(|commit| &commit.profile_id));
        let mut answers: Answers = vec![Ok(Committed::Conflict); commits.len()];
        let mut commits: Vec<Option<Commit>> = commits.into_iter().map(Some).collect();
        let mut requests = Vec::with_capacity(groups.len());
        for (partition, positions) in groups {
            let (mut request, mut size) = (Request::default(), Size::default());
            for position in positions {
                let Some(commit) = commits[position].take() else {
                    continue;
                };
                match Encoded::new(commit) {
                    Err(error) => answers[position] = Err(error),
                    Ok(encoded) => {
                        if !size.take(encoded.size(), CAPACITY) {
                            size = encoded.size();
                            requests.push((partition, std::mem::take(&mut request)));
                        }
                        request.positions.push(position);
                        request.commits.push(encoded);
                    }
                }
            }
            if !request.commits.is_empty() {
                requests.push((partition, request));
            }
        }
        let written = join_all(requests.into_iter().map(|(partition, request)| async move {
            let Request { positions, commits } = request;
            let target = Target {
                tenant: tenant.clone(),
                partitions,
                partition,
                fence: fence.clone(),
            };
            (positions, self.commits.ask(target, commits).await)
        }))
        .await;
        for (positions, written) in written {
            match written {
                Ok(written) => {
                    for (position, answer) in positions.into_iter().zip(written) {
                        answers[position] = answer;
                    }
                }
                Err(error) => {
                    for position in positions {
                        answers[position] = Err(error.clone());
                    }
                }
            }
        }
        answers
    }

    /// What most callers do.
    async fn write_one(
        &self,
        tenant: &Tenant,
        fence: &Fence,
        partitions: u32,
        commit: Commit,
    ) -> Result<Committed, StoreError> {
        let target = Target {
            tenant: tenant.clone(),
            partitions,
            partition: keys::partition_of(&commit.profile_id, partitions),
            fence: fence.clone(),
        };
        let written = self.commits.ask(target, vec![Encoded::new(commit)?]);
        written.await?.pop().unwrap_or_else(|| Err(unexpected()))
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
        // There is no repartition while a candidate is built.
        let partitions = self.layout(tenant).await?.partitions;
        let ids = entries.iter().map(|entry| &entry.profile_id);
        for (partition, positions) in by_partition(partitions, ids) {
            for positions in positions.chunks(CAPACITY.items) {
                let mut keys = PartitionKeys::new(tenant, partitions, partition);
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

fn index_call(keys: &mut PartitionKeys, generation: IndexGeneration, group: &[&IndexEntry]) -> Cmd {
    let (mut places, mut order) = (Places::default(), Vec::new());
    let mut arguments = 2;
    for entry in group {
        arguments += 3 + 2 * entry.ranks.len();
        let found = entry.ranks.iter().map(|(rank, _)| rank);
        order.extend(found.map(|rank| places.of(generation.number, rank)));
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
    let mut order = order.into_iter();
    for entry in group {
        call.arg(&entry.version.0.to_be_bytes()[..])
            .arg(entry.profile_id.as_str())
            .arg(entry.ranks.len());
        for ((_, key), place) in entry.ranks.iter().zip(order.by_ref()) {
            call.arg(place).arg(score(*key));
        }
    }
    call
}
