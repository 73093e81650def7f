//! What conditions and expressions read: an event, and the profile just before it.

use super::{Model, cost::Budget, fact::Fact, variable::Variable};
use crate::scoring::{
    AttributeValue, Attributes, Event, Record, SeenType, Timestamp,
    seen::has_seen,
    standing::{Standing, remaining},
};

/// What `event.seconds_since_last` is before the first event.
const NO_EVENT_SECONDS: f64 = 1e9;
const NANOS_PER_SECOND: f64 = 1e9;
const SECONDS_PER_DAY: f64 = 86_400.0;

static NOTHING_STATED: Attributes = Attributes::new();

/// What expressions read, at one instant.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    /// What the profile states.
    pub attributes: &'a Attributes,
    /// The event types that have counted, ascending.
    pub seen_types: &'a [SeenType],
    /// How sure it is who the profile is, from 0 to 1.
    pub identity_confidence: f64,
    /// What reading them may still take.
    pub budget: &'a Budget,
    /// The event, and what was before it; `None` for what looks at the standing profile alone.
    pub happening: Option<Happening<'a>>,
}

/// An event, and what was before it.
#[derive(Clone, Copy)]
pub(crate) struct Happening<'a> {
    pub model: &'a Model,
    pub event: &'a Event,
    /// The instant that the event counts at.
    pub at: Timestamp,
    /// The declared topics of the event.
    pub topics: &'a [String],
    /// The record just before the event, and where it stood.
    pub record: &'a Record,
    pub standing: &'a Standing,
    /// The stage just before the event; empty for none.
    pub stage: &'a str,
    /// What the author of the event states, when that is known.
    pub author: Option<&'a Attributes>,
    /// Where the account of the event stood, when there is one.
    pub account: Option<&'a Standing>,
}

impl<'a> Facts<'a> {
    /// What a variable stands for; `None` when it is not there.
    pub(super) fn fact(&self, variable: &Variable) -> Option<Fact<'a>> {
        let happening = match variable {
            Variable::ProfileAttributes => return Some(Fact::Map(self.attributes)),
            Variable::ProfileAttribute(name) => return self.attributes.get(name).map(Fact::from),
            Variable::Seen(event_type) => {
                return Some(Fact::Bool(has_seen(self.seen_types, event_type)));
            }
            Variable::Completeness(names) => {
                let stated = names.iter().filter(|name| self.is_stated(name)).count();
                return Some(Fact::Number(stated as f64 / names.len() as f64));
            }
            Variable::IdentityConfidence => return Some(Fact::Number(self.identity_confidence)),
            Variable::Has(inner) => return Some(Fact::Bool(self.has(inner))),
            _ => self.happening.as_ref()?,
        };
        happening.fact(variable)
    }

    /// Whether an attribute is more than nothing.
    fn is_stated(&self, name: &str) -> bool {
        match self.attributes.get(name) {
            None | Some(AttributeValue::Null) => false,
            Some(AttributeValue::String(text)) => !text.is_empty(),
            Some(_) => true,
        }
    }

    fn has(&self, variable: &Variable) -> bool {
        match (variable, &self.happening) {
            (Variable::ProfileAttributes, _) => !self.attributes.is_empty(),
            (Variable::EventTopics, Some(happening)) => !happening.topics.is_empty(),
            (Variable::EventTags, Some(happening)) => !happening.event.tags.is_empty(),
            (Variable::EventAttributes, Some(happening)) => !happening.event.attributes.is_empty(),
            (Variable::AuthorAttributes, Some(happening)) => {
                happening.author.is_some_and(|author| !author.is_empty())
            }
            (
                Variable::EventChannel
                | Variable::EventText
                | Variable::EventContentId
                | Variable::EventAuthorId,
                _,
            ) => self
                .fact(variable)
                .is_some_and(|fact| fact != Fact::text("")),
            _ => self.fact(variable).is_some(),
        }
    }
}

impl<'a> Happening<'a> {
    fn fact(&self, variable: &Variable) -> Option<Fact<'a>> {
        let event = self.event;
        let fact = match variable {
            Variable::EventType => Fact::text(&event.event_type),
            Variable::EventChannel => Fact::text(&event.channel),
            Variable::EventText => Fact::text(&event.text),
            Variable::EventContentId => Fact::text(&event.content_id),
            Variable::EventAuthorId => {
                let author_id = event.author_id.as_ref();
                Fact::text(author_id.map_or("", |author_id| author_id.as_str()))
            }
            Variable::EventSentiment => Fact::Number(event.sentiment?),
            Variable::EventTopics => Fact::Texts(self.topics),
            Variable::EventTags => Fact::Texts(&event.tags),
            Variable::EventAttributes => Fact::Map(&event.attributes),
            Variable::EventAttribute(name) => event.attributes.get(name)?.into(),
            Variable::SecondsSinceLast => Fact::Number(self.seconds_since_last()),
            Variable::AuthorAttributes => Fact::Map(self.author.unwrap_or(&NOTHING_STATED)),
            Variable::AuthorAttribute(name) => self.author?.get(name)?.into(),
            Variable::Score(score) => Fact::Number(self.points(self.standing, *score)),
            Variable::AccountScore(score) => {
                let account = self.account;
                Fact::Number(account.map_or(0.0, |account| self.points(account, *score)))
            }
            Variable::Stage => Fact::text(self.stage),
            Variable::Count(asked) => Fact::Number(self.count(*asked)),
            Variable::Rate(asked) => Fact::Number(self.rate(*asked)),
            _ => return None,
        };
        Some(fact)
    }

    fn points(&self, standing: &Standing, score: usize) -> f64 {
        standing.points_at(self.model, score, self.at.max(standing.at))
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
    fn count(&self, asked: usize) -> f64 {
        let slot = self.model.asked[asked];
        let half_life = self.model.slots[slot].half_life;
        let now = self.at.max(self.standing.at);
        self.standing.count(slot) * remaining(half_life, self.standing.at, now)
    }

    /// How often a day a signal has counted, as a count with that half-life knows. Its sum over
    /// the age of the profile is what a steady habit would have left in the count; nobody's habit
    /// is known from less than a day.
    fn rate(&self, asked: usize) -> f64 {
        let count = self.count(asked);
        let now = self.at.max(self.standing.at).nanos();
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
