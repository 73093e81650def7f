//! What an event does, seen before it is applied.

use super::{Context, RecordEdit, stated::stated_subjects};
use crate::scoring::{
    Event, EventSubjects, IdHash, Model, Name, Population, ProfileId, Recollection,
    RememberedEvent, Timestamp,
    counts::{CountDeltas, Match},
    evaluation::{EvalContext, Evaluation, EventContext},
    model::{Budget, QuarantineRuleId, StageId},
};

/// What an event does, as far as it counts.
#[derive(Debug)]
pub(super) struct MatchedEvent<'e> {
    /// The id that the event was sent with, when that is not the one of the record.
    pub origin: Option<ProfileId>,
    pub id: IdHash,
    /// The time that the event is known by.
    pub known_by: Timestamp,
    /// The instant that it counts at.
    pub at: Timestamp,
    pub event_type: &'e str,
    /// Declared topics.
    pub topics: Vec<Name>,
    pub author_id: Option<ProfileId>,
    pub subjects: EventSubjects,
    pub matches: Vec<Match>,
}

impl MatchedEvent<'_> {
    /// What the event is known by within its profile, in one hash: its id, and its time as sent.
    pub fn hash(&self) -> IdHash {
        self.id.at(self.known_by)
    }

    /// What a record remembers it as.
    pub fn remembered(&self) -> RememberedEvent {
        RememberedEvent::new(self.known_by, self.id, self.event_type)
    }

    /// Where to note what it changes of counts, for its subjects.
    pub fn count_deltas(&self, now: Timestamp) -> CountDeltas {
        CountDeltas::new(!self.subjects.all.is_empty(), self.at, now)
    }
}

/// An event, seen before it counts.
pub(super) struct EvaluatedEvent<'e> {
    pub matched_event: MatchedEvent<'e>,
    /// The position of the quarantine rule that it falls under.
    pub rule: Option<QuarantineRuleId>,
}

impl RecordEdit<'_> {
    /// What an event that has not counted would do now, and the stage just before it.
    pub(super) fn evaluate_new<'e>(
        &mut self,
        event: &'e Event,
        context: &Context<'_>,
    ) -> (EvaluatedEvent<'e>, Option<StageId>) {
        let now = context.at.max(self.record.last_event_time);
        let from = self.evaluation.stage_to_be(self.model, now);
        let mut evaluated = self.evaluate(event, from, context);
        evaluated.matched_event.matches.retain_mut(|matched| {
            let signal = &self.model.signals[matched.signal];
            !self.record.cools_down(signal, context.at)
                && self.record.leave_first_times(signal, &mut matched.keys)
        });
        (evaluated, from)
    }

    /// The id that an event was sent with, when that is not the one of the record: whoever sends
    /// it again may do so with another one.
    pub(super) fn origin_of(&self, event: &Event, known_by: Timestamp) -> Option<ProfileId> {
        let memory = &self.record.memory;
        match memory.recall(known_by, event.id) {
            Recollection::Known(_) => memory.origin(known_by, event.id).cloned(),
            _ => (event.profile_id != self.profile_id).then(|| event.profile_id.clone()),
        }
    }

    /// What an event does at an instant, and whether a rule keeps it apart: by the record just
    /// before it, whatever cools down.
    pub(super) fn evaluate<'e>(
        &mut self,
        event: &'e Event,
        stage: Option<StageId>,
        context: &Context<'_>,
    ) -> EvaluatedEvent<'e> {
        let model = self.model;
        let mentioned = model.phrases.find(&event.text);
        let topics = model.topics.find(&event.tags, &mentioned);
        let candidates = model.signals_for(&event.event_type);
        let read = context.subjects.iter().take(model.subject_kinds.len());
        let subjects: Vec<_> = read
            .enumerate()
            .map(|(kind, subject)| {
                let population = Some(Population::Subjects(kind.into()));
                let record = (*subject)?;
                let evaluation = Evaluation::of(model, population, record);
                Some((&record.attributes, evaluation))
            })
            .collect();
        let budget = Budget::new();
        let eval_context = EvalContext {
            budget: &budget,
            attributes: &self.record.attributes,
            seen_types: &self.record.seen_types,
            identity_confidence: self.evaluation.clock_free.identity_confidence,
            evaluation: None,
            event_context: Some(EventContext {
                model,
                event,
                at: context.at,
                topics: &topics,
                record: &self.record,
                evaluation: &self.evaluation,
                stage: stage.map_or("", |stage| model.stages[stage].name.as_str()),
                author: context.author,
                subjects: &subjects,
            }),
        };
        let rule = model.rule_against(&event.event_type, &eval_context, &mut self.failed_rules);
        let mut matches = Vec::with_capacity(candidates.len());
        for position in candidates {
            let signal = &model.signals[*position];
            match signal.match_event(&eval_context, &mentioned) {
                Ok(Some((value, keys))) => matches.push(Match {
                    signal: *position,
                    value,
                    keys,
                }),
                Ok(None) => {}
                Err(_) => self.failed_rules.push(signal.name.clone()),
            }
        }
        let known_by = self.record.memory.known_by(event, context.at);
        let (memory, attributes) = (&self.record.memory, &self.record.attributes);
        let stated = stated_subjects(memory, attributes, event, known_by);
        // Of a budget of their own: whatever signals took, the event counts for all of them.
        let key_budget = Budget::new();
        let subjects = model.subjects_of(event, &stated, &key_budget);
        self.steps += budget.taken() + key_budget.taken();
        let matched_event = MatchedEvent {
            origin: self.origin_of(event, known_by),
            id: event.id,
            known_by,
            at: context.at,
            event_type: &event.event_type,
            topics,
            author_id: event.author_id.clone(),
            subjects,
            matches,
        };
        EvaluatedEvent {
            matched_event,
            rule,
        }
    }
}

impl Model {
    /// The position of the first rule that keeps an event apart. Rules that fail go to
    /// `failed_rules`.
    fn rule_against(
        &self,
        event_type: &str,
        context: &EvalContext<'_>,
        failed_rules: &mut Vec<Name>,
    ) -> Option<QuarantineRuleId> {
        self.quarantine.position(|rule| {
            rule.looks_at(event_type)
                && rule.when.holds(context).unwrap_or_else(|_| {
                    failed_rules.push(rule.name.clone());
                    false
                })
        })
    }
}
