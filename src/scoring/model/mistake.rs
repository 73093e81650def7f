//! What is wrong with a model file, and where.

use std::{fmt, ops::Range};

/// A mistake in a model file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            column,
            message,
        } = self;
        write!(formatter, "{line}:{column}: {message}")
    }
}

impl std::error::Error for Mistake {}

/// The mistakes found so far in one file, so that all are told at once.
pub(super) struct Mistakes<'source> {
    source: &'source str,
    found: Vec<Mistake>,
}

impl<'source> Mistakes<'source> {
    pub(super) fn new(source: &'source str) -> Self {
        Self {
            source,
            found: Vec::new(),
        }
    }

    /// Notes a mistake at a place of the file.
    pub(super) fn add(&mut self, place: Range<usize>, message: impl Into<String>) {
        let before = self.source.get(..place.start).unwrap_or(self.source);
        let line_start = before.rfind('\n').map_or(0, |position| position + 1);
        self.found.push(Mistake {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.into(),
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All mistakes, in the order of the file.
    pub(super) fn into_sorted(mut self) -> Vec<Mistake> {
        self.found
            .sort_by_key(|mistake| (mistake.line, mistake.column));
        self.found.dedup();
        self.found
    }
}

/// ` (did you mean "x"?)` when a known name is near, else the list of what is known.
pub(super) fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let near = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min();
    match near {
        Some((_, candidate)) => format!("did you mean {candidate:?}?"),
        None if known.is_empty() => "none is declared".to_owned(),
        None => format!("known: {}", known.join(", ")),
    }
}
