//! What writes: events and updates, taken in by the clock and queued in the lanes of their
//! profiles, whose rounds answer them.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::Instant,
};

use tracing::Instrument as _;

use super::{
    Scored, Service, ServiceError, Shell, View,
    answers::{Answer, Caller, Pending, PendingScores, dropped},
};
use crate::{
    admission::{Reserved, TenantKey},
    rollout::ModelSnapshot,
    scoring::{
        Attributes, Event, EventOutcome, Profile, ProfileId, RecordEdit, RetractionOutcome,
        Selection, Tenant, Timestamp,
    },
    store::Store,
    telemetry::{EventEnd, Shed},
};

/// When a caller that was turned away should come back.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// What to change of what a profile states.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfileUpdate {
    /// Whose.
    pub profile_id: ProfileId,
    /// The attributes to set.
    pub attributes: Attributes,
    /// The names of the attributes to remove.
    pub removed: Vec<String>,
}

/// Work for one profile. Its permit is given back when it is done.
pub(super) struct Work {
    pub task: Box<Task>,
    /// Where it stands among all that was taken in.
    pub turn: u64,
    /// When it was taken in.
    pub since: Instant,
    _permit: Permit,
}

/// Room for one piece of work.
pub(super) enum Permit {
    Single {
        _permit: OwnedSemaphorePermit,
    },
    /// A part of what a request has reserved, which is given back when all of it is done.
    Streamed {
        _reserved: Arc<Reserved<TenantKey>>,
    },
}

/// What is to be done for a profile.
pub(super) enum Task {
    Event(Asked<Arrived, EventOutcome>),
    Retraction(Asked<Arrived, RetractionOutcome>),
    Release(Asked<Selection, usize>),
    Update(Asked<ProfileUpdate, ()>),
}

/// An event, and the instant that it counts at.
pub(super) struct Arrived {
    pub event: Event,
    pub at: Timestamp,
}

/// What is asked, with what came of it and the caller who waits for that.
pub(super) struct Asked<Q, A> {
    pub question: Q,
    /// How much of the profile to answer with; `None` for no profile.
    view: Option<View>,
    /// Told once it is durable.
    pub result: Option<Result<Answer<A>, ServiceError>>,
    caller: Caller<A>,
}

impl<Q, A> Asked<Q, A> {
    /// A question of somebody who waits for the result.
    pub(super) fn new(question: Q, view: Option<View>, caller: Caller<A>) -> Self {
        Self {
            question,
            view,
            result: None,
            caller,
        }
    }

    /// Keeps what came of it, with the profile as it stands now.
    pub(super) fn note(
        &mut self,
        outcome: Result<A, ServiceError>,
        snapshot: &Arc<ModelSnapshot>,
        edit: &RecordEdit<'_>,
        now: Timestamp,
    ) {
        let answer = |outcome| Answer::new(outcome, self.view, snapshot, edit, now);
        self.result = Some(outcome.map(answer));
    }

    /// Tells the caller what came of it; one that has left is told nothing.
    fn tell(self) {
        let result = self.result.unwrap_or_else(|| Err(dropped()));
        drop(self.caller.send(result));
    }

    fn refuse(self, error: &ServiceError) {
        drop(self.caller.send(Err(error.clone())));
    }
}

impl Task {
    /// Whether somebody waits for it.
    pub(super) fn is_wanted(&self) -> bool {
        match self {
            Self::Event(asked) => !asked.caller.is_closed(),
            Self::Retraction(asked) => !asked.caller.is_closed(),
            Self::Release(asked) => !asked.caller.is_closed(),
            Self::Update(asked) => !asked.caller.is_closed(),
        }
    }

    /// Tells its caller what came of it.
    pub(super) fn tell(self) {
        match self {
            Self::Event(asked) => asked.tell(),
            Self::Retraction(asked) => asked.tell(),
            Self::Release(asked) => asked.tell(),
            Self::Update(asked) => asked.tell(),
        }
    }

    /// Tells its caller that nothing came of it.
    pub(super) fn refuse(self, error: &ServiceError) {
        match self {
            Self::Event(asked) => asked.refuse(error),
            Self::Retraction(asked) => asked.refuse(error),
            Self::Release(asked) => asked.refuse(error),
            Self::Update(asked) => asked.refuse(error),
        }
    }
}

