//! Ranks: pages, counts and totals. A server answers for many partitions at once, the nodes of a
//! cluster for each; the answers are merged or added up.

use futures_util::{StreamExt as _, TryStreamExt as _, future::join_all, stream};
use redis::{Pipeline, Value};

use super::{
    super::{
        Cursor, IndexEntry, IndexGeneration, RankCounts, RankPage, RankRange, RankStore,
        StoreError, TopicTotals,
    },
    Redis, count,
    failure::unexpected,
    keys::{self, PartitionKeys, advances_field, touches_field},
    list, partitions_of,
    places::Places,
    profile_id,
    scores::Scores,
    scripts::COUNT,
    text,
};
use crate::scoring::{ProfileId, RankName, Tenant, Timestamp};

/// Keys that one command deletes: bounds how long Redis is busy with it.
pub(super) const MAX_DELETED: usize = 256;
/// Messages of one call that are under way at a time.
const MAX_IN_FLIGHT: usize = 64;
/// Partitions whose totals one message reads, and ranges that one script counts, those of all its
/// partitions together: bounds how long Redis is busy with it, for everybody else waits.
const MAX_READ_TOGETHER: usize = 64;
const MAX_COUNTED_TOGETHER: usize = 512;

impl RankStore for Redis {
    async fn page(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        range: &RankRange,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<RankPage, StoreError> {
        let page = self.by_layout(tenant, |partitions| {
            self.read_page(partitions, tenant, generation, range, after, limit)
        });
        self.looked_into(page.await).await
    }

    async fn count(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        ranges: &[RankRange],
    ) -> Result<RankCounts, StoreError> {
        let counts = self.by_layout(tenant, |partitions| {
            self.count_ranges(partitions, tenant, generation, ranges)
        });
        self.looked_into(counts.await).await
    }

    async fn totals(
        &self,
        tenant: &Tenant,
        topics: &[String],
    ) -> Result<Vec<TopicTotals>, StoreError> {
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        let fields: Vec<String> = topics
            .iter()
            .flat_map(|topic| [touches_field(topic), advances_field(topic)])
            .collect();
        let sums = self.by_layout(tenant, |partitions| {
            self.sum_totals(partitions, tenant, &fields)
        });
        let sums = sums.await?;
        // Less than nothing is left only where amounts beyond all bounds were cut.
        let total = |sum: i64| u64::try_from(sum).unwrap_or_default();
        let totals = sums.chunks_exact(2).map(|sums| TopicTotals {
            touches: total(sums[0]),
            advance_millionths: total(sums[1]),
        });
        Ok(totals.collect())
    }

    async fn index(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        entries: Vec<IndexEntry>,
    ) -> Result<(), StoreError> {
        let added = self.add_entries(tenant, generation, &entries).await;
        self.looked_into(added).await
    }

    async fn indexed_to(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
    ) -> Result<Option<ProfileId>, StoreError> {
        let key = keys::indexed(tenant, generation.number);
        let mut command = redis::cmd("GET");
        command.arg(&key);
        match self.read(&command, &key).await? {
            Value::Nil => Ok(None),
            value => profile_id(value).map(Some),
        }
    }

    async fn drop_ranks(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        ranks: &[RankName],
    ) -> Result<(), StoreError> {
        let mut commands = Vec::new();
        let layout = self.layout(tenant).await?;
        for mut keys in partitions_of(tenant, layout.partitions) {
            for ranks in ranks.chunks(MAX_DELETED) {
                let mut command = redis::cmd("UNLINK");
                for rank in ranks {
                    command.arg(keys.rank(generation.number, rank));
                }
                commands.push((command, keys.home().to_owned()));
            }
        }
        let indexed = keys::indexed(tenant, generation.number);
        let mut command = redis::cmd("UNLINK");
        command.arg(&indexed);
        commands.push((command, indexed));
        let deleted = commands
            .iter()
            .map(|(command, home)| self.write(command, home));
        join_all(deleted)
            .await
            .into_iter()
            .try_for_each(|deleted| deleted.map(|_| ()))
    }
}

impl Redis {
    async fn count_ranges(
        &self,
        partitions: u32,
        tenant: &Tenant,
        generation: IndexGeneration,
        ranges: &[RankRange],
    ) -> Result<RankCounts, StoreError> {
        let scores: Vec<Scores> = ranges.iter().map(|range| Scores::of(&range.keys)).collect();
        let most = MAX_COUNTED_TOGETHER / ranges.len().max(1);
        let mut partitions: Vec<PartitionKeys> = partitions_of(tenant, partitions).collect();
        let groups = partitions.chunks_mut(self.together(most.max(1)));
        let counts: Vec<_> = groups
            .map(|group| self.count_group(group, generation, ranges, &scores))
            .collect();
        let answers: Vec<Vec<Value>> = stream::iter(counts)
            .buffer_unordered(MAX_IN_FLIGHT)
            .try_collect()
            .await?;
        let mut sums = RankCounts {
            counts: vec![0; ranges.len()],
            latest_counted: Timestamp::EPOCH,
        };
        for answer in answers {
            let (latest, counts) = answer.split_first().ok_or_else(unexpected)?;
            if counts.len() != ranges.len() {
                return Err(unexpected());
            }
            let latest = Timestamp::from_seconds(count(latest)?);
            sums.latest_counted = sums.latest_counted.max(latest);
            for (sum, added) in sums.counts.iter_mut().zip(counts) {
                *sum += count(added)?;
            }
        }
        Ok(sums)
    }

