//! What comes of writes, for their callers: as much of the profile as each asks for, with what a
//! full view says of ranks added when the write is durable.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{
    Service, ServiceError,
    read::{View, detail},
};
use crate::{
    rollout::ModelSnapshot,
    scoring::{EventOutcome, Profile, RecordEdit, RetractionOutcome, Tenant, Timestamp},
    store::{Store, StoreError},
};

/// A write that was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Written<T> {
    /// What came of it.
    pub outcome: T,
    /// The profile just after it; `None` for who asks for none.
    pub profile: Option<Profile>,
}

/// An event that was taken.
pub type Scored = Written<EventOutcome>;
/// A retraction that was taken.
pub type Retracted = Written<RetractionOutcome>;
/// A release that was taken: how many events.
pub type Released = Written<usize>;

/// What came of a task. The snapshot is there while the profile, which is by it, lacks what a
/// full view says of ranks.
#[derive(Debug)]
pub(super) struct Answer<A> {
    written: Written<A>,
    snapshot: Option<Arc<ModelSnapshot>>,
}

impl<A> Answer<A> {
    /// With the profile as it stands now, by the models of the snapshot.
    pub(super) fn new(
        outcome: A,
        view: Option<View>,
        snapshot: &Arc<ModelSnapshot>,
        edit: &RecordEdit<'_>,
        now: Timestamp,
    ) -> Self {
        let at = now.max(edit.record().last_event_time);
        let profile = view.map(|view| edit.profile(at, detail(view)));
        Self {
            written: Written { outcome, profile },
            snapshot: (view == Some(View::Full)).then(|| Arc::clone(snapshot)),
        }
    }

    pub(super) fn outcome(&self) -> &A {
        &self.written.outcome
    }
}

/// The end of a caller that waits for an answer.
pub(super) type Caller<A> = oneshot::Sender<Result<Answer<A>, ServiceError>>;

/// Events that were submitted and not yet answered. Whoever holds it bounds how many answers
/// wait to be read: work does not.
#[derive(Debug)]
pub struct PendingScores<S> {
    service: Service<S>,
    tenant: Tenant,
    pending: Vec<Pending>,
}

/// The answer to an event, there already or on its way.
#[derive(Debug)]
pub(super) enum Pending {
    Answered(Box<Result<Answer<EventOutcome>, ServiceError>>),
    Waiting(oneshot::Receiver<Result<Answer<EventOutcome>, ServiceError>>),
}

impl Pending {
    pub(super) fn refused(error: ServiceError) -> Self {
        Self::Answered(Box::new(Err(error)))
    }

    async fn result(self) -> Result<Answer<EventOutcome>, ServiceError> {
        match self {
            Self::Answered(result) => *result,
            Self::Waiting(receiver) => receiver.await.unwrap_or_else(|_| Err(dropped())),
        }
    }
}

impl<S: Store> PendingScores<S> {
    /// One result per event, in order.
    pub async fn results(self) -> Vec<Result<Scored, ServiceError>> {
        let mut results = Vec::with_capacity(self.pending.len());
        for pending in self.pending {
            results.push(pending.result().await);
        }
        self.service.complete(&self.tenant, results).await
    }

    /// Waits for every answer.
    pub(super) async fn answered(&mut self) {
        for pending in &mut self.pending {
            if let Pending::Waiting(receiver) = pending {
                let result = receiver.await.unwrap_or_else(|_| Err(dropped()));
                *pending = Pending::Answered(Box::new(result));
            }
        }
    }
}

pub(super) fn dropped() -> ServiceError {
    let message = "the server failed while it was working on this".to_owned();
    StoreError::OutcomeUnknown(message).into()
}

impl<S: Store> Service<S> {
    pub(super) fn pending(&self, tenant: &Tenant, pending: Vec<Pending>) -> PendingScores<S> {
        PendingScores {
            service: self.clone(),
            tenant: tenant.clone(),
            pending,
        }
    }

    /// Adds what full views say of ranks. A write that is durable is answered all the same when
    /// they cannot be counted at the moment.
    pub(super) async fn complete<A>(
        &self,
        tenant: &Tenant,
        answers: Vec<Result<Answer<A>, ServiceError>>,
    ) -> Vec<Result<Written<A>, ServiceError>> {
        let apart = answers.into_iter().map(|answer| match answer {
            Ok(Answer { written, snapshot }) => (Ok(written), snapshot),
            Err(error) => (Err(error), None),
        });
        let (mut results, snapshots): (Vec<Result<Written<A>, _>>, Vec<_>) = apart.unzip();
        let full = results.iter_mut().zip(snapshots);
        let mut full: Vec<(Arc<ModelSnapshot>, &mut Profile)> = full
            .filter_map(|(result, snapshot)| {
                let profile = result.as_mut().ok()?.profile.as_mut()?;
                Some((snapshot?, profile))
            })
            .collect();
        while let Some((snapshot, _)) = full.first() {
            let snapshot = Arc::clone(snapshot);
            let (by_it, others): (Vec<_>, Vec<_>) = full
                .into_iter()
                .partition(|(other, _)| Arc::ptr_eq(other, &snapshot));
            let profiles = by_it.into_iter().map(|(_, profile)| profile).collect();
            drop(self.add_percentiles(tenant, &snapshot, profiles).await);
            full = others;
        }
        results
    }

    pub(super) async fn complete_one<A>(
        &self,
        tenant: &Tenant,
        answer: Result<Answer<A>, ServiceError>,
    ) -> Result<Written<A>, ServiceError> {
        let completed = self.complete(tenant, vec![answer]).await.pop();
        completed.unwrap_or_else(|| Err(dropped()))
    }
}
