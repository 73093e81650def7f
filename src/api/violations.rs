//! What is wrong with a request, field by field.

use std::fmt;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation};

use super::{status_details::with_reason, status_size::shortened};
use crate::limits::{MAX_FIELD_VIOLATIONS, MAX_REPEATED_BYTES, MAX_SHOWN_CHARACTERS};

/// The violations of one request, in the order of its fields; at most
/// [`MAX_FIELD_VIOLATIONS`] are named, fewer when they are long; all are counted.
#[derive(Debug, Default)]
pub struct Violations {
    named: Vec<FieldViolation>,
    count: usize,
}

impl Violations {
    /// Adds what is wrong with a field.
    pub fn add(&mut self, field: impl fmt::Display, description: impl fmt::Display) {
        self.count += 1;
        if self.named.len() < MAX_FIELD_VIOLATIONS {
            self.named.push(FieldViolation::new(
                field.to_string(),
                description.to_string(),
            ));
        }
    }

    /// What was read, when nothing is wrong with it.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` with every violation.
    pub fn finish<T>(self, read: Option<T>) -> Result<T, Status> {
        match read {
            Some(read) if self.count == 0 => Ok(read),
            _ => Err(self.into_status()),
        }
    }

    fn into_status(self) -> Status {
        let first = self.named.first();
        let mut message = first.map_or("the request is malformed".to_owned(), |first| {
            let text = format!("{} {}", first.field, first.description);
            shortened(&text, MAX_REPEATED_BYTES)
        });
        if self.count > 1 {
            message += &format!(" (and {} more)", self.count - 1);
        }
        with_reason(
            Code::InvalidArgument,
            message,
            "INVALID_FIELD",
            ErrorDetails::with_bad_request(self.named),
        )
    }
}

/// Where an event stands in its request.
#[derive(Clone, Copy, Debug)]
pub enum EventPath {
    /// `event` of a `ScoreEvent`.
    Single,
    /// `events[i]` of a `ScoreEvents`.
    Indexed(usize),
}

impl fmt::Display for EventPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single => formatter.write_str("event"),
            Self::Indexed(index) => write!(formatter, "events[{index}]"),
        }
    }
}

/// A caller's text within an answer: quoted, escaped and shortened.
#[derive(Debug)]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(MAX_SHOWN_CHARACTERS) {
            None => write!(formatter, "{:?}", self.0),
            Some((end, _)) => write!(formatter, "{:?}…", &self.0[..end]),
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::*;

    #[test]
    fn violations_beyond_the_bound_are_counted_and_not_named() {
        let mut violations = Violations::default();
        for index in 0..1_000 {
            violations.add(format_args!("profile_ids[{index}]"), "is empty");
        }
        let status = violations.finish(Some(())).unwrap_err();
        assert_eq!(status.message(), "profile_ids[0] is empty (and 999 more)");
        let named = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(named.len(), MAX_FIELD_VIOLATIONS);
        assert_eq!(named[15].field, "profile_ids[15]");
    }

    #[test]
    fn shown_text_is_quoted_escaped_and_cut_between_characters() {
        assert_eq!(Shown("a\"b\n").to_string(), r#""a\"b\n""#);
        assert_eq!(
            Shown(&"ü".repeat(33)).to_string(),
            format!("\"{}\"…", "ü".repeat(32))
        );
    }
}
