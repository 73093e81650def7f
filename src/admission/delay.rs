//! How long calls wait: what they take beyond what they take on a server that does nothing
//! else. What counts is the smallest delay of an interval: a burst makes some calls wait, a
//! queue that stays makes all of them wait.

use std::{collections::HashMap, time::Duration};

use crate::limits::{QUEUE_TARGET, QUIET_LATENCY_SAMPLES};

/// What an undisturbed call of a method takes.
#[derive(Clone, Copy, Debug)]
struct Base {
    latency: Duration,
    /// The smallest since `latency` was last replaced, and of how many.
    next: Duration,
    samples: u32,
}

/// The delays of one class of calls in one interval.
#[derive(Clone, Debug, Default)]
pub struct Delays {
    bases: HashMap<&'static str, Base>,
    seen: bool,
    some_in_time: bool,
}

impl Delays {
    /// A call has ended. `was_quiet` says that nothing else was in work when it began.
    pub fn ended(&mut self, method: &'static str, latency: Duration, was_quiet: bool) {
        let base = self.bases.entry(method).or_insert(Base {
            latency,
            next: Duration::MAX,
            samples: 0,
        });
        base.latency = base.latency.min(latency);
        if was_quiet {
            base.next = base.next.min(latency);
            base.samples += 1;
            if base.samples >= QUIET_LATENCY_SAMPLES {
                // The store may have become slower, or the calls of this method larger.
                base.latency = base.next;
                base.next = Duration::MAX;
                base.samples = 0;
            }
        }
        self.seen = true;
        // A method that takes long by itself may wait that much longer.
        self.some_in_time |= latency <= QUEUE_TARGET + base.latency * 3;
    }

    /// Ends the interval: whether all its calls have waited too long.
    pub fn end_interval(&mut self) -> bool {
        let waits = self.seen && !self.some_in_time;
        self.seen = false;
        self.some_in_time = false;
        waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METHOD: &str = "ScoreEvent";

    fn milliseconds(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn one_call_in_time_shows_that_no_queue_stays() {
        let mut delays = Delays::default();
        delays.ended(METHOD, milliseconds(1), true);
        assert!(!delays.end_interval());
        for _ in 0..100 {
            delays.ended(METHOD, milliseconds(60), false);
        }
        delays.ended(METHOD, milliseconds(2), false);
        assert!(!delays.end_interval());
        delays.ended(METHOD, milliseconds(60), false);
        assert!(delays.end_interval());
        assert!(
            !delays.end_interval(),
            "an interval without calls says nothing"
        );
    }

    #[test]
    fn a_store_that_has_become_slow_is_learned_from_quiet_calls_alone() {
        let mut delays = Delays::default();
        delays.ended(METHOD, milliseconds(1), true);
        for _ in 0..1_000 {
            delays.ended(METHOD, milliseconds(40), false);
        }
        assert!(!delays.end_interval());
        delays.ended(METHOD, milliseconds(40), false);
        assert!(delays.end_interval());
        for _ in 0..2 * QUIET_LATENCY_SAMPLES {
            delays.ended(METHOD, milliseconds(40), true);
        }
        delays.end_interval();
        delays.ended(METHOD, milliseconds(100), false);
        assert!(!delays.end_interval());
    }
}
