//! The moment in which the copies begin to answer. Nobody commits, so that what was written can be
//! copied to the end; everybody reads on.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use redis::Value;

use super::{
    super::{
        super::{Coordination as _, Rollout, StoreError},
        failure::unexpected,
        fence::Fence,
        keys::PartitionKeys,
        list, partitions_of,
        ranks::stored_total,
        scripts::COMPLETE,
        text,
    },
    copying::Copying,
};

/// What all partitions together say beside their records.
struct Whole {
    /// In seconds; `None` when nothing was counted.
    latest_counted: Option<u64>,
    totals: BTreeMap<String, i64>,
}

impl Copying<'_> {
    /// Completes the copies under a rollout that is switching, and has the tenant answered from them
    /// by the rollout that follows. Returns whether it did: not when copies were lost, and all is to
    /// be copied again.
    pub async fn complete(
        &mut self,
        switching: &Rollout,
        moved: &Rollout,
    ) -> Result<bool, StoreError> {
        // Refuses every commit of before.
        self.store.fence(self.tenant, switching).await?;
        loop {
            let written = self.written().await?;
            if written.is_empty() {
                break;
            }
            self.follow(written).await?;
        }
        // A failover may have lost copies of which it was noted elsewhere that they are there.
        let (store, tenant) = (self.store, self.tenant);
        if store.records_in(self.from, tenant).await? != store.records_in(self.to, tenant).await? {
            self.forget_progress().await?;
            return Ok(false);
        }
        let whole = self.whole().await?;
        let mut fence = Fence::of(moved).text().to_owned();
        if let Some(latest) = whole.latest_counted {
            fence += &format!(" @{latest}");
        }
        let completed =
            partitions_of(self.tenant, self.to)
                .zip(0..)
                .map(|(keys, partition): (_, u32)| {
                    // Only their sum is ever read.
                    let totals = (partition == 0).then_some(&whole.totals);
                    self.complete_partition(keys, &fence, totals)
                });
        try_join_all(completed).await?;
        match self.store.set_rollout(self.tenant, moved).await? {
            true => Ok(true),
            false => Err(StoreError::Superseded),
        }
    }

    async fn complete_partition(
        &self,
        mut keys: PartitionKeys,
        fence: &str,
        totals: Option<&BTreeMap<String, i64>>,
    ) -> Result<(), StoreError> {
        let fields = totals.map_or(0, BTreeMap::len);
        let mut call = COMPLETE.call(2, 2 + 2 * fields, 256 + 64 * fields);
        call.arg(keys.fence()).arg(keys.totals());
        call.arg(self.epoch).arg(fence);
        for (field, total) in totals.into_iter().flatten() {
            call.arg(field).arg(total);
        }
        let completed = self.store.decide_durably(&COMPLETE, &call, keys.home());
        completed.await.map(drop)
    }

    async fn whole(&self) -> Result<Whole, StoreError> {
        let parts = partitions_of(self.tenant, self.from).map(|mut keys| async move {
            let mut read_fence = redis::cmd("GET");
            read_fence.arg(keys.fence());
            let mut read_totals = redis::cmd("HGETALL");
            read_totals.arg(keys.totals());
            let fence = self.store.read(&read_fence, keys.home()).await?;
            let totals = self.store.read(&read_totals, keys.home()).await?;
            Ok::<_, StoreError>((text(fence)?, pairs(totals)?))
        });
        let mut whole = Whole {
            latest_counted: None,
            totals: BTreeMap::new(),
        };
        for (fence, totals) in try_join_all(parts).await? {
            let fence = fence.unwrap_or_default();
            let latest = fence.split_once(" @").map(|(_, latest)| latest.parse());
            let latest = latest.transpose().map_err(|_| unexpected())?;
            whole.latest_counted = whole.latest_counted.max(latest);
            for (field, total) in totals {
                let field = text(field)?.ok_or_else(unexpected)?;
                let sum = whole.totals.entry(field).or_default();
                *sum = sum.saturating_add(stored_total(total)?);
            }
        }
        Ok(whole)
    }
}

/// Fields and values of a hash, which one protocol tells as a map and another as a list.
fn pairs(value: Value) -> Result<Vec<(Value, Value)>, StoreError> {
    if let Value::Map(pairs) = value {
        return Ok(pairs);
    }
    let mut values = list(value)?.into_iter();
    let mut pairs = Vec::with_capacity(values.len() / 2);
    while let (Some(field), Some(value)) = (values.next(), values.next()) {
        pairs.push((field, value));
    }
    Ok(pairs)
}
