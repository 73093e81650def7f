//! The scoring core: pure functions over plain data. Time, identity and randomness are
//! handed to it; it knows no store, no network and no clock.
//!
//! In reading order: an [`Event`] meets the [`Record`] of its profile under a [`Model`] in
//! `apply`, where `quarantine` may keep it apart, and `counting` adds what it counts;
//! `evaluation` says where the record stands; `rank` turns that into keys that no clock changes;
//! `influence` credits authors and `accounts` the accounts of people; `retraction` takes all of
//! it back; `explain` says it all to callers, and `compare` what another model would say.

mod accounts;
mod apply;
mod attributes;
mod clock_free;
mod compare;
mod counting;
mod duration;
mod effects;
mod evaluation;
mod event;
mod explain;
mod half_life_migration;
mod identity;
mod influence;
pub mod limits;
mod model;
mod once;
mod outcome;
mod profile;
mod quarantine;
mod ranges;
mod rank;
mod rank_entries;
mod record;
mod recount;
mod retraction;
mod seen;
mod timestamp;

pub use apply::{Context, RecordEdit, apply};
pub use attributes::{AttributeValue, Attributes, InvalidAttributes, check as check_attributes};
pub use compare::{Comparison, ComparisonReport, Mover, ScoreMoves, SegmentMoves, StageFlow};
pub use duration::parse_duration;
pub use evaluation::TopicDelta;
pub use event::{AccountDelta, CountDelta, Credit, Effect, EffectKind, Event};
pub use explain::{Detail, InfluenceQuestion, explain, influencer, interests, ranked};
pub use identity::{IdHash, ProfileId, Subject, Tenant, is_identifier};
pub use influence::influence_probability;
pub use model::{ActsOn, Diagnostic, Fingerprint, Model, ModelChange, model_changes};
pub use once::CountedKeys;
pub use outcome::{EventOutcome, Outcome, StageChange};
pub use profile::{
    Breadth, Contribution, ContributionKind, Influencer, KeyContribution, Probability, Profile,
    Ranked, Score, StageExplanation, StageRequirement, TopicInterest,
};
pub use quarantine::Selection;
pub use rank::{KeyRange, RankChange, RankKey, RankName, Slope};
pub use rank_entries::{index, moves};
pub use record::{
    CountGroup, EffectMemory, EventMemory, HeldEvent, HeldMatch, InfluenceCell, NamedCount,
    Recollection, Record, SeenType, SignalCount, Touch,
};
pub use retraction::RetractionOutcome;
pub use timestamp::{HalfLife, Timestamp};
