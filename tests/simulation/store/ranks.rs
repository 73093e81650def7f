//! Ranks and totals, put together from all partitions.

use bellwether::{
    scoring::{ProfileId, RankName, Tenant},
    store::{
        Cursor, IndexEntry, IndexGeneration, RankCounts, RankPage, RankRange, RankStore,
        StoreError, TopicTotals,
    },
};
use futures_util::future::join_all;

use crate::{
    network::{Connection, Kind, Place, World},
    state::in_page_order,
};

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
            page.latest_counted = page.latest_counted.max(part.latest_counted);
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
    ) -> Result<RankCounts, StoreError> {
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
            Ok((counts.collect::<Vec<_>>(), kept.latest_counted))
        });
        let parts = parts.await?;
        self.read(generation);
        let positions = 0..ranges.len();
        let sums = positions.map(|at| parts.iter().map(|(counts, _)| counts[at]).sum());
        let latest = parts.iter().map(|(_, latest)| *latest).max();
        Ok(RankCounts {
            counts: sums.collect(),
            latest_counted: latest.unwrap_or_default(),
        })
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
