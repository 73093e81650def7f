//! Reverts what an event counted, or keeps one that has not come from ever counting.

use super::{Context, RecordEdit, matched_event::MatchedEvent};
use crate::scoring::{
    Effect, EffectKind, Event, Recollection, RememberedEvent, Timestamp, counts::Match,
    evaluation::Changed, model::StageId,
};

/// What became of a retraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetractionOutcome {
    /// What the event had counted was reverted, or what was held of it dropped.
    Retracted,
    /// The event had been retracted before.
    Duplicate,
    /// The event had not come, and will not count when it does.
    RetractedInAdvance,
    /// It cannot be told whether the event counted.
    TooOld,
    /// The event that is known by this id and time has another type; nothing was reverted.
    OtherType,
}

impl RecordEdit<'_> {
    /// Retracts an event, as it was sent.
    pub fn retract(&mut self, event: &Event, context: &Context<'_>) -> RetractionOutcome {
        let memory = &self.record.memory;
        let known_by = memory.known_by(event, context.at);
        let remembered = RememberedEvent::new(known_by, event.id, &event.event_type);
        let retraction = remembered.retraction();
        let mut held = self.record.quarantine.iter();
        let held = held.position(|held| held.id == event.id && held.known_by == known_by);
        let is_held_as_other =
            held.is_some_and(|held| self.record.quarantine[held].event_type != event.event_type);
        let is_known = match (
            memory.recall(known_by, retraction.id),
            memory.recall(known_by, event.id),
        ) {
            (_, Recollection::Known(mark)) if mark != remembered.type_mark => {
                return RetractionOutcome::OtherType;
            }
            _ if is_held_as_other => return RetractionOutcome::OtherType,
            (Recollection::Known(_), _) => {
                self.cause_again(event, known_by);
                return RetractionOutcome::Duplicate;
            }
            (Recollection::TooOld, _) | (_, Recollection::TooOld) => {
                self.cause_again(event, known_by);
                return RetractionOutcome::TooOld;
            }
            (Recollection::New, event) => matches!(event, Recollection::Known(_)),
        };
        self.changed = true;
        let origin = self.origin_of(event, known_by);
        // Before the memory forgets anything: what the event did is known by what it remembers.
        let outcome = self.take_back(event, known_by, is_known, held, context);
        self.remember(remembered, origin, Vec::new(), context.remembered_events);
        self.remember(retraction, None, Vec::new(), context.remembered_events);
        self.forget_answers(|_, event| event == remembered.pair());
        outcome
    }

    /// Takes back what an event counted, drops what is held of it, or keeps others from counting
    /// it.
    fn take_back(
        &mut self,
        event: &Event,
        known_by: Timestamp,
        is_known: bool,
        held: Option<usize>,
        context: &Context<'_>,
    ) -> RetractionOutcome {
        if !is_known {
            let (evaluated, from) = self.evaluate_new(event, context);
            self.withhold(evaluated.matched_event, from);
            return RetractionOutcome::RetractedInAdvance;
        }
        match held {
            Some(position) => {
                let held = self.record.quarantine.remove(position);
                let changed = Changed::default();
                self.evaluation.refresh(self.model, &self.record, changed);
                let (matched_event, from) = self.matched_event_of(&held);
                self.withhold(matched_event, from);
            }
            None => self.revert(event, known_by, context),
        }
        RetractionOutcome::Retracted
    }

    /// Keeps others from counting an event that has not counted here, and will not. Who began to
    /// count it may have come as far as its effects, and then have failed or be at it still.
    pub(super) fn withhold(&mut self, matched_event: MatchedEvent<'_>, from: Option<StageId>) {
        let mut imagined = self.clone();
        imagined.effects.clear();
        imagined.apply_matched_event(matched_event, from);
        let effects = imagined.effects.into_iter();
        for withheld in effects.filter_map(Effect::withheld) {
            self.cause(withheld);
        }
    }

    /// Has an event that counted match what it matched then, as far as its values follow the order
    /// of arrival and the record remembers them.
    fn recall_values(&self, matched_event: &mut MatchedEvent<'_>) {
        let event = (matched_event.known_by, matched_event.id);
        let matches = &mut matched_event.matches;
        let counted = self.record.counted_values.iter();
        for counted in counted.filter(|counted| counted.event == event) {
            let Some(signal) = self.model.signals_by_name.get(&counted.signal).copied() else {
                continue;
            };
            let position = matches.iter().position(|found| found.signal == signal);
            match position {
                Some(position) if counted.value == 0.0 => drop(matches.remove(position)),
                Some(position) => matches[position].value = counted.value,
                // Its keys are not known any more.
                None if self.model.signals[signal].per.is_some() || counted.value == 0.0 => {}
                None => matches.push(Match {
                    signal,
                    value: counted.value,
                    keys: Vec::new(),
                }),
            }
        }
    }

    /// Reverts an event that counted, as the model sees it now.
    fn revert(&mut self, event: &Event, known_by: Timestamp, context: &Context<'_>) {
        let model = self.model;
        let now = self.record.last_event_time;
        let written = self.note_until(context.now.max(now));
        let stood = self.evaluation.stage(model, written);
        // What counted is no later than the last event that did.
        let at = event.time.map_or(known_by, |_| context.at);
        let context = Context {
            at: at.min(now),
            ..*context
        };
        let stage = self.evaluation.stage_to_be(model, now);
        let mut matched_event = self.evaluate(event, stage, &context).matched_event;
        self.recall_values(&mut matched_event);
        let mut deltas = matched_event.count_deltas(now);
        for matched in &matched_event.matches {
            self.record
                .revert_match(model, matched.clone(), matched_event.at, &mut deltas);
        }
        for topic in &matched_event.topics {
            self.record.revert_interest(model, topic, matched_event.at);
        }
        let changed = Changed {
            clock_free: self.record.revert_seen(matched_event.event_type),
            counts: true,
        };
        self.record.event_count = self.record.event_count.saturating_sub(1);
        self.cause_subject_deltas(&matched_event, deltas, EffectKind::Revert);
        self.revert_touch(&matched_event);
        let points_before = self.evaluation.points.clone();
        self.evaluation.refresh(model, &self.record, changed);
        self.judge_kept_stages_anew(&points_before, now);
        let stands = self.evaluation.stage(model, written);
        self.note_stages(stood, stands, written, None);
        self.arrive(self.evaluation.stage(model, now), now);
    }
}
