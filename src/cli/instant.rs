//! Instants as people write and read them (RFC 3339).

use std::time::{Duration, SystemTime};

use pbjson_types::Timestamp;

use crate::{proto::json::instant, scoring};

/// The instant that a person wrote, such as `2026-11-21T08:00:00Z`.
pub fn parse(text: &str) -> Result<Timestamp, String> {
    instant::parse(text)
}

/// The instant to the second in UTC; empty when there is none.
pub fn format(instant: Option<&Timestamp>) -> String {
    instant
        .and_then(|instant| u64::try_from(instant.seconds).ok())
        .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
        .map_or_else(String::new, |time| {
            humantime::format_rfc3339_seconds(time).to_string()
        })
}

/// The present second.
pub fn now() -> scoring::Timestamp {
    scoring::Timestamp::from_seconds(now_seconds().unsigned_abs())
}

/// Seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "a client moves old data to now; what it sends is an event like any other"
)]
pub fn now_seconds() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|elapsed| i64::try_from(elapsed.as_secs()).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_reads_as_it_was_written() {
        let instant = parse("2026-11-21T09:30:00.5+01:00").unwrap();
        assert_eq!(instant.nanos, 500_000_000);
        assert_eq!(format(Some(&instant)), "2026-11-21T08:30:00Z");
        assert_eq!(format(None), "");
    }

    #[test]
    fn an_instant_without_time_zone_is_refused_with_an_example() {
        assert!(parse("2026-11-21").unwrap_err().contains("such as"));
    }
}
