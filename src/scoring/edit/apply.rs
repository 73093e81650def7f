//! Applies events: what one that matches changes of the record, and its effects on others.

use super::{
    Context, RecordEdit,
    matched_event::{EvaluatedEvent, MatchedEvent},
};
use crate::scoring::{
    ChangeCause, CountedValue, EffectKind, Event, EventOutcome, IdHash, MatchedSignals, Model,
    Name, Outcome, Recollection, Record, StageChange, Timestamp,
    answers::push_bounded,
    evaluation::Changed,
    limits::{REMEMBERED_MATCHES, REMEMBERED_VALUES},
    model::StageId,
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
        let known_by = self.record.memory.known_by(event, context.at);
        match self.record.memory.recall(known_by, event.id) {
            Recollection::Known(_) => {
                self.cause_again(event, known_by);
                return self.duplicate((known_by, event.id));
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
        self.remember(
            matched_event.remembered(),
            matched_event.origin.clone(),
            matched_event.subjects.from_profile.clone(),
            context.remembered_events,
        );
        self.changed = true;
        if let Some(rule) = rule {
            self.hold(rule, matched_event, context.remembered_events);
            let rule = self.model.quarantine[rule].name.clone();
            return EventOutcome::Quarantined { rule };
        }
        let is_unmatched =
            matched_event.topics.is_empty() && !self.model.names_type(matched_event.event_type);
        let ignored_subjects = matched_event.subjects.ignored.clone();
        let unmatched_type = is_unmatched.then(|| matched_event.event_type.to_owned());
        let (matched_signals, stage_change) = self.apply_matched_event(matched_event, from);
        EventOutcome::Applied {
            matched_signals,
            stage_change,
            unmatched_type,
            ignored_subjects,
        }
    }

    /// The outcome of an event that had counted, as far as the record knows what came of it.
    fn duplicate(&self, event: (Timestamp, IdHash)) -> EventOutcome {
        let record = &self.record;
        let mut matched = record.matched.iter();
        let matched = matched.find(|matched| matched.event == event);
        let mut changes = record.stage_changes.iter();
        EventOutcome::Duplicate {
            matched_signals: matched.map_or_else(Vec::new, |matched| matched.signals.clone()),
            stage_change: changes
                .find(|change| change.event() == Some(event))
                .cloned(),
        }
    }

    /// Applies what an event does; the profile stood at stage `from` just before it. Returns the
    /// signals that counted, and the move along the path to purchase.
    pub(super) fn apply_matched_event(
        &mut self,
        matched_event: MatchedEvent<'_>,
        from: Option<StageId>,
    ) -> (Vec<Name>, Option<StageChange>) {
        let (model, record) = (self.model, &self.record);
        let now = matched_event.at.max(record.last_event_time);
        let event = (matched_event.known_by, matched_event.id);
        self.begin_anew_before(now);
        let noted = self.note_until(now);
        let is_late = noted > now;
        let before = match is_late {
            true => self.evaluation.stage_to_be(model, noted),
            false => from,
        };
        let stood = before.filter(|_| self.evaluation.is_counted && self.evaluation.is_of_person());
        self.judge_kept_stages(now);
        let record = &mut self.record;
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
        self.cause_subject_deltas(&matched_event, deltas, EffectKind::Apply);
        self.evaluation.refresh(model, &self.record, changed);
        self.judge_kept_stages(now);

        let event = Some(event).filter(|event| self.record.memory.knows(*event));
        // Who is new begins at the first stage, and is not told of that as a change.
        self.note_stages(stood, before, noted, None);
        let to = self.evaluation.stage(model, now);
        let after = match is_late {
            true => self.evaluation.stage(model, noted),
            false => to,
        };
        self.note_stages(before, after, noted, event.filter(|_| !is_late));
        let stage_change = (from != to).then(|| StageChange {
            from_stage: model.stage_name(from),
            to_stage: model.stage_name(to),
            time: now,
            cause: ChangeCause::Write(event),
        });
        if let Some(event) = event {
            self.note_values(&matched_event, event);
        }
        if let Some(event) = event.filter(|_| !matched_signals.is_empty()) {
            let signals = matched_signals.clone();
            let matched = MatchedSignals { event, signals };
            push_bounded(&mut self.record.matched, matched, REMEMBERED_MATCHES);
        }
        self.arrive(to, now);
        self.touch(matched_event, model.stage_name(from).unwrap_or_default());
        (matched_signals, stage_change)
    }

    /// Remembers of an event that counts what nobody can find again once it has.
    fn note_values(&mut self, matched_event: &MatchedEvent<'_>, event: (Timestamp, IdHash)) {
        let signals = self.model.signals_for(matched_event.event_type);
        for id in signals {
            let signal = &self.model.signals[*id];
            if !signal.value_follows_arrival() {
                continue;
            }
            let mut matches = matched_event.matches.iter();
            let matched = matches.find(|matched| matched.signal == *id);
            let counted = CountedValue {
                event,
                signal: signal.name.clone(),
                value: matched.map_or(0.0, |matched| matched.value),
            };
            let values = &mut self.record.counted_values;
            push_bounded(values, counted, REMEMBERED_VALUES);
        }
    }
}
