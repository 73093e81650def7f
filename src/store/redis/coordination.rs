//! What the servers agree on: rollouts, fences, who builds and who serves.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use redis::{Cmd, Value};

use super::{
    super::{Coordination, Rollout, StoreError, TokenKey},
    Redis,
    connection::milliseconds,
    count,
    failure::unexpected,
    fence::Fence,
    keys, list, opening, partitions_of,
    scripts::{ANNOUNCE, FENCE, LEASE, ROLLOUT, SERVERS, Script, TENANT, TOKEN_KEY},
    text,
    writing::too_few_replicas,
};
use crate::scoring::Tenant;

/// Rollouts that one command reads: bounds how long Redis is busy with it.
const MAX_READ: usize = 512;
/// Tenants of a cluster that are asked for at a time.
pub(super) const MAX_IN_FLIGHT: usize = 64;

impl Coordination for Redis {
    async fn rollout(&self, tenant: &Tenant) -> Result<Rollout, StoreError> {
        let begun = Instant::now();
        let rollout = self.read_rollout(tenant).await?;
        self.check_note().await?;
        self.note_layout(tenant, &rollout, begun);
        Ok(rollout)
    }

    async fn rollouts(&self, tenants: &[Tenant]) -> Result<Vec<Rollout>, StoreError> {
        let begun = Instant::now();
        let rollouts = self.read_rollouts(tenants).await?;
        self.check_note().await?;
        for (tenant, rollout) in tenants.iter().zip(&rollouts) {
            self.note_layout(tenant, rollout, begun);
        }
        Ok(rollouts)
    }

    async fn set_rollout(&self, tenant: &Tenant, rollout: &Rollout) -> Result<bool, StoreError> {
        let begun = Instant::now();
        self.check_note().await?;
        // First, so that no tenant with records is missing; it is in another slot.
        let mut call = TENANT.call(1, 1, 128);
        call.arg(keys::TENANTS).arg(tenant.as_str());
        self.decide(&TENANT, &call, keys::TENANTS).await?;
        let key = keys::rollout(tenant);
        let json = serde_json::to_string(rollout)
            .map_err(|error| StoreError::Corrupt(format!("a rollout has no text: {error}")))?;
        let mut call = ROLLOUT.call(1, 2, 128 + json.len());
        call.arg(&key).arg(rollout.after).arg(json);
        // A failover must not bring back partitions that were left.
        let is_set = match rollout.is_repartitioned() {
            true => self.decide_durably(&ROLLOUT, &call, &key).await? == 1,
            false => self.decide(&ROLLOUT, &call, &key).await? == 1,
        };
        if is_set {
            self.note_layout(tenant, rollout, begun);
        }
        Ok(is_set)
    }

    async fn fence(&self, tenant: &Tenant, rollout: &Rollout) -> Result<(), StoreError> {
        let raised = self.raise_fences(tenant, rollout).await;
        // A commit that finds one must find it in the store that was opened.
        self.check_note().await?;
        raised
    }

    async fn lease(
        &self,
        tenant: &Tenant,
        server: u64,
        period: Duration,
    ) -> Result<bool, StoreError> {
        self.check_note().await?;
        let key = keys::builder(tenant);
        let mut call = LEASE.call(1, 2, 128);
        call.arg(&key).arg(server).arg(milliseconds(period));
        Ok(self.decide(&LEASE, &call, &key).await? == 1)
    }

    async fn token_key(&self, proposed: &TokenKey) -> Result<TokenKey, StoreError> {
        self.check_note().await?;
        let mut call = TOKEN_KEY.call(1, 1, 128);
        call.arg(keys::TOKEN_KEY).arg(proposed.to_text());
        let answer = self
            .connection
            .run(&TOKEN_KEY, &call, keys::TOKEN_KEY)
            .await;
        let kept = text(answer.map_err(|failure| failure.of_write())?.value)?;
        TokenKey::from_text(&kept.ok_or_else(unexpected)?)
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn servers(&self) -> Result<u64, StoreError> {
        let mut call = SERVERS.call(1, 0, 64);
        call.arg(keys::SERVERS);
        let answer = self.connection.run(&SERVERS, &call, keys::SERVERS).await;
        count(&answer.map_err(|failure| failure.of_read())?.value)
    }

    async fn announce(&self, server: u64, period: Duration) -> Result<u64, StoreError> {
        self.check_note().await?;
        let mut call = ANNOUNCE.call(1, 2, 128);
        call.arg(keys::SERVERS)
            .arg(server)
            .arg(milliseconds(period));
        self.decide(&ANNOUNCE, &call, keys::SERVERS).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.reach_primaries().await?;
        self.check_note().await?;
        opening::check_ground(&self.connection).await
    }
}

impl Redis {
    pub(super) async fn read_rollout(&self, tenant: &Tenant) -> Result<Rollout, StoreError> {
        let key = keys::rollout(tenant);
        let mut command = redis::cmd("GET");
        command.arg(&key);
        rollout(tenant, self.read(&command, &key).await?)
    }

    async fn read_rollouts(&self, tenants: &[Tenant]) -> Result<Vec<Rollout>, StoreError> {
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

    async fn raise_fences(&self, tenant: &Tenant, rollout: &Rollout) -> Result<(), StoreError> {
        let partitions = self.partitions_by(rollout);
        let fence = Fence::of(rollout);
        self.raise(tenant, partitions, &fence, rollout.may_be_first())
            .await
    }

    /// Raises the fence of every partition of so many.
    pub(super) async fn raise(
        &self,
        tenant: &Tenant,
        partitions: u32,
        fence: &Fence,
        may_be_first: bool,
    ) -> Result<(), StoreError> {
        let raised = partitions_of(tenant, partitions).map(|mut keys| async move {
            let is_one_server = !self.connection.is_cluster();
            let mut call = FENCE.call(1 + usize::from(is_one_server), 5, 160);
            call.arg(keys.fence());
            if is_one_server {
                call.arg(keys::MARKER);
            }
            fence.add_to(&mut call);
            call.arg(u8::from(may_be_first)).arg(&self.identity);
            self.decide(&FENCE, &call, keys.home()).await
        });
        try_join_all(raised).await.map(|_| ())
    }

    pub(super) async fn read(&self, command: &Cmd, home: &str) -> Result<Value, StoreError> {
        let answer = self.connection.send(command, home).await;
        Ok(answer.map_err(|failure| failure.of_read())?.value)
    }

    pub(super) async fn write(&self, command: &Cmd, home: &str) -> Result<Value, StoreError> {
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

    /// The same, once as many replicas as configured have it.
    pub(super) async fn decide_durably(
        &self,
        script: &Script,
        call: &Cmd,
        home: &str,
    ) -> Result<u64, StoreError> {
        let answer = self.connection.run_durably(script, call, home).await;
        match answer.map_err(|failure| failure.of_write())? {
            (answer, true) => count(&answer.value),
            (_, false) => Err(too_few_replicas()),
        }
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
