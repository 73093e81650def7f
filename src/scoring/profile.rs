//! A profile as a model sees it at one instant: what callers read.

use super::{Attributes, Name, ProfileId, StageChange, Timestamp};

/// Points, stage, segments and interests at `as_of`.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Whose.
    pub profile_id: ProfileId,
    /// Whether anything is known of them; without it they are as everybody starts.
    pub exists: bool,
    /// Every score of the model, in its order.
    pub scores: Vec<Score>,
    /// The highest stage that holds; `None` for none.
    pub stage: Option<Name>,
    /// Since when; `None` without a stage, and when the model was changed since.
    pub stage_entered_time: Option<Timestamp>,
    /// The latest changes of stage, in the order in which they were found; empty in the basic view.
    pub stage_changes: Vec<StageChange>,
    /// The segments that the profile belongs to, in the order of the model.
    pub segments: Vec<SegmentMembership>,
    /// Declared topics by interest, most first.
    pub interests: Vec<TopicInterest>,
    /// What the profile states.
    pub attributes: Attributes,
    /// Whether anything has counted or is stated. Until then a profile has the
    /// points that everybody starts with, and stands in no rank, at no stage and in no segment.
    pub is_counted: bool,
    /// How many events counted.
    pub event_count: u64,
    /// The time of the earliest event that counted; `None` without events.
    pub first_seen_time: Option<Timestamp>,
    /// The time of the latest event that counted; `None` without events.
    pub last_event_time: Option<Timestamp>,
    /// From 0 to 1: how sure it is who this is; `None` when the model says nothing of
    /// identity.
    pub identity_confidence: Option<f64>,
    /// Why the profile stands at its stage; in the full view under a model with stages.
    pub stage_explanation: Option<StageExplanation>,
    /// How many events are held in quarantine, by rule: those of the model in its order, then
    /// those that were removed from it.
    pub quarantined: Vec<(Name, u32)>,
    /// The instant of everything above.
    pub as_of: Timestamp,
}

/// Why a profile stands at a stage, and what is missing to the next one.
#[derive(Clone, Debug, PartialEq)]
pub struct StageExplanation {
    /// What holds the profile at its stage; `None` below all stages.
    pub current: Option<StageRequirement>,
    /// What the next higher stage asks for; `None` at the highest.
    pub next: Option<StageRequirement>,
}

/// What a stage asks for, and how far a profile is.
#[derive(Clone, Debug, PartialEq)]
pub struct StageRequirement {
    /// The stage.
    pub stage: Name,
    /// The condition, as it stands in the model; empty for none.
    pub when: String,
    /// Whether the condition holds; true for none.
    pub when_holds: bool,
    /// The score that the stage is bounded on; empty for none.
    pub score: Name,
    /// The least points of that score to reach the stage.
    pub min: f64,
    /// The least points to stay, when that is less.
    pub keep: Option<f64>,
    /// The points of the profile on that score.
    pub points: f64,
    /// How many points the sum of the score's terms is short of `min`, whatever its floor at 0
    /// or missing breadth; 0 when the bound is met.
    pub missing_points: f64,
    /// How many more different signals and rules the score asks for before it has points at all.
    pub missing_signals: usize,
}

/// One score.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The name in the model.
    pub name: Name,
    /// At least 0.
    pub points: f64,
    /// Where everybody starts; 0 in the basic view.
    pub base: f64,
    /// The percentage of the profiles with points that have at most as many; in the full
    /// view of a profile that is counted and has points.
    pub percentile: Option<f64>,
    /// The terms of the points; empty in the basic view.
    pub contributions: Vec<Contribution>,
    /// What the calibration of the score makes of the points; `None` without one.
    pub probability: Option<Probability>,
    /// How broad the evidence is; in the full view of a score that asks for breadth.
    pub breadth: Option<Breadth>,
}

/// How likely something is, as the model states it.
#[derive(Clone, Debug, PartialEq)]
pub struct Probability {
    /// From 0 to 1.
    pub value: f64,
    /// What is likely, in the words of the model; empty when it does not say.
    pub outcome: String,
}

/// How many different signals and rules give points to a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breadth {
    /// How many there are.
    pub present: usize,
    /// How many the model asks for.
    pub required: usize,
}

/// One term of a score.
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
    /// The signal or attribute rule.
    pub name: Name,
    /// Which of the two.
    pub kind: ContributionKind,
    /// The faded count of a signal; the value of a rule that holds.
    pub count: f64,
    /// Points for a count of 1.
    pub weight: f64,
    /// `count * weight`.
    pub points: f64,
    /// Where the count of the signal saturates, that of each key by itself; `None` without limit,
    /// and for subjects, which have none of their own.
    pub limit: Option<f64>,
    /// What the limit has kept from counting, faded like the count.
    pub capped_count: f64,
    /// The parts of a count that is kept by key, most first.
    pub keys: Vec<KeyContribution>,
}

/// What a contribution comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContributionKind {
    /// What the profile did.
    Signal,
    /// What the profile states.
    AttributeRule,
}

/// The part of a contribution that one key has.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyContribution {
    /// The key; empty for all that were dropped.
    pub key: Name,
    /// Its faded count.
    pub count: f64,
    /// `count * weight`.
    pub points: f64,
}

/// A segment that a profile belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentMembership {
    /// The name of the segment.
    pub segment: Name,
    /// What the segment ranks by: points, or the product of several scores.
    pub points: f64,
    /// What the calibration of the segment makes of them; `None` without one.
    pub probability: Option<Probability>,
}

/// A profile in the order of a segment.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// Who.
    pub profile: Profile,
    /// What the segment ranks by: points, or the product of several scores.
    pub points: f64,
    /// What the calibration of the segment makes of them; `None` without one.
    pub probability: Option<Probability>,
}

/// How much a person cares about a topic.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicInterest {
    /// The topic.
    pub topic: Name,
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
