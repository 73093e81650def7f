//! What a record remembers of the events that it has answered: the changes of stage, the signals
//! that matched, and what they counted that nobody could find again.

use super::{IdHash, Name, Timestamp};

/// A move of a profile along the path to purchase; `None` for no stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageChange {
    /// The stage just before it.
    pub from_stage: Option<Name>,
    /// The stage just after it.
    pub to_stage: Option<Name>,
    /// When: the instant of an event, the arrival of an update or a retraction, or that at which
    /// points fell too low by fading; never before the latest event, nor the change before it.
    pub time: Timestamp,
    /// What brought it.
    pub cause: ChangeCause,
}

/// What brings a change of stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeCause {
    /// A write; the remembered event that was answered with the change, if it was one.
    Write(Option<(Timestamp, IdHash)>),
    /// Fading alone. It follows from what is counted, and is found anew when something is counted
    /// that came before it.
    Fading,
}

impl StageChange {
    /// The remembered event that was answered with it.
    pub fn event(&self) -> Option<(Timestamp, IdHash)> {
        match self.cause {
            ChangeCause::Write(event) => event,
            ChangeCause::Fading => None,
        }
    }
}

/// What an event matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchedSignals {
    /// A remembered event.
    pub event: (Timestamp, IdHash),
    /// The signals that counted, in the order of the model.
    pub signals: Vec<Name>,
}

/// What the value of a signal came to that follows the order of arrival, so that nobody can find it
/// again in the event.
#[derive(Clone, Debug, PartialEq)]
pub struct CountedValue {
    /// A remembered event.
    pub event: (Timestamp, IdHash),
    /// The signal.
    pub signal: Name,
    /// What the match added before any limit; 0 when it did not match.
    pub value: f64,
}

/// Puts an entry at the end, and forgets the first ones beyond the capacity.
pub(super) fn push_bounded<T>(entries: &mut Vec<T>, entry: T, capacity: usize) {
    entries.push(entry);
    let excess = entries.len().saturating_sub(capacity);
    entries.drain(..excess);
}
