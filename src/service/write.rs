//! What writes: events and updates, taken in by the clock and queued in the lanes of their
//! profiles, whose rounds answer them.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{Released, Retracted, Service, ServiceError, Shell};
use crate::{
    scoring::{Attributes, Event, EventOutcome, Profile, ProfileId, Selection, Tenant, Timestamp},
    store::{Store, StoreError},
};

/// When a caller that was turned away should come back.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// An event that was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// The profile just after the event.
    pub profile: Profile,
    /// What became of the event.
    pub outcome: EventOutcome,
}

/// What to change of what a profile states.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfileUpdate {
    /// Whose.
    pub profile_id: ProfileId,
    /// What it states.
    pub attributes: Attributes,
    /// The attributes to set, or to remove when absent; empty merges.
    pub mask: Vec<String>,
}

/// Work for one profile. Its permit is given back when it is done.
pub(super) struct Work {
    pub task: Task,
    _permit: Arc<OwnedSemaphorePermit>,
}

pub(super) enum Task {
    Event {
        event: Event,
        at: Timestamp,
        answer: oneshot::Sender<Result<Scored, ServiceError>>,
    },
    Retraction {
        event: Event,
        at: Timestamp,
        answer: oneshot::Sender<Result<Retracted, ServiceError>>,
    },
    Release {
        selection: Selection,
        answer: oneshot::Sender<Result<Released, ServiceError>>,
    },
    Update {
        update: ProfileUpdate,
        answer: oneshot::Sender<Result<Profile, ServiceError>>,
    },
}

/// Events that were submitted and not yet answered.
#[derive(Debug)]
pub struct PendingScores {
    /// Given back when the answers are taken, so that answers nobody reads are bounded too.
    _permit: Option<Arc<OwnedSemaphorePermit>>,
    pending: Vec<Result<oneshot::Receiver<Result<Scored, ServiceError>>, ServiceError>>,
}

impl PendingScores {
    /// One result per event, in order.
    pub async fn results(self) -> Vec<Result<Scored, ServiceError>> {
        let mut results = Vec::with_capacity(self.pending.len());
        for pending in self.pending {
            results.push(match pending {
                Ok(receiver) => receiver.await.unwrap_or_else(|_| Err(dropped())),
                Err(error) => Err(error),
            });
        }
        results
    }
}

pub(super) fn dropped() -> ServiceError {
    let message = "the server failed while it was working on this".to_owned();
    StoreError::OutcomeUnknown(message).into()
}

impl<S: Store> Service<S> {
    /// Counts one event. Turned away when too many events are in flight.
    pub async fn score_event(&self, tenant: &Tenant, event: Event) -> Result<Scored, ServiceError> {
        let permit = self.permit_now()?;
        let pending = self.enter(tenant, vec![event], permit)?;
        let result = pending.results().await.pop();
        result.unwrap_or_else(|| Err(dropped()))
    }

    /// Takes events in, waiting for room when too many are in flight. Events of one profile
    /// count in the order taken in, across calls.
    pub async fn submit_events(&self, tenant: &Tenant, events: Vec<Event>) -> PendingScores {
        let count = events.len();
        let wanted = u32::try_from(count.clamp(1, self.shell.most_streamed)).unwrap_or(u32::MAX);
        let semaphore = Arc::clone(&self.shell.streamed);
        let entered = match semaphore.acquire_many_owned(wanted).await {
            Ok(permit) => self.enter(tenant, events, permit),
            Err(_) => Err(dropped()),
        };
        entered.unwrap_or_else(|error| PendingScores {
            _permit: None,
            pending: (0..count).map(|_| Err(error.clone())).collect(),
        })
    }

    /// Changes what a profile states, in its place between the profile's events.
    pub async fn update_profile(
        &self,
        tenant: &Tenant,
        update: ProfileUpdate,
    ) -> Result<Profile, ServiceError> {
        let profile_id = update.profile_id.clone();
        self.work(tenant, profile_id, |answer| Task::Update { update, answer })
            .await
    }

    /// Does one task of a profile. Turned away when too much is in flight.
    pub(super) async fn work<T>(
        &self,
        tenant: &Tenant,
        profile_id: ProfileId,
        task: impl FnOnce(oneshot::Sender<Result<T, ServiceError>>) -> Task,
    ) -> Result<T, ServiceError> {
        let permit = Arc::new(self.permit_now()?);
        self.shell.latest_of(tenant)?;
        let (answer, receiver) = oneshot::channel();
        let work = Work {
            task: task(answer),
            _permit: permit,
        };
        self.run(tenant, vec![(profile_id, work)]);
        receiver.await.unwrap_or_else(|_| Err(dropped()))
    }

    fn permit_now(&self) -> Result<OwnedSemaphorePermit, ServiceError> {
        let semaphore = Arc::clone(&self.shell.single);
        let permit = semaphore.try_acquire_owned();
        permit.map_err(|_| ServiceError::Overloaded {
            retry_after: RETRY_AFTER,
        })
    }

    /// Queues events in their lanes.
    fn enter(
        &self,
        tenant: &Tenant,
        events: Vec<Event>,
        permit: OwnedSemaphorePermit,
    ) -> Result<PendingScores, ServiceError> {
        self.shell.latest_of(tenant)?;
        let permit = Arc::new(permit);
        let now = self.shell.now();
        let mut work = Vec::with_capacity(events.len());
        let mut pending = Vec::with_capacity(events.len());
        for event in events {
            let at = match self.shell.instant_of(&event, now) {
                Ok(at) => at,
                Err(error) => {
                    pending.push(Err(error));
                    continue;
                }
            };
            let (answer, receiver) = oneshot::channel();
            let profile_id = event.profile_id.clone();
            let task = Task::Event { event, at, answer };
            let _permit = Arc::clone(&permit);
            work.push((profile_id, Work { task, _permit }));
            pending.push(Ok(receiver));
        }
        self.run(tenant, work);
        Ok(PendingScores {
            _permit: Some(permit),
            pending,
        })
    }

    /// Does work in the background, so that a caller who leaves does not leave it half done.
    fn run(&self, tenant: &Tenant, work: Vec<(ProfileId, Work)>) {
        let round = self.shell.events.enter(tenant, work);
        if round.is_empty() {
            return;
        }
        let shell = Arc::clone(&self.shell);
        let tenant = tenant.clone();
        self.shell.tasks.spawn(async move {
            let mut round = round;
            let mut lanes = shell.events.occupy(&tenant, &round);
            while !round.is_empty() {
                shell.score(&tenant, round).await;
                round = lanes.next_round();
            }
        });
    }
}

impl<S> Shell<S> {
    /// The instant that an event counts at; refused when it comes from too far ahead.
    pub(super) fn instant_of(
        &self,
        event: &Event,
        now: Timestamp,
    ) -> Result<Timestamp, ServiceError> {
        let allowed = self.settings.max_skew;
        let time = event.time.unwrap_or(now);
        if time > now.saturating_add_nanos(nanos(allowed)) {
            return Err(ServiceError::TooFarAhead { allowed });
        }
        Ok(time.min(now))
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
