//! Records, in the partitions of their profiles.

use std::sync::Arc;

use bellwether::{
    scoring::{ProfileId, Tenant},
    store::{Commit, Committed, IndexGeneration, Recent, RecordStore, Rollout, StoreError, Stored},
};
use futures_util::future::join_all;
use tokio::time::{Duration, sleep};

use crate::{
    network::{Connection, Kind, Place, World},
    state::Flaw,
};

/// What a record is taken to weigh, as it is stored.
const RECORD_BYTES: usize = 400;

/// Records that a scan returns at most, so that few records are many batches.
const SCANNED: usize = 3;

impl RecordStore for Connection {
    async fn load_to_commit(
        &self,
        tenant: &Tenant,
        profile_ids: &[ProfileId],
        to_commit: usize,
    ) -> Vec<Result<Option<Stored>, StoreError>> {
        let asked = self
            .messages(profile_ids)
            .into_iter()
            .map(|(partition, positions)| {
                let ids: Vec<ProfileId> = positions
                    .iter()
                    .map(|at| profile_ids[*at].clone())
                    .collect();
                let execute = move |world: &mut World| {
                    let records = &world.partitions[partition].records;
                    ids.iter().map(|id| records.get(id).cloned()).collect()
                };
                async move {
                    let place = Place::Partition(partition);
                    let found: Result<Vec<_>, _> = self.ask(place, Kind::Read, execute).await;
                    (positions, found)
                }
            });
        let mut loaded = vec![Ok(None); profile_ids.len()];
        for (positions, found) in join_all(asked).await {
            for (index, position) in positions.into_iter().enumerate() {
                let found = found.clone().map(|found| found[index].clone());
                let to_change = position < to_commit;
                loaded[position] = found.map(|found| {
                    let id = &profile_ids[position];
                    self.recent_or(tenant, id, found, to_change)
                });
            }
        }
        loaded
    }

    fn give_back(&self, tenant: &Tenant, stored: Stored) {
        self.recent.give_back(tenant, &stored);
    }

    async fn commit(
        &self,
        tenant: &Tenant,
        rollout: &Rollout,
        commits: Vec<Commit>,
    ) -> Vec<Result<Committed, StoreError>> {
        let ids: Vec<ProfileId> = commits
            .iter()
            .map(|commit| commit.profile_id.clone())
            .collect();
        let maintained: Vec<IndexGeneration> = rollout.maintained().collect();
        for commit in &commits {
            let written: Vec<IndexGeneration> = commit
                .ranks
                .iter()
                .map(|(generation, _)| *generation)
                .collect();
            if written != maintained {
                let id = &commit.profile_id;
                self.world().violate(format!(
                    "a commit of {id} at {rollout:?} writes the ranks of {written:?}"
                ));
            }
        }
        let asked = self
            .messages(&ids)
            .into_iter()
            .map(|(partition, positions)| {
                let commits: Vec<Commit> =
                    positions.iter().map(|at| commits[*at].clone()).collect();
                let credits = commits.iter().all(|commit| !commit.totals.is_empty());
                let rollout = rollout.clone();
                let server = self.name;
                let execute =
                    move |world: &mut World| commit(world, partition, &rollout, &commits, server);
                async move {
                    let place = Place::Partition(partition);
                    let flaw = self.world().flaw;
                    let early = flaw == Some(Flaw::AcknowledgesUnwritten)
                        || (flaw == Some(Flaw::DefersCredits) && credits);
                    if early {
                        let connection = self.clone();
                        tokio::spawn(async move {
                            sleep(Duration::from_millis(100)).await;
                            if connection.is_alive() {
                                drop(connection.send(place, execute));
                            }
                        });
                        return (positions, Ok(Ok(Vec::new())));
                    }
                    let done = self.ask(place, Kind::Write, execute).await;
                    (positions, done)
                }
            });
        let mut results = vec![Ok(Committed::Written); ids.len()];
        for (positions, done) in join_all(asked).await {
            for (index, position) in positions.into_iter().enumerate() {
                results[position] = match &done {
                    Ok(Ok(committed)) => {
                        Ok(committed.get(index).copied().unwrap_or(Committed::Written))
                    }
                    Ok(Err(error)) | Err(error) => Err(error.clone()),
                };
            }
        }
        for (commit, result) in commits.into_iter().zip(&results) {
            if *result == Ok(Committed::Written) {
                self.keep_written(tenant, commit);
            }
        }
        results
    }

