//! Applies events: what one that matches changes of the record, and its effects on others.

use super::{
    Context, RecordEdit,
    matched_event::{EvaluatedEvent, MatchedEvent},
};
use crate::scoring::{
    EffectKind, Event, EventOutcome, Model, Outcome, Recollection, Record, StageChange,
    evaluation::Changed, model::StageId,
};

/// Applies one event.
pub fn apply(
    model: &Model,
    record: Record,
    event: &Event,
    context: &Context<'_>,
) -> (EventOutcome, Outcome) {
    let mut edit = RecordEdit::new(model, event.profile_id.clone(), record);
    let outcome = edit.apply(event, context);
    (outcome, edit.finish())
}

impl RecordEdit<'_> {
    /// Applies an event.
    pub fn apply(&mut self, event: &Event, context: &Context<'_>) -> EventOutcome {
        // As it was sent: what came from the future would count at another instant, and so
        // once more, when it is sent again.
        let known_by = event.time.unwrap_or(context.at);
        match self.record.memory.recall(known_by, event.id) {
            Recollection::Known => {
                self.cause_again(event, known_by);
                return EventOutcome::Duplicate;
            }
            Recollection::TooOld => {
                self.cause_again(event, known_by);
                return EventOutcome::TooOld;
            }
            Recollection::New => {}
        }
        let (
            EvaluatedEvent {
                matched_event,
                rule,
            },
            from,
        ) = self.evaluate_new(event, context);
        let memory = &mut self.record.memory;
        memory.remember(known_by, event.id, context.remembered_events);
        self.changed = true;
        if let Some(rule) = rule {
            self.hold(rule, matched_event, context.remembered_events);
            let rule = self.model.quarantine[rule].name.clone();
            return EventOutcome::Quarantined { rule };
        }
        let is_unmatched =
            matched_event.topics.is_empty() && !self.model.names_type(matched_event.event_type);
        let unmatched_type = is_unmatched.then(|| matched_event.event_type.to_owned());
        let (matched_signals, stage_change) = self.apply_matched_event(matched_event, from);
        EventOutcome::Applied {
            matched_signals,
            stage_change,
            unmatched_type,
        }
    }

    /// Applies what an event does; the profile stood at stage `from` just before it. Returns the
    /// signals that counted, and the move along the path to purchase.
    pub(super) fn apply_matched_event(
        &mut self,
        matched_event: MatchedEvent<'_>,
        from: Option<StageId>,
    ) -> (Vec<String>, Option<StageChange>) {
        let (model, record) = (self.model, &mut self.record);
        let now = matched_event.at.max(record.last_event_time);
        record.advance_to(model, now);
        let mut matched_signals = Vec::with_capacity(matched_event.matches.len());
        let mut deltas = matched_event.count_deltas(now);
        let mut changed = Changed::default();
        for matched in &matched_event.matches {
            let found = |slot| self.evaluation.count_index(slot);
            changed.counts |=
                record.apply_match(model, matched, matched_event.at, found, &mut deltas);
            matched_signals.push(model.signals[matched.signal].name.clone());
        }
        for topic in &matched_event.topics {
            record.apply_interest(model, topic, matched_event.at);
        }
        changed.clock_free = record.apply_seen(model, matched_event.event_type);
        record.note_event(matched_event.at);
        self.cause_account_delta(&matched_event, deltas, EffectKind::Apply);
        self.evaluation.refresh(model, &self.record, changed);

        let to = self.evaluation.stage(model, now);
        self.arrive(to, now);
        let stage = from.map_or_else(String::new, |stage| self.stage_name(stage));
        self.touch(matched_event, stage);
        let stage_change = (from != to).then(|| StageChange {
            from_stage: from.map(|stage| self.stage_name(stage)),
            to_stage: to.map(|stage| self.stage_name(stage)),
        });
        (matched_signals, stage_change)
    }

    fn stage_name(&self, stage: StageId) -> String {
        self.model.stages[stage].name.clone()
    }
}
