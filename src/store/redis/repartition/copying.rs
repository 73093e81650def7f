//! Copies records with their ranks from the partitions of a tenant into others, first all in the
//! order of their ids, then again those that were written meanwhile. It goes on where an earlier
//! copying was interrupted. One batch after the other, so that no partition takes in copies of two
//! at once, and Redis serves others between.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use redis::{Cmd, Pipeline, Value};

use super::super::{
    super::StoreError,
    Redis, bytes, count,
    failure::unexpected,
    gathering::Size,
    keys::{self, PartitionKeys},
    list, partitions_of, profile_id,
    scripts::{COPIED, COPY, FILL},
    text,
    writing::CAPACITY,
};
use crate::scoring::{ProfileId, RankName, Tenant};

/// Places in ranks that one batch reads: bounds how long Redis is busy with it.
const MAX_PLACES: usize = 4_096;
/// Partitions that one message asks how much was written.
const MAX_ASKED_TOGETHER: usize = 64;
/// Where copying begins, and where it has ended, as ranges of ids are written.
const ALL: &str = "-";
const NOTHING: &str = "+";

/// Partitions of a tenant that others are filled from.
pub struct Copying<'a> {
    pub store: &'a Redis,
    pub tenant: &'a Tenant,
    /// How many partitions there are.
    pub from: u32,
    /// How many are filled.
    pub to: u32,
    /// The epoch in which this copying began: batches of another one are refused.
    pub epoch: u64,
    /// The building of the ranks.
    pub generation: u64,
    pub ranks: Vec<RankName>,
    /// The number of the last batch.
    batch: u64,
    /// Of each partition that is not copied yet, from where on.
    rest: BTreeMap<u32, String>,
}

/// A record as it is copied.
struct Copy {
    from: u32,
    profile_id: ProfileId,
    /// Version and record; empty when there is none.
    value: Vec<u8>,
    /// The version of the last write that was still to be copied.
    written: Option<Vec<u8>>,
    /// Ranks, by their numbers, with scores.
    places: Vec<(usize, Vec<u8>)>,
}

impl<'a> Copying<'a> {
    /// Goes on where an earlier copying was interrupted.
    pub async fn resume(
        (store, tenant): (&'a Redis, &'a Tenant),
        (from, to): (u32, u32),
        (epoch, generation): (u64, u64),
        ranks: Vec<RankName>,
    ) -> Result<Self, StoreError> {
        let key = keys::copied(tenant);
        let mut command = redis::cmd("HMGET");
        command.arg(&key).arg((0..from).collect::<Vec<u32>>());
        let known = list(store.read(&command, &key).await?)?;
        let mut rest = BTreeMap::new();
        for (partition, least) in (0..from).zip(known) {
            let least = text(least)?.unwrap_or_else(|| ALL.to_owned());
            if least != NOTHING {
                rest.insert(partition, least);
            }
        }
        Ok(Self {
            store,
            tenant,
            from,
            to,
            epoch,
            generation,
            ranks,
            batch: 0,
            rest,
        })
    }

    /// How many records there are, and how many of them are to be copied.
    pub async fn sizes(&self) -> Result<(u64, u64), StoreError> {
        let sizes = partitions_of(self.tenant, self.from).zip(0..).map(
            |(mut keys, partition): (_, u32)| async move {
                let least = self.rest.get(&partition).map_or(NOTHING, String::as_str);
                let mut commands = Pipeline::with_capacity(2);
                commands.cmd("ZCARD").arg(keys.ids());
                let rest = commands.cmd("ZLEXCOUNT").arg(keys.ids());
                rest.arg(least).arg(NOTHING);
                let sizes = self.store.connection.send_all(commands, keys.home()).await;
                sizes.map_err(|failure| failure.of_read())
            },
        );
        let (mut all, mut rest) = (0, 0);
        for sizes in try_join_all(sizes).await? {
            let [of_all, of_rest] = <[Value; 2]>::try_from(sizes).map_err(|_| unexpected())?;
            all += count(&of_all)?;
            rest += count(&of_rest)?;
        }
        Ok((all, rest))
    }

