//! Instants as RFC 3339 writes them.

use pbjson_types::Timestamp;

use crate::scoring::parse_instant;

/// What to write instead of something that is no instant.
const INSTEAD: &str = "write a date, a time and its offset from UTC, such as 2026-11-21T08:00:00Z or 2026-11-21T10:30:00+02:30";

/// Reads an instant. A leap second is the second before it.
pub fn parse(text: &str) -> Result<Timestamp, String> {
    let read = parse_instant(text).map(|(seconds, nanos)| Timestamp { seconds, nanos });
    read.ok_or_else(|| {
        let shown: String = text.chars().take(64).collect();
        format!("{shown:?} is no instant; {INSTEAD}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_with_every_offset_and_fraction() {
        for (text, seconds, nanos) in [
            ("1970-01-01T00:00:00Z", 0, 0),
            ("2026-01-01T02:30:00+02:30", 1_767_225_600, 0),
            ("2025-12-31T21:15:00.5-02:45", 1_767_225_600, 500_000_000),
            ("2026-01-01T00:00:00.0000000019Z", 1_767_225_600, 1),
            ("2026-01-01t00:00:00z", 1_767_225_600, 0),
            ("2000-02-29T12:00:00Z", 951_825_600, 0),
            ("1969-12-31T23:59:59Z", -1, 0),
            ("2262-04-11T23:47:16Z", 9_223_372_036, 0),
        ] {
            assert_eq!(parse(text), Ok(Timestamp { seconds, nanos }), "{text}");
        }
    }

    #[test]
    fn a_leap_second_is_the_second_before() {
        for (leap, before) in [
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
            ("2016-12-31T23:59:60.25Z", "2016-12-31T23:59:59.25Z"),
            ("2017-01-01T02:29:60+02:30", "2016-12-31T23:59:59Z"),
        ] {
            assert_eq!(parse(leap), parse(before));
            assert!(parse(leap).is_ok());
        }
    }

    #[test]
    fn what_is_no_instant_is_refused_with_what_to_write() {
        for wrong in [
            "",
            "yesterday",
            "2026-11-21",
            "2026-11-21T08:00Z",
            "2026-11-21T08:00:00",
            "2026-11-21T08:00:00.Z",
            "2026-02-29T08:00:00Z",
            "2026-13-01T08:00:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T08:00:61Z",
            "2026-11-21T08:00:00+0230",
            "2026-11-21T08:00:00+02:30 ",
            "٢٠٢٦-11-21T08:00:00Z",
        ] {
            assert!(
                parse(wrong).unwrap_err().contains("is no instant; write"),
                "{wrong}"
            );
        }
    }
}
