//! Durations as a model writes them, and what they may be.

use crate::scoring::{HalfLife, limits::MAX_HALF_LIFE, parse_duration};

/// What a half-life may be.
pub(crate) const HALF_LIFE_TEXT: &str = "a number and a unit (s, m, h, d or w) from 1m to 36500d";

/// The half-life of `7d` and the like; `None` for none.
pub(crate) fn half_life_of(text: &str) -> Option<HalfLife> {
    let nanos = duration_nanos(text)?;
    let longest = MAX_HALF_LIFE.as_nanos() as i64;
    HalfLife::from_nanos(nanos).filter(|_| nanos <= longest)
}

/// `7d` and the like, in nanoseconds.
pub(crate) fn duration_nanos(text: &str) -> Option<i64> {
    i64::try_from(parse_duration(text)?.as_nanos()).ok()
}
