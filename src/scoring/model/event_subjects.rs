//! Which subjects an event counts for under a model, and among whom a record is ranked.

use super::{
    definition::Model,
    expr::Budget,
    ids::SubjectKindId,
    subjects::{EventSubjects, Population, Stated},
};
use crate::scoring::{Event, ProfileId, attributes::NOTHING_STATED, limits::MAX_EVENT_SUBJECTS};

impl Model {
    /// The kind of subjects of this name.
    pub fn subject_kind(&self, name: &str) -> Option<SubjectKindId> {
        self.subject_kinds.position(|kind| kind.name == name)
    }

    /// The names of the kinds of subjects, in the order of the file.
    pub fn subject_kind_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.subject_kinds.iter().map(|kind| kind.name.as_str())
    }

    /// Among whom the record of this id is ranked; `None` for a subject of a kind that the model
    /// does not declare.
    pub fn population_of(&self, profile_id: &ProfileId) -> Option<Population> {
        match profile_id.subject() {
            None => Some(Population::People),
            Some((kind, _)) => self.subject_kind(kind).map(Population::Subjects),
        }
    }

    /// How many subjects an event counts for at most, whatever the profile states.
    pub fn most_subjects(&self, event: &Event) -> usize {
        let with_key = self.subject_kinds.iter().filter(|kind| kind.key.is_some());
        (event.subjects.len() + with_key.count()).min(MAX_EVENT_SUBJECTS)
    }

    /// The subjects that an event counts for: those that it names, and of each kind of which it
    /// names none the one of the key.
    pub(crate) fn subjects_of(
        &self,
        event: &Event,
        stated: &Stated<'_>,
        budget: &Budget,
    ) -> EventSubjects {
        let mut subjects = EventSubjects::default();
        let mut named_kinds = Vec::new();
        for subject in &event.subjects {
            let Some((name, _)) = subject.subject() else {
                continue;
            };
            match self.subject_kind(name) {
                Some(kind) => {
                    named_kinds.push(kind);
                    subjects.add(subject.clone(), false);
                }
                None => subjects.ignore_kind(name),
            }
        }
        let derived = self.subject_kinds.iter_enumerated();
        for (_, declared) in derived.filter(|(kind, _)| !named_kinds.contains(kind)) {
            let from_profile = declared.reads_profile();
            let attributes = match stated {
                Stated::Then(known) if from_profile => {
                    let own = known.iter().filter(|subject| declared.is_kind_of(subject));
                    own.for_each(|subject| subjects.add((*subject).clone(), true));
                    continue;
                }
                Stated::Then(_) => &NOTHING_STATED,
                Stated::Now(attributes) => attributes,
            };
            if let Some(subject) = declared.subject(event, attributes, budget) {
                subjects.add(subject, from_profile);
            }
        }
        subjects
    }

    /// Of each of these kinds the first subject that an event counts for.
    pub(crate) fn first_subjects(
        &self,
        kinds: impl Iterator<Item = SubjectKindId>,
        event: &Event,
        stated: &Stated<'_>,
    ) -> Vec<(SubjectKindId, ProfileId)> {
        let subjects = self.subjects_of(event, stated, &Budget::new()).all;
        let first = |kind: SubjectKindId| {
            let declared = &self.subject_kinds[kind];
            subjects.iter().find(|subject| declared.is_kind_of(subject))
        };
        kinds
            .filter_map(|kind| Some((kind, first(kind)?.clone())))
            .collect()
    }
}
