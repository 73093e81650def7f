//! Which subjects an event counts for, or has counted for, as far as that follows from what its
//! profile states.

use crate::scoring::{
    Attributes, Event, EventMemory, Model, ProfileId, Recollection, Stated, SubjectKindId,
    Timestamp,
};

/// What a profile states of the subjects of an event, which is known by a time: what counted then,
/// if the event is remembered.
pub(super) fn stated_subjects<'a>(
    memory: &'a EventMemory,
    attributes: &'a Attributes,
    event: &Event,
    known_by: Timestamp,
) -> Stated<'a> {
    match memory.recall(known_by, event.id) {
        Recollection::Known(_) => Stated::Then(memory.subjects_of((known_by, event.id)).collect()),
        _ => Stated::Now(attributes),
    }
}

impl Model {
    /// The subjects that counting or retracting an event reads, of each kind the first, for a
    /// profile with this memory and these attributes.
    pub fn subjects_read(
        &self,
        event: &Event,
        (memory, attributes): (&EventMemory, &Attributes),
        arrival: Timestamp,
    ) -> Vec<(SubjectKindId, ProfileId)> {
        let mut kinds = self.subject_kinds_read(&event.event_type).peekable();
        if kinds.peek().is_none() {
            return Vec::new();
        }
        let known_by = memory.known_by(event, arrival);
        let stated = stated_subjects(memory, attributes, event, known_by);
        self.first_subjects(kinds, event, &stated)
    }
}