impl<S: Store> Service<S> {
    /// Counts one event. Turned away when too many events are in flight.
    pub async fn score_event(
        &self,
        tenant: &Tenant,
        event: Event,
        view: Option<View>,
    ) -> Result<Scored, ServiceError> {
        let room = self.permit_now();
        let permit = room.and_then(|permit| {
            self.shell.deployment.check_tenant(tenant)?;
            Ok(permit)
        });
        let permit = permit.inspect_err(|_| self.shell.failed(1))?;
        let mut permit = Some(Permit::Single { _permit: permit });
        let pending = self.enter(tenant, vec![event], view, || permit.take());
        let result = self.pending(tenant, pending).results().await.pop();
        result.unwrap_or_else(|| Err(dropped()))
    }

    /// Takes events in, waiting for room when too many are in flight. Events of one profile
    /// count in the order taken in, across calls. So do all where the model has events read the
    /// subjects, which any event may change: then they are answered before this
    /// returns, so that a caller who takes in one request after the other has them read each
    /// other in that order.
    pub async fn submit_events(
        &self,
        tenant: &Tenant,
        events: Vec<Event>,
        view: Option<View>,
    ) -> PendingScores<S> {
        // Before it waits: whoever names a tenant that is none waits for nothing.
        let reserved = match self.shell.deployment.check_tenant(tenant) {
            Ok(()) => {
                let key = self.known(tenant);
                let reserved = self.shell.gate.streamed_turn(key, events.len()).await;
                reserved.ok_or_else(dropped)
            }
            Err(error) => Err(error.into()),
        };
        let reserved = match reserved {
            Ok(reserved) => Arc::new(reserved),
            Err(error) => {
                self.shell.failed(events.len());
                let refused = events.iter().map(|_| Pending::refused(error.clone()));
                return self.pending(tenant, refused.collect());
            }
        };
        let permit = || {
            let _reserved = Arc::clone(&reserved);
            Some(Permit::Streamed { _reserved })
        };
        let pending = self.enter(tenant, events, view, permit);
        drop(reserved);
        let mut scores = self.pending(tenant, pending);
        if self.reads_subjects(tenant).await {
            scores.answered().await;
        }
        scores
    }

    async fn reads_subjects(&self, tenant: &Tenant) -> bool {
        let snapshot = self.shell.deployment.snapshot_for_writing(tenant).await;
        snapshot.is_ok_and(|snapshot| snapshot.model().reads_subjects())
    }

    /// A tenant as those are known by who share what there is: those that nobody knows are one.
    pub fn known(&self, tenant: &Tenant) -> TenantKey {
        let is_known = self.shell.deployment.knows(tenant);
        is_known.then(|| tenant.clone())
    }

    /// Changes what a profile states, in its place between the profile's events. Returns the
    /// profile, when it is asked for.
    pub async fn update_profile(
        &self,
        tenant: &Tenant,
        update: ProfileUpdate,
        view: Option<View>,
    ) -> Result<Option<Profile>, ServiceError> {
        let profile_id = update.profile_id.clone();
        let answer = self.work(tenant, profile_id, |caller| {
            Task::Update(Asked::new(update, view, caller))
        });
        let updated = self.complete_one(tenant, answer.await).await?;
        Ok(updated.profile)
    }

    /// Room for a batch of updates. Turned away when there are too many already.
    pub fn batch_turn(&self) -> Result<OwnedSemaphorePermit, ServiceError> {
        let turn = turn_of(&self.shell.batches);
        turn.inspect_err(|_| self.shed(Shed::Batches))
    }

    /// Changes what profiles state, those of one profile in their order. Waits for room as
    /// the events of streams do. Returns one result per update, in order.
    pub async fn update_profiles(
        &self,
        tenant: &Tenant,
        updates: Vec<ProfileUpdate>,
        view: Option<View>,
    ) -> Result<Vec<Result<Option<Profile>, ServiceError>>, ServiceError> {
        self.shell.deployment.check_tenant(tenant)?;
        let key = self.known(tenant);
        let reserved = self.shell.gate.streamed_turn(key, updates.len()).await;
        let reserved = Arc::new(reserved.ok_or_else(dropped)?);
        let mut work = Vec::with_capacity(updates.len());
        let mut pending = Vec::with_capacity(updates.len());
        for update in updates {
            let (caller, receiver) = oneshot::channel();
            let profile_id = update.profile_id.clone();
            let asked = Work {
                task: Box::new(Task::Update(Asked::new(update, view, caller))),
                turn: self.shell.next_turn(),
                since: Instant::now(),
                _permit: Permit::Streamed {
                    _reserved: Arc::clone(&reserved),
                },
            };
            work.push((profile_id, asked));
            pending.push(receiver);
        }
        drop(reserved);
        self.run(tenant, work);
        let mut answers = Vec::with_capacity(pending.len());
        for receiver in pending {
            answers.push(receiver.await.unwrap_or_else(|_| Err(dropped())));
        }
        let updated = self.complete(tenant, answers).await.into_iter();
        Ok(updated
            .map(|updated| updated.map(|updated| updated.profile))
            .collect())
    }

