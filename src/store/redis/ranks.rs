//! Ranks: pages, counts and totals. Every partition answers for itself, and the answers are merged
//! or added up.

use std::{cmp::Reverse, collections::HashSet};

use futures_util::{
    StreamExt as _, TryStreamExt as _,
    future::{join_all, try_join_all},
    stream,
};
use redis::Value;

use super::{
    super::{
        Cursor, IndexEntry, IndexGeneration, RankCounts, RankPage, RankRange, RankStore,
        StoreError, TopicTotals,
    },
    Redis, count,
    failure::unexpected,
    keys::{self, PartitionKeys, advances_field, touches_field},
    list,
    merge::{self, Merge},
    profile_id,
    scripts::{COUNT, PAGE},
    text,
};
use crate::scoring::{KeyRange, ProfileId, RankKey, RankName, Tenant, Timestamp};

/// Keys that one command deletes.
const MAX_DELETED: usize = 256;
/// Partitions that are counted at a time.
const MAX_PARTITIONS_IN_FLIGHT: usize = 64;

/// An entry in page order.
type Entry = (Reverse<RankKey>, ProfileId);

/// The score of a key: minus the key, so that ascending scores are page order.
pub fn score(key: RankKey) -> String {
    // Subtracting from zero never gives the negative zero.
    format!("{:e}", 0.0 - key.value())
}

/// The key of a score as Redis writes it.
fn key_of(score: &str) -> Option<RankKey> {
    score
        .parse()
        .ok()
        .and_then(|score: f64| RankKey::new(0.0 - score))
}

/// A range of keys as Redis takes it: its least and its greatest score.
struct Scores {
    least: String,
    greatest: String,
}

impl Scores {
    fn of(keys: &KeyRange) -> Self {
        Self {
            least: match keys.below {
                Some(below) => format!("({}", score(below)),
                None => "-inf".to_owned(),
            },
            greatest: score(keys.from),
        }
    }
}

/// What one partition says of a page.
struct Part {
    latest_counted: Timestamp,
    total: u64,
    preceding: u64,
    entries: Vec<Entry>,
}

impl Part {
    fn has_more(&self) -> bool {
        self.preceding + (self.entries.len() as u64) < self.total
    }
}

