//! What an event changes for its subjects: made an effect, and applied there.

use super::{
    RecordEdit,
    matched_event::MatchedEvent,
    settle::{Cause, effect_id},
};
use crate::scoring::{
    CountDelta, Effect, EffectKind, Model, Record, SubjectDelta, Timestamp, counts::CountDeltas,
    decay::decay_factor,
};

impl RecordEdit<'_> {
    /// Has the subjects of an event count what the event changed here, or lose it again.
    pub(super) fn cause_subject_deltas(
        &mut self,
        matched_event: &MatchedEvent<'_>,
        deltas: CountDeltas,
        kind: EffectKind,
    ) {
        let changes = deltas.into_changes();
        let origin = matched_event.origin.as_ref().unwrap_or(&self.profile_id);
        let id = effect_id(Cause::SubjectDelta, origin, matched_event.hash());
        for subject_id in &matched_event.subjects.all {
            self.cause(Effect::SubjectDelta(SubjectDelta {
                id,
                kind,
                subject_id: subject_id.clone(),
                time: matched_event.at,
                changes: changes.clone(),
                topics: matched_event.topics.clone(),
                event_type: matched_event.event_type.into(),
            }));
        }
    }

    /// Applies a delta. Returns whether what conditions read has changed.
    pub(super) fn apply_subject_delta(&mut self, delta: &SubjectDelta) -> bool {
        let (model, record) = (self.model, &mut self.record);
        let is_applied = delta.kind == EffectKind::Apply;
        if is_applied {
            record.advance_to(model, delta.time.max(record.last_event_time));
        }
        for change in &delta.changes {
            record.apply_count_delta(change, delta.time);
        }
        if !is_applied {
            for topic in &delta.topics {
                record.revert_interest(model, topic, delta.time);
            }
            record.event_count = record.event_count.saturating_sub(1);
            return record.revert_seen(&delta.event_type);
        }
        record.bound_keys(model, &delta.changes);
        for topic in &delta.topics {
            record.apply_interest(model, topic, delta.time);
        }
        record.note_event(delta.time);
        record.apply_seen(model, &delta.event_type)
    }
}

impl Record {
    /// Follows a change, of which nothing falls below 0. It may be below 0 where an event counts,
    /// and above where it is reverted: the latest value of a signal may be a smaller one.
    fn apply_count_delta(&mut self, change: &CountDelta, at: Timestamp) {
        let added = change.amount * decay_factor(change.half_life, at, self.last_event_time);
        if added < 0.0 {
            self.subtract(change.half_life, &change.signal, &change.key, -added);
            return;
        }
        let count = self.count_of(change.half_life, &change.signal);
        *count.of_key(&change.key) += added;
    }

    /// Keeps as many keys as the model says, once all keys of an event are there: which of them
    /// are dropped must not depend on their order within the event.
    fn bound_keys(&mut self, model: &Model, changes: &[CountDelta]) {
        for change in changes.iter().filter(|change| !change.key.is_empty()) {
            let Some(position) = model.signals_by_name.get(&change.signal) else {
                continue;
            };
            let has_counted = |key: &str| {
                let mut own = changes.iter().filter(|own| own.signal == change.signal);
                own.any(|own| own.key == key)
            };
            let count = self.count_of(change.half_life, &change.signal);
            count.keep_greatest(model.signals[*position].max_keys, has_counted);
        }
    }
}
