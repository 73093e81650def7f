//! Deletes partitions that nobody reads, a bit at a time. What is interrupted goes on.

use super::super::{
    super::{LeftOver, ModelStore as _, StoreError},
    Redis,
    keys::{self, PartitionKeys},
    list, partitions_of, profile_id,
};
use crate::scoring::{ProfileId, RankName, Tenant};

/// Keys that one command deletes: bounds how long Redis is busy with it.
const MAX_DELETED: usize = 256;

impl Redis {
    /// Deletes what is left over, beside so many partitions that stay; `deleted` hears of records.
    pub(super) async fn delete_left_over(
        &self,
        tenant: &Tenant,
        left: LeftOver,
        staying: u32,
        deleted: impl Fn(u64),
    ) -> Result<(), StoreError> {
        let ranks = match self.model(left.generation.model).await? {
            Some(saved) => saved.ranks,
            None => {
                tracing::warn!(%tenant, generation = %left.generation, "the ranks of a lost model are left");
                Vec::new()
            }
        };
        for mut keys in partitions_of(tenant, left.partitions) {
            self.delete_partition(&mut keys, left.generation.number, &ranks, &deleted)
                .await?;
        }
        for mut keys in partitions_of(tenant, staying) {
            let written = keys.written().to_owned();
            self.unlink(&keys, [written]).await?;
        }
        let copied = keys::copied(tenant);
        let mut command = redis::cmd("UNLINK");
        command.arg(&copied);
        self.write(&command, &copied).await.map(drop)
    }

    async fn delete_partition(
        &self,
        keys: &mut PartitionKeys,
        generation: u64,
        ranks: &[RankName],
        deleted: impl Fn(u64),
    ) -> Result<(), StoreError> {
        // First, so that no copy comes any more.
        let fence = keys.fence().to_owned();
        self.unlink(keys, [fence]).await?;
        loop {
            let mut command = redis::cmd("ZRANGE");
            command.arg(keys.ids()).arg(0).arg(MAX_DELETED - 1);
            let ids = list(self.read(&command, keys.home()).await?)?;
            let ids = ids.into_iter().map(profile_id);
            let ids = ids.collect::<Result<Vec<ProfileId>, StoreError>>()?;
            if ids.is_empty() {
                break;
            }
            let records: Vec<String> = ids.iter().map(|id| keys.record(id).to_owned()).collect();
            self.unlink(keys, records).await?;
            let mut command = redis::cmd("ZREM");
            command.arg(keys.ids());
            for profile_id in &ids {
                command.arg(profile_id.as_str());
            }
            self.write(&command, keys.home()).await?;
            deleted(ids.len() as u64);
        }
        for ranks in ranks.chunks(MAX_DELETED) {
            let ranks = ranks
                .iter()
                .map(|rank| keys.rank(generation, rank).to_owned());
            let ranks: Vec<String> = ranks.collect();
            self.unlink(keys, ranks).await?;
        }
        let (ids, totals) = (keys.ids().to_owned(), keys.totals().to_owned());
        let written = keys.written().to_owned();
        self.unlink(keys, [ids, totals, written]).await
    }

    async fn unlink(
        &self,
        keys: &PartitionKeys,
        names: impl IntoIterator<Item = String>,
    ) -> Result<(), StoreError> {
        let mut command = redis::cmd("UNLINK");
        for name in names {
            command.arg(name);
        }
        self.write(&command, keys.home()).await.map(drop)
    }
}
