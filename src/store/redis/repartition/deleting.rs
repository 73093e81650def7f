//! Deletes partitions that nobody reads, a bit at a time. What is interrupted goes on. Every step says
//! for which rollout it is, and a partition that has a later one refuses it: whoever was held up
//! meanwhile deletes nothing that somebody else needs again.

use super::super::{
    super::{LeftOver, ModelStore as _, StoreError},
    Redis,
    keys::{self, PartitionKeys},
    list, partitions_of, profile_id,
    ranks::MAX_DELETED,
    scripts::DISCARD,
};
use crate::scoring::{ProfileId, RankName, Tenant};

impl Redis {
    /// Deletes what is left over by the rollout of an epoch, beside so many partitions that stay;
    /// `deleted` hears of records.
    pub(super) async fn delete_left_over(
        &self,
        tenant: &Tenant,
        (left, epoch): (LeftOver, u64),
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
            let generation = left.generation.number;
            self.delete_partition(&mut keys, (generation, epoch), &ranks, &deleted)
                .await?;
        }
        for mut keys in partitions_of(tenant, staying) {
            let written = keys.written().to_owned();
            self.discard(&mut keys, epoch, [written], &[]).await?;
        }
        let copied = keys::copied(tenant);
        let mut command = redis::cmd("UNLINK");
        command.arg(&copied);
        self.write(&command, &copied).await.map(drop)
    }

    async fn delete_partition(
        &self,
        keys: &mut PartitionKeys,
        (generation, epoch): (u64, u64),
        ranks: &[RankName],
        deleted: impl Fn(u64),
    ) -> Result<(), StoreError> {
        // First, so that no copy comes any more.
        let fence = keys.fence().to_owned();
        self.discard(keys, epoch, [fence], &[]).await?;
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
            self.discard(keys, epoch, records, &ids).await?;
            deleted(ids.len() as u64);
        }
        for ranks in ranks.chunks(MAX_DELETED) {
            let ranks = ranks
                .iter()
                .map(|rank| keys.rank(generation, rank).to_owned());
            let ranks: Vec<String> = ranks.collect();
            self.discard(keys, epoch, ranks, &[]).await?;
        }
        let rest = [
            keys.ids().to_owned(),
            keys.totals().to_owned(),
            keys.written().to_owned(),
        ];
        self.discard(keys, epoch, rest, &[]).await
    }

    async fn discard(
        &self,
        keys: &mut PartitionKeys,
        epoch: u64,
        names: impl IntoIterator<Item = String>,
        profile_ids: &[ProfileId],
    ) -> Result<(), StoreError> {
        let names: Vec<String> = names.into_iter().collect();
        let (count, ids) = (names.len(), profile_ids.len());
        let mut call = DISCARD.call(2 + count, 1 + ids, 64 * (3 + count + ids));
        call.arg(keys.fence()).arg(keys.ids());
        for name in names {
            call.arg(name);
        }
        call.arg(epoch);
        for profile_id in profile_ids {
            call.arg(profile_id.as_str());
        }
        self.decide(&DISCARD, &call, keys.home()).await.map(drop)
    }
}
