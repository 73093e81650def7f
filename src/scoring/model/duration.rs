//! Durations as they are written: a number and a unit.

use crate::scoring::{HalfLife, limits::MAX_HALF_LIFE};

/// What a half-life may be.
pub(super) const HALF_LIFE_TEXT: &str = "a number and a unit (s, m, h, d or w) from 1m to 36500d";

/// The half-life of `7d` and the like; `None` for none.
pub(super) fn half_life_of(text: &str) -> Option<HalfLife> {
    let nanos = duration_nanos(text)?;
    let longest = MAX_HALF_LIFE.as_nanos() as i64;
    HalfLife::from_nanos(nanos).filter(|_| nanos <= longest)
}

/// `7d` and the like, in nanoseconds.
pub(super) fn duration_nanos(text: &str) -> Option<i64> {
    let unit_at = text.len().checked_sub(1)?;
    let (number, unit) = (text.get(..unit_at)?, text.get(unit_at..)?);
    let seconds: i64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    let number: f64 = number
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
        .then(|| number.parse().ok())
        .flatten()?;
    let nanos = number * seconds as f64 * 1e9;
    (nanos.is_finite() && nanos < i64::MAX as f64).then_some(nanos as i64)
}
