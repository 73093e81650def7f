//! The simulated store as a server sees it: every call as messages to places.

use std::{cell::RefCell, collections::BTreeMap};

use bellwether::{
    scoring::{Fingerprint, ProfileId, RankName, Tenant},
    store::{
        Commit, Committed, Coordination, Cursor, IndexEntry, IndexGeneration, ModelStore,
        Publication, RankPage, RankRange, RankStore, RecordStore, Rollout, SavedModel, StoreError,
        Stored, TopicTotals,
    },
};
use futures_util::future::join_all;
use tokio::time::{Duration, Instant, sleep};

use crate::{
    network::{Connection, Kind, Place, World},
    state::{Flaw, in_page_order},
};

tokio::task_local! {
    /// The generations whose ranks were read for one question, in order.
    pub static READ: RefCell<Vec<IndexGeneration>>;
}

/// Records and commits of one partition that go in one message.
const CHUNK: usize = 3;
/// Records that a scan returns at most, so that few records are many batches.
const SCANNED: usize = 3;

impl Connection {
    /// Positions by partition, in messages of a few.
    fn messages(&self, ids: &[ProfileId]) -> Vec<(usize, Vec<usize>)> {
        let mut parts: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let world = self.world();
        for (position, id) in ids.iter().enumerate() {
            let partition = world.partition_of(id);
            parts.entry(partition).or_default().push(position);
        }
        let messages = parts.into_iter().flat_map(|(partition, positions)| {
            let chunks = positions.chunks(CHUNK).map(<[usize]>::to_vec);
            chunks.map(|chunk| (partition, chunk)).collect::<Vec<_>>()
        });
        messages.collect()
    }

    /// Asks every partition.
    async fn everywhere<R: Send + 'static>(
        &self,
        kind: Kind,
        ask: impl Fn(&mut World, usize) -> Result<R, StoreError> + Clone + Send + 'static,
    ) -> Result<Vec<R>, StoreError> {
        let partitions = self.world().partitions.len();
        let asked = (0..partitions).map(|partition| {
            let ask = ask.clone();
            let execute = move |world: &mut World| ask(world, partition);
            self.ask(Place::Partition(partition), kind, execute)
        });
        // Every message goes out, whatever becomes of the others.
        join_all(asked)
            .await
            .into_iter()
            .map(|part| part?)
            .collect()
    }

    fn read(&self, generation: IndexGeneration) {
        // Only questions of readers are watched.
        let _ = READ.try_with(|read| read.borrow_mut().push(generation));
    }
}

