//! The path of an event: into its profile's lane, onto the record, its effects on others
//! first, then the record itself.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{Service, ServiceError, Shell, lanes::Round, totals_change};
use crate::{
    scoring::{
        Attributes, Context, Credit, Event, EventOutcome, IdHash, Judgement, Model, Outcome,
        Profile, ProfileId, Tenant, Timestamp, check_attributes,
    },
    store::{Commit, Committed, Store, StoreError, Stored, Version},
};

/// How often a conflict is retried: with two writers of one record in a process, and a few
/// processes, losing this often means that something is wrong.
pub(super) const MAX_ATTEMPTS: usize = 32;
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
    task: Task,
    _permit: Arc<OwnedSemaphorePermit>,
}

enum Task {
    Event {
        event: Event,
        at: Timestamp,
        answer: oneshot::Sender<Result<Scored, ServiceError>>,
    },
    Update {
        update: ProfileUpdate,
        answer: oneshot::Sender<Result<Profile, ServiceError>>,
    },
}

/// What one task of a round came to, told once the record is durable.
enum Answer {
    Scored(Result<Scored, ServiceError>),
    Updated(Result<Profile, ServiceError>),
}

/// Events that were submitted and not yet answered.
#[derive(Debug)]
pub struct PendingScores {
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
        let most = self.shell.settings.max_events_in_flight;
        let wanted = u32::try_from(count.clamp(1, most)).unwrap_or(u32::MAX);
        let semaphore = Arc::clone(&self.shell.in_flight);
        let entered = match semaphore.acquire_many_owned(wanted).await {
            Ok(permit) => self.enter(tenant, events, permit),
            Err(_) => Err(dropped()),
        };
        entered.unwrap_or_else(|error| PendingScores {
            pending: (0..count).map(|_| Err(error.clone())).collect(),
        })
    }

    /// Changes what a profile states, in its place between the profile's events.
    pub async fn update_profile(
        &self,
        tenant: &Tenant,
        update: ProfileUpdate,
    ) -> Result<Profile, ServiceError> {
        let permit = Arc::new(self.permit_now()?);
        self.shell.model(tenant)?;
        let (answer, receiver) = oneshot::channel();
        let profile_id = update.profile_id.clone();
        let work = Work {
            task: Task::Update { update, answer },
            _permit: permit,
        };
        self.run(tenant, vec![(profile_id, work)]);
        receiver.await.unwrap_or_else(|_| Err(dropped()))
    }

    fn permit_now(&self) -> Result<OwnedSemaphorePermit, ServiceError> {
        let semaphore = Arc::clone(&self.shell.in_flight);
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
        self.shell.model(tenant)?;
        let permit = Arc::new(permit);
        let now = self.shell.now();
        let latest = now.saturating_add_nanos(nanos(self.shell.settings.max_skew));
        let mut work = Vec::with_capacity(events.len());
        let mut pending = Vec::with_capacity(events.len());
        for event in events {
            let time = event.time.unwrap_or(now);
            if time > latest {
                pending.push(Err(ServiceError::TooFarAhead {
                    allowed: self.shell.settings.max_skew,
                }));
                continue;
            }
            let (answer, receiver) = oneshot::channel();
            let at = time.min(now);
            let profile_id = event.profile_id.clone();
            let task = Task::Event { event, at, answer };
            let _permit = Arc::clone(&permit);
            work.push((profile_id, Work { task, _permit }));
            pending.push(Ok(receiver));
        }
        self.run(tenant, work);
        Ok(PendingScores { pending })
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

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// A profile's record after a round of work, not yet written.
pub(super) struct Draft<W> {
    pub profile_id: ProfileId,
    pub work: Vec<W>,
    pub expected: Option<Version>,
    pub outcome: Outcome,
}

impl<W> Draft<W> {
    /// The write, and the work that waits for it.
    pub(super) fn into_commit(self) -> Result<(Commit, Vec<W>), (StoreError, Vec<W>)> {
        let version = match new_version() {
            Ok(version) => version,
            Err(error) => return Err((error, self.work)),
        };
        let outcome = self.outcome;
        let commit = Commit {
            profile_id: self.profile_id,
            expected: self.expected,
            version,
            record: outcome.record,
            ranks: outcome.ranks,
            totals: outcome.totals.into_iter().map(totals_change).collect(),
        };
        Ok((commit, self.work))
    }
}

fn new_version() -> Result<Version, StoreError> {
    getrandom::u64()
        .map(Version)
        .map_err(|error| StoreError::Unavailable(format!("no randomness for a version: {error}")))
}

impl<S: Store> Shell<S> {
    /// Does a round of work: every profile's record is loaded, changed by all its work, and
    /// committed once; again where another writer was faster.
    async fn score(self: &Arc<Self>, tenant: &Tenant, mut round: Round<Work>) {
        let Ok(model) = self.model(tenant).cloned() else {
            return;
        };
        let mut credited = HashSet::new();
        for _ in 0..MAX_ATTEMPTS {
            let loaded = self.load(tenant, &round).await;
            let now = self.now();
            let mut drafts = Vec::with_capacity(round.len());
            for ((profile_id, work), loaded) in round.into_iter().zip(loaded) {
                match loaded {
                    Ok(stored) => {
                        drafts.push(self.draft(&model, profile_id, stored, work, now));
                    }
                    Err(error) => refuse(work, &error.into()),
                }
            }
            self.note_failed_rules(drafts.iter().map(|(draft, _)| draft));
            let drafts = self.settle_credits(tenant, drafts, &mut credited).await;
            round = self.commit_drafts(tenant, drafts).await;
            if round.is_empty() {
                return;
            }
        }
        for (profile_id, work) in round {
            refuse(work, &ServiceError::Contended(profile_id.to_string()));
        }
    }

    pub(super) async fn load<W>(
        &self,
        tenant: &Tenant,
        round: &Round<W>,
    ) -> Vec<Result<Option<Stored>, StoreError>> {
        let ids: Vec<ProfileId> = round
            .iter()
            .map(|(profile_id, _)| profile_id.clone())
            .collect();
        self.store.load(tenant, &ids).await
    }

    /// Applies all work for one profile.
    fn draft(
        &self,
        model: &Model,
        profile_id: ProfileId,
        stored: Option<Stored>,
        work: Vec<Work>,
        now: Timestamp,
    ) -> (Draft<Work>, Vec<Answer>) {
        let expected = stored.as_ref().map(|stored| stored.version);
        let mut judgement = begin(model, &profile_id, stored);
        let mut answers = Vec::with_capacity(work.len());
        for Work { task, .. } in &work {
            answers.push(match task {
                Task::Event { event, at, .. } => {
                    let context = Context {
                        at: *at,
                        remembered_events: self.settings.remembered_events,
                    };
                    let outcome = judgement.apply(event, &context);
                    let as_of = now.max(judgement.record().last_event_time);
                    let profile = judgement.profile(as_of);
                    Answer::Scored(Ok(Scored { profile, outcome }))
                }
                Task::Update { update, .. } => Answer::Updated(change(&mut judgement, update, now)),
            });
        }
        let draft = Draft {
            profile_id,
            work,
            expected,
            outcome: judgement.finish(),
        };
        (draft, answers)
    }

    fn note_failed_rules<'a>(&self, drafts: impl Iterator<Item = &'a Draft<Work>>) {
        for draft in drafts {
            for rule in &draft.outcome.failed_rules {
                crate::telemetry::count_rule_error(rule);
            }
        }
    }

    /// Commits the effects of drafts on others, and drops the drafts whose effects could not
    /// be committed.
    async fn settle_credits(
        self: &Arc<Self>,
        tenant: &Tenant,
        drafts: Vec<(Draft<Work>, Vec<Answer>)>,
        credited: &mut HashSet<IdHash>,
    ) -> Vec<(Draft<Work>, Vec<Answer>)> {
        let credits = drafts.iter().map(|(draft, _)| {
            let new = draft.outcome.credits.iter();
            new.filter(|credit| credited.insert(credit.id))
                .cloned()
                .collect()
        });
        let credits: Vec<Vec<Credit>> = credits.collect();
        let results = self.credit_others(tenant, credits).await;
        let mut settled = Vec::with_capacity(drafts.len());
        for ((draft, answers), result) in drafts.into_iter().zip(results) {
            match result {
                Ok(()) => settled.push((draft, answers)),
                Err(error) => refuse(draft.work, &error),
            }
        }
        settled
    }

    /// Commits drafts and answers their callers. Returns what has to be done again.
    async fn commit_drafts(
        &self,
        tenant: &Tenant,
        drafts: Vec<(Draft<Work>, Vec<Answer>)>,
    ) -> Round<Work> {
        let mut commits = Vec::with_capacity(drafts.len());
        let mut written = Vec::with_capacity(drafts.len());
        for (draft, answers) in drafts {
            if !draft.outcome.changed {
                tell(draft.work, answers);
                continue;
            }
            match draft.into_commit() {
                Ok((commit, work)) => {
                    written.push((commit.profile_id.clone(), work, answers));
                    commits.push(commit);
                }
                Err((error, work)) => refuse(work, &error.into()),
            }
        }
        let mut again = Vec::new();
        if commits.is_empty() {
            return again;
        }
        let results = self.store.commit(tenant, commits).await;
        for ((profile_id, work, answers), result) in written.into_iter().zip(results) {
            match result {
                Ok(Committed::Written) => tell(work, answers),
                Ok(Committed::Conflict) => again.push((profile_id, work)),
                Err(error) => refuse(work, &error.into()),
            }
        }
        again
    }
}

