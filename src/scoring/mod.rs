//! The scoring core: pure functions over plain data. Time, identity and randomness are
//! handed to it; it knows no store, no network and no clock.
//!
//! In reading order, each of what stands above it only: plain data, such as an [`Event`], a
//! [`Record`] and rank keys; `decay`, the one place where fading is computed; a [`Model`], which
//! knows no record; `counts` and `influence`, what a record keeps; `evaluation`, what a model
//! makes of it; `edit`, every verb that changes it; `evaluator`, a model over a map of records; `explain` says it all to callers, and
//! `compare` what another model would say.

mod answers;
mod attributes;
mod compare;
mod counts;
mod decay;
mod duration;
mod edit;
mod effect;
mod evaluation;
mod evaluator;
mod event;
mod explain;
mod identity;
mod influence;
mod instant;
pub mod limits;
mod memory;
mod model;
mod name;
mod outcome;
mod profile;
mod rank;
mod record;
mod timestamp;
mod written;

pub use answers::{ChangeCause, CountedValue, MatchedSignals, StageChange};
pub use attributes::{
    AttributeValue, Attributes, InvalidAttributes, attributes_after, check_attributes,
};
pub use compare::{Comparison, ComparisonReport, Mover, ScoreMoves, SegmentMoves, StageFlow};
pub use decay::HalfLife;
pub use duration::parse_duration;
pub use edit::{Context, RecordEdit, RetractionOutcome, Selection, apply};
pub use effect::{CountDelta, Credit, Effect, EffectKind, SubjectDelta};
pub use evaluation::{Judged, Member, index, moves};
pub use evaluator::Evaluator;
pub use event::Event;
pub use explain::{Detail, InfluenceQuestion, explain, influencer, interests, ranked};
pub use identity::{IdHash, Incarnation, ProfileId, Tenant, TypeMark, is_identifier, is_kind_name};
pub use influence::influence_probability;
pub use instant::parse_instant;
pub use memory::{EffectMemory, EventMemory, Recollection, RememberedEvent};
pub(crate) use model::ScoreId;
pub use model::{
    ActsOn, Catalog, CatalogEntry, Condition, EventSubjects, Fingerprint, Inputs, Model,
    ModelChange, Population, SegmentEntry, SegmentId, Stated, SubjectKindId, model_changes,
};
pub use name::Name;
pub use outcome::{EventOutcome, IgnoredSubjects, Outcome};
pub use profile::{
    Breadth, Contribution, ContributionKind, Influencer, KeyContribution, Probability, Profile,
    Ranked, Score, SegmentMembership, StageExplanation, StageRequirement, TopicInterest,
};
pub use rank::{KeyRange, RankChange, RankKey, RankName, Slope};
pub use record::{
    CountGroup, CountedKeys, HeldEvent, HeldMatch, InfluenceCell, NamedCount, Record, SeenType,
    SignalCount, TopicDelta, Touch,
};
pub use timestamp::Timestamp;
pub use written::Diagnostic;
pub(crate) use written::{Diagnostics, Spanned, Table, nearest, parse, suggestion};