    async fn count_group(
        &self,
        partitions: &mut [PartitionKeys],
        generation: IndexGeneration,
        ranges: &[RankRange],
        scores: &[Scores],
    ) -> Result<Vec<Value>, StoreError> {
        let mut places = Places::default();
        let of_range = ranges
            .iter()
            .map(|range| places.of(generation.number, &range.rank));
        let of_range: Vec<usize> = of_range.collect();
        let keys = partitions.len() * (1 + places.ranks.len());
        let mut call = COUNT.call(keys, 2 + 3 * ranges.len(), 64 * (keys + ranges.len()));
        for keys in &mut *partitions {
            call.arg(keys.fence());
        }
        for keys in &mut *partitions {
            for (generation, rank) in &places.ranks {
                call.arg(keys.rank(*generation, rank));
            }
        }
        call.arg(generation.number).arg(partitions.len());
        for (place, scores) in of_range.iter().zip(scores) {
            call.arg(place).arg(&scores.least).arg(&scores.greatest);
        }
        let answer = self
            .connection
            .run(&COUNT, &call, keys::home(partitions))
            .await;
        list(answer.map_err(|failure| failure.of_read())?.value)
    }

    /// Adds up fields of the totals of all partitions.
    async fn sum_totals(
        &self,
        partitions: u32,
        tenant: &Tenant,
        fields: &[String],
    ) -> Result<Vec<i64>, StoreError> {
        let mut partitions: Vec<PartitionKeys> = partitions_of(tenant, partitions).collect();
        let groups = partitions.chunks_mut(self.together(MAX_READ_TOGETHER));
        let reads: Vec<_> = groups
            .map(|group| self.read_totals(group, fields))
            .collect();
        let answers = stream::iter(reads)
            .buffer_unordered(MAX_IN_FLIGHT)
            .try_concat()
            .await?;
        let mut sums = vec![0_i64; fields.len()];
        for answer in answers {
            let answer = list(answer)?;
            if answer.len() != sums.len() {
                return Err(unexpected());
            }
            for (sum, added) in sums.iter_mut().zip(answer) {
                *sum = sum.saturating_add(stored_total(added)?);
            }
        }
        Ok(sums)
    }

    /// Reads fields of the totals of each partition.
    async fn read_totals(
        &self,
        partitions: &mut [PartitionKeys],
        fields: &[String],
    ) -> Result<Vec<Value>, StoreError> {
        let mut commands = Pipeline::with_capacity(partitions.len());
        for keys in &mut *partitions {
            commands.cmd("HMGET").arg(keys.totals()).arg(fields);
        }
        let answers = self
            .connection
            .send_all(commands, keys::home(partitions))
            .await;
        answers.map_err(|failure| failure.of_read())
    }
}

/// The number that a field holds; 0 when there is none.
pub fn stored_total(value: Value) -> Result<i64, StoreError> {
    let Some(text) = text(value)? else {
        return Ok(0);
    };
    text.parse()
        .map_err(|_| StoreError::Corrupt("a total is no number".to_owned()))
}
