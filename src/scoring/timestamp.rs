//! Instants and half-lives, in nanoseconds, so that the core needs no clock.

use std::fmt;

use super::limits::MIN_HALF_LIFE;

const NANOS_PER_SECOND: i64 = 1_000_000_000;
/// How far an amount is followed back into the past, in half-lives.
const MAX_HALF_LIVES_BACK: f64 = 512.0;

/// An instant: nanoseconds since 1970-01-01T00:00:00Z, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The start of 1970.
    pub const EPOCH: Self = Self(0);

    /// The instant `nanos` after the start of 1970; `None` before it.
    pub const fn from_nanos(nanos: i64) -> Option<Self> {
        if nanos < 0 { None } else { Some(Self(nanos)) }
    }

    /// The instant of a protobuf `Timestamp`; `None` before 1970, after 2262, or with
    /// `nanos` outside of `0..1_000_000_000`.
    pub fn from_parts(seconds: i64, nanos: i32) -> Option<Self> {
        if !(0..1_000_000_000).contains(&nanos) {
            return None;
        }
        let total = seconds
            .checked_mul(NANOS_PER_SECOND)?
            .checked_add(i64::from(nanos))?;
        Self::from_nanos(total)
    }

    /// Nanoseconds since the start of 1970.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the start of 1970.
    pub const fn millis(self) -> u64 {
        (self.0 / 1_000_000).unsigned_abs()
    }

    /// Whole seconds since the start of 1970, and the nanoseconds beyond them.
    pub const fn parts(self) -> (i64, i32) {
        let seconds = self.0.div_euclid(NANOS_PER_SECOND);
        (seconds, self.0.rem_euclid(NANOS_PER_SECOND) as i32)
    }

    /// This instant plus `nanos`, held within the range of the type.
    #[must_use]
    pub const fn saturating_add_nanos(self, nanos: i64) -> Self {
        let sum = self.0.saturating_add(nanos);
        Self(if sum < 0 { 0 } else { sum })
    }
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
        if from == to {
            return 1.0;
        }
        let half_lives = (from.0 - to.0) as f64 / self.0 as f64;
        half_lives.min(MAX_HALF_LIVES_BACK).exp2()
    }

    /// How many half-lives lie between 1970 and `at`: the slope term of a rank key.
    /// Split into whole and part so that no precision is lost to the conversion.
    pub fn elapsed(self, at: Timestamp) -> f64 {
        (at.0 / self.0) as f64 + (at.0 % self.0) as f64 / self.0 as f64
    }
}

impl fmt::Display for HalfLife {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}s", self.0 as f64 / NANOS_PER_SECOND as f64)
    }
}
