//! Takes events back, in their place between the events of their profile.

use super::{
    Service, ServiceError,
    write::{Arrived, Asked, Task},
};
use crate::{
    scoring::{Event, Profile, RetractionOutcome, Tenant},
    store::Store,
};

/// A retraction that was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Retracted {
    /// The profile just after it.
    pub profile: Profile,
    /// What became of it.
    pub outcome: RetractionOutcome,
}

impl<S: Store> Service<S> {
    /// Retracts an event. Turned away when too many events are in flight.
    pub async fn retract_event(
        &self,
        tenant: &Tenant,
        event: Event,
    ) -> Result<Retracted, ServiceError> {
        let at = self.shell.instant_of(&event, self.shell.now())?;
        let profile_id = event.profile_id.clone();
        self.work(tenant, profile_id, |caller| {
            Task::Retraction(Asked::new(Arrived { event, at }, caller))
        })
        .await
    }
}
