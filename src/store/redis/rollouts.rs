//! What the servers agree on: rollouts, fences, models, who builds and who serves.

use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use redis::{Cmd, Value};

use super::{
    super::{Edition, Rollout, SavedModel, StoreError},
    Redis,
    commits::Fence,
    connection::milliseconds,
    count,
    failure::unexpected,
    keys, list, profile_id,
    scripts::{ANNOUNCE, FENCE, LEASE, ROLLOUT, SERVERS, Script, TENANT},
    text,
};
use crate::scoring::{Fingerprint, ProfileId, RankName, Tenant};

/// Keys that one command deletes.
const MAX_DELETED: usize = 256;

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
        match text(self.read(&command, &key).await?)? {
            None => Ok(Rollout::default()),
            Some(json) => serde_json::from_str(&json).map_err(|error| {
                StoreError::Corrupt(format!("the rollout of {tenant} cannot be read: {error}"))
            }),
        }
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

    pub(super) async fn write_model(
        &self,
        tenant: &Tenant,
        model: &SavedModel,
    ) -> Result<(), StoreError> {
        let ranks: Vec<&str> = model.ranks.iter().map(RankName::as_str).collect();
        let ranks = serde_json::to_string(&ranks)
            .map_err(|error| StoreError::Corrupt(format!("ranks have no text: {error}")))?;
        let key = keys::model(tenant, model.fingerprint);
        let mut command = redis::cmd("HSET");
        command.arg(&key).arg("source").arg(&model.source);
        command.arg("ranks").arg(ranks);
        self.write(&command, &key).await.map(|_| ())
    }

    pub(super) async fn read_model(
        &self,
        tenant: &Tenant,
        fingerprint: Fingerprint,
    ) -> Result<Option<SavedModel>, StoreError> {
        let key = keys::model(tenant, fingerprint);
        let mut command = redis::cmd("HMGET");
        command.arg(&key).arg("source").arg("ranks");
        let fields = list(self.read(&command, &key).await?)?;
        let [source, ranks] = <[Value; 2]>::try_from(fields).map_err(|_| unexpected())?;
        let (Some(source), Some(ranks)) = (text(source)?, text(ranks)?) else {
            return Ok(None);
        };
        let ranks: Vec<String> = serde_json::from_str(&ranks).map_err(|error| {
            StoreError::Corrupt(format!(
                "the ranks of model {fingerprint} cannot be read: {error}"
            ))
        })?;
        Ok(Some(SavedModel {
            fingerprint,
            source,
            ranks: ranks.into_iter().map(RankName::new).collect(),
        }))
    }

    pub(super) async fn read_indexed(
        &self,
        tenant: &Tenant,
        edition: Edition,
    ) -> Result<Option<ProfileId>, StoreError> {
        let key = keys::indexed(tenant, edition.number);
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
        edition: Edition,
        ranks: &[RankName],
    ) -> Result<(), StoreError> {
        let mut commands = Vec::new();
        for mut keys in self.partitions_of(tenant) {
            for ranks in ranks.chunks(MAX_DELETED) {
                let mut command = redis::cmd("UNLINK");
                for rank in ranks {
                    command.arg(keys.rank(edition.number, rank));
                }
                commands.push((command, keys.home().to_owned()));
            }
        }
        let indexed = keys::indexed(tenant, edition.number);
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
