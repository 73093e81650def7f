//! The effects of events on others, credits of authors and deltas of subjects, each into the
//! lane of whom it changes. They are durable before the event that caused them is, and an
//! effect that is sent again counts once.

use std::sync::Arc;

use tokio::sync::oneshot;
use tracing::Instrument as _;

use super::{
    ServiceError, Shell,
    answers::dropped,
    draft::{Draft, OpenDraft},
    lanes::Round,
};
use crate::{
    rollout::ModelSnapshot,
    scoring::{Effect, Outcome, ProfileId, Tenant},
    store::{Committed, Store, StoreError, Stored},
};

/// An effect that is to be durable.
#[derive(Clone)]
pub(super) struct Wanted {
    pub effect: Effect,
    /// Whether the event that causes it had come before.
    is_again: bool,
}

impl Wanted {
    /// What comes of a profile's events, in the order in which it is to come about.
    pub(super) fn of(outcome: &Outcome) -> impl Iterator<Item = Self> {
        let again = outcome.again.iter().map(|effect| (effect, true));
        let all = again.chain(outcome.effects.iter().map(|effect| (effect, false)));
        all.map(|(effect, is_again)| Self {
            effect: effect.clone(),
            is_again,
        })
    }
}

/// An effect on one record. Its answer is whether it is durable now; not when another writer of
/// the record was faster.
pub(super) struct EffectWork {
    wanted: Wanted,
    answer: oneshot::Sender<Result<bool, ServiceError>>,
}

impl<S: Store> Shell<S> {
    /// Commits groups of effects; for each group whether all of it is durable. A race that is
    /// lost is not run again here, because meanwhile another server may have counted the events
    /// that the effects come from, and their records may have forgotten the effects.
    pub(super) async fn commit_effects(
        self: &Arc<Self>,
        tenant: &Tenant,
        groups: Vec<Vec<Wanted>>,
    ) -> Vec<Result<bool, ServiceError>> {
        let mut work = Vec::new();
        let mut pending = Vec::with_capacity(groups.len());
        for group in groups {
            let mut receivers = Vec::with_capacity(group.len());
            for wanted in group {
                let (answer, receiver) = oneshot::channel();
                let subject_id = wanted.effect.subject_id().clone();
                work.push((subject_id, EffectWork { wanted, answer }));
                receivers.push(receiver);
            }
            pending.push(receivers);
        }
        self.run_effects(tenant, work);
        let mut results = Vec::with_capacity(pending.len());
        for receivers in pending {
            let mut result = Ok(true);
            for receiver in receivers {
                let is_durable = receiver.await.unwrap_or_else(|_| Err(dropped()));
                result = result.and_then(|all| Ok(all && is_durable?));
            }
            results.push(result);
        }
        results
    }

    fn run_effects(self: &Arc<Self>, tenant: &Tenant, work: Vec<(ProfileId, EffectWork)>) {
        let round = self.effects.enter(tenant, work);
        if round.is_empty() {
            return;
        }
        let shell = Arc::clone(self);
        let tenant = tenant.clone();
        let rounds = async move {
            let mut round = round;
            let mut lanes = shell.effects.occupy(&tenant, &round);
            while !round.is_empty() {
                shell.take_effects(&tenant, round).await;
                round = lanes.next_round();
            }
        };
        self.tasks.spawn(rounds.in_current_span());
    }

    /// Does a round of effects.
    async fn take_effects(&self, tenant: &Tenant, round: Round<EffectWork>) {
        let snapshot = match self.deployment.snapshot_for_writing(tenant).await {
            Ok(snapshot) => snapshot,
            Err(error) => return tell_round(round, &error.into()),
        };
        let loaded = self.load(tenant, &round).await;
        let mut commits = Vec::with_capacity(round.len());
        let mut waiting = Vec::with_capacity(round.len());
        for ((profile_id, work), loaded) in round.into_iter().zip(loaded) {
            let draft = match loaded {
                Ok(stored) => draft_effects(&snapshot, profile_id, stored, work),
                Err(error) => {
                    tell_durable(work, &Err(error.into()));
                    continue;
                }
            };
            self.counters.unsettled(draft.outcome.unsettled_effects);
            if !draft.outcome.changed {
                tell_durable(self.nothing_of(tenant, draft), &Ok(true));
                continue;
            }
            match draft.into_commit(&snapshot) {
                Ok((commit, work)) => {
                    commits.push(commit);
                    waiting.push(work);
                }
                Err((error, work)) => tell_durable(work, &Err(error.into())),
            }
        }
        if commits.is_empty() {
            return;
        }
        let results = self.commit(tenant, &snapshot, commits).await;
        for (work, result) in waiting.into_iter().zip(results) {
            let told = match result {
                Ok(Committed::Written) => Ok(true),
                Ok(Committed::Conflict) | Err(StoreError::Superseded) => Ok(false),
                Err(error) => Err(error.into()),
            };
            tell_durable(work, &told);
        }
    }
}

fn draft_effects(
    snapshot: &ModelSnapshot,
    profile_id: ProfileId,
    stored: Option<Stored>,
    work: Vec<EffectWork>,
) -> Draft<EffectWork> {
    let mut draft = OpenDraft::new(snapshot, profile_id, stored);
    for EffectWork { wanted, .. } in &work {
        if wanted.is_again {
            draft.edit.apply_effect_again(&wanted.effect);
        } else {
            draft.edit.apply_effect(&wanted.effect);
        }
    }
    draft.finish(work)
}

fn tell_durable(work: Vec<EffectWork>, result: &Result<bool, ServiceError>) {
    for EffectWork { answer, .. } in work {
        drop(answer.send(result.clone()));
    }
}

fn tell_round(round: Round<EffectWork>, error: &ServiceError) {
    for (_, work) in round {
        tell_durable(work, &Err(error.clone()));
    }
}
