//! What became of the lines of a replay.

use std::{collections::BTreeMap, time::Duration};

use super::{lines::CutOff, progress};
use crate::{
    cli::{failure::printable, output},
    limits::MAX_UNMATCHED_TYPES,
};

/// Event types that match nothing and are named at the end, most lines first.
const NAMED_TYPES: usize = 20;

/// What became of the lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// The last line, when it was left unread.
    pub cut_off: Option<CutOff>,
    /// Events whose type the model names nowhere, by type; an empty type stands for all beyond
    /// [`MAX_UNMATCHED_TYPES`].
    pub unmatched: BTreeMap<String, u64>,
}

impl Summary {
    /// Notes an event whose type the model names nowhere.
    pub fn note_unmatched(&mut self, event_type: &str) {
        if let Some(count) = self.unmatched.get_mut(event_type) {
            *count += 1;
            return;
        }
        let is_full = self.unmatched.len() >= MAX_UNMATCHED_TYPES;
        let name = if is_full { "" } else { event_type };
        *self.unmatched.entry(name.to_owned()).or_default() += 1;
    }

    /// Whether every line had its effect, now or before.
    pub fn is_complete(&self) -> bool {
        self.refused == 0 && self.too_old == 0 && self.cut_off.is_none()
    }

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
    for note in notes(summary) {
        text += &note;
        text += "\n";
    }
    text
}

/// What had no effect, why, and what to do.
fn notes(summary: &Summary) -> Vec<String> {
    let mut notes = Vec::new();
    if summary.refused > 0 {
        notes.push(format!(
            "{} refused lines did nothing; the reasons are on standard error",
            output::count(summary.refused)
        ));
    }
    if summary.too_old > 0 {
        notes.push(format!(
            "{} events were ignored (TOO_OLD) and did nothing: their profiles no longer know \
             whether they counted before. Replay the oldest first, or set remembered_events of \
             the server higher before anything is sent",
            output::count(summary.too_old)
        ));
    }
    let mut unmatched: Vec<_> = summary.unmatched.iter().collect();
    unmatched.sort_by_key(|(name, count)| (name.is_empty(), std::cmp::Reverse(**count)));
    let unnamed = unmatched.split_off(unmatched.len().min(NAMED_TYPES));
    for (name, count) in unmatched {
        let (name, count) = (printable(name), output::count(*count));
        notes.push(format!("{name}: {count} lines match nothing"));
    }
    if !unnamed.is_empty() {
        let count: u64 = unnamed.iter().map(|(_, count)| **count).sum();
        notes.push(format!(
            "other event types: {} lines match nothing",
            output::count(count)
        ));
    }
    if let Some(cut_off) = &summary.cut_off {
        notes.push(format!("{cut_off}; replay again when it is whole"));
    }
    notes
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
            ..Summary::default()
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
            cut_off: Some(CutOff {
                line: 2_001,
                reason: "not whole".to_owned(),
            }),
            ..Summary::default()
        };
        let text = describe(&summary, Duration::from_secs(2));
        for part in [
            "applied",
            "1,500",
            "too old",
            "refused",
            "2,000 lines in 2.0 s, 1,000/s",
            "100 events were ignored (TOO_OLD)",
            "line 2001 was left unread",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn types_that_match_nothing_are_named_with_most_lines_first_and_are_bounded() {
        let mut summary = Summary::default();
        for _ in 0..1_204 {
            summary.note_unmatched("form_submited");
        }
        summary.note_unmatched("\u{1b}[2J");
        let text = describe(&summary, Duration::from_secs(1));
        assert!(text.contains("form_submited: 1,204 lines match nothing\n\u{fffd}[2J: 1 lines"));
        for number in 0..1_000 {
            summary.note_unmatched(&number.to_string());
        }
        assert_eq!(summary.unmatched.len(), MAX_UNMATCHED_TYPES + 1);
        let text = describe(&summary, Duration::from_secs(1));
        assert!(
            text.contains("other event types: 982 lines match nothing"),
            "{text}"
        );
        assert!(summary.is_complete());
    }
}
