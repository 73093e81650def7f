//! Whether writes succeed.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::time::Instant;

use crate::{
    limits::{WRITES_FAILING_AFTER, WRITES_FORGOTTEN_AFTER},
    store::StoreError,
};

/// What the latest writes came to.
#[derive(Debug, Default)]
pub(super) struct Writes {
    /// Whether the last one has failed, so that those that succeed take no lock.
    is_failing: AtomicBool,
    failing: Mutex<Option<Failing>>,
}

/// Writes that have failed, and none that succeeded among them.
#[derive(Debug)]
struct Failing {
    since: Instant,
    last: Instant,
    error: StoreError,
}

/// Whether a failure is the store's own and may be that of the next write, too.
fn is_of_the_store(error: &StoreError) -> bool {
    !matches!(error, StoreError::Superseded | StoreError::TooLarge(_))
}

impl Writes {
    /// Takes in what became of some writes.
    pub(super) fn note<T>(&self, results: &[Result<T, StoreError>]) {
        if results.iter().any(Result::is_ok) {
            if self.is_failing.swap(false, Ordering::AcqRel) {
                *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
            return;
        }
        let mut errors = results.iter().filter_map(|result| result.as_ref().err());
        let Some(error) = errors.find(|error| is_of_the_store(error)) else {
            return;
        };
        let now = Instant::now();
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let since = failing.as_ref().map_or(now, |failing| failing.since);
        *failing = Some(Failing {
            since,
            last: now,
            error: error.clone(),
        });
        self.is_failing.store(true, Ordering::Release);
    }

    /// Whether writes may succeed. Not when all have failed for a while; but who is told of that
    /// sends none any more, so it is forgotten when none came.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Failing { since, last, error }) = &*failing else {
            return Ok(());
        };
        if last.elapsed() > WRITES_FORGOTTEN_AFTER {
            *failing = None;
            return Ok(());
        }
        match last.duration_since(*since) >= WRITES_FAILING_AFTER {
            true => Err(error.clone()),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn failed() -> [Result<(), StoreError>; 1] {
        [Err(StoreError::Unavailable("full".to_owned()))]
    }

    async fn wait(duration: Duration) {
        tokio::time::advance(duration).await;
    }

    #[tokio::test(start_paused = true)]
    async fn writes_that_all_fail_for_a_while_are_told_until_one_succeeds() {
        let writes = Writes::default();
        writes.note(&failed());
        assert_eq!(writes.check(), Ok(()), "one failure is none");
        wait(WRITES_FAILING_AFTER).await;
        writes.note(&failed());
        assert!(matches!(writes.check(), Err(StoreError::Unavailable(_))));
        writes.note::<()>(&[Err(StoreError::Superseded)]);
        assert!(writes.check().is_err());
        writes.note(&[failed()[0].clone(), Ok(())]);
        assert_eq!(writes.check(), Ok(()));
        writes.note(&failed());
        assert_eq!(writes.check(), Ok(()), "it begins anew");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_forgotten_when_no_write_comes() {
        let writes = Writes::default();
        writes.note(&failed());
        wait(WRITES_FAILING_AFTER).await;
        writes.note(&failed());
        wait(WRITES_FORGOTTEN_AFTER).await;
        assert!(writes.check().is_err());
        wait(Duration::from_millis(1)).await;
        assert_eq!(writes.check(), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_the_stores_fault_is_no_failure() {
        let writes = Writes::default();
        for _ in 0..3 {
            writes.note::<()>(&[
                Err(StoreError::Superseded),
                Err(StoreError::TooLarge("9 MiB".to_owned())),
            ]);
            wait(WRITES_FAILING_AFTER).await;
        }
        assert_eq!(writes.check(), Ok(()));
    }
}
