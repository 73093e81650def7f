//! What every status is made of beside its code and message: a stable reason, when to try again, and
//! what programs may want to know.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tonic::{Code, Status};
use tonic_types::ErrorDetails;

use super::status_size::within_bounds;
use crate::limits::spread;

/// The domain of every `google.rpc.ErrorInfo`.
pub const ERROR_DOMAIN: &str = "bellwether.dev";

/// When to try again, in milliseconds, as libraries of gRPC read it: they know nothing of `RetryInfo`.
pub const RETRY_PUSHBACK: &str = "grpc-retry-pushback-ms";

/// A status with a stable reason beside its other details, no larger than clients take.
pub fn with_reason(code: Code, message: String, reason: &str, details: ErrorDetails) -> Status {
    with_info(code, message, (reason, HashMap::new()), details)
}

/// The same, with what a program may want to know by name.
pub(super) fn with_info(
    code: Code,
    message: String,
    (reason, known): (&str, HashMap<String, String>),
    mut details: ErrorDetails,
) -> Status {
    details.set_error_info(reason, ERROR_DOMAIN, known);
    let retry = details.retry_info().and_then(|retry| retry.retry_delay);
    let mut status = within_bounds(code, &message, details);
    if let Some(delay) = retry {
        // Rounded up, so that a little is not at once.
        let delay = u64::try_from(delay.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX);
        status.metadata_mut().insert(RETRY_PUSHBACK, delay.into());
    }
    status
}

/// About how long to wait before the next attempt.
pub(super) fn retry(delay: Duration) -> ErrorDetails {
    ErrorDetails::with_retry_info(Some(spread_out(delay)))
}

/// About as long, and another time for each who is told.
pub fn spread_out(delay: Duration) -> Duration {
    static TOLD: AtomicU64 = AtomicU64::new(0);
    spread(delay, TOLD.fetch_add(1, Ordering::Relaxed))
}
