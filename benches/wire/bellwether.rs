//! The real server, in this process.

use std::net::SocketAddr;

use bellwether::{
    config::{Config, Flags},
    server,
    telemetry::Telemetry,
};
use tokio::{sync::oneshot, task::JoinHandle};

pub struct Bellwether {
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Bellwether {
    /// Starts on a store, a directory or the address of a Redis.
    pub async fn start(store: String) -> Self {
        Self::start_by(store, None).await
    }

    /// Starts with the model of a file; `None` for the built-in one.
    pub async fn start_by(store: String, model: Option<String>) -> Self {
        let flags = Flags {
            listen: Some("127.0.0.1:0".to_owned()),
            admin_listen: Some("127.0.0.1:0".to_owned()),
            store: Some(store),
            model,
            ..Flags::default()
        };
        // A machine that is busy with something else is slow, not wrong.
        let patient = |name: &str| {
            let is_bound = ["REDIS_TIMEOUT", "DEFAULT_DEADLINE"]
                .iter()
                .any(|bound| name.ends_with(bound));
            is_bound.then(|| "60s".to_owned())
        };
        let config = Config::load(&flags, patient).unwrap();
        let bound = server::bind(config, Telemetry::disabled()).await.unwrap();
        let address = bound.local_address();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            bound.run(stopped).await.unwrap();
        });
        Self {
            address,
            stop,
            served,
        }
    }

    pub async fn stop(self) {
        let _ = self.stop.send(());
        self.served.await.unwrap();
    }
}