    async fn scan(
        &self,
        _: &Tenant,
        after: Option<&ProfileId>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let after = after.cloned();
        let parts = self.everywhere(Kind::Read, move |world, partition| {
            world.note(&format!("scan in {partition}"));
            Ok(world.partitions[partition].scan(after.as_ref(), limit))
        });
        let mut found: Vec<Stored> = parts.await?.into_iter().flatten().collect();
        found.sort_by(|one, other| one.profile_id.cmp(&other.profile_id));
        found.truncate(limit.min(SCANNED));
        Ok(found)
    }

    async fn record_count(&self, _: &Tenant) -> Result<u64, StoreError> {
        let parts = self.everywhere(Kind::Read, |world, partition| {
            Ok(world.partitions[partition].records.len() as u64)
        });
        Ok(parts.await?.into_iter().sum())
    }

    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        let known = |world: &mut World| world.common.rollout.epoch > 0;
        let known = self.ask(Place::Common, Kind::Read, known).await?;
        Ok(known.then(crate::people::tenant).into_iter().collect())
    }

    async fn tenant_count(&self) -> Result<u64, StoreError> {
        Ok(self.tenants().await?.len() as u64)
    }

    async fn have_losses(&self, tenants: &[Tenant]) -> Result<Vec<bool>, StoreError> {
        Ok(vec![false; tenants.len()])
    }
}

impl Connection {
    /// What is stored; what is recent serves for it if it is of the same version.
    fn recent_or(
        &self,
        tenant: &Tenant,
        id: &ProfileId,
        stored: Option<Stored>,
        to_change: bool,
    ) -> Option<Stored> {
        let version = match self.world().flaw {
            Some(Flaw::ServesCopies) => self.recent.version(tenant, id),
            _ => stored.as_ref().map(|stored| stored.version),
        };
        let copy = version.and_then(|version| {
            let found = self.recent.of_version(tenant, id, version, to_change);
            found.map(|record| Stored {
                profile_id: id.clone(),
                version,
                record,
                bytes: RECORD_BYTES,
            })
        });
        if copy.is_some() {
            return copy;
        }
        if let Some(stored) = &stored {
            self.recent.read(tenant, stored, to_change);
        }
        stored
    }

    fn keep_written(&self, tenant: &Tenant, commit: Commit) {
        let written = commit.record.map(|record| Recent {
            version: commit.version,
            record: Some(Arc::new(record)),
            bytes: RECORD_BYTES,
        });
        self.recent.written(tenant, &commit.profile_id, written);
    }
}

/// Commits of one partition in one step.
fn commit(
    world: &mut World,
    partition: usize,
    rollout: &Rollout,
    commits: &[Commit],
    server: &str,
) -> Result<Vec<Committed>, StoreError> {
    let (flaw, epoch) = (world.flaw, rollout.epoch);
    match world.partitions[partition].raise_fence(rollout) {
        Ok(true) => {}
        Ok(false) if flaw == Some(Flaw::TakesOldEpochs) => {}
        Ok(false) => {
            world.note(&format!(
                "{server} commits to {partition} at {epoch}: superseded"
            ));
            return Err(StoreError::Superseded);
        }
        Err(wrong) => world.violate(wrong),
    }
    world.lag(partition);
    let results = world.partitions[partition].commit(commits, flaw);
    for (commit, result) in commits.iter().zip(&results) {
        let id = &commit.profile_id;
        let stored = world.partitions[partition].records.get(id);
        world.crowd.note(id, stored.map(|stored| &*stored.record));
        world.note(&format!(
            "{server} commits {id} to {partition} at {epoch}: {result:?}"
        ));
    }
    Ok(results)
}
