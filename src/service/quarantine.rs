//! Events in quarantine: who has them, and their release.

use std::sync::Arc;

use super::{
    Service, ServiceError,
    lineup::Lineup,
    rankings::{check_model, next_cursor, unknown},
    write::Task,
};
use crate::{
    scoring::{
        Fingerprint, HeldEvent, KeyRange, Model, Profile, ProfileId, Selection, Tenant, Timestamp,
    },
    store::{Cursor, RankRange, Store},
};

/// A page of the profiles with events that a rule holds.
#[derive(Clone, Debug)]
pub struct QuarantineQuery {
    /// The name of the rule.
    pub rule: String,
    /// The instant of the first page; now when absent.
    pub as_of: Option<Timestamp>,
    /// How many profiles to read.
    pub page_size: usize,
    /// Where the page starts.
    pub after: Option<Cursor>,
    /// The model of the page before; `None` on the first page.
    pub model: Option<Fingerprint>,
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
#[derive(Clone, Debug)]
pub struct QuarantinePage {
    /// The profiles.
    pub entries: Vec<QuarantinedProfile>,
    /// How many profiles have events that the rule holds.
    pub total: u64,
    /// Where the next page starts; `None` on the last one.
    pub next: Option<Cursor>,
    /// The instant of the first page.
    pub as_of: Timestamp,
    /// The model that the page is by.
    pub model: Fingerprint,
}

/// Events that were released.
#[derive(Clone, Debug, PartialEq)]
pub struct Released {
    /// The profile just after it.
    pub profile: Profile,
    /// How many events.
    pub count: usize,
}

impl<S: Store> Service<S> {
    /// Reads a page of the profiles with events that a rule holds.
    pub async fn quarantine(
        &self,
        tenant: &Tenant,
        query: QuarantineQuery,
    ) -> Result<QuarantinePage, ServiceError> {
        self.ask(tenant, |lineup| self.quarantine_by(lineup, tenant, &query))
            .await
    }

    async fn quarantine_by(
        &self,
        lineup: Arc<Lineup>,
        tenant: &Tenant,
        query: &QuarantineQuery,
    ) -> Result<QuarantinePage, ServiceError> {
        check_model(&lineup, query.model)?;
        let model = lineup.model();
        check_rule(&lineup, &query.rule)?;
        let range = RankRange {
            rank: Model::quarantine_rank(&query.rule),
            keys: KeyRange::ALL,
        };
        let (edition, after) = (lineup.active.edition, query.after.as_ref());
        let store = &self.shell.store;
        let page = store.page(tenant, edition, &range, after, query.page_size);
        let page = page.await?;
        let profiles = self.load_entries(tenant, &page).await?;
        let entries = profiles.into_iter().map(|(_, stored)| {
            let mut events = stored.record.quarantine;
            events.retain(|held| held.rule == query.rule);
            events.sort_by_key(|held| held.time);
            QuarantinedProfile {
                profile_id: stored.profile_id,
                events,
            }
        });
        Ok(QuarantinePage {
            // Whoever was released since stands there no more.
            entries: entries.filter(|entry| !entry.events.is_empty()).collect(),
            total: page.total,
            next: next_cursor(&page),
            as_of: query.as_of.unwrap_or_else(|| self.shell.now()),
            model: model.fingerprint(),
        })
    }

    /// Counts events that are held, some at a time, until none of those selected is left.
    pub async fn release_events(
        &self,
        tenant: &Tenant,
        profile_id: &ProfileId,
        selection: Selection,
    ) -> Result<Released, ServiceError> {
        if let Some(rule) = &selection.rule {
            let lineup = self.shell.lineup(tenant).await?;
            check_rule(&lineup, rule)?;
        }
        let mut count = 0;
        loop {
            let selection = selection.clone();
            let released = self
                .work(tenant, profile_id.clone(), |answer| Task::Release {
                    selection,
                    answer,
                })
                .await?;
            count += released.count;
            if released.count < self.shell.most_folded() {
                return Ok(Released { count, ..released });
            }
        }
    }
}

fn check_rule(lineup: &Lineup, rule: &str) -> Result<(), ServiceError> {
    let model = lineup.model();
    if model.quarantine_names().any(|known| known == rule) {
        return Ok(());
    }
    Err(unknown("quarantine rule", rule, model.quarantine_names()))
}
