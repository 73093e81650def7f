//! Tenants that ask for little. They call from a thread of their own: on that of the loud callers
//! they would wait for those, not for the server.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::runtime::{Builder, Runtime};

use super::{
    QUIET_RATE,
    calls::{Connection, Outcomes, open_loop},
    connect,
    keys::Keys,
};
use crate::events::Events;

pub struct Quiet {
    runtime: Option<Runtime>,
    connections: Vec<Connection>,
}

impl Quiet {
    /// A connection for each of these tenants.
    pub async fn connect(
        address: SocketAddr,
        tenants: Vec<String>,
        keys: &Arc<Keys>,
        events: &Arc<Events>,
    ) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (keys, events) = (Arc::clone(keys), Arc::clone(events));
        let connecting =
            runtime.spawn(async move { connect(address, &tenants, &keys, &events).await });
        Self {
            connections: connecting.await.unwrap(),
            runtime: Some(runtime),
        }
    }

    /// Calls for so long, each tenant as often as quiet ones do.
    pub async fn call(&self, time: Duration) -> Outcomes {
        let rate = QUIET_RATE * self.connections.len() as f64;
        let calling = open_loop(self.connections.clone(), rate, time);
        let runtime = self.runtime.as_ref().unwrap();
        runtime.spawn(calling).await.unwrap()
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // One that is dropped as it is waits for its threads, which must not be done here.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
