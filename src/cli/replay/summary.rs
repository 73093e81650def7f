//! What became of the lines of a replay.

use std::time::Duration;

use super::progress;
use crate::cli::output;

/// What became of the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events that counted.
    pub applied: u64,
    /// Events that had counted before.
    pub duplicate: u64,
    /// Events older than what their profile can still tell from a repeat.
    pub too_old: u64,
    /// Events that a quarantine rule holds.
    pub quarantined: u64,
    /// Profile updates that were made.
    pub updates: u64,
    /// Lines that cannot be read, or that the server does not take.
    pub refused: u64,
}

impl Summary {
    /// Every line that has an answer.
    pub fn answered(&self) -> u64 {
        let events = self.applied + self.duplicate + self.too_old + self.quarantined;
        events + self.updates + self.refused
    }
}

/// The summary for people: what became of the lines, and how fast.
pub fn describe(summary: &Summary, elapsed: Duration) -> String {
    let rows = [
        ("applied", summary.applied),
        ("duplicate", summary.duplicate),
        ("too old", summary.too_old),
        ("quarantined", summary.quarantined),
        ("updates", summary.updates),
        ("refused", summary.refused),
    ];
    let mut text = String::new();
    for (name, count) in rows {
        text += &format!("{name:<12}{:>12}\n", output::count(count));
    }
    text += &format!(
        "{} lines in {:.1} s, {}/s\n",
        output::count(summary.answered()),
        elapsed.as_secs_f64(),
        output::count(progress::rate(summary.answered(), elapsed))
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_every_line_with_an_answer() {
        let summary = Summary {
            applied: 1,
            duplicate: 2,
            too_old: 3,
            quarantined: 6,
            updates: 4,
            refused: 5,
        };
        assert_eq!(summary.answered(), 21);
    }

    #[test]
    fn the_summary_names_every_count_and_the_rate() {
        let summary = Summary {
            applied: 1_500,
            duplicate: 300,
            too_old: 100,
            quarantined: 0,
            updates: 90,
            refused: 10,
        };
        let text = describe(&summary, Duration::from_secs(2));
        for part in [
            "applied",
            "1,500",
            "too old",
            "refused",
            "2,000 lines in 2.0 s, 1,000/s",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
