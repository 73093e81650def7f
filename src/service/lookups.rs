//! What counting an event reads of others: what the author of the content states, and the
//! attributes and scores of its subjects. Looked up with the records that the events are counted
//! on, when the model asks for it.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use super::{
    Shell,
    lanes::Round,
    write::{Arrived, Asked, Task, Work},
};
use crate::{
    scoring::{
        Context, Effect, Event, Model, ProfileId, Record, RecordEdit, Tenant, Timestamp,
        attributes_after, limits::MAX_SUBJECT_KINDS,
    },
    store::{Store, StoreError, Stored},
};

/// The records of others, by id.
#[derive(Default)]
pub(super) struct Lookups(BTreeMap<ProfileId, Result<Option<Arc<Record>>, StoreError>>);

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
        let author = author.transpose()?.flatten();
        let mut subjects = [None; MAX_SUBJECT_KINDS];
        let known = (&record.memory, &record.attributes);
        for (kind, id) in model.subjects_read(event, known, at) {
            subjects[usize::from(kind)] = self.record(&id)?;
        }
        Ok(Context {
            author: author.map(|author| &author.attributes),
            subjects,
            at,
            now,
            remembered_events,
        })
    }

    /// Has the subjects that were looked up count what the events before did to them, which is
    /// written only when all of the round is counted. `take` is how they take it.
    pub(super) fn follow(
        &mut self,
        model: &Model,
        effects: &[Effect],
        take: impl Fn(&mut RecordEdit<'_>, &Effect) -> bool,
    ) {
        let deltas = effects
            .iter()
            .filter(|effect| matches!(effect, Effect::SubjectDelta(_)));
        for delta in deltas {
            if let Some(Ok(record)) = self.0.get_mut(delta.subject_id()) {
                let before = record.take().map(Arc::unwrap_or_clone).unwrap_or_default();
                let mut subject = RecordEdit::new(model, delta.subject_id().clone(), before);
                take(&mut subject, delta);
                *record = Some(Arc::new(subject.finish().record));
            }
        }
    }

    fn record(&self, id: &ProfileId) -> Result<Option<&Record>, StoreError> {
        match self.0.get(id) {
            // Who has only marks of what is withheld is as good as unknown.
            Some(Ok(record)) => Ok(record.as_deref().filter(|record| record.is_known())),
            Some(Err(error)) => Err(error.clone()),
            None => Ok(None),
        }
    }
}

fn record_of(
    stored: Result<Option<Stored>, StoreError>,
) -> Result<Option<Arc<Record>>, StoreError> {
    stored.map(|stored| stored.map(|stored| stored.record))
}

fn events_of(work: &[Work]) -> impl Iterator<Item = &Arrived> {
    work.iter().filter_map(|work| match &*work.task {
        Task::Event(asked) => Some(&asked.question),
        Task::Retraction(asked) => Some(&asked.question),
        _ => None,
    })
}

/// The subjects that the work of a profile reads, as far as is known before it is done: what the
/// profile states may be changed on the way.
fn subjects_read(model: &Model, record: &Record, work: &[Work]) -> Vec<ProfileId> {
    let mut attributes = Cow::Borrowed(&record.attributes);
    let mut read = Vec::new();
    for work in work {
        match &*work.task {
            Task::Event(Asked { question, .. }) | Task::Retraction(Asked { question, .. }) => {
                let known = (&record.memory, &*attributes);
                let subjects = model.subjects_read(&question.event, known, question.at);
                read.extend(subjects.into_iter().map(|(_, subject)| subject));
            }
            Task::Update(Asked { question, .. }) => {
                let (set, removed) = (&question.attributes, &question.removed);
                attributes = Cow::Owned(attributes_after(&attributes, set, removed));
            }
            Task::Release(_) => {}
        }
    }
    read
}

impl<S: Store> Shell<S> {
    /// Loads every profile's record, and the records of others that their events read.
    pub(super) async fn load_with_lookups(
        &self,
        tenant: &Tenant,
        model: &Model,
        round: &Round<Work>,
    ) -> (Vec<Result<Option<Stored>, StoreError>>, Lookups) {
        let unknown = Record::default();
        let events = round.iter().flat_map(|(_, work)| events_of(work));
        let authors = events.filter_map(|arrived| model.author_read(&arrived.event));
        let mut wanted: Vec<ProfileId> = authors.collect();
        let reads_subjects = model.reads_subjects();
        if reads_subjects {
            // As if nothing was stated: the event itself may name them.
            let work = round.iter();
            wanted.extend(work.flat_map(|(_, work)| subjects_read(model, &unknown, work)));
        }
        wanted.sort_unstable();
        wanted.dedup();
        let mut ids: Vec<ProfileId> = round.iter().map(|(id, _)| id.clone()).collect();
        ids.extend(wanted.iter().cloned());
        let loading = self.store.load_to_commit(tenant, &ids, round.len());
        let mut loaded = loading.await;
        let found = loaded.split_off(round.len());
        let found = found.into_iter().map(record_of);
        let mut lookups = Lookups(wanted.into_iter().zip(found).collect());
        if !reads_subjects {
            return (loaded, lookups);
        }

        // Which subject it is may follow from what the profile states, or stated before.
        let mut stated = Vec::new();
        for ((_, work), stored) in round.iter().zip(&loaded) {
            let record = match stored {
                Ok(Some(stored)) => &stored.record,
                Ok(None) => &unknown,
                Err(_) => continue,
            };
            let read = subjects_read(model, record, work).into_iter();
            stated.extend(read.filter(|id| !lookups.0.contains_key(id)));
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
