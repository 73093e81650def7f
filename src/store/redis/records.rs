//! Records: a few by their ids, or all in the order of ids; commits are in `commits`.

use std::sync::Arc;

use futures_util::future::{join_all, try_join_all};
use redis::Value;

use super::{
    super::{
        Commit, Committed, Coordination as _, RecordStore, Rollout, StoreError, Stored, codec,
    },
    Redis, by_partition, bytes,
    coordination::MAX_IN_FLIGHT,
    count,
    keys::{self, PartitionKeys},
    list,
    loads::MAX_READ,
    merge::{self, Merge},
    partitions_of, profile_id, text,
};
use crate::scoring::{ProfileId, Tenant};

/// Keys of which one command asks whether they are there: bounds how long Redis is busy with it.
const MAX_EXISTING: u64 = 4_096;

type Loaded = Result<Option<Stored>, StoreError>;

impl RecordStore for Redis {
    async fn load_to_commit(
        &self,
        tenant: &Tenant,
        profile_ids: &[ProfileId],
        to_commit: usize,
    ) -> Vec<Loaded> {
        let is_unanswered = |loaded: &Loaded| matches!(loaded, Err(StoreError::Unavailable(_)));
        let loaded = self.read_by_layout(
            tenant,
            |partitions| {
                self.load_by(partitions, tenant, profile_ids, |position, value| {
                    let to_change = position < to_commit;
                    self.recent_or_decoded(tenant, &profile_ids[position], value, to_change)
                })
            },
            |loaded: &Vec<Loaded>| loaded.iter().all(is_unanswered),
        );
        let loaded = loaded.await;
        loaded.unwrap_or_else(|error| vec![Err(error); profile_ids.len()])
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
        if rollout.is_switching() {
            return vec![Err(StoreError::Superseded); commits.len()];
        }
        let mut results = self.write_commits(tenant, rollout, commits).await;
        let is_lost = |result: &Result<_, _>| matches!(result, Err(StoreError::Lost(_)));
        if results.iter().any(is_lost)
            && let Err(error) = self.why_lost(tenant, rollout).await
        {
            let lost = results.iter_mut().filter(|result| is_lost(result));
            lost.for_each(|result| *result = Err(error.clone()));
        }
        results
    }

    async fn scan(
        &self,
        tenant: &Tenant,
        after: Option<&ProfileId>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.by_layout(tenant, |partitions| {
            self.scan_by(partitions, tenant, after, limit)
        })
        .await
    }

    async fn record_count(&self, tenant: &Tenant) -> Result<u64, StoreError> {
        self.by_layout(tenant, |partitions| self.records_in(partitions, tenant))
            .await
    }

    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        let mut command = redis::cmd("SMEMBERS");
        command.arg(keys::TENANTS);
        let mut tenants = list(self.read(&command, keys::TENANTS).await?)?
            .into_iter()
            .map(|name| {
                text(name)?
                    .filter(|name| !name.is_empty())
                    .and_then(|name| Tenant::new(&name))
                    .ok_or_else(|| StoreError::Corrupt("a stored tenant is none".to_owned()))
            })
            .collect::<Result<Vec<Tenant>, StoreError>>()?;
        tenants.sort();
        Ok(tenants)
    }

    async fn tenant_count(&self) -> Result<u64, StoreError> {
        let mut command = redis::cmd("SCARD");
        command.arg(keys::TENANTS);
        count(&self.read(&command, keys::TENANTS).await?)
    }

    /// A tenant has lost something when one of its fences is missing.
    async fn have_losses(&self, tenants: &[Tenant]) -> Result<Vec<bool>, StoreError> {
        if self.connection.is_cluster() {
            let mut losses = Vec::with_capacity(tenants.len());
            for tenants in tenants.chunks(MAX_IN_FLIGHT) {
                let found = tenants.iter().map(|tenant| self.has_loss(tenant));
                losses.extend(try_join_all(found).await?);
            }
            return Ok(losses);
        }
        let mut losses = Vec::with_capacity(tenants.len());
        while losses.len() < tenants.len() {
            let rest = &tenants[losses.len()..];
            let mut command = redis::cmd("EXISTS");
            let (mut wanted, mut asked) = (0, 0);
            for tenant in rest {
                let partitions = self.layout(tenant).await?.partitions;
                if asked > 0 && wanted + u64::from(partitions) > MAX_EXISTING {
                    break;
                }
                for mut keys in partitions_of(tenant, partitions) {
                    command.arg(keys.fence());
                }
                wanted += u64::from(partitions);
                asked += 1;
            }
            let tenants = &rest[..asked];
            let existing = count(&self.read(&command, "").await?)?;
            if existing == wanted {
                losses.extend(tenants.iter().map(|_| false));
                continue;
            }
            for tenant in tenants {
                losses.push(self.has_loss(tenant).await?);
            }
        }
        Ok(losses)
    }
}

