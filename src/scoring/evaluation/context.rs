//! What conditions and expressions read: an event, and the profile just before it.

use super::Evaluation;
use crate::scoring::{
    AttributeValue, Attributes, Event, Name, Record, SeenType, Timestamp,
    attributes::NOTHING_STATED,
    counts::has_seen,
    decay::decay_factor,
    model::{
        AskedId, Budget, Model, NativeValue, ScoreId, SubjectKindId, Variable, Variables,
        event_has, event_value,
    },
};

/// What `event.seconds_since_last` is before the first event.
const NO_EVENT_SECONDS: f64 = 1e9;
const NANOS_PER_SECOND: f64 = 1e9;
const SECONDS_PER_DAY: f64 = 86_400.0;

/// What expressions read, at one instant.
#[derive(Clone, Copy)]
pub(crate) struct EvalContext<'a> {
    /// What the profile states.
    pub attributes: &'a Attributes,
    /// The event types that have counted, ascending.
    pub seen_types: &'a [SeenType],
    /// How sure it is who the profile is, from 0 to 1.
    pub identity_confidence: f64,
    /// What reading them may still take.
    pub budget: &'a Budget,
    /// Where the scores that do not fade stand, for what reads them without an event.
    pub evaluation: Option<&'a Evaluation>,
    /// The event, and what was before it; `None` for what no event changes.
    pub event_context: Option<EventContext<'a>>,
}

/// An event, and what was before it.
#[derive(Clone, Copy)]
pub(crate) struct EventContext<'a> {
    pub model: &'a Model,
    pub event: &'a Event,
    /// The instant that the event counts at.
    pub at: Timestamp,
    /// The declared topics of the event.
    pub topics: &'a [Name],
    /// The record just before the event, and where it stood.
    pub record: &'a Record,
    pub evaluation: &'a Evaluation,
    /// The stage just before the event; empty for none.
    pub stage: &'a str,
    /// What the author of the event states, when that is known.
    pub author: Option<&'a Attributes>,
    /// By kind: what the subject of the event states, and where it stood, when there is one.
    pub subjects: &'a [Option<(&'a Attributes, Evaluation)>],
}

impl Variables for EvalContext<'_> {
    fn value<'v>(&'v self, variable: &Variable) -> Option<NativeValue<'v>> {
        let event_context = match variable {
            Variable::ProfileAttributes => return Some(NativeValue::Map(self.attributes)),
            Variable::ProfileAttribute(name) => {
                return self.attributes.get(name).map(NativeValue::from);
            }
            Variable::Seen(event_type) => {
                return Some(NativeValue::Bool(has_seen(self.seen_types, event_type)));
            }
            Variable::Completeness(names) => {
                let stated = names.iter().filter(|name| self.is_stated(name)).count();
                return Some(NativeValue::Number(stated as f64 / names.len() as f64));
            }
            Variable::IdentityConfidence => {
                return Some(NativeValue::Number(self.identity_confidence));
            }
            Variable::Has(inner) => return Some(NativeValue::Bool(self.has(inner))),
            Variable::Score(score) if self.event_context.is_none() => {
                let points = self.evaluation?.unfading_points(*score);
                return Some(NativeValue::Number(points));
            }
            _ => self.event_context.as_ref()?,
        };
        event_context.value(variable)
    }

    fn budget(&self) -> &Budget {
        self.budget
    }
}

impl EvalContext<'_> {
    /// Whether an attribute is more than nothing.
    fn is_stated(&self, name: &str) -> bool {
        match self.attributes.get(name) {
            None | Some(AttributeValue::Null) => false,
            Some(AttributeValue::String(text)) => !text.is_empty(),
            Some(_) => true,
        }
    }

    fn has(&self, variable: &Variable) -> bool {
        match (variable, &self.event_context) {
            (Variable::ProfileAttributes, _) => !self.attributes.is_empty(),
            (Variable::EventTopics, Some(event_context)) => !event_context.topics.is_empty(),
            (Variable::AuthorAttributes, Some(event_context)) => event_context
                .author
                .is_some_and(|author| !author.is_empty()),
            (Variable::SubjectAttributes(kind), Some(event_context)) => event_context
                .subject(*kind)
                .is_some_and(|(attributes, _)| !attributes.is_empty()),
            (_, event_context) => event_context
                .as_ref()
                .and_then(|event_context| event_has(event_context.event, variable))
                .unwrap_or_else(|| self.value(variable).is_some()),
        }
    }
}

