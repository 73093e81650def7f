//! A profile as a model sees it at one instant: what callers read.

use super::{Attributes, ProfileId, Timestamp};

/// Points, stage, segments and interests at `as_of`.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Whose.
    pub profile_id: ProfileId,
    /// Every score of the model, in its order.
    pub scores: Vec<Score>,
    /// The highest stage that holds; `None` for none.
    pub stage: Option<String>,
    /// The segments that the profile belongs to, in the order of the model.
    pub segments: Vec<String>,
    /// Declared topics by interest, most first.
    pub topics: Vec<TopicInterest>,
    /// What the profile states.
    pub attributes: Attributes,
    /// How many events counted.
    pub event_count: u64,
    /// The time of the earliest event that counted; `None` without events.
    pub first_seen_time: Option<Timestamp>,
    /// The time of the latest event that counted; `None` without events.
    pub last_event_time: Option<Timestamp>,
    /// How many events are held in quarantine, by rule: those of the model in its order, then
    /// those that were removed from it.
    pub quarantined: Vec<(String, u32)>,
    /// The instant of everything above.
    pub as_of: Timestamp,
}

/// One score.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The name in the model.
    pub name: String,
    /// At least 0.
    pub points: f64,
    /// Where everybody starts; 0 in the basic view.
    pub base: f64,
    /// The percentage of the profiles with points that have at most as many; in the full
    /// view of a profile with points.
    pub percentile: Option<f64>,
    /// The terms of the points; empty in the basic view.
    pub contributions: Vec<Contribution>,
}

/// One term of a score.
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
    /// The signal or attribute rule.
    pub signal: String,
    /// Its faded count; 1 for a rule that holds.
    pub count: f64,
    /// Points for a count of 1.
    pub weight: f64,
    /// `count * weight`.
    pub points: f64,
}

/// How much a person cares about a topic.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicInterest {
    /// The topic.
    pub topic: String,
    /// The faded number of events on it.
    pub points: f64,
}

/// An author's influence on a topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Influencer {
    /// The author.
    pub profile: Profile,
    /// Faded credit.
    pub influence: f64,
    /// The following that the author states; 0 when it states none.
    pub reach: f64,
    /// How many touches.
    pub touches: u64,
    /// How many advances, shares added up.
    pub advances: f64,
    /// From 0 to 1.
    pub influence_probability: f64,
}
