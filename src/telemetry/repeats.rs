//! Lines that may come thousands of times a second: one when it begins, one now and then with
//! how often it came, one when it is over.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How often repeated lines are summed up, and how long one must not come to be over.
pub const SUM_UP_INTERVAL: Duration = Duration::from_secs(10);

/// A line, what it is about, and how that ended: of closed sets, so that no caller makes up more.
pub type Line = [&'static str; 3];

/// The lines that have come lately.
#[derive(Debug, Default)]
struct Repeats(HashMap<Line, Repeated>);

#[derive(Clone, Copy, Debug)]
struct Repeated {
    began: Instant,
    /// How often it came and was not written.
    unwritten: u64,
    /// How many of these were summed up.
    summed_up: u64,
}

/// What became of a line in an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sum {
    line: Line,
    times: u64,
    /// Since it began.
    period: Duration,
    is_over: bool,
}

impl Repeats {
    /// Whether a line that comes is to be written.
    fn comes(&mut self, line: Line, now: Instant) -> bool {
        let mut is_new = false;
        let repeated = self.0.entry(line).or_insert_with(|| {
            is_new = true;
            Repeated {
                began: now,
                unwritten: 0,
                summed_up: 0,
            }
        });
        if !is_new {
            repeated.unwritten += 1;
        }
        is_new
    }

    /// Ends an interval.
    fn sum_up(&mut self, now: Instant) -> Vec<Sum> {
        let mut sums = Vec::new();
        self.0.retain(|line, repeated| {
            let times = repeated.unwritten - repeated.summed_up;
            let period = now.saturating_duration_since(repeated.began);
            let is_over = times == 0 && period >= SUM_UP_INTERVAL;
            if times > 0 || (is_over && repeated.unwritten > 0) {
                sums.push(Sum {
                    line: *line,
                    times: if is_over { repeated.unwritten } else { times },
                    period,
                    is_over,
                });
            }
            repeated.summed_up = repeated.unwritten;
            !is_over
        });
        sums
    }
}

// Global, because the log is: what a line is written to belongs to the process, too.
static REPEATS: LazyLock<Mutex<Repeats>> = LazyLock::new(Mutex::default);

fn repeats() -> MutexGuard<'static, Repeats> {
    REPEATS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a line that may come very often is to be written; it is counted otherwise.
pub fn is_new(line: Line) -> bool {
    repeats().comes(line, Instant::now())
}

/// Writes how often lines came that were not written, for ever.
pub async fn follow() {
    loop {
        tokio::time::sleep(SUM_UP_INTERVAL).await;
        let sums = repeats().sum_up(Instant::now());
        for sum in sums {
            let [line, about, outcome] = sum.line;
            let (times, seconds) = (sum.times, sum.period.as_secs());
            if sum.is_over {
                tracing::info!(line, about, outcome, times, seconds, "over");
            } else {
                tracing::warn!(line, about, outcome, times, seconds, "repeated");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: Line = ["call failed", "ScoreEvent", "UNAVAILABLE"];

    #[test]
    fn a_line_is_written_when_it_begins_counted_while_it_goes_on_and_told_when_it_is_over() {
        let mut repeats = Repeats::default();
        let begin = Instant::now();
        let at = |intervals: u32| begin + SUM_UP_INTERVAL * intervals;
        let written = (0..1_000).filter(|_| repeats.comes(LINE, begin)).count();
        assert_eq!(written, 1);
        let sum = |times, intervals, is_over| Sum {
            line: LINE,
            times,
            period: SUM_UP_INTERVAL * intervals,
            is_over,
        };
        assert_eq!(repeats.sum_up(at(1)), [sum(999, 1, false)]);
        assert!(!repeats.comes(LINE, at(1)));
        assert_eq!(repeats.sum_up(at(2)), [sum(1, 2, false)]);
        assert_eq!(repeats.sum_up(at(3)), [sum(1_000, 3, true)]);
        assert!(repeats.comes(LINE, at(3)), "it begins anew");
    }

    #[test]
    fn a_line_that_came_once_is_told_once() {
        let mut repeats = Repeats::default();
        let begin = Instant::now();
        assert!(repeats.comes(LINE, begin));
        assert!(repeats.sum_up(begin + SUM_UP_INTERVAL).is_empty());
        assert!(repeats.comes(LINE, begin + SUM_UP_INTERVAL));
    }
}
