//! What an event changes of the counts of a person, for its subjects.

use crate::scoring::{CountDelta, HalfLife, Timestamp, decay::decay_factor};

/// Collects what an event changes, for its subjects.
#[derive(Debug)]
pub(crate) struct CountDeltas {
    is_kept: bool,
    at: Timestamp,
    now: Timestamp,
    changes: Vec<CountDelta>,
}

impl CountDeltas {
    /// Of an event of the instant `at` that is applied, or reverted, at the person's reference
    /// instant `now`. Nothing is kept when there is no subject.
    pub fn new(has_subjects: bool, at: Timestamp, now: Timestamp) -> Self {
        Self {
            is_kept: has_subjects,
            at,
            now,
            changes: Vec::new(),
        }
    }

    /// What was noted.
    pub fn into_changes(self) -> Vec<CountDelta> {
        self.changes
    }

    /// Notes a change of the count of a signal and a key at the person's reference instant, limits
    /// kept; below 0 for what is taken back, and when a smaller value is the latest.
    pub fn note(&mut self, half_life: Option<HalfLife>, signal: &str, key: &str, change: f64) {
        if !self.is_kept {
            return;
        }
        let amount = at_event(half_life, change, self.at, self.now);
        if amount != 0.0 {
            self.changes.push(CountDelta {
                half_life,
                signal: signal.into(),
                key: key.into(),
                amount,
            });
        }
    }
}

/// A change at the person's reference instant, as of the instant of the event, which is no
/// later.
fn at_event(half_life: Option<HalfLife>, change: f64, at: Timestamp, now: Timestamp) -> f64 {
    let left = decay_factor(half_life, at, now);
    if left.is_normal() { change / left } else { 0.0 }
}
