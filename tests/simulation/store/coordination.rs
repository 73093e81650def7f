//! What servers agree on.

use bellwether::{
    scoring::Tenant,
    store::{Coordination, Rollout, StoreError, TokenKey},
};
use tokio::time::{Duration, Instant};

use crate::{
    network::{Connection, Kind, Place, World},
    state::Flaw,
};

impl Coordination for Connection {
    async fn rollout(&self, _: &Tenant) -> Result<Rollout, StoreError> {
        let read = |world: &mut World| world.common.rollout.clone();
        self.ask(Place::Common, Kind::Read, read).await
    }

    async fn rollouts(&self, tenants: &[Tenant]) -> Result<Vec<Rollout>, StoreError> {
        let mut rollouts = Vec::new();
        for tenant in tenants {
            rollouts.push(self.rollout(tenant).await?);
        }
        Ok(rollouts)
    }

    async fn set_rollout(&self, _: &Tenant, rollout: &Rollout) -> Result<bool, StoreError> {
        let (rollout, server) = (rollout.clone(), self.name);
        let set = move |world: &mut World| {
            let flaw = world.flaw;
            world.earlier.push((Instant::now(), world.common.clone()));
            let set = world.common.set_rollout(&rollout, flaw);
            let text = world.describe(&rollout);
            world.note(&format!("{server} sets {text}: {set}"));
            set
        };
        self.ask(Place::Common, Kind::Write, set).await
    }

    async fn fence(&self, _: &Tenant, rollout: &Rollout) -> Result<(), StoreError> {
        let (rollout, server) = (rollout.clone(), self.name);
        let parts = self.everywhere(Kind::Write, move |world, partition| {
            if world.flaw == Some(Flaw::FencesOnePartition) && partition > 0 {
                return Ok(());
            }
            let epoch = rollout.epoch;
            let raised = world.partitions[partition].raise_fence(&rollout);
            world.note(&format!(
                "{server} fences {partition} at {epoch}: {raised:?}"
            ));
            match raised {
                Ok(true) => {}
                Ok(false) => return Err(StoreError::Superseded),
                Err(wrong) => world.violate(wrong),
            }
            Ok(())
        });
        parts.await.map(drop)
    }

    async fn lease(&self, _: &Tenant, server: u64, period: Duration) -> Result<bool, StoreError> {
        let name = self.name;
        let take = move |world: &mut World| {
            let taken = world.common.take_lease(server, period);
            if taken {
                world.builder = Some(name);
            }
            world.note(&format!("{name} takes the lease: {taken}"));
            taken
        };
        self.ask(Place::Common, Kind::Write, take).await
    }

    async fn token_key(&self, proposed: &TokenKey) -> Result<TokenKey, StoreError> {
        let proposed = proposed.clone();
        let keep = move |world: &mut World| {
            let kept = &mut world.common.token_key;
            kept.get_or_insert_with(|| proposed.clone()).clone()
        };
        self.ask(Place::Common, Kind::Write, keep).await
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn servers(&self) -> Result<u64, StoreError> {
        let count = |world: &mut World| world.common.serving();
        self.ask(Place::Common, Kind::Read, count).await
    }

    async fn announce(&self, server: u64, period: Duration) -> Result<u64, StoreError> {
        let announce = move |world: &mut World| world.common.announce(server, period);
        self.ask(Place::Common, Kind::Write, announce).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.everywhere(Kind::Read, |_, _| Ok(())).await.map(drop)
    }
}
