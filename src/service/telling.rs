//! Callers are told what came of their work, and it is counted: each piece once, when it is done.

use super::{
    ServiceError, Shell,
    lanes::Round,
    write::{Task, Work},
};
use crate::{
    scoring::{EventOutcome, Model},
    telemetry::{Counters, EventEnd},
};

impl<S> Shell<S> {
    /// Tells callers what came of work that is durable, or that changes nothing.
    pub(super) fn tell(&self, model: &Model, work: Vec<Work>) {
        for Work { task, .. } in work {
            match &*task {
                Task::Event(asked) => {
                    let event_type = &asked.question.event.event_type;
                    let outcome = asked
                        .result
                        .as_ref()
                        .and_then(|result| result.as_ref().ok());
                    let outcome = outcome.map(|answer| answer.outcome());
                    count(&self.counters, model, event_type, outcome);
                }
                Task::Release(asked) => {
                    if let Some(Ok(answer)) = &asked.result {
                        self.counters.released(*answer.outcome());
                    }
                }
                Task::Retraction(_) | Task::Update(_) => {}
            }
            task.tell();
        }
    }

    /// Tells callers that nothing came of their work. Without a model nobody knows which types it
    /// names.
    pub(super) fn refuse(&self, model: Option<&Model>, work: Vec<Work>, error: &ServiceError) {
        for Work { task, .. } in work {
            if let Task::Event(asked) = &*task {
                let event_type = &asked.question.event.event_type;
                let named = model.is_some_and(|model| model.names_type(event_type));
                let named = named.then_some(event_type.as_str());
                self.counters.events(EventEnd::Failed, named, 1);
            }
            task.refuse(error);
        }
    }

    /// The same for a whole round, of which no model is known.
    pub(super) fn refuse_round(&self, round: Round<Work>, error: &ServiceError) {
        for (_, work) in round {
            self.refuse(None, work, error);
        }
    }
}

fn count(counters: &Counters, model: &Model, event_type: &str, outcome: Option<&EventOutcome>) {
    let end = match outcome {
        Some(EventOutcome::Applied {
            matched_signals,
            stage_change,
            unmatched_type,
            ..
        }) => {
            for signal in matched_signals {
                counters.matched(signal);
            }
            if let Some(change) = stage_change {
                counters.stage_changed(change.from_stage.as_deref(), change.to_stage.as_deref());
            }
            if let Some(unmatched) = unmatched_type {
                counters.unmatched(unmatched);
            }
            EventEnd::Applied
        }
        Some(EventOutcome::Duplicate { .. }) => EventEnd::Duplicate,
        Some(EventOutcome::TooOld) => EventEnd::TooOld,
        Some(EventOutcome::Quarantined { .. }) => EventEnd::Quarantined,
        None => EventEnd::Failed,
    };
    let named = model.names_type(event_type).then_some(event_type);
    counters.events(end, named, 1);
}
