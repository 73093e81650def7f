//! What is remembered about one profile: counts, never points, and names, never
//! positions in a model. Nothing in a record changes while nothing happens.

use std::collections::BTreeMap;

use super::{Attributes, HalfLife, IdHash, ProfileId, Timestamp};

/// The state of one profile.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// What the profile states.
    pub attributes: Attributes,
    /// How many events counted.
    pub event_count: u64,
    /// The time of the earliest event that counted; `EPOCH` before the first.
    pub first_seen_time: Timestamp,
    /// The time of the latest event that counted; `EPOCH` before the first. All counts
    /// and interests are the values at this instant.
    pub last_event_time: Timestamp,
    /// Faded counts of signals, ascending by half-life; `None` (does not fade) comes first.
    pub counts: Vec<CountGroup>,
    /// When each signal with a cooldown last counted.
    pub last_counted: BTreeMap<String, Timestamp>,
    /// The event types that have ever counted, ascending.
    pub seen_types: Vec<String>,
    /// Faded counts of events by topic, ascending by name.
    pub interests: Vec<NamedCount>,
    /// The remembered events.
    pub memory: EventMemory,
    /// The ids of the latest credits received, in order of arrival.
    pub credits: Vec<IdHash>,
    /// The latest touches by others' content that no advance has used, ascending by time.
    pub touches: Vec<Touch>,
    /// The stages that the profile has reached, in order of arrival.
    pub reached_stages: Vec<String>,
    /// The instant that the credits of `influence` are the values at.
    pub influence_time: Timestamp,
    /// What the profile earned as an author, ascending by topic and stage.
    pub influence: Vec<InfluenceCell>,
}

/// Counts that fade with one half-life.
#[derive(Clone, Debug, PartialEq)]
pub struct CountGroup {
    /// `None` for counts that do not fade.
    pub half_life: Option<HalfLife>,
    /// Ascending by name.
    pub counts: Vec<NamedCount>,
}

/// A faded count under a name.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedCount {
    /// The signal or topic.
    pub name: String,
    /// The value at the record's reference instant.
    pub value: f64,
}

/// The latest events of a profile, so that none counts twice: the greatest pairs of
/// time and id hash, and the greatest pair that was dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventMemory {
    /// Ascending.
    pub remembered: Vec<(Timestamp, IdHash)>,
    /// The greatest pair that was dropped; whatever is unknown and not above it is too old.
    pub horizon: Option<(Timestamp, IdHash)>,
}

/// What a record knows about an event before counting it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recollection {
    /// It has not counted.
    New,
    /// It has counted.
    Known,
    /// It cannot be told whether it has counted.
    TooOld,
}

impl EventMemory {
    /// Whether the event has counted before.
    pub fn recall(&self, time: Timestamp, id: IdHash) -> Recollection {
        let pair = (time, id);
        if self.remembered.binary_search(&pair).is_ok() {
            Recollection::Known
        } else if self.horizon.is_some_and(|horizon| pair <= horizon) {
            Recollection::TooOld
        } else {
            Recollection::New
        }
    }

    /// Remembers a new event, and forgets the smallest beyond `capacity`.
    pub fn remember(&mut self, time: Timestamp, id: IdHash, capacity: usize) {
        let pair = (time, id);
        let Err(position) = self.remembered.binary_search(&pair) else {
            return;
        };
        self.remembered.insert(position, pair);
        let excess = self.remembered.len().saturating_sub(capacity.max(1));
        if let Some(greatest) = self.remembered.drain(..excess).next_back() {
            self.horizon = self.horizon.max(Some(greatest));
        }
    }
}

/// An engagement with somebody else's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The event, by a hash of its id and its time as sent.
    pub event: IdHash,
    /// When.
    pub time: Timestamp,
    /// Whose content.
    pub author_id: ProfileId,
    /// The declared topics of the event.
    pub topics: Vec<String>,
    /// The stage where the actor stood; empty for none.
    pub stage: String,
}

/// What an author earned on a topic with people at a stage.
#[derive(Clone, Debug, PartialEq)]
pub struct InfluenceCell {
    /// The topic.
    pub topic: String,
    /// The stage of those who were touched; empty for none.
    pub stage: String,
    /// Faded credit at `influence_time`.
    pub credit: f64,
    /// How many touches.
    pub touches: u64,
    /// How many millionths of advances.
    pub advance_millionths: u64,
}
