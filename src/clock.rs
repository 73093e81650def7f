//! The clock: handed to whoever needs it, so that a test or a simulation hands another one.

use std::sync::Arc;

use crate::scoring::Timestamp;

/// Tells the instant.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The clock of the machine.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that tells the time of events"
)]
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since_epoch = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap_or_default();
        let nanos = i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX);
        Timestamp::from_nanos(nanos).unwrap_or_default()
    })
}
