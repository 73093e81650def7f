//! Pages of ranks: what the partitions have of one is merged. For a small page the script does that
//! with those of one server, so that no more is sent than the page; all else is merged here.

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
    partitions_of, profile_id,
    scores::{Scores, key_of, score},
    scripts::PAGE,
    text,
};
use crate::scoring::{ProfileId, RankKey, Tenant, Timestamp};

/// Partitions that one script reads, and about how many entries: bounds how long Redis is busy with
/// it, for everybody else waits.
const MAX_READ_TOGETHER: usize = 64;
const MAX_ENTRIES_TOGETHER: usize = 2_048;

/// Entries of a page that a script merges at most. It compares equal scores by ids, byte by byte, and
/// meanwhile nobody else is served.
const MAX_MERGED: usize = 64;

/// An entry in page order.
type Entry = (Reverse<RankKey>, ProfileId);

/// What a partition, or several together, have of a page.
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
        partitions: u32,
        tenant: &Tenant,
        generation: IndexGeneration,
        range: &RankRange,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<RankPage, StoreError> {
        let scores = Scores::of(&range.keys);
        let after = after.map(|cursor| (Reverse(cursor.key), cursor.profile_id.clone()));
        let is_merged = limit <= MAX_MERGED;
        let partitions: Vec<PartitionKeys> = partitions_of(tenant, partitions).collect();
        let piece = merge::piece(limit, partitions.len());
        let most = MAX_ENTRIES_TOGETHER / piece.max(1);
        let together = self.together(most.clamp(1, MAX_READ_TOGETHER));
        // Each part is read on by itself where it has more.
        let (size, at_once) = if is_merged {
            (together, 1)
        } else {
            (1, together)
        };
        let mut parts = in_chunks(partitions, size);
        let piece = merge::piece(limit, parts.len());
        let read = parts.chunks_mut(at_once).map(|parts| {
            let after = after.as_ref();
            self.read_parts(parts, generation, range, &scores, after, piece)
        });
        let read = try_join_all(read).await?.into_iter().flatten();

        let mut page = RankPage::default();
        let mut merge = Merge::new(parts.len());
        for (number, part) in read.enumerate() {
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
                let part = &mut parts[number..=number];
                let read = self
                    .read_parts(part, generation, range, &scores, last.as_ref(), missing)
                    .await?;
                for part in read {
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

    /// Reads of each part what stands after the same entry, by one script. Partitions that make one
    /// part are merged by it, so it is one part alone then.
    async fn read_parts(
        &self,
        parts: &mut [Vec<PartitionKeys>],
        generation: IndexGeneration,
        range: &RankRange,
        scores: &Scores,
        after: Option<&Entry>,
        limit: usize,
    ) -> Result<Vec<Part>, StoreError> {
        let is_merged = parts.iter().any(|part| part.len() > 1);
        let count: usize = parts.iter().map(Vec::len).sum();
        let mut call = PAGE.call(2 * count, 8, 128 * (2 + 2 * count));
        for keys in parts.iter_mut().flatten() {
            call.arg(keys.fence());
        }
        for keys in parts.iter_mut().flatten() {
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
        let piece = limit.div_ceil(count.max(1)) + 2;
        call.arg(limit)
            .arg(piece.clamp(1, limit.max(1)))
            .arg(u8::from(is_merged));
        let home = parts.first().map_or("", |part| keys::home(part));
        let answer = self.connection.run(&PAGE, &call, home).await;
        let read = list(answer.map_err(|failure| failure.of_read())?.value)?;
        if read.len() != parts.len() {
            return Err(unexpected());
        }
        read.into_iter().map(part).collect()
    }
}

fn in_chunks<T>(mut items: Vec<T>, size: usize) -> Vec<Vec<T>> {
    let mut chunks = Vec::with_capacity(items.len().div_ceil(size));
    while !items.is_empty() {
        let rest = items.split_off(size.min(items.len()));
        chunks.push(std::mem::replace(&mut items, rest));
    }
    chunks
}

/// What the script has answered of a part.
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
