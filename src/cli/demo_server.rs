//! The one place of the demo that starts a server: in this process, as `serve` would.

use std::path::Path;

use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use super::failure::Failure;
use crate::{
    admin::Readiness,
    config::{Config, Flags},
    server::{self, ServerError},
    telemetry::Telemetry,
};

/// A server that runs in this process.
pub(super) struct Running {
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ServerError>>,
}

impl Running {
    /// Answers what is in flight, then stops.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        // A server that has already ended tells so through its task.
        let _ = self.stop.send(());
        let served = self
            .served
            .await
            .map_err(|error| Failure::new(error.to_string()))?;
        served.map_err(|error| Failure::new(error.to_string()))
    }
}

/// Starts a server on a store in `directory`, with the model that is built in.
pub(super) async fn start(directory: &Path, listener: TcpListener) -> Result<Running, Failure> {
    let flags = Flags {
        store: Some(directory.display().to_string()),
        ..Flags::default()
    };
    // Nothing but defaults: the demo shows the same wherever it runs.
    let config = Config::load(&flags, |_| None);
    let config = config.map_err(|error| Failure::new(error.to_string()))?;
    let bound = server::open(
        config,
        listener,
        Readiness::default(),
        Telemetry::disabled(),
    )
    .await;
    let bound = bound.map_err(|error| Failure::new(error.to_string()))?;
    let (stop, stopped) = oneshot::channel();
    let served = tokio::spawn(bound.run(async {
        let _ = stopped.await;
    }));
    Ok(Running { stop, served })
}