    /// Copies the next records. Returns how many; `None` when all are copied.
    pub async fn advance(&mut self) -> Result<Option<u64>, StoreError> {
        let Some((&partition, least)) = self.rest.first_key_value() else {
            return Ok(None);
        };
        let mut keys = self.keys(partition);
        let mut command = redis::cmd("ZRANGEBYLEX");
        command.arg(keys.ids()).arg(least).arg(NOTHING);
        command.arg("LIMIT").arg(0).arg(self.most());
        let ids = list(self.store.read(&command, keys.home()).await?)?;
        let ids = ids.into_iter().map(profile_id).collect::<Result<_, _>>()?;
        let copies = self.copy(vec![(partition, ids)]).await?;
        let least = match copies.last() {
            Some(copy) => format!("({}", copy.profile_id),
            None => NOTHING.to_owned(),
        };
        // Only now, so that whoever goes on leaves nothing out.
        let key = keys::copied(self.tenant);
        let mut command = redis::cmd("HSET");
        command.arg(&key).arg(partition).arg(&least);
        self.store.write(&command, &key).await?;
        if copies.is_empty() {
            self.rest.remove(&partition);
        } else {
            self.rest.insert(partition, least);
        }
        Ok(Some(copies.len() as u64))
    }

    /// Has whoever goes on copy everything anew.
    pub async fn forget_progress(&self) -> Result<(), StoreError> {
        let key = keys::copied(self.tenant);
        let mut command = redis::cmd("UNLINK");
        command.arg(&key);
        self.store.write(&command, &key).await.map(drop)
    }

    /// How many records of each partition were written since they were copied; nothing of a
    /// partition without any.
    pub async fn written(&self) -> Result<Vec<(u32, u64)>, StoreError> {
        let mut partitions: Vec<PartitionKeys> = partitions_of(self.tenant, self.from).collect();
        let groups = partitions.chunks_mut(self.store.together(MAX_ASKED_TOGETHER));
        let asked = groups.map(|group| {
            let mut commands = Pipeline::with_capacity(group.len());
            for keys in &mut *group {
                commands.cmd("HLEN").arg(keys.written());
            }
            async move {
                let home = keys::home(group);
                let counts = self.store.connection.send_all(commands, home).await;
                counts.map_err(|failure| failure.of_read())
            }
        });
        let counts = try_join_all(asked).await?.into_iter().flatten();
        let mut written = Vec::new();
        for (partition, answer) in (0..).zip(counts) {
            match count(&answer)? {
                0 => {}
                count => written.push((partition, count)),
            }
        }
        Ok(written)
    }

    /// Copies again what was written meanwhile, as many records of each partition as there are.
    pub async fn follow(&mut self, written: Vec<(u32, u64)>) -> Result<(), StoreError> {
        let most = self.most() as u64;
        let (mut batch, mut room) = (Vec::new(), most);
        for (partition, mut count) in written {
            while count > 0 {
                let taken = count.min(room);
                batch.push((partition, taken));
                (count, room) = (count - taken, room - taken);
                if room == 0 {
                    self.copy_written(std::mem::take(&mut batch)).await?;
                    room = most;
                }
            }
        }
        self.copy_written(batch).await
    }

    async fn copy_written(&mut self, batch: Vec<(u32, u64)>) -> Result<(), StoreError> {
        let this = &*self;
        let found = batch.into_iter().map(|(partition, count)| {
            let mut keys = this.keys(partition);
            let mut command = redis::cmd("HRANDFIELD");
            command.arg(keys.written()).arg(count);
            async move {
                let ids = list(this.store.read(&command, keys.home()).await?)?;
                let ids = ids.into_iter().map(profile_id);
                let ids = ids.collect::<Result<Vec<ProfileId>, StoreError>>()?;
                Ok::<_, StoreError>((partition, ids))
            }
        });
        let found = try_join_all(found).await?;
        let copies = self.copy(found).await?;
        let mut by_partition = BTreeMap::<u32, Vec<(&ProfileId, &[u8])>>::new();
        for copy in &copies {
            if let Some(version) = &copy.written {
                let copied = by_partition.entry(copy.from).or_default();
                copied.push((&copy.profile_id, version));
            }
        }
        let this = &*self;
        let noted = by_partition.into_iter().map(|(partition, copied)| {
            let mut keys = this.keys(partition);
            let mut call = COPIED.call(1, 2 * copied.len(), 64 * copied.len());
            call.arg(keys.written());
            for (profile_id, version) in copied {
                call.arg(profile_id.as_str()).arg(version);
            }
            async move { this.store.decide(&COPIED, &call, keys.home()).await }
        });
        try_join_all(noted).await.map(drop)
    }

