//! `serve`: the server, until it is told to stop.

use std::convert::Infallible;

use clap::Args;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
};

use super::{
    configured::{configured, slips},
    settings::SettingFlags,
};
use crate::{
    config::{self, ConfigError},
    server::{self, ServerError},
    telemetry::{self, TelemetryError},
};

/// Runs the server until SIGTERM or SIGINT, then drains; SIGHUP reads the model files again
#[derive(Args, Clone, Debug, Default)]
#[command(after_help = config::HELP)]
pub struct Serve {
    #[command(flatten)]
    settings: SettingFlags,
}

/// Why `serve` failed.
#[derive(Debug, thiserror::Error)]
pub enum ServeFailure {
    /// The configuration is wrong: a mistake of usage.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Logs, traces or metrics could not start.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The server could not start, or failed.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The process cannot be told to stop.
    #[error("cannot listen for signals: {0}")]
    Signals(#[from] std::io::Error),
}

impl Serve {
    /// Configuration, telemetry, server, in this order; returns after a drain.
    ///
    /// # Errors
    /// [`ServeFailure`].
    pub async fn run(self) -> Result<(), ServeFailure> {
        let config = configured(&self.settings.0)?;
        let mut stop = std::pin::pin!(stop_signal()?);
        // From now on it ends no process: that would be its default.
        let hangup = signal(SignalKind::hangup())?;
        let (telemetry, exporters) = telemetry::start(
            config.log_level,
            config.log_format,
            config.otlp_endpoint.as_ref(),
        )?;
        for slip in slips() {
            tracing::warn!("{slip}");
        }
        // A start may build ranks for long. The next one goes on where it is left.
        let bound = tokio::select! {
            bound = server::bind(config, telemetry) => Some(bound),
            () = &mut stop => None,
        };
        let served = match bound {
            Some(Ok(server)) => {
                let reload = server.reload();
                tokio::select! {
                    served = server.run(stop) => served,
                    never = reload_at(hangup, &reload) => match never {},
                }
            }
            Some(Err(error)) => Err(error),
            None => {
                tracing::info!("stopped before it was ready");
                Ok(())
            }
        };
        exporters.shut_down().await;
        Ok(served?)
    }
}

/// Has the model files read again at each SIGHUP, for ever.
async fn reload_at(mut hangup: Signal, reload: &Notify) -> Infallible {
    loop {
        if hangup.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        reload.notify_one();
    }
}

/// Ends when the process is told to stop, by SIGTERM or SIGINT, which from now on do not
/// end it by themselves.
///
/// # Errors
/// When the system gives no signals.
pub(super) fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