impl<'a> EventContext<'a> {
    fn value(&self, variable: &Variable) -> Option<NativeValue<'a>> {
        let value = match variable {
            Variable::EventTopics => NativeValue::Texts(self.topics),
            Variable::SecondsSinceLast => NativeValue::Number(self.seconds_since_last()),
            Variable::AuthorAttributes => NativeValue::Map(self.author.unwrap_or(&NOTHING_STATED)),
            Variable::AuthorAttribute(name) => self.author?.get(name)?.into(),
            Variable::Score(score) => NativeValue::Number(self.points(self.evaluation, *score)),
            Variable::SubjectScore(kind, score) => {
                let points = |(_, subject): &(_, Evaluation)| self.points(subject, *score);
                NativeValue::Number(self.subject(*kind).map_or(0.0, points))
            }
            Variable::SubjectAttributes(kind) => {
                let subject = self.subject(*kind);
                NativeValue::Map(subject.map_or(&NOTHING_STATED, |(attributes, _)| attributes))
            }
            Variable::SubjectAttribute(kind, name) => self.subject(*kind)?.0.get(name)?.into(),
            Variable::Stage => NativeValue::text(self.stage),
            Variable::Count(asked) => NativeValue::Number(self.count(*asked)),
            Variable::Rate(asked) => NativeValue::Number(self.rate(*asked)),
            _ => return event_value(self.event, variable),
        };
        Some(value)
    }

    fn subject(&self, kind: SubjectKindId) -> Option<&'a (&'a Attributes, Evaluation)> {
        self.subjects.get(usize::from(kind))?.as_ref()
    }

    fn points(&self, evaluation: &Evaluation, score: ScoreId) -> f64 {
        evaluation.points_at(self.model, score, self.at.max(evaluation.at))
    }

    /// Seconds between the event and the latest one that counted, whichever was before.
    fn seconds_since_last(&self) -> f64 {
        if self.record.event_count == 0 {
            return NO_EVENT_SECONDS;
        }
        let last = self.record.last_event_time.nanos();
        self.at.nanos().abs_diff(last) as f64 / NANOS_PER_SECOND
    }

    /// A count just before the event, at the later of the event and the last one.
    fn count(&self, asked: AskedId) -> f64 {
        let slot = self.model.asked[asked];
        let half_life = self.model.slots[slot].half_life;
        let now = self.at.max(self.evaluation.at);
        self.evaluation.count(slot) * decay_factor(half_life, self.evaluation.at, now)
    }

    /// How often a day a signal has counted, as a count with that half-life knows. Its sum over
    /// the age of the profile is what a steady habit would have left in the count; nobody's habit
    /// is known from less than a day.
    fn rate(&self, asked: AskedId) -> f64 {
        let count = self.count(asked);
        let now = self.at.max(self.evaluation.at).nanos();
        let age = now.saturating_sub(self.record.first_seen_time.nanos()) as f64;
        let days = (age / NANOS_PER_SECOND / SECONDS_PER_DAY).max(1.0);
        match self.model.slots[self.model.asked[asked]].half_life {
            None => count / days,
            Some(half_life) => {
                let half_life = half_life.nanos() as f64 / NANOS_PER_SECOND / SECONDS_PER_DAY;
                let rate = std::f64::consts::LN_2 / half_life;
                // 1 - 2^(-days / half_life), exact for long half-lives too.
                count * rate / -(-rate * days).exp_m1()
            }
        }
    }
}
