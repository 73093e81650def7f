//! The effects of events on others: credits, each into its author's lane. They are durable
//! before the event that caused them is, and a credit that is sent again counts once.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{
    ServiceError, Shell,
    lanes::Round,
    lineup::Lineup,
    round::{Draft, begin},
    write::dropped,
};
use crate::{
    scoring::{Credit, ProfileId, Tenant},
    store::{Committed, Store, StoreError, Stored},
};

/// A credit for one author. Its answer is whether it is durable now; not when another writer
/// of the author was faster.
pub(super) struct CreditWork {
    credit: Credit,
    answer: oneshot::Sender<Result<bool, ServiceError>>,
}

impl<S: Store> Shell<S> {
    /// Commits groups of credits; for each group whether all of it is durable. A race that is
    /// lost is not run again here, because meanwhile another server may have counted the events
    /// that the credits come from, and the authors may have forgotten the credits.
    pub(super) async fn credit_others(
        self: &Arc<Self>,
        tenant: &Tenant,
        groups: Vec<Vec<Credit>>,
    ) -> Vec<Result<bool, ServiceError>> {
        let mut work = Vec::new();
        let mut pending = Vec::with_capacity(groups.len());
        for group in groups {
            let mut receivers = Vec::with_capacity(group.len());
            for credit in group {
                let (answer, receiver) = oneshot::channel();
                work.push((credit.author_id.clone(), CreditWork { credit, answer }));
                receivers.push(receiver);
            }
            pending.push(receivers);
        }
        self.run_credits(tenant, work);
        let mut results = Vec::with_capacity(pending.len());
        for receivers in pending {
            let mut result = Ok(true);
            for receiver in receivers {
                let credited = receiver.await.unwrap_or_else(|_| Err(dropped()));
                result = result.and_then(|all| Ok(all && credited?));
            }
            results.push(result);
        }
        results
    }

    fn run_credits(self: &Arc<Self>, tenant: &Tenant, work: Vec<(ProfileId, CreditWork)>) {
        let round = self.credits.enter(tenant, work);
        if round.is_empty() {
            return;
        }
        let shell = Arc::clone(self);
        let tenant = tenant.clone();
        self.tasks.spawn(async move {
            let mut round = round;
            let mut lanes = shell.credits.occupy(&tenant, &round);
            while !round.is_empty() {
                shell.credit(&tenant, round).await;
                round = lanes.next_round();
            }
        });
    }

    /// Does a round of credits.
    async fn credit(&self, tenant: &Tenant, round: Round<CreditWork>) {
        let lineup = match self.lineup_for_writing(tenant).await {
            Ok(lineup) => lineup,
            Err(error) => return tell_round(round, &error),
        };
        let loaded = self.load(tenant, &round).await;
        let mut commits = Vec::with_capacity(round.len());
        let mut waiting = Vec::with_capacity(round.len());
        for ((profile_id, work), loaded) in round.into_iter().zip(loaded) {
            let draft = match loaded {
                Ok(stored) => draft_credits(&lineup, &profile_id, stored, work),
                Err(error) => {
                    tell_credited(work, &Err(error.into()));
                    continue;
                }
            };
            if !draft.outcome.changed {
                tell_credited(draft.work, &Ok(true));
                continue;
            }
            match draft.into_commit(&lineup) {
                Ok((commit, work)) => {
                    commits.push(commit);
                    waiting.push(work);
                }
                Err((error, work)) => tell_credited(work, &Err(error.into())),
            }
        }
        if commits.is_empty() {
            return;
        }
        let results = self.commit(tenant, &lineup, commits).await;
        for (work, result) in waiting.into_iter().zip(results) {
            let told = match result {
                Ok(Committed::Written) => Ok(true),
                Ok(Committed::Conflict) | Err(StoreError::Superseded) => Ok(false),
                Err(error) => Err(error.into()),
            };
            tell_credited(work, &told);
        }
    }
}

fn draft_credits(
    lineup: &Lineup,
    profile_id: &ProfileId,
    stored: Option<Stored>,
    work: Vec<CreditWork>,
) -> Draft<CreditWork> {
    let expected = stored.as_ref().map(|stored| stored.version);
    let before = lineup.before(stored.as_ref().map(|stored| &stored.record));
    let mut judgement = begin(lineup.model(), profile_id, stored);
    for CreditWork { credit, .. } in &work {
        judgement.credit(credit);
    }
    Draft {
        profile_id: profile_id.clone(),
        work,
        expected,
        before,
        outcome: judgement.finish(),
    }
}

fn tell_credited(work: Vec<CreditWork>, result: &Result<bool, ServiceError>) {
    for CreditWork { answer, .. } in work {
        drop(answer.send(result.clone()));
    }
}

fn tell_round(round: Round<CreditWork>, error: &ServiceError) {
    for (_, work) in round {
        tell_credited(work, &Err(error.clone()));
    }
}
