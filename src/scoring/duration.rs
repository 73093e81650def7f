//! Durations as people write them, in models and settings: a number and a unit.

use std::time::Duration;

/// `7d` and the like, in units of `ms`, `s`, `m`, `h`, `d` and `w`; `None` for other text, and
/// for what is longer than 292 years.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|character: char| character.is_ascii_alphabetic())?;
    let (number, unit) = (text.get(..unit_at)?, text.get(unit_at..)?);
    let (seconds, nanos) = match unit {
        "ms" => (1.0, 1e6),
        "s" => (1.0, 1e9),
        "m" => (60.0, 1e9),
        "h" => (3_600.0, 1e9),
        "d" => (86_400.0, 1e9),
        "w" => (604_800.0, 1e9),
        _ => return None,
    };
    let is_plain = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    if !number.bytes().all(is_plain) {
        return None;
    }
    let nanos = number.parse::<f64>().ok()? * seconds * nanos;
    (nanos < i64::MAX as f64).then(|| Duration::from_nanos(nanos as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, millis) in [
            ("250ms", 250),
            ("0s", 0),
            ("1.5s", 1_500),
            ("5m", 300_000),
            ("12h", 43_200_000),
            ("7d", 604_800_000),
            ("2w", 1_209_600_000),
        ] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(text), Some(duration), "{text}");
        }
        for text in [
            "",
            "5",
            "d",
            "5M",
            "5min",
            "5 m",
            "1h 30m",
            "-1s",
            "+1s",
            "1e3s",
            "infd",
            "1.2.3s",
            "999999999w",
            "5µs",
            "ü",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