impl RecordStore for Connection {
    async fn load(
        &self,
        _: &Tenant,
        profile_ids: &[ProfileId],
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
                loaded[position] = found.clone().map(|found| found[index].clone());
            }
        }
        loaded
    }

    async fn commit(
        &self,
        _: &Tenant,
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

impl RankStore for Connection {
    async fn page(
        &self,
        _: &Tenant,
        generation: IndexGeneration,
        range: &RankRange,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<RankPage, StoreError> {
        let (range, after) = (range.clone(), after.cloned());
        let parts = self.everywhere(Kind::Read, move |world, partition| {
            let flaw = world.flaw;
            world.partitions[partition].serves(generation, flaw)?;
            let name = world.name(generation);
            world.note(&format!("page of {name} in {partition}"));
            world.check_read(partition, generation, &range.rank);
            Ok(world.partitions[partition].page(generation, &range, after.as_ref(), limit))
        });
        let parts = parts.await?;
        self.read(generation);
        let mut page = RankPage::default();
        for part in parts {
            page.entries.extend(part.entries);
            page.preceding += part.preceding;
            page.total += part.total;
        }
        page.entries.sort_by(in_page_order);
        page.entries.truncate(limit);
        Ok(page)
    }

    async fn count(
        &self,
        _: &Tenant,
        generation: IndexGeneration,
        ranges: &[RankRange],
    ) -> Result<Vec<u64>, StoreError> {
        let asked = ranges.to_vec();
        let parts = self.everywhere(Kind::Read, move |world, partition| {
            let flaw = world.flaw;
            world.partitions[partition].serves(generation, flaw)?;
            let name = world.name(generation);
            world.note(&format!("count of {name} in {partition}"));
            for range in &asked {
                world.check_read(partition, generation, &range.rank);
            }
            let kept = &world.partitions[partition];
            let counts = asked.iter().map(|range| kept.count(generation, range));
            Ok(counts.collect::<Vec<_>>())
        });
        let parts = parts.await?;
        self.read(generation);
        let positions = 0..ranges.len();
        let sums = positions.map(|at| parts.iter().map(|part| part[at]).sum());
        Ok(sums.collect())
    }

    async fn totals(&self, _: &Tenant, topics: &[String]) -> Result<Vec<TopicTotals>, StoreError> {
        let asked = topics.to_vec();
        let parts = self.everywhere(Kind::Read, move |world, partition| {
            let totals = &world.partitions[partition].totals;
            let found = asked.iter().map(|topic| totals.get(topic).copied());
            Ok(found.map(Option::unwrap_or_default).collect::<Vec<_>>())
        });
        let mut sums = vec![TopicTotals::default(); topics.len()];
        for part in parts.await? {
            for (sum, total) in sums.iter_mut().zip(part) {
                sum.touches += total.touches;
                sum.advance_millionths += total.advance_millionths;
            }
        }
        Ok(sums)
    }

    async fn index(
        &self,
        _: &Tenant,
        generation: IndexGeneration,
        entries: Vec<IndexEntry>,
    ) -> Result<(), StoreError> {
        let ids: Vec<ProfileId> = entries
            .iter()
            .map(|entry| entry.profile_id.clone())
            .collect();
        let asked = self
            .messages(&ids)
            .into_iter()
            .map(|(partition, positions)| {
                let part: Vec<IndexEntry> =
                    positions.iter().map(|at| entries[*at].clone()).collect();
                let server = self.name;
                let index = move |world: &mut World| {
                    let (flaw, name) = (world.flaw, world.name(generation));
                    world.note(&format!(
                        "{server} indexes {} of {name} in {partition}",
                        part.len()
                    ));
                    world.partitions[partition].index(generation, &part, flaw)
                };
                self.ask(Place::Partition(partition), Kind::Write, index)
            });
        for indexed in join_all(asked).await {
            indexed??;
        }
        let Some(last) = ids.last().cloned() else {
            return Ok(());
        };
        let note = move |world: &mut World| {
            let name = world.name(generation);
            world.note(&format!("{name} is indexed to {last}"));
            world.common.note_indexed(generation, &last);
        };
        self.ask(Place::Common, Kind::Write, note).await
    }

    async fn indexed_to(
        &self,
        _: &Tenant,
        generation: IndexGeneration,
    ) -> Result<Option<ProfileId>, StoreError> {
        let read = move |world: &mut World| world.common.indexed.get(&generation.number).cloned();
        self.ask(Place::Common, Kind::Read, read).await
    }

    async fn drop_ranks(
        &self,
        _: &Tenant,
        generation: IndexGeneration,
        ranks: &[RankName],
    ) -> Result<(), StoreError> {
        let (ranks, server) = (ranks.to_vec(), self.name);
        let parts = self.everywhere(Kind::Write, move |world, partition| {
            let name = world.name(generation);
            world.note(&format!("{server} drops {name} in {partition}"));
            world.partitions[partition].drop_ranks(generation, &ranks);
            Ok(())
        });
        parts.await.map(drop)
    }
}

impl ModelStore for Connection {
    async fn publications(
        &self,
        scopes: &[String],
    ) -> Result<Vec<Option<Publication>>, StoreError> {
        let read = |world: &mut World| world.common.publication;
        let latest = self.ask(Place::Common, Kind::Read, read).await?;
        Ok(vec![latest; scopes.len()])
    }

    async fn publish(
        &self,
        _: &str,
        publication: &Publication,
        source: &str,
    ) -> Result<bool, StoreError> {
        let (publication, source, server) = (*publication, source.to_owned(), self.name);
        let publish = move |world: &mut World| {
            world.earlier.push((Instant::now(), world.common.clone()));
            let published = world.common.publish(&publication, &source);
            let model = publication.model;
            world.note(&format!("{server} publishes {model}: {published}"));
            published
        };
        self.ask(Place::Common, Kind::Write, publish).await
    }

    async fn published_source(&self, _: &str) -> Result<Option<String>, StoreError> {
        let read = |world: &mut World| world.common.source.clone();
        self.ask(Place::Common, Kind::Read, read).await
    }

    async fn revision(&self, _: &str, model: Fingerprint) -> Result<Option<u64>, StoreError> {
        let read = move |world: &mut World| {
            let known = world.common.revisions.get(&model).copied();
            known.filter(|_| world.flaw != Some(Flaw::ForgetsRevisions))
        };
        self.ask(Place::Common, Kind::Read, read).await
    }

    async fn save_model(&self, model: &SavedModel) -> Result<(), StoreError> {
        let model = model.clone();
        let save = move |world: &mut World| {
            let saved = (model.clone(), Instant::now());
            world.common.models.insert(model.fingerprint, saved);
        };
        self.ask(Place::Common, Kind::Write, save).await
    }

    async fn model(&self, fingerprint: Fingerprint) -> Result<Option<SavedModel>, StoreError> {
        let read = move |world: &mut World| {
            let saved = world.common.models.get(&fingerprint);
            saved.map(|(model, _)| model.clone())
        };
        self.ask(Place::Common, Kind::Read, read).await
    }

    async fn forget_models(
        &self,
        needed: &[Fingerprint],
        unsaved_for: Duration,
    ) -> Result<u64, StoreError> {
        let needed = needed.to_vec();
        let forget = move |world: &mut World| {
            let left = world.common.forget_models(&needed, unsaved_for);
            world.note(&format!("models are forgotten, {left} are left"));
            left
        };
        self.ask(Place::Common, Kind::Write, forget).await
    }
}

impl Coordination for Connection {
    async fn rollout(&self, _: &Tenant) -> Result<Rollout, StoreError> {
        let read = |world: &mut World| world.common.rollout.clone();
        self.ask(Place::Common, Kind::Read, read).await
    }

    async fn rollouts(&self, tenants: &[Tenant]) -> Result<Vec<Rollout>, StoreError> {
        let mut rollouts = Vec::new();
        for tenant in tenants {
            rollouts.push(self.rollout(tenant).await?);
        }
        Ok(rollouts)
    }

    async fn set_rollout(&self, _: &Tenant, rollout: &Rollout) -> Result<bool, StoreError> {
        let (rollout, server) = (rollout.clone(), self.name);
        let set = move |world: &mut World| {
            let flaw = world.flaw;
            world.earlier.push((Instant::now(), world.common.clone()));
            let set = world.common.set_rollout(&rollout, flaw);
            let text = world.describe(&rollout);
            world.note(&format!("{server} sets {text}: {set}"));
            set
        };
        self.ask(Place::Common, Kind::Write, set).await
    }

    async fn fence(&self, _: &Tenant, rollout: &Rollout) -> Result<(), StoreError> {
        let (rollout, server) = (rollout.clone(), self.name);
        let parts = self.everywhere(Kind::Write, move |world, partition| {
            if world.flaw == Some(Flaw::FencesOnePartition) && partition > 0 {
                return Ok(());
            }
            let epoch = rollout.epoch;
            let raised = world.partitions[partition].raise_fence(&rollout);
            world.note(&format!(
                "{server} fences {partition} at {epoch}: {raised:?}"
            ));
            match raised {
                Ok(true) => {}
                Ok(false) => return Err(StoreError::Superseded),
                Err(wrong) => world.violate(wrong),
            }
            Ok(())
        });
        parts.await.map(drop)
    }

    async fn lease(&self, _: &Tenant, server: u64, period: Duration) -> Result<bool, StoreError> {
        let name = self.name;
        let take = move |world: &mut World| {
            let taken = world.common.take_lease(server, period);
            if taken {
                world.builder = Some(name);
            }
            world.note(&format!("{name} takes the lease: {taken}"));
            taken
        };
        self.ask(Place::Common, Kind::Write, take).await
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn servers(&self) -> Result<u64, StoreError> {
        let count = |world: &mut World| world.common.serving();
        self.ask(Place::Common, Kind::Read, count).await
    }

    async fn announce(&self, server: u64, period: Duration) -> Result<u64, StoreError> {
        let announce = move |world: &mut World| world.common.announce(server, period);
        self.ask(Place::Common, Kind::Write, announce).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.everywhere(Kind::Read, |_, _| Ok(())).await.map(drop)
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
        world.crowd.note(id, stored.map(|stored| &stored.record));
        world.note(&format!(
            "{server} commits {id} to {partition} at {epoch}: {result:?}"
        ));
    }
    Ok(results)
}
