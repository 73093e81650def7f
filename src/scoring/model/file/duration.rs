//! Reads durations and half-lives.

use crate::scoring::{
    HalfLife,
    limits::{MAX_HALF_LIFE, MIN_HALF_LIFE},
    model::duration::duration_nanos,
    written::{Spanned, Table},
};

impl Table<'_, '_, '_> {
    pub(crate) fn half_life(&mut self, key: &'static str) -> Option<HalfLife> {
        let least = MIN_HALF_LIFE.as_nanos() as i64;
        let duration = self.duration(key, least, MAX_HALF_LIFE.as_nanos() as i64)?;
        HalfLife::from_nanos(duration.value)
    }

    pub(crate) fn required_half_life(&mut self, key: &'static str) -> Option<HalfLife> {
        if !self.has(key) {
            self.missing(
                key,
                &format!("how long half of it takes to fade, such as {key} = \"7d\""),
            );
        }
        self.half_life(key)
    }

    pub(crate) fn duration(
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
