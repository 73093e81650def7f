//! Pages of ranks. A script merges what the partitions of a server have of one; what those of a
//! cluster have is merged here.

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

/// What some partitions say of a page.
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
        let after = after.map(|cursor| (Reverse(cursor.key), cursor.profile_id.clone()));
        let mut groups = self.groups_of(tenant, limit);
        let piece = merge::piece(limit, groups.len());
        let parts = groups
            .iter_mut()
            .map(|group| self.read_part(group, generation, range, &scores, after.as_ref(), piece));
        let parts = try_join_all(parts).await?;

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
                let group = &mut groups[number];
                let part = self
                    .read_part(group, generation, range, &scores, last.as_ref(), missing)
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

    /// The partitions of a tenant, in groups of those that one script reads.
    fn groups_of(&self, tenant: &Tenant, limit: usize) -> Vec<Vec<PartitionKeys>> {
        let mut partitions: Vec<PartitionKeys> = self.partitions_of(tenant).collect();
        let most = MAX_ENTRIES_TOGETHER / merge::piece(limit, partitions.len()).max(1);
        let size = self.together(most.clamp(1, MAX_READ_TOGETHER));
        let mut groups = Vec::with_capacity(partitions.len().div_ceil(size));
        while !partitions.is_empty() {
            let rest = partitions.split_off(size.min(partitions.len()));
            groups.push(std::mem::replace(&mut partitions, rest));
        }
        groups
    }

    /// Reads of some partitions what stands after an entry.
    async fn read_part(
        &self,
        partitions: &mut [PartitionKeys],
        generation: IndexGeneration,
        range: &RankRange,
        scores: &Scores,
        after: Option<&Entry>,
        limit: usize,
    ) -> Result<Part, StoreError> {
        let keys = 2 * partitions.len();
        let mut call = PAGE.call(keys, 7, 128 * (2 + keys));
        for keys in &mut *partitions {
            call.arg(keys.fence());
        }
        for keys in &mut *partitions {
            call.arg(keys.rank(generation.number, &range.rank));
        }
        call.arg(generation.number)
            .arg(&scores.least)
            .arg(&scores.greatest);
        match after {
            Some((Reverse(key), profile_id)) => call.arg(score(*key)).arg(profile_id.as_str()),
            None => call.arg("").arg(""),
        };
        // The next pieces of a partition are read by the same script.
        let piece = limit.div_ceil(partitions.len().max(1)) + 2;
        call.arg(limit).arg(piece.clamp(1, limit.max(1)));
        let answer = self
            .connection
            .run(&PAGE, &call, keys::home(partitions))
            .await;
        part(answer.map_err(|failure| failure.of_read())?.value)
    }
}

/// What some partitions have answered.
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
