//! Instants, in nanoseconds, so that the core needs no clock.

const NANOS_PER_SECOND: i64 = 1_000_000_000;

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

    /// Whole seconds since the start of 1970, rounded up.
    pub const fn seconds_up(self) -> u64 {
        let (seconds, nanos) = self.parts();
        seconds.unsigned_abs() + if nanos > 0 { 1 } else { 0 }
    }

    /// The instant so many seconds after the start of 1970, held within the range of the type.
    pub const fn from_seconds(seconds: u64) -> Self {
        match seconds.checked_mul(NANOS_PER_SECOND.unsigned_abs()) {
            Some(nanos) if nanos <= i64::MAX.unsigned_abs() => Self(nanos.cast_signed()),
            _ => Self(i64::MAX),
        }
    }

    /// The first whole second that does not lie before this instant.
    #[must_use]
    pub const fn up_to_second(self) -> Self {
        Self::from_seconds(self.seconds_up())
    }

    /// This instant plus `nanos`, held within the range of the type.
    #[must_use]
    pub const fn saturating_add_nanos(self, nanos: i64) -> Self {
        let sum = self.0.saturating_add(nanos);
        Self(if sum < 0 { 0 } else { sum })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_whole_second_is_found_at_or_after_every_instant(nanos in 0..=i64::MAX) {
            let instant = Timestamp(nanos);
            let up = instant.up_to_second();
            prop_assert!(up >= instant);
            prop_assert!(up.nanos() - nanos < NANOS_PER_SECOND);
            prop_assert_eq!(up.up_to_second(), up);
            prop_assert_eq!(Timestamp::from_seconds(up.seconds_up()), up);
        }
    }

    #[test]
    fn a_whole_second_is_itself_and_the_end_of_time_is_held() {
        let up = |nanos| Timestamp(nanos).up_to_second().nanos();
        assert_eq!(up(0), 0);
        assert_eq!(up(1), NANOS_PER_SECOND);
        assert_eq!(up(NANOS_PER_SECOND), NANOS_PER_SECOND);
        assert_eq!(up(NANOS_PER_SECOND + 1), 2 * NANOS_PER_SECOND);
        assert_eq!(up(i64::MAX), i64::MAX);
        assert_eq!(Timestamp::from_seconds(u64::MAX).nanos(), i64::MAX);
    }
}