impl Redis {
    /// How many records so many partitions of a tenant have: every script that makes or drops a
    /// record keeps their ids.
    pub(super) async fn records_in(
        &self,
        partitions: u32,
        tenant: &Tenant,
    ) -> Result<u64, StoreError> {
        let counts = partitions_of(tenant, partitions).map(|mut keys| async move {
            let mut command = redis::cmd("ZCARD");
            command.arg(keys.ids());
            count(&self.read(&command, keys.home()).await?)
        });
        Ok(try_join_all(counts).await?.into_iter().sum())
    }

    async fn has_loss(&self, tenant: &Tenant) -> Result<bool, StoreError> {
        let existing = self.by_layout(tenant, |partitions| {
            try_join_all(
                partitions_of(tenant, partitions).map(|mut keys| async move {
                    let mut command = redis::cmd("EXISTS");
                    command.arg(keys.fence());
                    count(&self.read(&command, keys.home()).await?)
                }),
            )
        });
        Ok(existing.await?.contains(&0))
    }

    /// Says why a commit found that a partition is gone: the store is another one, or the tenant
    /// has left the partitions of its rollout. Otherwise they are lost.
    async fn why_lost(&self, tenant: &Tenant, rollout: &Rollout) -> Result<(), StoreError> {
        // It looks at the note, too.
        let latest = self.rollout(tenant).await?;
        if self.partitions_by(&latest) == self.partitions_by(rollout) {
            return Ok(());
        }
        Err(StoreError::Superseded)
    }

    async fn load_by(
        &self,
        partitions: u32,
        tenant: &Tenant,
        profile_ids: &[ProfileId],
        decode: impl Fn(usize, Value) -> Loaded,
    ) -> Vec<Loaded> {
        // Most callers want one.
        if let [profile_id] = profile_ids {
            let values = self.load_group(partitions, tenant, [profile_id]).await;
            let value = values.map(|values| values.into_iter().next().unwrap_or(Value::Nil));
            return vec![value.and_then(|value| decode(0, value))];
        }
        let groups = if self.connection.is_cluster() {
            let groups = by_partition(partitions, profile_ids.iter()).into_iter();
            groups.map(|(_, positions)| positions).collect()
        } else {
            vec![(0..profile_ids.len()).collect::<Vec<usize>>()]
        };
        let groups = groups
            .iter()
            .flat_map(|positions| positions.chunks(MAX_READ));
        let answers = join_all(groups.map(|positions| async move {
            let ids = positions.iter().map(|&position| &profile_ids[position]);
            (positions, self.load_group(partitions, tenant, ids).await)
        }))
        .await;

        let mut loaded: Vec<Loaded> = vec![Ok(None); profile_ids.len()];
        for (positions, values) in answers {
            match values {
                Ok(values) => {
                    for (&position, value) in positions.iter().zip(values) {
                        loaded[position] = decode(position, value);
                    }
                }
                Err(error) => {
                    for &position in positions {
                        loaded[position] = Err(error.clone());
                    }
                }
            }
        }
        loaded
    }

    /// What is stored under the key of a record, which is not decoded again if it was decoded
    /// lately.
    fn recent_or_decoded(
        &self,
        tenant: &Tenant,
        profile_id: &ProfileId,
        value: Value,
        to_change: bool,
    ) -> Loaded {
        let Some(bytes) = bytes(value)? else {
            return Ok(None);
        };
        let (version, _) = codec::split_value(&bytes)?;
        let recent = &self.recent;
        if let Some(record) = recent.of_version(tenant, profile_id, version, to_change) {
            return Ok(Some(Stored {
                profile_id: profile_id.clone(),
                version,
                record,
                bytes: bytes.len(),
            }));
        }
        let stored = decoded_bytes(profile_id, &bytes)?;
        recent.read(tenant, &stored, to_change);
        Ok(Some(stored))
    }

