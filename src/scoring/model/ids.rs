//! Positions in the lists of a model. Each list has a type of its own, so that a position of one
//! cannot be looked up in another.

macro_rules! positions {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(usize);

        impl From<usize> for $name {
            fn from(position: usize) -> Self {
                Self(position)
            }
        }

        impl From<$name> for usize {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    )*};
}

positions! {
    /// In `Model::scores`.
    ScoreId,
    /// In `Model::signals`.
    SignalId,
    /// In `Model::slots`.
    SlotId,
    /// In `Model::asked`.
    AskedId,
    /// In `Model::conditions`.
    ConditionId,
    /// In `Model::rules`.
    RuleId,
    /// In `Model::stages`; the greater is the higher.
    StageId,
    /// In `Model::ranks`.
    RankId,
    /// In `Model::segments`.
    SegmentId,
    /// In the names of `Model::topics`.
    TopicId,
    /// In `Model::subject_kinds`.
    SubjectKindId,
    /// In `Model::quarantine`.
    QuarantineRuleId,
}