    /// Copies the records of some partitions, or the first of them when they are large.
    async fn copy(&mut self, wanted: Vec<(u32, Vec<ProfileId>)>) -> Result<Vec<Copy>, StoreError> {
        let wanted = wanted.into_iter().filter(|(_, ids)| !ids.is_empty());
        let read = wanted.map(|(partition, ids)| self.read(partition, ids));
        let copies: Vec<Copy> = try_join_all(read).await?.into_iter().flatten().collect();
        let mut by_target = BTreeMap::<u32, Vec<&Copy>>::new();
        for copy in &copies {
            let target = keys::partition_of(&copy.profile_id, self.to);
            by_target.entry(target).or_default().push(copy);
        }
        let (this, mut batch) = (&*self, self.batch);
        let filled = by_target.into_iter().map(|(target, copies)| {
            let batches = batches(copies);
            let first = batch + 1;
            batch += batches.len() as u64;
            async move {
                for (number, copies) in (first..).zip(batches) {
                    this.fill(target, number, &copies).await?;
                }
                Ok::<_, StoreError>(())
            }
        });
        let filled: Vec<_> = filled.collect();
        try_join_all(filled).await?;
        self.batch = batch;
        Ok(copies)
    }

    async fn read(&self, partition: u32, ids: Vec<ProfileId>) -> Result<Vec<Copy>, StoreError> {
        let mut keys = self.keys(partition);
        let counted = ids.len() + self.ranks.len();
        let mut call = COPY.call(1 + counted, 2 + ids.len(), 80 * (counted + ids.len()));
        call.arg(keys.written());
        for profile_id in &ids {
            call.arg(keys.record(profile_id));
        }
        for rank in &self.ranks {
            call.arg(keys.rank(self.generation, rank));
        }
        call.arg(ids.len()).arg(CAPACITY.bytes);
        for profile_id in &ids {
            call.arg(profile_id.as_str());
        }
        let answer = self.store.connection.run(&COPY, &call, keys.home()).await;
        let mut lists = Vec::with_capacity(2 + self.ranks.len());
        for answered in list(answer.map_err(|failure| failure.of_read())?.value)? {
            lists.push(list(answered)?.into_iter());
        }
        let [records, written, scores @ ..] = &mut lists[..] else {
            return Err(unexpected());
        };
        if scores.len() != self.ranks.len() {
            return Err(unexpected());
        }
        let mut copies = Vec::with_capacity(records.len());
        for (value, profile_id) in records.zip(ids) {
            let mut places = Vec::new();
            for (rank, scores) in scores.iter_mut().enumerate() {
                let score = bytes(scores.next().ok_or_else(unexpected)?)?;
                places.extend(score.map(|score| (rank, score)));
            }
            copies.push(Copy {
                from: partition,
                profile_id,
                value: bytes(value)?.unwrap_or_default(),
                written: bytes(written.next().ok_or_else(unexpected)?)?,
                places,
            });
        }
        Ok(copies)
    }

    async fn fill(&self, target: u32, number: u64, copies: &[&Copy]) -> Result<(), StoreError> {
        let mut keys = PartitionKeys::new(self.tenant, self.to, target);
        let call = self.fill_call(&mut keys, number, copies);
        let filled = self.store.decide_durably(&FILL, &call, keys.home());
        filled.await.map(drop)
    }

    fn fill_call(&self, keys: &mut PartitionKeys, number: u64, copies: &[&Copy]) -> Cmd {
        let counted = 2 + copies.len() + self.ranks.len();
        let places: usize = copies.iter().map(|copy| copy.places.len()).sum();
        let bytes: usize = copies.iter().map(|copy| copy.value.len()).sum();
        let arguments = 3 + 3 * copies.len() + 2 * places;
        let mut call = FILL.call(counted, arguments, 80 * counted + 32 * arguments + bytes);
        call.arg(keys.fence()).arg(keys.ids());
        for copy in copies {
            call.arg(keys.record(&copy.profile_id));
        }
        for rank in &self.ranks {
            call.arg(keys.rank(self.generation, rank));
        }
        call.arg(self.epoch).arg(number).arg(copies.len());
        for copy in copies {
            call.arg(copy.profile_id.as_str())
                .arg(&copy.value[..])
                .arg(copy.places.len());
            for (rank, score) in &copy.places {
                call.arg(rank + 1).arg(&score[..]);
            }
        }
        call
    }

    fn keys(&self, partition: u32) -> PartitionKeys {
        PartitionKeys::new(self.tenant, self.from, partition)
    }

    /// How many records one batch has.
    fn most(&self) -> usize {
        (MAX_PLACES / self.ranks.len().max(1)).clamp(1, CAPACITY.items)
    }
}

/// What is sent together into one partition.
fn batches(copies: Vec<&Copy>) -> Vec<Vec<&Copy>> {
    let mut batches: Vec<Vec<&Copy>> = Vec::new();
    let mut size = Size::default();
    for copy in copies {
        let own = Size {
            items: 1,
            bytes: copy.value.len(),
        };
        match batches.last_mut() {
            Some(batch) if size.take(own, CAPACITY) => batch.push(copy),
            _ => {
                size = own;
                batches.push(vec![copy]);
            }
        }
    }
    batches
}