pub(super) fn begin<'m>(
    model: &'m Model,
    profile_id: &ProfileId,
    stored: Option<Stored>,
) -> Judgement<'m> {
    match stored {
        Some(stored) => Judgement::new(model, profile_id.clone(), stored.record),
        None => Judgement::new_profile(model, profile_id.clone()),
    }
}

/// Updates what a profile states, unless that would be too much.
fn change(
    judgement: &mut Judgement<'_>,
    update: &ProfileUpdate,
    now: Timestamp,
) -> Result<Profile, ServiceError> {
    let stated = judgement
        .record()
        .attributes_after(&update.attributes, &update.mask);
    check_attributes(&stated).map_err(ServiceError::Attributes)?;
    judgement.update(stated);
    Ok(judgement.profile(now.max(judgement.record().last_event_time)))
}

fn tell(work: Vec<Work>, answers: Vec<Answer>) {
    for (Work { task, .. }, told) in work.into_iter().zip(answers) {
        // A caller that has left is told nothing.
        match (task, told) {
            (Task::Event { answer, .. }, Answer::Scored(result)) => drop(answer.send(result)),
            (Task::Update { answer, .. }, Answer::Updated(result)) => drop(answer.send(result)),
            _ => {}
        }
    }
}

fn refuse(work: Vec<Work>, error: &ServiceError) {
    for Work { task, .. } in work {
        match task {
            Task::Event { answer, .. } => drop(answer.send(Err(error.clone()))),
            Task::Update { answer, .. } => drop(answer.send(Err(error.clone()))),
        }
    }
}
