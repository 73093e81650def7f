//! The health that gRPC tells: that of the server as a whole and of the scoring service, which is
//! what its [`Readiness`] says, and [`LIVENESS`].

use std::convert::Infallible;

use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    admin::{Readiness, State},
    limits::{HEALTH_INTERVAL, HEALTH_TIMEOUT},
    service::{Service, ServiceError},
    store::{Store, StoreError},
};

/// The name by which health says that the process answers, whatever its store does: for who
/// restarts what is dead. The other names say what the store says.
pub const LIVENESS: &str = "liveness";

/// Sets the readiness of a server by what its service says, and has watchers hear of it.
pub struct Health {
    reporter: HealthReporter,
    /// What is told beside [`LIVENESS`].
    names: [&'static str; 2],
    readiness: Readiness,
}

impl Health {
    /// Of a server of this service, about which nothing is known.
    pub async fn new(scoring: &'static str, readiness: Readiness) -> Self {
        let reporter = HealthReporter::new();
        reporter
            .set_service_status(LIVENESS, ServingStatus::Serving)
            .await;
        Self {
            reporter,
            names: ["", scoring],
            readiness,
        }
    }

    /// What the health service answers by.
    pub const fn reporter(&self) -> &HealthReporter {
        &self.reporter
    }

    /// Says what the server is up to; watchers hear of it when calls are welcome from now on, or no
    /// more. Returns their status then.
    async fn report(&self, state: State) -> Option<ServingStatus> {
        let before = self.readiness.set(state);
        if before != State::Starting && before.is_serving() == state.is_serving() {
            return None;
        }
        let status = match state.is_serving() {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        };
        for name in self.names {
            self.reporter.set_service_status(name, status).await;
        }
        Some(status)
    }

    /// Asks the service, and reports what is new.
    pub async fn check<S: Store>(&self, service: &Service<S>) {
        let (state, reason) = match tokio::time::timeout(HEALTH_TIMEOUT, service.ping()).await {
            Ok(Ok(())) => (State::Serving, None),
            Ok(Err(error)) => (State::Failing(kind_of(&error)), Some(error.to_string())),
            Err(_) => {
                let silence = "the store does not answer in time";
                (State::Failing(silence), Some(silence.to_owned()))
            }
        };
        match (self.report(state).await, reason) {
            (None, _) => {}
            (Some(status), None) => tracing::info!(%status, "health"),
            (Some(status), Some(reason)) => tracing::error!(%status, %reason, "health"),
        }
    }

    /// Asks the service now and then, for ever.
    pub async fn follow<S: Store>(&self, service: &Service<S>) -> Infallible {
        loop {
            tokio::time::sleep(HEALTH_INTERVAL).await;
            self.check(service).await;
        }
    }

    /// Tells watchers that the server stops and ends their streams, which would otherwise
    /// keep their connections open until the drain timeout. A server that drains is alive to
    /// its end, so those of [`LIVENESS`] hear nothing else.
    pub async fn drain(&mut self) {
        self.report(State::Draining).await;
        // A watcher still reads the last report before the end of its stream.
        for name in self.names.into_iter().chain([LIVENESS]) {
            self.reporter.clear_service_status(name).await;
        }
    }
}

/// What is the matter, in words that no failure adds to.
fn kind_of(error: &ServiceError) -> &'static str {
    match error {
        ServiceError::Store(StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_)) => {
            "the store is unavailable"
        }
        ServiceError::Store(StoreError::Lost(_)) => "what the store held is gone",
        ServiceError::Store(StoreError::Corrupt(_)) => "the store is damaged",
        ServiceError::Store(StoreError::Misconfigured(_)) => {
            "the store cannot serve as it is set up"
        }
        _ => "the store takes no writes",
    }
}
