//! What is remembered about one profile: counts, never points, and names, never
//! positions in a model. Nothing in a record changes while nothing happens.

use std::collections::BTreeMap;

use super::{
    Attributes, CountedValue, Effect, EffectMemory, EventMemory, HalfLife, IdHash, Incarnation,
    MatchedSignals, Name, ProfileId, StageChange, Timestamp, attributes_after,
};

/// The state of one profile.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Which record of this id it is.
    pub incarnation: Incarnation,
    /// What the profile states.
    pub attributes: Attributes,
    /// Whether anybody has ever said what it states, if only that it states nothing.
    pub was_stated: bool,
    /// How many events counted.
    pub event_count: u64,
    /// The time of the earliest event that counted; `EPOCH` before the first.
    pub first_seen_time: Timestamp,
    /// The time of the latest event that counted; `EPOCH` before the first. All counts
    /// and interests are the values at this instant.
    pub last_event_time: Timestamp,
    /// Faded counts of signals, ascending by half-life; `None` (does not fade) comes first.
    pub counts: Vec<CountGroup>,
    /// When each signal that has a cooldown, or keeps the latest value, last counted.
    pub last_counted: BTreeMap<Name, Timestamp>,
    /// By signal that counts each key once: the keys that have counted.
    pub counted_keys: BTreeMap<Name, CountedKeys>,
    /// The event types that have ever counted, ascending by name.
    pub seen_types: Vec<SeenType>,
    /// Faded counts of events by topic, ascending by name.
    pub interests: Vec<NamedCount>,
    /// The remembered events.
    pub memory: EventMemory,
    /// The latest effects of others' events: credits of an author, deltas of a subject.
    pub effects: EffectMemory,
    /// The latest effects of own events on others, in order of arrival: who has lost one takes it
    /// again when the event is sent again. The credit of a touch stands in the touch, as long as
    /// that waits for an advance.
    pub caused: Vec<Effect>,
    /// Whether any of them was forgotten.
    pub has_forgotten_caused: bool,
    /// The latest touches by others' content that no advance has used, ascending by time.
    pub touches: Vec<Touch>,
    /// The stages that the profile has reached, in order of arrival.
    pub reached_stages: Vec<Name>,
    /// By score, of those with a stage that is easier to keep than to reach: the highest stage that
    /// the profile keeps.
    pub kept_stages: BTreeMap<Name, Name>,
    /// The latest changes of stage, in order of arrival.
    pub stage_changes: Vec<StageChange>,
    /// What the latest events matched that matched anything, in order of arrival.
    pub matched: Vec<MatchedSignals>,
    /// What the latest values that follow the order of arrival came to, in that order: who takes
    /// an event back takes as much.
    pub counted_values: Vec<CountedValue>,
    /// The instant that the credits of `influence` are the values at.
    pub influence_time: Timestamp,
    /// What the profile earned as an author, ascending by topic and stage.
    pub influence: Vec<InfluenceCell>,
    /// The events that quarantine rules hold, in order of arrival.
    pub quarantine: Vec<HeldEvent>,
}

impl Record {
    /// Gives a new record its incarnation, when it is written for the first time.
    pub fn incarnate(&mut self, incarnation: Incarnation) {
        if self.incarnation == Incarnation::default() {
            self.incarnation = incarnation;
        }
    }

    /// What the profile states after an update, which sets some attributes and removes others
    /// by name.
    pub fn attributes_after(&self, attributes: &Attributes, removed: &[String]) -> Attributes {
        attributes_after(&self.attributes, attributes, removed)
    }

    /// How many events a rule holds.
    pub(crate) fn held_by(&self, rule: &str) -> u32 {
        let held = self.quarantine.iter().filter(|held| held.rule == rule);
        held.count() as u32
    }

    /// What the record adds to the totals of topics.
    pub fn topic_deltas(&self) -> impl Iterator<Item = TopicDelta> {
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.influence.iter().map(move |cell| {
            let advances = signed(cell.advance_millionths);
            (cell.topic.clone(), signed(cell.touches), advances)
        })
    }

    /// Whether anything has counted or is stated. Who has only events in quarantine, events that
    /// were reverted, or credit as an author stands in no ranks but those of influence.
    pub(crate) fn is_counted(&self) -> bool {
        self.event_count > 0 || !self.attributes.is_empty()
    }

    /// Whether anything was ever done, stated or earned, or retracted in advance. A record of
    /// effects that were only kept from being given is of nobody yet.
    pub(crate) fn is_known(&self) -> bool {
        let is_remembered = !self.memory.remembered.is_empty() || self.memory.horizon.is_some();
        let times = [self.last_event_time, self.influence_time];
        self.is_counted()
            || self.was_stated
            || is_remembered
            || times.iter().any(|time| *time != Timestamp::EPOCH)
    }

