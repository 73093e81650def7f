//! A model: what behaviours count, what they are worth, and what the path to purchase is.
//! `file` reads what is written, `compile` checks it and puts it together, `definition` is what
//! comes of it, `expr` its conditions. A model knows no record.

mod calibration;
mod catalog;
mod changes;
mod compile;
mod definition;
mod duration;
mod event_subjects;
mod expr;
mod file;
mod fingerprint;
mod ids;
mod inputs;
mod phrases;
mod quarantine;
mod rank;
mod signal;
mod slot;
mod subjects;
mod topics;

pub use catalog::{Catalog, CatalogEntry, SegmentEntry};
pub use changes::{ActsOn, ModelChange, model_changes};
pub use compile::Condition;
pub use definition::Model;
pub use fingerprint::Fingerprint;
pub use ids::{SegmentId, SubjectKindId};
pub use inputs::Inputs;
pub use subjects::{EventSubjects, Population, Stated};

#[cfg(test)]
pub(crate) use compile::compile_unchecked;
pub(crate) use definition::{InfluenceRank, KeptStages, Ladder, Score, StageBound};
pub(crate) use expr::{
    Budget, Expression, NativeValue, Variable, Variables, event_has, event_value,
};
#[cfg(test)]
pub(crate) use expr::{Failed, ORDERED, domain};
pub(crate) use ids::{
    AskedId, ConditionId, QuarantineRuleId, RankId, RuleId, ScoreId, SignalId, SlotId, StageId,
};
pub(crate) use rank::Factor;
pub(crate) use signal::Signal;
pub(crate) use slot::Slot;
