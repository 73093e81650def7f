//! What is asked of an expression: where it stands, what it is to be, and how it fails.

use std::ops::Range;

/// What an expression may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The event, what the profile states, and the profile's history.
    Event,
    /// Only what no clock can change: what the profile states and has been seen to do, and how
    /// sure it is who it is.
    ClockFree,
    /// The same and the scores that do not fade, for who is in a segment or at a stage. Bounds of
    /// the scores that fade stand beside it.
    Members,
    /// What the confidence of identity is made of: as `Evaluation`, without that confidence.
    Identity,
    /// Which subject an event counts for: what the event says and the profile states.
    SubjectKey,
    /// What a call asks of a person: what fades too, at an instant.
    CallOnPeople,
    /// And of a subject.
    CallOnSubjects,
}

impl Scope {
    pub(super) fn is_call(self) -> bool {
        matches!(self, Self::CallOnPeople | Self::CallOnSubjects)
    }
}

/// What an expression is to stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// True or false.
    Condition,
    Number,
    /// A text or a number.
    Key,
    /// A text, a number, or a list of these.
    Keys,
}

/// An expression could not be evaluated, say for a missing attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed;

/// A mistake within an expression, at a range of its text.
pub(crate) type ExpressionDiagnostic = (Range<usize>, String);
