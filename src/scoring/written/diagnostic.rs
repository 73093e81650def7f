//! What is wrong with a file, and where.

use std::{fmt, iter, ops::Range};

use crate::scoring::limits::{MAX_DIAGNOSTICS, MAX_TAG_BYTES};

/// Names that a message lists.
const MAX_LISTED: usize = 32;

/// A mistake in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            column,
            message,
        } = self;
        write!(formatter, "{line}:{column}: {message}")
    }
}

impl std::error::Error for Diagnostic {}

/// The mistakes found so far in one file, so that all are told at once.
#[derive(Default)]
pub(crate) struct Diagnostics<'source> {
    source: &'source str,
    /// Where each line begins.
    lines: Vec<usize>,
    found: Vec<Diagnostic>,
    /// How many are beyond those that are told.
    untold: usize,
}

impl<'source> Diagnostics<'source> {
    pub(crate) fn new(source: &'source str) -> Self {
        Self {
            source,
            lines: iter::once(0)
                .chain(source.match_indices('\n').map(|(end, _)| end + 1))
                .collect(),
            found: Vec::new(),
            untold: 0,
        }
    }

    /// Notes a mistake at a place of the file.
    pub(crate) fn add(&mut self, span: Range<usize>, message: impl Into<String>) {
        if self.found.len() >= MAX_DIAGNOSTICS {
            self.untold += 1;
            return;
        }
        let (line, column) = self.place(&span);
        self.found.push(Diagnostic {
            line,
            column,
            message: message.into(),
        });
    }

    /// Line and column of a place of the file.
    pub(crate) fn place(&self, span: &Range<usize>) -> (usize, usize) {
        let before = self.source.get(..span.start).unwrap_or(self.source);
        let line = self.lines.partition_point(|start| *start <= before.len());
        let line_start = self.lines.get(line.saturating_sub(1)).copied();
        let in_line = before.get(line_start.unwrap_or(0)..).unwrap_or_default();
        (line, in_line.chars().count() + 1)
    }

    /// Whether no more are told.
    pub(crate) fn is_full(&self) -> bool {
        self.untold > 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All mistakes, in the order of the file.
    pub(crate) fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.found
            .sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        self.found.dedup();
        if let Some(last) = self.found.last_mut().filter(|_| self.untold > 0) {
            let more = format!(
                "; and at least {} more mistakes: mend these first",
                self.untold
            );
            last.message.push_str(&more);
        }
        self.found
    }
}

/// What is no name by its length is near to nothing, and takes long to compare.
fn may_be_name(text: &str) -> bool {
    text.len() <= MAX_TAG_BYTES
}

/// The known name that is near to another one. All known ones begin with `prefix`, which makes none
/// of them nearer.
pub(crate) fn nearest<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
    prefix: &str,
) -> Option<&'a str> {
    if !may_be_name(name) {
        return None;
    }
    let known = known.into_iter().filter(|known| may_be_name(known));
    let near = known
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, known)| *distance <= 1 + known.len().saturating_sub(prefix.len()) / 4);
    near.min().map(|(_, known)| known)
}

/// `did you mean "x"?` when a known name is near, else the list of what is known.
pub(crate) fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known
        .into_iter()
        .filter(|known| may_be_name(known))
        .collect();
    match nearest(name, known.iter().copied(), "") {
        Some(near) => format!("did you mean {near:?}?"),
        None if known.is_empty() => "none is declared".to_owned(),
        None if known.len() > MAX_LISTED => {
            format!("known: {} and others", known[..MAX_LISTED].join(", "))
        }
        None => format!("known: {}", known.join(", ")),
    }
}

/// The last boundary of a character at or before a position.
pub(crate) fn char_boundary_before(text: &str, position: usize) -> usize {
    let mut before = (0..=position.min(text.len())).rev();
    before.find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
