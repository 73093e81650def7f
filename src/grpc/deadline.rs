//! How long a call may take. tonic answers an expired `grpc-timeout` with `CANCELLED`,
//! which tells callers that they gave up themselves; the layer of [`super::calls`] answers
//! `DEADLINE_EXCEEDED` with what this file works out.

use std::time::Duration;

use http::HeaderMap;

use crate::config::Config;

/// The header of a timeout.
const GRPC_TIMEOUT_HEADER: &str = "grpc-timeout";
/// The greatest number of digits of a `grpc-timeout`, by the gRPC specification.
const MAX_DIGITS: usize = 8;

/// The bounds that an operator sets for unary calls.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// For callers that send none.
    pub default: Duration,
    /// For callers that send a longer one.
    pub maximum: Duration,
}

impl From<&Config> for Deadlines {
    fn from(config: &Config) -> Self {
        Self {
            default: config.default_deadline,
            maximum: config.max_deadline,
        }
    }
}

impl Deadlines {
    /// How long a unary call with these headers may take.
    ///
    /// # Errors
    /// [`MalformedTimeout`] when the header cannot be read.
    pub fn of_unary(&self, headers: &HeaderMap) -> Result<Duration, MalformedTimeout> {
        let sent = sent_timeout(headers)?;
        Ok(sent.unwrap_or(self.default).min(self.maximum))
    }
}

/// A `grpc-timeout` that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("grpc-timeout is malformed; send 1 to 8 digits and a unit of H, M, S, m, u or n")]
pub struct MalformedTimeout;

/// The timeout that the caller sent. A stream has this one or none.
///
/// # Errors
/// [`MalformedTimeout`] when the header cannot be read.
pub fn sent_timeout(headers: &HeaderMap) -> Result<Option<Duration>, MalformedTimeout> {
    headers
        .get(GRPC_TIMEOUT_HEADER)
        .map(|value| parse(value.as_bytes()).ok_or(MalformedTimeout))
        .transpose()
}

fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount: u64 = str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(amount * 3_600)),
        b'M' => Some(Duration::from_secs(amount * 60)),
        b'S' => Some(Duration::from_secs(amount)),
        b'm' => Some(Duration::from_millis(amount)),
        b'u' => Some(Duration::from_micros(amount)),
        b'n' => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINES: Deadlines = Deadlines {
        default: Duration::from_secs(10),
        maximum: Duration::from_secs(60),
    };

    fn headers(timeout: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(GRPC_TIMEOUT_HEADER, timeout.parse().unwrap());
        headers
    }

    #[test]
    fn every_unit_is_read() {
        for (text, expected) in [
            ("2H", Duration::from_secs(7_200)),
            ("3M", Duration::from_secs(180)),
            ("4S", Duration::from_secs(4)),
            ("5m", Duration::from_millis(5)),
            ("6u", Duration::from_micros(6)),
            ("7n", Duration::from_nanos(7)),
            ("0n", Duration::ZERO),
            ("99999999H", Duration::from_secs(99_999_999 * 3_600)),
        ] {
            assert_eq!(sent_timeout(&headers(text)), Ok(Some(expected)), "{text}");
        }
    }

    #[test]
    fn what_is_no_timeout_is_refused() {
        for text in [
            "",
            "S",
            "10",
            "10s",
            "-1S",
            "+1S",
            "1.5S",
            "123456789S",
            " 1S",
            "é",
        ] {
            let mut headers = HeaderMap::new();
            let value = http::HeaderValue::from_bytes(text.as_bytes()).unwrap();
            headers.insert(GRPC_TIMEOUT_HEADER, value);
            assert_eq!(sent_timeout(&headers), Err(MalformedTimeout), "{text}");
        }
    }

    #[test]
    fn a_unary_call_has_the_default_or_what_it_sends_up_to_the_maximum() {
        let of = |headers: &HeaderMap| DEADLINES.of_unary(headers).unwrap();
        assert_eq!(of(&HeaderMap::new()), Duration::from_secs(10));
        assert_eq!(of(&headers("30S")), Duration::from_secs(30));
        assert_eq!(of(&headers("2M")), Duration::from_secs(60));
        assert_eq!(sent_timeout(&HeaderMap::new()), Ok(None));
    }
}
