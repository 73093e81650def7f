//! A model and a map of records, for whoever evaluates events without a store: a comparison of
//! models on a file, a recount, a test.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Attributes, Context, Event, IdHash, InvalidAttributes, Model, Outcome, ProfileId, Record,
    RecordEdit, Selection, Timestamp, check_attributes, limits::MAX_SUBJECT_KINDS,
};

/// What a model makes of events, one after the other: a service without a store.
#[derive(Debug)]
pub struct Evaluator {
    model: Arc<Model>,
    remembered_events: usize,
    records: BTreeMap<ProfileId, Record>,
}

impl Evaluator {
    /// Starts without records; each remembers so many events.
    pub fn new(model: Arc<Model>, remembered_events: usize) -> Self {
        Self {
            model,
            remembered_events,
            records: BTreeMap::new(),
        }
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Everybody of whom something is known.
    pub fn records(&self) -> &BTreeMap<ProfileId, Record> {
        &self.records
    }

    /// The same, taken out.
    pub fn into_records(self) -> BTreeMap<ProfileId, Record> {
        self.records
    }

    fn edit(&mut self, profile_id: &ProfileId, work: impl FnOnce(&mut RecordEdit<'_>)) -> Outcome {
        let stored = self.records.remove(profile_id);
        let mut edit = RecordEdit::begin(&self.model, profile_id.clone(), stored);
        work(&mut edit);
        let outcome = edit.finish();
        self.records
            .insert(profile_id.clone(), outcome.record.clone());
        outcome
    }

    /// Applies an event, and its effects on its author and its subjects.
    pub fn apply(&mut self, event: &Event, at: Timestamp) {
        self.edit_by(event, at, |edit, context| {
            edit.apply(event, context);
        });
    }

    /// Retracts an event, and its effects.
    pub fn retract(&mut self, event: &Event, at: Timestamp) {
        self.edit_by(event, at, |edit, context| {
            edit.retract(event, context);
        });
    }

    /// Releases an event that a quarantine rule holds.
    pub fn release(&mut self, profile_id: &ProfileId, event: IdHash) {
        let selection = Selection {
            rule: None,
            event: Some(event),
        };
        let outcome = self.edit(profile_id, |edit| {
            edit.release(&selection, usize::MAX);
        });
        self.apply_effects(outcome);
    }

    fn edit_by(
        &mut self,
        event: &Event,
        at: Timestamp,
        work: impl FnOnce(&mut RecordEdit<'_>, &Context<'_>),
    ) {
        let unknown = Record::default();
        let record = self.records.get(&event.profile_id).unwrap_or(&unknown);
        let known = (&record.memory, &record.attributes);
        // Who has only marks of what is withheld is as good as unknown.
        let record_of = |id: Option<ProfileId>| {
            let record = self.records.get(&id?);
            record.filter(|record| record.is_known())
        };
        let author = record_of(self.model.author_read(event));
        let author = author.map(|record| record.attributes.clone());
        let read = self.model.subjects_read(event, known, at).into_iter();
        let read: Vec<_> = read
            .filter_map(|(kind, id)| Some((kind, record_of(Some(id))?.clone())))
            .collect();
        let mut subjects = [None; MAX_SUBJECT_KINDS];
        for (kind, record) in &read {
            subjects[usize::from(*kind)] = Some(record);
        }
        let context = Context {
            author: author.as_ref(),
            subjects,
            ..Context::at(at, self.remembered_events)
        };
        let outcome = self.edit(&event.profile_id, |edit| work(edit, &context));
        self.apply_effects(outcome);
    }

    /// Updates what a profile states, unless that would be too much; see
    /// [`Record::attributes_after`].
    pub fn update(
        &mut self,
        profile_id: &ProfileId,
        attributes: &Attributes,
        removed: &[String],
    ) -> Result<(), InvalidAttributes> {
        let known = self.records.get(profile_id);
        let stated = known
            .unwrap_or(&Record::default())
            .attributes_after(attributes, removed);
        check_attributes(&stated)?;
        let outcome = self.edit(profile_id, |edit| {
            edit.update(stated, Timestamp::EPOCH);
        });
        self.apply_effects(outcome);
        Ok(())
    }

    fn apply_effects(&mut self, outcome: Outcome) {
        for effect in outcome.effects {
            self.edit(effect.subject_id(), |edit| {
                edit.apply_effect(&effect);
            });
        }
    }
}