    /// Does one task of a profile. Turned away when too much is in flight.
    pub(super) async fn work<A>(
        &self,
        tenant: &Tenant,
        profile_id: ProfileId,
        task: impl FnOnce(Caller<A>) -> Task,
    ) -> Result<Answer<A>, ServiceError> {
        let permit = self.permit_now()?;
        self.shell.deployment.check_tenant(tenant)?;
        let (caller, receiver) = oneshot::channel();
        let work = Work {
            task: Box::new(task(caller)),
            turn: self.shell.next_turn(),
            since: Instant::now(),
            _permit: Permit::Single { _permit: permit },
        };
        self.run(tenant, vec![(profile_id, work)]);
        receiver.await.unwrap_or_else(|_| Err(dropped()))
    }

    fn permit_now(&self) -> Result<OwnedSemaphorePermit, ServiceError> {
        let permit = turn_of(&self.shell.single);
        permit.inspect_err(|_| self.shed(Shed::Events))
    }

    /// Queues events in their lanes, each with a permit.
    fn enter(
        &self,
        tenant: &Tenant,
        events: Vec<Event>,
        view: Option<View>,
        mut permit: impl FnMut() -> Option<Permit>,
    ) -> Vec<Pending> {
        let now = self.shell.now();
        let since = Instant::now();
        let mut work = Vec::with_capacity(events.len());
        let mut pending = Vec::with_capacity(events.len());
        for event in events {
            let at = match self.shell.instant_of(&event, now) {
                Ok(at) => at,
                Err(error) => {
                    self.shell.failed(1);
                    pending.push(Pending::refused(error));
                    continue;
                }
            };
            let Some(_permit) = permit() else {
                self.shell.failed(1);
                pending.push(Pending::refused(dropped()));
                continue;
            };
            let (caller, receiver) = oneshot::channel();
            let profile_id = event.profile_id.clone();
            let task = Box::new(Task::Event(Asked::new(Arrived { event, at }, view, caller)));
            let turn = self.shell.next_turn();
            work.push((
                profile_id,
                Work {
                    task,
                    turn,
                    since,
                    _permit,
                },
            ));
            pending.push(Pending::Waiting(receiver));
        }
        self.run(tenant, work);
        pending
    }

    /// Does work in the background, so that a caller who leaves does not leave it half done.
    fn run(&self, tenant: &Tenant, work: Vec<(ProfileId, Work)>) {
        let round = self.shell.events.enter(tenant, work);
        if round.is_empty() {
            return;
        }
        let shell = Arc::clone(&self.shell);
        let tenant = tenant.clone();
        let rounds = async move {
            let mut round = round;
            let mut lanes = shell.events.occupy(&tenant, &round);
            while !round.is_empty() {
                shell.score(&tenant, round).await;
                round = lanes.next_round();
            }
        };
        // In the trace of the call that began them, whomever else they work for.
        self.shell.tasks.spawn(rounds.in_current_span());
    }
}

impl<S> Shell<S> {
    /// Events were refused before anybody looked at them.
    fn failed(&self, events: usize) {
        self.counters.events(EventEnd::Failed, None, events);
    }

    fn next_turn(&self) -> u64 {
        self.turns.fetch_add(1, Ordering::Relaxed)
    }

    /// The instant that an event counts at; refused when it comes from too far ahead.
    pub(super) fn instant_of(
        &self,
        event: &Event,
        now: Timestamp,
    ) -> Result<Timestamp, ServiceError> {
        let time = event.time.unwrap_or(now);
        if !self.is_within_skew(now, time) {
            let allowed = self.settings.max_skew;
            return Err(ServiceError::TooFarAhead { allowed });
        }
        Ok(time.min(now))
    }

    /// Whether `later` lies no further ahead of an instant than clocks may differ.
    pub(super) fn is_within_skew(&self, instant: Timestamp, later: Timestamp) -> bool {
        later <= instant.saturating_add_nanos(nanos(self.settings.max_skew))
    }
}

fn turn_of(semaphore: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, ServiceError> {
    let permit = Arc::clone(semaphore).try_acquire_owned();
    permit.map_err(|_| ServiceError::Overloaded {
        retry_after: RETRY_AFTER,
    })
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
