//! Instants as RFC 3339 writes them.

use pbjson_types::Timestamp;

/// What to write instead of something that is no instant.
const INSTEAD: &str = "write a date, a time and its offset from UTC, such as 2026-11-21T08:00:00Z or 2026-11-21T10:30:00+02:30";

/// Reads an instant. A leap second is the second before it.
pub fn parse(text: &str) -> Result<Timestamp, String> {
    read(text).ok_or_else(|| {
        let shown: String = text.chars().take(64).collect();
        format!("{shown:?} is no instant; {INSTEAD}")
    })
}

fn read(text: &str) -> Option<Timestamp> {
    let mut rest = text;
    let year = digits(&mut rest, 4)?;
    let month = mark(&mut rest, "-").and_then(|()| digits(&mut rest, 2))?;
    let day = mark(&mut rest, "-").and_then(|()| digits(&mut rest, 2))?;
    mark(&mut rest, "Tt ")?;
    let hour = digits(&mut rest, 2)?;
    let minute = mark(&mut rest, ":").and_then(|()| digits(&mut rest, 2))?;
    let second = mark(&mut rest, ":").and_then(|()| digits(&mut rest, 2))?;
    let nanos = match mark(&mut rest, ".") {
        Some(()) => fraction(&mut rest)?,
        None => 0,
    };
    let offset = offset(rest)?;
    let is_valid = year >= 1
        && (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 60;
    let seconds = hour * 3_600 + minute * 60 + second.min(59);
    is_valid.then(|| Timestamp {
        seconds: days_since_1970(year, month, day) * 86_400 + seconds - offset,
        nanos,
    })
}

/// Takes one of these characters.
fn mark(rest: &mut &str, allowed: &str) -> Option<()> {
    let first = rest.chars().next()?;
    if !allowed.contains(first) {
        return None;
    }
    *rest = &rest[first.len_utf8()..];
    Some(())
}

/// Takes a number of so many digits.
fn digits(rest: &mut &str, count: usize) -> Option<i64> {
    let taken = rest.get(..count)?;
    if !taken.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    *rest = &rest[count..];
    taken.parse().ok()
}

/// Takes the digits of a fraction, as nanoseconds; what is finer is left out.
fn fraction(rest: &mut &str) -> Option<i32> {
    let count = rest.bytes().take_while(u8::is_ascii_digit).count();
    if count == 0 {
        return None;
    }
    let (taken, after) = rest.split_at(count);
    *rest = after;
    let nanos: String = taken.chars().chain("00000000".chars()).take(9).collect();
    nanos.parse().ok()
}

/// Reads what is left, as seconds ahead of UTC.
fn offset(mut rest: &str) -> Option<i64> {
    if rest == "Z" || rest == "z" {
        return Some(0);
    }
    let sign = if rest.starts_with('-') { -1 } else { 1 };
    mark(&mut rest, "+-")?;
    let hours = digits(&mut rest, 2)?;
    let minutes = mark(&mut rest, ":").and_then(|()| digits(&mut rest, 2))?;
    let is_valid = rest.is_empty() && hours <= 23 && minutes <= 59;
    is_valid.then_some(sign * (hours * 3_600 + minutes * 60))
}

fn days_of(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // A year that begins in March has its leap day at the end.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days_before_year = 365 * year + year / 4 - year / 100 + year / 400;
    let days_before_month = (153 * month + 2) / 5;
    days_before_year + days_before_month + day - 1 - 719_468
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
