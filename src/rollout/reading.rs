//! Reads models, one at a time: a large one takes as long as hundreds of calls, and a stack and
//! memory of its own, however many callers send one.

use std::sync::Arc;

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::Semaphore,
};

use super::{Deployment, RolloutError};
use crate::{
    limits::{MAX_MODELS_WAITING, RETRY_UNAVAILABLE_AFTER},
    scoring::{Diagnostic, Model},
    store::{Store, StoreError},
    telemetry::Shed,
};

/// The model that a text says, or everything that is wrong with it.
pub type ReadModel = Result<Arc<Model>, Vec<Diagnostic>>;

/// The one place where models are read while a server runs.
#[derive(Debug)]
pub(super) struct Reading {
    turn: Arc<Semaphore>,
    /// Room for callers that wait for their turn.
    waiting: Semaphore,
}

impl Reading {
    pub(super) fn new() -> Self {
        Self {
            turn: Arc::new(Semaphore::new(1)),
            waiting: Semaphore::new(MAX_MODELS_WAITING),
        }
    }

    /// Reads a model when its turn comes. Whoever waits no more gives up the turn; a reading that
    /// has begun keeps it to its end.
    pub(super) async fn read(&self, source: String) -> Result<ReadModel, StoreError> {
        let failed = || StoreError::Unavailable("the model could not be read".to_owned());
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let turn = turn.map_err(|_| failed())?;
        let read = move || {
            let _turn = turn;
            Model::parse(&source).map(Arc::new)
        };
        match Handle::current().runtime_flavor() {
            // A simulated run, which another thread would make another one each time.
            RuntimeFlavor::CurrentThread => Ok(read()),
            _ => tokio::task::spawn_blocking(read)
                .await
                .map_err(|_| failed()),
        }
    }
}

impl<S: Store> Deployment<S> {
    /// Reads a model for a caller. Turned away when too many wait.
    pub async fn read_sent(&self, source: String) -> Result<ReadModel, RolloutError> {
        let too_many = |_| {
            self.counters.shed(Shed::Models);
            RolloutError::TooManyReading {
                retry_after: RETRY_UNAVAILABLE_AFTER,
            }
        };
        let _room = self.reading.waiting.try_acquire().map_err(too_many)?;
        Ok(self.reading.read(source).await?)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures_util::poll;

    use super::*;

    const MODEL: &str = "[scores.s]\n";

    #[tokio::test]
    async fn one_model_is_read_at_a_time_and_who_leaves_gives_up_the_turn() {
        let reading = Reading::new();
        let turn = Arc::clone(&reading.turn).acquire_owned().await.unwrap();
        let mut first = Box::pin(reading.read(MODEL.to_owned()));
        let mut second = Box::pin(reading.read(MODEL.to_owned()));
        assert!(poll!(&mut first).is_pending());
        assert!(poll!(&mut second).is_pending());
        drop(first);
        drop(turn);
        let Poll::Ready(Ok(Ok(_))) = poll!(&mut second) else {
            panic!("the second still waits for the first, which has gone");
        };
        assert_eq!(reading.turn.available_permits(), 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_reading_that_has_begun_keeps_the_turn_when_its_caller_goes() {
        let reading = Reading::new();
        let mut abandoned = Box::pin(reading.read(MODEL.repeat(1_000)));
        assert!(poll!(&mut abandoned).is_pending());
        drop(abandoned);
        // The turn comes back by itself.
        assert!(reading.read(MODEL.to_owned()).await.unwrap().is_ok());
    }
}
