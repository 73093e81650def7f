//! What the expressions of a model see, for their other form in Rust.

use super::{Person, World, counts::nanos};
use crate::story::{DAY, Event, SECOND, Value};

/// What a person has done and states.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    pub(super) world: &'a World,
    pub(super) person: &'a Person,
    /// How sure it is who this is; 0 for what that is made of.
    pub(super) identity: f64,
}

impl Facts<'_> {
    pub fn identity(&self) -> f64 {
        self.identity
    }

    /// The points of a score that does not fade.
    pub fn points(&self, score: &str) -> f64 {
        let at = self.person.last_event_time;
        self.world.points(self.person, score, at)
    }

    /// The share of these attributes that are stated, and not empty.
    pub fn completeness(&self, names: &[&str]) -> f64 {
        let stated = names.iter().filter(|name| {
            let value = self.person.attributes.get(**name);
            value.is_some_and(|value| !matches!(value, Value::Text("")))
        });
        stated.count() as f64 / names.len() as f64
    }

    /// An attribute that is a number.
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.person.attributes.get(name)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// Whether an event of this type has ever counted.
    pub fn seen(&self, kind: &str) -> bool {
        self.person.seen.contains_key(kind)
    }

    /// Whether an attribute is there, null or not.
    pub fn has(&self, name: &str) -> bool {
        self.person.attributes.contains_key(name)
    }

    /// An attribute that is text.
    pub fn text(&self, name: &str) -> Option<&'static str> {
        match self.person.attributes.get(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// An event, and the person just before it.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    pub(super) world: &'a World,
    pub(super) person: &'a Person,
    pub event: &'a Event,
    pub(super) topics: &'a [&'static str],
    /// The later of the event and the person's last event.
    pub(super) now: i64,
}

impl<'a> Moment<'a> {
    pub fn facts(&self) -> Facts<'a> {
        self.world.facts(self.person)
    }

    pub fn seen(&self, kind: &str) -> bool {
        self.facts().seen(kind)
    }

    pub fn is_about(&self, topic: &str) -> bool {
        self.topics.contains(&topic)
    }

    /// The points of a score just before the event.
    pub fn points(&self, score: &str) -> f64 {
        self.world.points(self.person, score, self.now)
    }

    /// The count of a signal just before the event.
    pub fn count(&self, signal: &'static str, half_life: Option<&'static str>) -> f64 {
        self.person.counts.sum((signal, half_life), self.now)
    }

    /// Matches of a signal a day, as the count with that half-life shows them.
    pub fn rate(&self, signal: &'static str, half_life: Option<&'static str>) -> f64 {
        let days = |nanos: i64| nanos as f64 / DAY as f64;
        let age = days(self.now - self.person.first_event_time).max(1.0);
        // A match a day, every day of that age, leaves so much in the count.
        let whole = half_life.map_or(age, |half_life| {
            let half_life = days(nanos(half_life));
            (1.0 - (-age / half_life).exp2()) * half_life / 2_f64.ln()
        });
        self.count(signal, half_life) / whole
    }

    /// Seconds between the event and the latest one before it.
    pub fn seconds_since_last(&self) -> f64 {
        if self.person.event_count == 0 {
            return 1e9;
        }
        let between = self.event.time() - self.person.last_event_time;
        between.abs() as f64 / SECOND as f64
    }

    /// What the author of the event states under a name, when it is text.
    pub fn author_text(&self, name: &str) -> Option<&'static str> {
        let author = self.world.people.get(self.event.author?)?;
        self.world.facts(author).text(name)
    }

    /// The points of the account of the event; 0 without account.
    pub fn account_points(&self, score: &str) -> f64 {
        let account = self.world.account_of(self.event);
        account
            .and_then(|id| self.world.people.get(id))
            .map_or(0.0, |account| {
                let at = self.event.time().max(account.last_event_time);
                self.world.points(account, score, at)
            })
    }

    pub fn stage(&self) -> &'static str {
        self.world
            .stage_name(self.world.stage(self.event.person, self.now))
    }
}