    async fn scan_by(
        &self,
        partitions: u32,
        tenant: &Tenant,
        after: Option<&ProfileId>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let mut keys: Vec<PartitionKeys> = partitions_of(tenant, partitions).collect();
        let piece = merge::piece(limit, keys.len());
        let mut merge = Merge::new(keys.len());
        let mut records = Vec::new();
        while records.len() < limit {
            let mut ids = Vec::new();
            let exhausted = loop {
                if records.len() + ids.len() == limit {
                    break false;
                }
                self.feed(&mut merge, &mut keys, after, piece).await?;
                match merge.next() {
                    Some(profile_id) => ids.push(profile_id),
                    None if merge.hungry().len() == 0 => break true,
                    None => {}
                }
            };
            // A record that was dropped meanwhile is left out.
            let decode = |position: usize, value| decoded(&ids[position], value);
            for loaded in self.load_by(partitions, tenant, &ids, decode).await {
                records.extend(loaded?);
            }
            if exhausted {
                break;
            }
        }
        Ok(records)
    }

    /// Loads what one message may bring: all from one server, or from one partition.
    async fn load_group(
        &self,
        partitions: u32,
        tenant: &Tenant,
        profile_ids: impl IntoIterator<Item = &ProfileId>,
    ) -> Result<Vec<Value>, StoreError> {
        let mut home = String::new();
        let mut records = Vec::new();
        for profile_id in profile_ids {
            let partition = keys::partition_of(profile_id, partitions);
            let keys = PartitionKeys::new(tenant, partitions, partition);
            if self.connection.is_cluster() && home.is_empty() {
                home.push_str(keys.home());
            }
            records.push(keys.into_record(profile_id));
        }
        self.loads.ask(home, records).await
    }

    /// Feeds every hungry partition with ids.
    async fn feed(
        &self,
        merge: &mut Merge<ProfileId>,
        partitions: &mut [PartitionKeys],
        after: Option<&ProfileId>,
        piece: usize,
    ) -> Result<(), StoreError> {
        if merge.hungry().len() == 0 {
            return Ok(());
        }
        let hungry: Vec<(usize, String)> = merge
            .hungry()
            .map(|(number, last)| {
                let least = match last.or(after) {
                    Some(profile_id) => format!("({profile_id}"),
                    None => "-".to_owned(),
                };
                (number, least)
            })
            .collect();
        let commands: Vec<_> = hungry
            .iter()
            .map(|(number, least)| {
                let keys = &mut partitions[*number];
                let mut command = redis::cmd("ZRANGEBYLEX");
                command.arg(keys.ids()).arg(least).arg("+");
                command.arg("LIMIT").arg(0).arg(piece);
                (*number, command)
            })
            .collect();
        let partitions = &*partitions;
        let fed = try_join_all(commands.iter().map(|(number, command)| async move {
            let home = partitions[*number].home();
            let answer = self.connection.send(command, home).await;
            let values = list(answer.map_err(|failure| failure.of_read())?.value)?;
            let ids = values.into_iter().map(profile_id);
            let ids = ids.collect::<Result<Vec<ProfileId>, StoreError>>()?;
            Ok::<_, StoreError>((*number, ids))
        }))
        .await?;
        for (number, ids) in fed {
            let more = ids.len() == piece;
            merge.feed(number, ids, more);
        }
        Ok(())
    }
}

/// What is stored under the key of a record.
fn decoded(profile_id: &ProfileId, value: Value) -> Loaded {
    let bytes = bytes(value)?;
    let decoded = bytes.map(|bytes| decoded_bytes(profile_id, &bytes));
    decoded.transpose()
}

/// Version and record.
fn decoded_bytes(profile_id: &ProfileId, bytes: &[u8]) -> Result<Stored, StoreError> {
    let (version, record) = codec::split_value(bytes)?;
    Ok(Stored {
        profile_id: profile_id.clone(),
        version,
        record: Arc::new(codec::decode(record)?),
        bytes: bytes.len(),
    })
}