    /// Notes that one more event has counted, at an instant.
    pub(crate) fn note_event(&mut self, at: Timestamp) {
        // What was reverted has been seen all the same.
        let is_first = self.event_count == 0 && self.first_seen_time == Timestamp::EPOCH;
        if is_first || at < self.first_seen_time {
            self.first_seen_time = at;
        }
        self.event_count = self.event_count.saturating_add(1);
    }
}

/// What a record adds to the totals of a topic: the topic, touches, and millionths of
/// advances; negative for what it reverts.
pub type TopicDelta = (Name, i64, i64);

/// The keys of a signal that have counted, by hash, each with the instant of the event.
pub type CountedKeys = BTreeMap<IdHash, Timestamp>;

/// Counts that fade with one half-life.
#[derive(Clone, Debug, PartialEq)]
pub struct CountGroup {
    /// `None` for counts that do not fade.
    pub half_life: Option<HalfLife>,
    /// Ascending by signal.
    pub counts: Vec<SignalCount>,
}

/// A faded count of a signal.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalCount {
    /// The signal.
    pub signal: Name,
    /// What is not counted by key, and what keys had that were dropped; the value at the
    /// record's reference instant.
    pub value: f64,
    /// What is counted by key, ascending by key.
    pub keys: Vec<NamedCount>,
    /// What the limit of the signal has kept from counting, over all keys; the value at the
    /// record's reference instant.
    pub capped: f64,
}

impl SignalCount {
    /// What adds up to the count: what is not counted by key, under the empty text, unless there
    /// are keys alone; then each key.
    pub fn parts(&self) -> impl Iterator<Item = (&str, f64)> {
        let is_part = self.value != 0.0 || self.keys.is_empty();
        let keys = self.keys.iter().map(|key| (key.name.as_str(), key.value));
        is_part.then_some(("", self.value)).into_iter().chain(keys)
    }

    /// The count over all keys.
    pub fn total(&self) -> f64 {
        let keys = self.keys.iter().map(|key| key.value);
        keys.fold(self.value, |total, value| total + value)
    }
}

/// An event type that has counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenType {
    /// The type.
    pub name: Name,
    /// How often, at least once.
    pub count: u32,
}

/// A faded count under a name.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedCount {
    /// The topic, or the key of a signal.
    pub name: Name,
    /// The value at the record's reference instant.
    pub value: f64,
}

/// An engagement with somebody else's content.
#[derive(Clone, Debug, PartialEq)]
pub struct Touch {
    /// The event, by a hash of its id and its time as sent.
    pub event: IdHash,
    /// When.
    pub time: Timestamp,
    /// Whose content.
    pub author_id: ProfileId,
    /// The declared topics of the event.
    pub topics: Vec<Name>,
    /// The stage where the actor stood; empty for none.
    pub stage: Name,
    /// The credit that it gave.
    pub credit: f64,
    /// The id that the event was sent with, when that is not the one of the record.
    pub origin: Option<ProfileId>,
}

/// What an event in quarantine would count. Nothing that was written in it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldEvent {
    /// The quarantine rule.
    pub rule: Name,
    /// The hash of the id of the event.
    pub id: IdHash,
    /// The time that the event is known by.
    pub known_by: Timestamp,
    /// The instant that it counts at.
    pub time: Timestamp,
    /// What was done.
    pub event_type: Name,
    /// The signals that it matched.
    pub matches: Vec<HeldMatch>,
    /// The declared topics of the event.
    pub topics: Vec<Name>,
    /// Whose content it engages with.
    pub author_id: Option<ProfileId>,
    /// The subjects that it counts for.
    pub subjects: Vec<ProfileId>,
    /// The id that it was sent with, when that is not the one of the record.
    pub origin: Option<ProfileId>,
}

/// A signal that an event in quarantine matched.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldMatch {
    /// The signal.
    pub signal: Name,
    /// What it adds to a count.
    pub value: f64,
    /// The keys that it counts under; none when the signal is not kept by key.
    pub keys: Vec<Name>,
}

/// What an author earned on a topic with people at a stage.
#[derive(Clone, Debug, PartialEq)]
pub struct InfluenceCell {
    /// The topic.
    pub topic: Name,
    /// The stage of those who were touched; empty for none.
    pub stage: Name,
    /// Faded credit at `influence_time`.
    pub credit: f64,
    /// How many touches.
    pub touches: u64,
    /// How many millionths of advances.
    pub advance_millionths: u64,
}
