//! Pages of ranks: what each partition has of one is merged.

use std::{cmp::Reverse, collections::HashSet};

use futures_util::future::try_join_all;
use redis::Value;

use super::{
    super::{Cursor, IndexGeneration, RankPage, RankRange, StoreError},
    Redis, count,
    failure::unexpected,
    keys::{self, PartitionKeys},
    list,
    merge::{self, Merge},
    profile_id,
    scores::{Scores, key_of, score},
    scripts::PAGE,
    text,
};
use crate::scoring::{ProfileId, RankKey, Tenant, Timestamp};

/// Partitions that one script reads, and about how many entries: bounds how long Redis is busy with
/// it, for everybody else waits.
const MAX_READ_TOGETHER: usize = 64;
const MAX_ENTRIES_TOGETHER: usize = 2_048;

/// An entry in page order.
type Entry = (Reverse<RankKey>, ProfileId);

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

impl Redis {
    pub(super) async fn read_page(
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
        let most = MAX_ENTRIES_TOGETHER / piece.max(1);
        let groups = partitions.chunks_mut(self.together(most.clamp(1, MAX_READ_TOGETHER)));
        let parts = groups
            .map(|group| self.read_parts(group, generation, range, &scores, after.as_ref(), piece));
        let parts = try_join_all(parts).await?.into_iter().flatten();

        let mut page = RankPage::default();
        let mut merge = Merge::new(partitions.len());
        for (number, part) in parts.enumerate() {
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
                let group = &mut partitions[number..=number];
                let parts = self
                    .read_parts(group, generation, range, &scores, last.as_ref(), missing)
                    .await?;
                for part in parts {
                    let more = part.has_more();
                    page.latest_counted = page.latest_counted.max(part.latest_counted);
                    merge.feed(number, part.entries, more);
                }
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

    /// Reads of each partition what stands after the same entry.
    async fn read_parts(
        &self,
        partitions: &mut [PartitionKeys],
        generation: IndexGeneration,
        range: &RankRange,
        scores: &Scores,
        after: Option<&Entry>,
        limit: usize,
    ) -> Result<Vec<Part>, StoreError> {
        let keys = 2 * partitions.len();
        let mut call = PAGE.call(keys, 6, 128 * (2 + keys));
        for keys in &mut *partitions {
            call.arg(keys.fence())
                .arg(keys.rank(generation.number, &range.rank));
        }
        call.arg(generation.number)
            .arg(&scores.least)
            .arg(&scores.greatest);
        match after {
            Some((Reverse(key), profile_id)) => call.arg(score(*key)).arg(profile_id.as_str()),
            None => call.arg("").arg(""),
        };
        call.arg(limit);
        let answer = self
            .connection
            .run(&PAGE, &call, keys::home(partitions))
            .await;
        let parts = list(answer.map_err(|failure| failure.of_read())?.value)?;
        if parts.len() != partitions.len() {
            return Err(unexpected());
        }
        parts.into_iter().map(part).collect()
    }
}

/// What one partition has answered.
fn part(answer: Value) -> Result<Part, StoreError> {
    let [latest, total, preceding, entries] =
        <[Value; 4]>::try_from(list(answer)?).map_err(|_| unexpected())?;
    let mut values = list(entries)?.into_iter();
    let mut entries = Vec::with_capacity(values.len() / 2);
    while let (Some(member), Some(score)) = (values.next(), values.next()) {
        let key = text(score)?.as_deref().and_then(key_of);
        let key = key.ok_or_else(|| StoreError::Corrupt("a rank key is none".to_owned()))?;
        entries.push((Reverse(key), profile_id(member)?));
    }
    Ok(Part {
        latest_counted: Timestamp::from_seconds(count(&latest)?),
        total: count(&total)?,
        preceding: count(&preceding)?,
        entries,
    })
}
