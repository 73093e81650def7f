//! Fading: the one place where it is computed.
//!
//! What fades loses half of itself in each half-life:
//! `value(t) = value(t0) * 2^(-(t - t0) / half_life)`. So a sum of faded values fades as one
//! number, and every count, interest and credit is kept as its value at one instant.

use std::fmt;

use super::{Timestamp, limits::MIN_HALF_LIFE};

const NANOS_PER_SECOND: i64 = 1_000_000_000;
/// How far an amount is followed back into the past, in half-lives.
const MAX_HALF_LIVES_BACK: f64 = 512.0;

/// What is left of 1 after the time from `from` to `to`; all of it without half-life.
pub(crate) fn decay_factor(half_life: Option<HalfLife>, from: Timestamp, to: Timestamp) -> f64 {
    half_life.map_or(1.0, |half_life| half_life.decay_factor(from, to))
}

/// What is left of 1 after so many half-lives.
pub(crate) fn faded(half_lives: f64) -> f64 {
    (-half_lives).min(MAX_HALF_LIVES_BACK).exp2()
}

/// How long it takes for half of a count to fade; at least one minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HalfLife(i64);

impl HalfLife {
    /// A half-life of `nanos`; `None` below one minute.
    pub const fn from_nanos(nanos: i64) -> Option<Self> {
        if nanos < MIN_HALF_LIFE.as_nanos() as i64 {
            None
        } else {
            Some(Self(nanos))
        }
    }

    /// The half-life in nanoseconds.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// What is left of 1 after the time from `from` to `to`:
    /// `2^(-(to - from) / half_life)`. Above 1 when `to` is before `from`, but at most 2^512,
    /// so that whatever is multiplied with it stays finite.
    pub fn decay_factor(self, from: Timestamp, to: Timestamp) -> f64 {
        faded(self.between(from, to))
    }

    /// How many half-lives lie between two instants; below 0 when `to` is before `from`.
    pub(crate) fn between(self, from: Timestamp, to: Timestamp) -> f64 {
        (to.nanos() - from.nanos()) as f64 / self.0 as f64
    }

    /// How many half-lives lie between 1970 and `at`: the slope term of a rank key.
    /// Split into whole and part so that no precision is lost to the conversion.
    pub fn elapsed(self, at: Timestamp) -> f64 {
        (at.nanos() / self.0) as f64 + (at.nanos() % self.0) as f64 / self.0 as f64
    }
}

impl fmt::Display for HalfLife {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}s", self.0 as f64 / NANOS_PER_SECOND as f64)
    }
}
