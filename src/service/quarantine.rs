//! Events in quarantine: who has them, and their release.

use std::sync::Arc;

use super::{
    Page, Paging, Released, Service, ServiceError, View, Written,
    error::unknown,
    write::{Asked, Task},
};
use crate::{
    rollout::ModelSnapshot,
    scoring::{HeldEvent, KeyRange, Model, ProfileId, Selection, Tenant},
    store::{RankRange, Store},
};

/// A page of the profiles with events that a rule holds.
#[derive(Clone, Debug)]
pub struct QuarantineQuery {
    /// The name of the rule.
    pub rule: String,
    /// Which page.
    pub paging: Paging,
}

/// A profile with what a rule holds of it.
#[derive(Clone, Debug)]
pub struct QuarantinedProfile {
    /// Whose events.
    pub profile_id: ProfileId,
    /// The events, oldest first.
    pub events: Vec<HeldEvent>,
}

/// Profiles, most held events first.
pub type QuarantinePage = Page<QuarantinedProfile>;

/// Which held events to release, by a rule that the model has. It comes of a check alone, so that a
/// release can be noted after the check and before its work.
#[derive(Clone, Debug)]
pub struct CheckedSelection(Selection);

impl<S: Store> Service<S> {
    /// Reads a page of the profiles with events that a rule holds.
    pub async fn quarantine(
        &self,
        tenant: &Tenant,
        query: QuarantineQuery,
    ) -> Result<QuarantinePage, ServiceError> {
        self.ask(tenant, |snapshot| {
            self.quarantine_by(snapshot, tenant, &query)
        })
        .await
    }

    async fn quarantine_by(
        &self,
        snapshot: Arc<ModelSnapshot>,
        tenant: &Tenant,
        query: &QuarantineQuery,
    ) -> Result<QuarantinePage, ServiceError> {
        self.check_page(&snapshot, &query.paging)?;
        check_rule(&snapshot, &query.rule)?;
        // Who holds how many events is the same at every instant.
        let range = |_| RankRange {
            rank: Model::quarantine_rank(&query.rule),
            keys: KeyRange::ALL,
        };
        let mut page = self
            .read_page(tenant, &snapshot, range, None, &query.paging)
            .await?;
        let entries = page.entries.drain(..).map(|(_, stored)| {
            let held = stored.record.quarantine.iter();
            let of_rule = held.filter(|held| held.rule == *query.rule);
            let mut events: Vec<_> = of_rule.cloned().collect();
            events.sort_by_key(|held| held.time);
            QuarantinedProfile {
                profile_id: stored.profile_id,
                events,
            }
        });
        // Whoever was released since stands there no more.
        let entries = entries.filter(|entry| !entry.events.is_empty()).collect();
        Ok(page.with(entries))
    }

    /// What to release, unless there cannot be such a tenant or its model has no such rule.
    pub async fn check_selection(
        &self,
        tenant: &Tenant,
        selection: Selection,
    ) -> Result<CheckedSelection, ServiceError> {
        let snapshot = self.shell.deployment.snapshot_for_writing(tenant).await?;
        let rule = selection.rule.as_deref();
        rule.map_or(Ok(()), |rule| check_rule(&snapshot, rule))?;
        Ok(CheckedSelection(selection))
    }

    /// Counts events that are held, some at a time, until none of those selected is left.
    pub async fn release_events(
        &self,
        tenant: &Tenant,
        profile_id: &ProfileId,
        CheckedSelection(selection): CheckedSelection,
        view: Option<View>,
    ) -> Result<Released, ServiceError> {
        let mut count = 0;
        loop {
            let selection = selection.clone();
            let answer = self
                .work(tenant, profile_id.clone(), |caller| {
                    Task::Release(Asked::new(selection, view, caller))
                })
                .await?;
            count += answer.outcome();
            if *answer.outcome() < self.shell.most_released() {
                let Written { profile, .. } = self.complete_one(tenant, Ok(answer)).await?;
                return Ok(Written {
                    outcome: count,
                    profile,
                });
            }
        }
    }
}

fn check_rule(snapshot: &ModelSnapshot, rule: &str) -> Result<(), ServiceError> {
    let model = snapshot.model();
    if model.quarantine_names().any(|known| known == rule) {
        return Ok(());
    }
    Err(unknown("quarantine rule", rule, model.quarantine_names()))
}
