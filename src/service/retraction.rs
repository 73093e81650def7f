//! Takes events back, in their place between the events of their profile.

use super::{
    Retracted, Service, ServiceError, View,
    write::{Arrived, Asked, Task},
};
use crate::{
    scoring::{Event, Tenant},
    store::Store,
};

impl<S: Store> Service<S> {
    /// Refuses what cannot be retracted, and makes a tenant known that is not.
    pub async fn check_retraction(
        &self,
        tenant: &Tenant,
        event: &Event,
    ) -> Result<(), ServiceError> {
        self.shell.instant_of(event, self.shell.now())?;
        self.model_to_write(tenant).await.map(drop)
    }

    /// Retracts an event. Turned away when too many events are in flight.
    pub async fn retract_event(
        &self,
        tenant: &Tenant,
        event: Event,
        view: Option<View>,
    ) -> Result<Retracted, ServiceError> {
        let at = self.shell.instant_of(&event, self.shell.now())?;
        let profile_id = event.profile_id.clone();
        let answer = self.work(tenant, profile_id, |caller| {
            Task::Retraction(Asked::new(Arrived { event, at }, view, caller))
        });
        self.complete_one(tenant, answer.await).await
    }
}
