//! Instants as people and programs write them (RFC 3339).

/// The instant that a text says: seconds from the start of 1970 on, which are negative before it,
/// and the nanoseconds beyond them. `None` for what is no instant. A leap second is the second
/// before it.
pub fn parse_instant(text: &str) -> Option<(i64, i32)> {
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
    let days = days_since_1970(year, month, day);
    is_valid.then(|| (days * 86_400 + seconds - offset, nanos))
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
