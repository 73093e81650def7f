//! What the servers agree on: rollouts, fences, who builds and who serves.

use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use redis::{Cmd, Value};

use super::{
    super::{IndexGeneration, Rollout, StoreError},
    Redis,
    commits::Fence,
    connection::milliseconds,
    count,
    failure::unexpected,
    keys, list, profile_id,
    scripts::{ANNOUNCE, FENCE, LEASE, ROLLOUT, SERVERS, Script, TENANT},
    text,
};
use crate::scoring::{ProfileId, RankName, Tenant};

/// Keys that one command deletes.
const MAX_DELETED: usize = 256;
/// Rollouts that one command reads, and keys of which one asks whether they are there: bounds how
/// long Redis is busy with it.
const MAX_READ: usize = 512;
const MAX_EXISTING: usize = 4_096;
/// Tenants of a cluster that are asked for at a time.
const MAX_IN_FLIGHT: usize = 64;

impl Redis {
    pub(super) async fn list_tenants(&self) -> Result<Vec<Tenant>, StoreError> {
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

    pub(super) async fn read_rollout(&self, tenant: &Tenant) -> Result<Rollout, StoreError> {
        let key = keys::rollout(tenant);
        let mut command = redis::cmd("GET");
        command.arg(&key);
        rollout(tenant, self.read(&command, &key).await?)
    }

    pub(super) async fn read_rollouts(
        &self,
        tenants: &[Tenant],
    ) -> Result<Vec<Rollout>, StoreError> {
        if self.connection.is_cluster() {
            let mut rollouts = Vec::with_capacity(tenants.len());
            for tenants in tenants.chunks(MAX_IN_FLIGHT) {
                let read = tenants.iter().map(|tenant| self.read_rollout(tenant));
                rollouts.extend(try_join_all(read).await?);
            }
            return Ok(rollouts);
        }
        let mut rollouts = Vec::with_capacity(tenants.len());
        for tenants in tenants.chunks(MAX_READ) {
            let mut command = redis::cmd("MGET");
            for tenant in tenants {
                command.arg(keys::rollout(tenant));
            }
            let values = list(self.read(&command, "").await?)?;
            if values.len() != tenants.len() {
                return Err(unexpected());
            }
            for (tenant, value) in tenants.iter().zip(values) {
                rollouts.push(rollout(tenant, value)?);
            }
        }
        Ok(rollouts)
    }

    pub(super) async fn count_tenants(&self) -> Result<u64, StoreError> {
        let mut command = redis::cmd("SCARD");
        command.arg(keys::TENANTS);
        count(&self.read(&command, keys::TENANTS).await?)
    }

    /// A tenant has lost something when one of its fences is missing.
    pub(super) async fn find_losses(&self, tenants: &[Tenant]) -> Result<Vec<bool>, StoreError> {
        if self.connection.is_cluster() {
            let mut losses = Vec::with_capacity(tenants.len());
            for tenants in tenants.chunks(MAX_IN_FLIGHT) {
                let found = tenants.iter().map(|tenant| self.has_loss(tenant));
                losses.extend(try_join_all(found).await?);
            }
            return Ok(losses);
        }
        let partitions = usize::try_from(self.partitions).unwrap_or(1).max(1);
        let mut losses = Vec::with_capacity(tenants.len());
        for tenants in tenants.chunks((MAX_EXISTING / partitions).max(1)) {
            let mut command = redis::cmd("EXISTS");
            for tenant in tenants {
                for mut keys in self.partitions_of(tenant) {
                    command.arg(keys.fence());
                }
            }
            let existing = count(&self.read(&command, "").await?)?;
            if existing == (tenants.len() * partitions) as u64 {
                losses.extend(tenants.iter().map(|_| false));
                continue;
            }
            for tenant in tenants {
                losses.push(self.has_loss(tenant).await?);
            }
        }
        Ok(losses)
    }

    async fn has_loss(&self, tenant: &Tenant) -> Result<bool, StoreError> {
        let existing = self.partitions_of(tenant).map(|mut keys| async move {
            let mut command = redis::cmd("EXISTS");
            command.arg(keys.fence());
            count(&self.read(&command, keys.home()).await?)
        });
        let existing = try_join_all(existing).await?;
        Ok(existing.contains(&0))
    }

    pub(super) async fn replace_rollout(
        &self,
        tenant: &Tenant,
        rollout: &Rollout,
    ) -> Result<bool, StoreError> {
        // First, so that no tenant with records is missing; it is in another slot.
        let mut call = TENANT.call(1, 1, 128);
        call.arg(keys::TENANTS).arg(tenant.as_str());
        self.decide(&TENANT, &call, keys::TENANTS).await?;
        let key = keys::rollout(tenant);
        let json = serde_json::to_string(rollout)
            .map_err(|error| StoreError::Corrupt(format!("a rollout has no text: {error}")))?;
        let mut call = ROLLOUT.call(1, 2, 128 + json.len());
        call.arg(&key).arg(rollout.after).arg(json);
        Ok(self.decide(&ROLLOUT, &call, &key).await? == 1)
    }

    pub(super) async fn raise_fences(
        &self,
        tenant: &Tenant,
        rollout: &Rollout,
    ) -> Result<(), StoreError> {
        let fence = &Fence::of(rollout);
        let raised = self.partitions_of(tenant).map(|mut keys| async move {
            let mut call = FENCE.call(1, 4, 128);
            call.arg(keys.fence());
            fence.add_to(&mut call);
            call.arg(u8::from(rollout.may_be_first()));
            self.decide(&FENCE, &call, keys.home()).await
        });
        try_join_all(raised).await.map(|_| ())
    }

    pub(super) async fn read_indexed(
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

    pub(super) async fn delete_ranks(
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

    pub(super) async fn take_lease(
        &self,
        tenant: &Tenant,
        server: u64,
        period: Duration,
    ) -> Result<bool, StoreError> {
        let key = keys::builder(tenant);
        let mut call = LEASE.call(1, 2, 128);
        call.arg(&key).arg(server).arg(milliseconds(period));
        Ok(self.decide(&LEASE, &call, &key).await? == 1)
    }

    pub(super) async fn make_known(
        &self,
        server: u64,
        period: Duration,
    ) -> Result<u64, StoreError> {
        let mut call = ANNOUNCE.call(1, 2, 128);
        call.arg(keys::SERVERS)
            .arg(server)
            .arg(milliseconds(period));
        self.decide(&ANNOUNCE, &call, keys::SERVERS).await
    }

    pub(super) async fn count_servers(&self) -> Result<u64, StoreError> {
        let mut call = SERVERS.call(1, 0, 64);
        call.arg(keys::SERVERS);
        let answer = self.connection.run(&SERVERS, &call, keys::SERVERS).await;
        count(&answer.map_err(|failure| failure.of_read())?.value)
    }

    pub(super) async fn read(&self, command: &Cmd, home: &str) -> Result<Value, StoreError> {
        let answer = self.connection.send(command, home).await;
        Ok(answer.map_err(|failure| failure.of_read())?.value)
    }

    async fn write(&self, command: &Cmd, home: &str) -> Result<Value, StoreError> {
        let answer = self.connection.send(command, home).await;
        Ok(answer.map_err(|failure| failure.of_write())?.value)
    }

    /// Runs a script that writes and answers a number.
    pub(super) async fn decide(
        &self,
        script: &Script,
        call: &Cmd,
        home: &str,
    ) -> Result<u64, StoreError> {
        let answer = self.connection.run(script, call, home).await;
        count(&answer.map_err(|failure| failure.of_write())?.value)
    }
}

/// What is stored under the key of a rollout.
fn rollout(tenant: &Tenant, value: Value) -> Result<Rollout, StoreError> {
    match text(value)? {
        None => Ok(Rollout::default()),
        Some(json) => serde_json::from_str(&json).map_err(|error| {
            StoreError::Corrupt(format!("the rollout of {tenant} cannot be read: {error}"))
        }),
    }
}
