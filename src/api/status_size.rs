//! Keeps a status within what clients take: it travels in headers, its message in
//! percent-encoding and its details, which hold the message once more, in base64.

use std::fmt;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::limits::{MAX_MESSAGE_BYTES, MAX_REPEATED_BYTES, MAX_STATUS_BYTES};

/// A status of at most [`MAX_STATUS_BYTES`]: the message is shortened, and of the wrong
/// fields those are named that there is room for.
pub fn within_bounds(code: Code, message: &str, mut details: ErrorDetails) -> Status {
    let message = shortened(message, MAX_MESSAGE_BYTES);
    loop {
        let status = Status::with_error_details(code, &message, details.clone());
        if in_headers(&status) <= MAX_STATUS_BYTES {
            return status;
        }
        let mut named = match details.bad_request() {
            Some(request) if !request.field_violations.is_empty() => {
                request.field_violations.clone()
            }
            // Nothing else in the details grows with what a caller has sent.
            _ => return status,
        };
        match named.as_mut_slice() {
            // One that fills everything by itself is better shortened than left out.
            [only]
                if percent_encoded(&only.description) > MAX_REPEATED_BYTES
                    || percent_encoded(&only.field) > MAX_REPEATED_BYTES / 4 =>
            {
                only.description = shortened(&only.description, MAX_REPEATED_BYTES);
                only.field = shortened(&only.field, MAX_REPEATED_BYTES / 4);
            }
            _ => drop(named.pop()),
        }
        details.set_bad_request(named);
    }
}

/// Bytes that a status takes in headers.
fn in_headers(status: &Status) -> usize {
    percent_encoded(status.message()) + status.details().len().div_ceil(3) * 4
}

/// Bytes that a text takes in the header of the message.
fn percent_encoded(text: &str) -> usize {
    text.chars().map(percent_encoded_character).sum()
}

fn percent_encoded_character(character: char) -> usize {
    if character.is_ascii_graphic() && !"\"#%<>`?{}".contains(character) {
        1
    } else {
        3 * character.len_utf8()
    }
}

/// A text of at most `most` bytes in a header: what does not fit is replaced by `…`.
pub fn shortened(text: &str, most: usize) -> String {
    if percent_encoded(text) <= most {
        return text.to_owned();
    }
    let mut room = most.saturating_sub(percent_encoded_character('…'));
    let fitting = text.chars().take_while(|character| {
        let taken = percent_encoded_character(*character);
        let fits = taken <= room;
        room = room.saturating_sub(taken);
        fits
    });
    fitting.chain(['…']).collect()
}

/// `a, b and 5 more`, in at most `most` bytes of a header.
pub fn listed<T: fmt::Display>(names: &[T], most: usize) -> String {
    let mut text = String::new();
    let mut room = most.saturating_sub(percent_encoded(" and 1000000 more"));
    for (position, name) in names.iter().enumerate() {
        let separator = if position == 0 { "" } else { ", " };
        let next = format!("{separator}{name}");
        let taken = percent_encoded(&next);
        if taken > room {
            let more = names.len() - position;
            return match position {
                0 => format!("{more} of them"),
                _ => format!("{text} and {more} more"),
            };
        }
        room -= taken;
        text += &next;
    }
    text
}

#[cfg(test)]
mod tests {
    use tonic_types::FieldViolation;

    use super::*;

    /// What the status takes on the wire.
    fn sent(status: &Status) -> usize {
        let mut headers = http::HeaderMap::new();
        status.add_header(&mut headers).unwrap();
        headers.values().map(http::HeaderValue::len).sum()
    }

    #[test]
    fn every_status_fits_into_the_headers_of_clients() {
        for letter in ["a", " ", "ü", "語", "🦀", "\u{1}"] {
            for length in [0, 30, 300, 3_000, 30_000] {
                for count in [0, 1, 16, 100] {
                    let text = letter.repeat(length);
                    let violation = FieldViolation::new(&text, &text);
                    let details = ErrorDetails::with_bad_request(vec![violation; count]);
                    let status = within_bounds(Code::InvalidArgument, &text, details);
                    assert!(sent(&status) <= MAX_STATUS_BYTES, "{letter:?} {length}");
                    assert!(
                        sent(&status).abs_diff(in_headers(&status)) <= 4,
                        "{letter:?} {length}"
                    );
                    let named = status.get_details_bad_request();
                    let named = named.map_or(0, |request| request.field_violations.len());
                    assert_eq!(named == 0, count == 0, "{letter:?} {length} {count}");
                }
            }
        }
    }

    #[test]
    fn a_list_says_how_many_it_leaves_out() {
        let names: Vec<String> = (0..64).map(|number| format!("{number:0>64}")).collect();
        let text = listed(&names, 1_000);
        assert!(text.ends_with(" and 50 more"), "{text}");
        assert!(percent_encoded(&text) <= 1_000);
        assert_eq!(listed(&names[..2], 1_000).matches(", ").count(), 1);
        assert_eq!(listed(&["ü".repeat(500)], 1_000), "1 of them");
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(shortened("grün", 9), "grün");
        assert_eq!(shortened(&"ü".repeat(9), 30), "üüü…");
    }
}
