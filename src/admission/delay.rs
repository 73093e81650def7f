//! How long calls wait: what they take beyond what they take on a server that does nothing
//! else. What counts is how many calls of an interval wait: a burst makes some of them wait, a
//! queue that stays nearly all. Not quite all, because calls are not served in the order in which
//! they come: some are quick at any load.

use std::{collections::HashMap, time::Duration};

use crate::limits::QUIET_LATENCY_SAMPLES;

/// What an undisturbed call of a method takes.
#[derive(Clone, Copy, Debug)]
struct Base {
    latency: Duration,
    /// The smallest since `latency` was last replaced, and of how many.
    next: Duration,
    samples: u32,
}

/// The delays of some calls in one interval.
#[derive(Clone, Debug)]
pub struct Delays {
    /// How long a call may wait.
    target: Duration,
    /// The part of the calls that must be in time.
    least_in_time: (u64, u64),
    bases: HashMap<&'static str, Base>,
    ended: u64,
    in_time: u64,
}

impl Delays {
    /// Of calls that may wait so long, at least this part of them.
    pub fn new(target: Duration, least_in_time: (u64, u64)) -> Self {
        Self {
            target,
            least_in_time,
            bases: HashMap::new(),
            ended: 0,
            in_time: 0,
        }
    }

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
        self.ended += 1;
        // A method that takes long by itself may wait that much longer.
        let is_in_time = latency <= self.target + base.latency * 3;
        self.in_time += u64::from(is_in_time);
    }

    /// Ends the interval: whether too many of its calls have waited too long.
    pub fn end_interval(&mut self) -> bool {
        let (part, whole) = self.least_in_time;
        let waits = self.in_time * whole < self.ended * part;
        (self.ended, self.in_time) = (0, 0);
        waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{LEAST_PART_IN_TIME, QUEUE_TARGET};

    const METHOD: &str = "ScoreEvent";

    fn milliseconds(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn a_queue_stays_when_few_calls_are_in_time() {
        let mut delays = Delays::new(QUEUE_TARGET, LEAST_PART_IN_TIME);
        delays.ended(METHOD, milliseconds(1), true);
        assert!(!delays.end_interval());
        let interval = |delays: &mut Delays, in_time| {
            for number in 0..100 {
                let latency = if number < in_time { 2 } else { 60 };
                delays.ended(METHOD, milliseconds(latency), false);
            }
            delays.end_interval()
        };
        assert!(!interval(&mut delays, 25), "a burst");
        assert!(interval(&mut delays, 24));
        assert!(interval(&mut delays, 0));
        assert!(
            !delays.end_interval(),
            "an interval without calls says nothing"
        );
    }

    #[test]
    fn a_store_that_has_become_slow_is_learned_from_quiet_calls_alone() {
        let mut delays = Delays::new(QUEUE_TARGET, LEAST_PART_IN_TIME);
        delays.ended(METHOD, milliseconds(1), true);
        for _ in 0..1_000 {
            delays.ended(METHOD, milliseconds(40), false);
        }
        assert!(delays.end_interval());
        for _ in 0..2 * QUIET_LATENCY_SAMPLES {
            delays.ended(METHOD, milliseconds(40), true);
        }
        delays.end_interval();
        delays.ended(METHOD, milliseconds(100), false);
        assert!(!delays.end_interval());
    }
}