impl RankStore for Redis {
    async fn page(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        range: &RankRange,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<RankPage, StoreError> {
        let page = self
            .read_page(tenant, generation, range, after, limit)
            .await;
        self.looked_into(page).await
    }

    async fn count(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        ranges: &[RankRange],
    ) -> Result<RankCounts, StoreError> {
        let counts = self.count_ranges(tenant, generation, ranges).await;
        self.looked_into(counts).await
    }

    async fn totals(
        &self,
        tenant: &Tenant,
        topics: &[String],
    ) -> Result<Vec<TopicTotals>, StoreError> {
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        let answers = try_join_all(self.partitions_of(tenant).map(|mut keys| async move {
            let mut command = redis::cmd("HMGET");
            command.arg(keys.totals());
            for topic in topics {
                command.arg(touches_field(topic)).arg(advances_field(topic));
            }
            let answer = self.connection.send(&command, keys.home()).await;
            list(answer.map_err(|failure| failure.of_read())?.value)
        }))
        .await?;
        let mut sums = vec![0_i64; 2 * topics.len()];
        for answer in answers {
            if answer.len() != sums.len() {
                return Err(unexpected());
            }
            for (sum, added) in sums.iter_mut().zip(answer) {
                *sum = sum.saturating_add(stored_total(added)?);
            }
        }
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
        for mut keys in self.partitions_of(tenant) {
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
    async fn read_page(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        range: &RankRange,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<RankPage, StoreError> {
        let scores = Scores::of(&range.keys);
        let mut partitions: Vec<PartitionKeys> = self.partitions_of(tenant).collect();
        let piece = merge::piece(limit, partitions.len());
        let after = after.map(|cursor| (Reverse(cursor.key), cursor.profile_id.clone()));
        let parts =
            try_join_all(partitions.iter_mut().map(|keys| {
                self.read_part(keys, generation, range, &scores, after.as_ref(), piece)
            }))
            .await?;

        let mut page = RankPage::default();
        let mut merge = Merge::new(parts.len());
        for (number, part) in parts.into_iter().enumerate() {
            page.latest_counted = page.latest_counted.max(part.latest_counted);
            page.total += part.total;
            page.preceding += part.preceding;
            let more = part.has_more();
            merge.feed(number, part.entries, more);
        }
        // A profile that moves down while its partition is read on comes twice.
        let mut seen = HashSet::new();
        while page.entries.len() < limit {
            let hungry: Vec<(usize, Option<Entry>)> = merge
                .hungry()
                .map(|(number, last)| (number, last.cloned()))
                .collect();
            if let Some((number, last)) = hungry.into_iter().next() {
                if seen.is_empty() {
                    seen.extend(
                        page.entries
                            .iter()
                            .map(|(_, profile_id)| profile_id.clone()),
                    );
                }
                let missing = (limit - page.entries.len()).min(4 * piece.max(1));
                let keys = &mut partitions[number];
                let part = self
                    .read_part(keys, generation, range, &scores, last.as_ref(), missing)
                    .await?;
                let more = part.has_more();
                page.latest_counted = page.latest_counted.max(part.latest_counted);
                merge.feed(number, part.entries, more);
            }
            match merge.next() {
                Some((Reverse(key), profile_id)) => {
                    if !seen.contains(&profile_id) {
                        page.entries.push((key, profile_id.clone()));
                    }
                    if !seen.is_empty() {
                        seen.insert(profile_id);
                    }
                }
                None if merge.hungry().len() == 0 => break,
                None => {}
            }
        }
        Ok(page)
    }

    async fn read_part(
        &self,
        keys: &mut PartitionKeys,
        generation: IndexGeneration,
        range: &RankRange,
        scores: &Scores,
        after: Option<&Entry>,
        limit: usize,
    ) -> Result<Part, StoreError> {
        let mut call = PAGE.call(2, 6, 512);
        call.arg(keys.fence())
            .arg(keys.rank(generation.number, &range.rank))
            .arg(generation.number)
            .arg(&scores.least)
            .arg(&scores.greatest);
        match after {
            Some((Reverse(key), profile_id)) => call.arg(score(*key)).arg(profile_id.as_str()),
            None => call.arg("").arg(""),
        };
        call.arg(limit);
        let answer = self.connection.run(&PAGE, &call, keys.home()).await;
        let answer = list(answer.map_err(|failure| failure.of_read())?.value)?;
        let [latest, total, preceding, entries] =
            <[Value; 4]>::try_from(answer).map_err(|_| unexpected())?;
        let latest_counted = Timestamp::from_seconds(count(&latest)?);
        let (total, preceding) = (count(&total)?, count(&preceding)?);
        let mut values = list(entries)?.into_iter();
        let mut entries = Vec::with_capacity(values.len() / 2);
        while let (Some(member), Some(score)) = (values.next(), values.next()) {
            let key = text(score)?.as_deref().and_then(key_of);
            let key = key.ok_or_else(|| StoreError::Corrupt("a rank key is none".to_owned()))?;
            entries.push((Reverse(key), profile_id(member)?));
        }
        Ok(Part {
            latest_counted,
            total,
            preceding,
            entries,
        })
    }

    async fn count_ranges(
        &self,
        tenant: &Tenant,
        generation: IndexGeneration,
        ranges: &[RankRange],
    ) -> Result<RankCounts, StoreError> {
        let scores: Vec<Scores> = ranges.iter().map(|range| Scores::of(&range.keys)).collect();
        let scores = &scores;
        let answers = stream::iter(self.partitions_of(tenant)).map(|mut keys| async move {
            let bytes = 160 * (ranges.len() + 1);
            let mut call = COUNT.call(1 + ranges.len(), 1 + 2 * ranges.len(), bytes);
            call.arg(keys.fence());
            for range in ranges {
                call.arg(keys.rank(generation.number, &range.rank));
            }
            call.arg(generation.number);
            for scores in scores {
                call.arg(&scores.least).arg(&scores.greatest);
            }
            let answer = self.connection.run(&COUNT, &call, keys.home()).await;
            list(answer.map_err(|failure| failure.of_read())?.value)
        });
        let answers: Vec<Vec<Value>> = answers
            .buffer_unordered(MAX_PARTITIONS_IN_FLIGHT)
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
}

/// The number that a field holds; 0 when there is none.
fn stored_total(value: Value) -> Result<i64, StoreError> {
    let Some(text) = text(value)? else {
        return Ok(0);
    };
    text.parse()
        .map_err(|_| StoreError::Corrupt("a total is no number".to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(value: f64) -> RankKey {
        RankKey::new(value).unwrap()
    }

    #[test]
    fn scores_are_minus_the_keys_and_zero_has_no_sign() {
        assert_eq!(score(key(0.0)), "0e0");
        assert_eq!(score(RankKey::NO_POINTS), "inf");
        assert_eq!(score(key(2.5)), "-2.5e0");
    }

    #[test]
    fn ranges_of_keys_become_ranges_of_scores() {
        let scores = |from, below: Option<f64>| {
            let scores = Scores::of(&KeyRange {
                from,
                below: below.map(key),
            });
            (scores.least, scores.greatest)
        };
        let text = |least: &str, greatest: &str| (least.to_owned(), greatest.to_owned());
        assert_eq!(scores(RankKey::NO_POINTS, None), text("-inf", "inf"));
        assert_eq!(scores(key(3.0), Some(4.0)), text("(-4e0", "-3e0"));
        let nobody = scores(RankKey::NO_POINTS, Some(f64::NEG_INFINITY));
        assert_eq!(nobody, text("(inf", "inf"));
    }

    proptest! {
        #[test]
        fn a_key_survives_as_a_score(value in any::<f64>()) {
            if let Some(key) = RankKey::new(value) {
                prop_assert_eq!(key_of(&score(key)), Some(key));
            }
        }
    }
}
