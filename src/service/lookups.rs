//! What counting an event reads of others: what the author of the content states, and the scores
//! of the account. Looked up with the records that the events are counted on, when the model asks
//! for it.

use std::collections::BTreeMap;

use super::{
    Shell,
    lanes::Round,
    write::{Task, Work},
};
use crate::{
    scoring::{
        Attributes, Context, Effect, Event, Model, ProfileId, Record, RecordEdit, Tenant, Timestamp,
    },
    store::{Store, StoreError, Stored},
};

/// The records of others, by id.
#[derive(Default)]
pub(super) struct Lookups(BTreeMap<ProfileId, Result<Option<Record>, StoreError>>);

impl Lookups {
    /// What was looked up for an event of a profile with this record.
    pub(super) fn context(
        &self,
        model: &Model,
        event: &Event,
        record: &Record,
        (at, now, remembered_events): (Timestamp, Timestamp, usize),
    ) -> Result<Context<'_>, StoreError> {
        let author = model.author_read(event).map(|id| self.record(&id));
        let account = model
            .account_read(event, &record.attributes)
            .map(|id| self.record(&id));
        let author = author.transpose()?.flatten();
        Ok(Context {
            author: author.map(|author| &author.attributes),
            account: account.transpose()?.flatten(),
            at,
            now,
            remembered_events,
        })
    }

    /// Has the accounts that were looked up count what the events before did to them, which is
    /// written only when all of the round is counted. `take` is how they take it.
    pub(super) fn follow(
        &mut self,
        model: &Model,
        effects: &[Effect],
        take: impl Fn(&mut RecordEdit<'_>, &Effect) -> bool,
    ) {
        let deltas = effects
            .iter()
            .filter(|effect| matches!(effect, Effect::AccountDelta(_)));
        for delta in deltas {
            if let Some(Ok(record)) = self.0.get_mut(delta.subject_id()) {
                let before = record.take().unwrap_or_default();
                let mut account = RecordEdit::new(model, delta.subject_id().clone(), before);
                take(&mut account, delta);
                *record = Some(account.finish().record);
            }
        }
    }

    fn record(&self, id: &ProfileId) -> Result<Option<&Record>, StoreError> {
        match self.0.get(id) {
            // Who has only marks of what is withheld is as good as unknown.
            Some(Ok(record)) => Ok(record.as_ref().filter(|record| record.is_known())),
            Some(Err(error)) => Err(error.clone()),
            None => Ok(None),
        }
    }
}

fn record_of(stored: Result<Option<Stored>, StoreError>) -> Result<Option<Record>, StoreError> {
    stored.map(|stored| stored.map(|stored| stored.record))
}

fn events_of(work: &[Work]) -> impl Iterator<Item = &Event> {
    work.iter().filter_map(|work| match &work.task {
        Task::Event(asked) => Some(&asked.question.event),
        Task::Retraction(asked) => Some(&asked.question.event),
        _ => None,
    })
}

impl<S: Store> Shell<S> {
    /// Loads every profile's record, and the records of others that their events read.
    pub(super) async fn load_with_lookups(
        &self,
        tenant: &Tenant,
        model: &Model,
        round: &Round<Work>,
    ) -> (Vec<Result<Option<Stored>, StoreError>>, Lookups) {
        let events = round.iter().flat_map(|(_, work)| events_of(work));
        let mut wanted: Vec<ProfileId> = events
            .flat_map(|event| {
                let account_id = model.account_read(event, &Attributes::new());
                [model.author_read(event), account_id]
            })
            .flatten()
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut ids: Vec<ProfileId> = round.iter().map(|(id, _)| id.clone()).collect();
        ids.extend(wanted.iter().cloned());
        let mut loaded = self.store.load(tenant, &ids).await;
        let found = loaded.split_off(round.len());
        let found = found.into_iter().map(record_of);
        let mut lookups = Lookups(wanted.into_iter().zip(found).collect());

        // Which account it is may be stated in the record alone, or by an update before it.
        let mut stated = Vec::new();
        for ((_, work), stored) in round.iter().zip(&loaded) {
            let updates = work.iter().filter_map(|work| match &work.task {
                Task::Update(asked) => Some(&asked.question.attributes),
                _ => None,
            });
            let stored = stored.iter().flatten();
            let statements: Vec<&Attributes> = stored
                .map(|stored| &stored.record.attributes)
                .chain(updates)
                .collect();
            let accounts = events_of(work).flat_map(|event| {
                let statements = statements.iter();
                statements.filter_map(move |stated| model.account_read(event, stated))
            });
            stated.extend(accounts.filter(|id| !lookups.0.contains_key(id)));
        }
        stated.sort_unstable();
        stated.dedup();
        if !stated.is_empty() {
            let found = self.store.load(tenant, &stated).await;
            let found = found.into_iter().map(record_of);
            lookups.0.extend(stated.into_iter().zip(found));
        }
        (loaded, lookups)
    }
}
