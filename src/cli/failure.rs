//! What ends a command early, said so that a person knows what to do next.

use std::{fmt, io};

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::proto::google;

/// A command failed; its message is for people and its exit code is 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(String);

impl Failure {
    /// A failure with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// A failure to read or write `what`.
    pub fn io(what: impl fmt::Display, error: &io::Error) -> Self {
        Self(format!("{what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self(describe(&status))
    }
}

/// A server's error in one line: its code, its message, the fields it complains about and
/// when a retry is worth it.
pub fn describe(status: &Status) -> String {
    let details = status.get_error_details();
    let mut text = format!(
        "{}: {}",
        crate::telemetry::code_name(status.code()),
        printable(status.message())
    );
    for violation in details
        .bad_request()
        .map_or(&[][..], |request| &request.field_violations)
    {
        let (field, description) = (&violation.field, &violation.description);
        // The message begins with the first one.
        if status
            .message()
            .starts_with(&format!("{field} {description}"))
        {
            continue;
        }
        text += &format!("; {}: {}", printable(field), printable(description));
    }
    if let Some(delay) = details.retry_info().and_then(|info| info.retry_delay) {
        text += &format!("; try again in {}", humantime::format_duration(delay));
    }
    if status.code() == Code::Unauthenticated {
        text +=
            "; --token-file names a file with the secret of a key, or BELLWETHER_TOKEN holds it";
    }
    text
}

/// The error of one event of a stream as the error that a call of its own would have had.
pub fn status_of(error: &google::rpc::Status) -> Status {
    Status::with_details(
        Code::from_i32(error.code),
        error.message.clone(),
        error.encode_to_vec().into(),
    )
}

/// Text from elsewhere without control characters, which a terminal might obey.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                character
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tonic_types::ErrorDetails;

    #[test]
    fn an_error_names_its_code_its_fields_and_when_to_retry() {
        let mut details = ErrorDetails::new();
        details
            .add_bad_request_violation("event.time", "is before 1970")
            .set_retry_info(Some(Duration::from_secs(2)));
        let status =
            Status::with_error_details(Code::InvalidArgument, "the event is malformed", details);
        assert_eq!(
            describe(&status),
            "INVALID_ARGUMENT: the event is malformed; event.time: is before 1970; try again in 2s"
        );
    }

    #[test]
    fn what_the_message_says_already_is_not_said_again() {
        let mut details = ErrorDetails::new();
        details
            .add_bad_request_violation("profile_id", "is required")
            .add_bad_request_violation("view", "is unknown");
        let message = "profile_id is required (and 1 more)";
        let status = Status::with_error_details(Code::InvalidArgument, message, details);
        assert_eq!(
            describe(&status),
            "INVALID_ARGUMENT: profile_id is required (and 1 more); view: is unknown"
        );
    }

    #[test]
    fn the_error_of_an_event_keeps_its_details() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("events[0].type", "is required");
        let sent = Status::with_error_details(Code::InvalidArgument, "malformed", details);
        let inner = google::rpc::Status::decode(sent.details()).unwrap();
        assert_eq!(
            describe(&status_of(&inner)),
            "INVALID_ARGUMENT: malformed; events[0].type: is required"
        );
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }
}
