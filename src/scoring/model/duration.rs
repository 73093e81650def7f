//! Durations of a model file, and what they may be.

use super::table::{Spanned, Table};
use crate::scoring::{
    HalfLife,
    limits::{MAX_HALF_LIFE, MIN_HALF_LIFE},
    parse_duration,
};

impl Table<'_, '_, '_> {
    pub(super) fn half_life(&mut self, key: &'static str) -> Option<HalfLife> {
        let least = MIN_HALF_LIFE.as_nanos() as i64;
        let duration = self.duration(key, least, MAX_HALF_LIFE.as_nanos() as i64)?;
        HalfLife::from_nanos(duration.value)
    }

    pub(super) fn required_half_life(&mut self, key: &'static str) -> Option<HalfLife> {
        if !self.has(key) {
            self.missing(
                key,
                &format!("how long half of it takes to fade, such as {key} = \"7d\""),
            );
        }
        self.half_life(key)
    }

    pub(super) fn duration(
        &mut self,
        key: &'static str,
        least: i64,
        greatest: i64,
    ) -> Option<Spanned<i64>> {
        let value = self.get(key)?;
        let parsed = value.get_ref().as_str().and_then(duration_nanos);
        match parsed {
            Some(nanos) if (least..=greatest).contains(&nanos) => Some(Spanned {
                value: nanos,
                span: value.span(),
            }),
            Some(_) => {
                let message = if least > 1 {
                    format!("{key:?} must be from 1m to 36500d")
                } else {
                    format!("{key:?} must be above 0 and at most 36500d")
                };
                self.diagnostic(value.span(), message);
                None
            }
            None => {
                let message = format!(
                    "{key:?} must be a number and a unit (ms, s, m, h, d or w) in quotes, such as \"7d\""
                );
                self.diagnostic(value.span(), message);
                None
            }
        }
    }
}

/// What a half-life may be.
pub(super) const HALF_LIFE_TEXT: &str = "a number and a unit (s, m, h, d or w) from 1m to 36500d";

/// The half-life of `7d` and the like; `None` for none.
pub(super) fn half_life_of(text: &str) -> Option<HalfLife> {
    let nanos = duration_nanos(text)?;
    let longest = MAX_HALF_LIFE.as_nanos() as i64;
    HalfLife::from_nanos(nanos).filter(|_| nanos <= longest)
}

/// `7d` and the like, in nanoseconds.
fn duration_nanos(text: &str) -> Option<i64> {
    i64::try_from(parse_duration(text)?.as_nanos()).ok()
}
