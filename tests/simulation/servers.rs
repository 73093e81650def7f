//! The servers of a run: each starts, stops in the middle or in order, and starts again,
//! perhaps with another model.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex},
};

use bellwether::{
    clock::Clock,
    rollout::{self, Models},
    scoring::Model,
    service::{Service, Settings},
    telemetry::Counters,
};
use tokio::{
    sync::mpsc,
    time::{Duration, Instant, sleep, timeout},
};

use crate::{
    network::{Connection, Shared},
    people,
};

pub type Simulated = Service<Connection>;

/// How long a server that failed to start waits before it tries again.
const RESTART_AFTER: Duration = Duration::from_millis(300);
/// How long a server that stops in order may take.
const STOPS_WITHIN: Duration = Duration::from_secs(5);

/// What happens to a server.
#[derive(Clone, Copy, Debug)]
pub enum Command {
    /// It stops in the middle of whatever it does, and starts again after a while.
    Kill(Duration),
    /// It finishes its work, and starts again with the model of this number.
    Upgrade(usize),
    /// It stops in the middle, for ever.
    Stop,
}

/// A server as clients see it.
pub struct Server {
    pub name: &'static str,
    commands: mpsc::UnboundedSender<Command>,
    serving: Arc<Mutex<Option<Simulated>>>,
}

impl Server {
    /// Has something happen to it, after what it was told before.
    pub fn tell(&self, command: Command) {
        // One that stopped for ever hears nothing.
        let _ = self.commands.send(command);
    }

    /// The service, when it is up.
    pub fn service(&self) -> Option<Simulated> {
        self.serving.lock().unwrap().clone()
    }
}

/// What every server is started with.
#[derive(Clone)]
pub struct Setup {
    pub world: Shared,
    pub models: &'static [Arc<Model>],
    pub remembered_events: usize,
    pub rebuild_rate: u32,
    pub began: Instant,
}

impl Setup {
    /// Starts a server of a name with the first model.
    pub fn start(&self, name: &'static str) -> Server {
        let (commands, received) = mpsc::unbounded_channel();
        let serving = Arc::new(Mutex::new(None));
        tokio::spawn(self.clone().run(name, Arc::clone(&serving), received));
        Server {
            name,
            commands,
            serving,
        }
    }

    async fn run(
        self,
        name: &'static str,
        serving: Arc<Mutex<Option<Simulated>>>,
        mut commands: mpsc::UnboundedReceiver<Command>,
    ) {
        let mut model = 0;
        loop {
            let connection = Connection::new(Arc::clone(&self.world), name);
            connection
                .world()
                .note(&format!("{name} starts with model {model}"));
            let opened = tokio::select! {
                biased;
                command = commands.recv() => Err(command),
                opened = self.open(name, connection.clone(), model) => Ok(opened),
            };
            let command = match opened {
                Ok(Ok(service)) => {
                    connection.world().note(&format!("{name} is ready"));
                    *serving.lock().unwrap() = Some(service);
                    commands.recv().await
                }
                Ok(Err(error)) => {
                    connection
                        .world()
                        .note(&format!("{name} cannot start: {error}"));
                    connection.kill();
                    sleep(RESTART_AFTER).await;
                    continue;
                }
                Err(command) => command,
            };
            connection.world().note(&format!("{name}: {command:?}"));
            let service = serving.lock().unwrap().take();
            match command {
                Some(Command::Kill(down)) => {
                    connection.kill();
                    sleep(down).await;
                }
                Some(Command::Upgrade(to)) => {
                    if let Some(service) = service {
                        // One that takes too long is killed.
                        let _ = timeout(STOPS_WITHIN, service.finish()).await;
                    }
                    connection.kill();
                    model = to;
                }
                Some(Command::Stop) | None => return connection.kill(),
            }
        }
    }

    async fn open(
        &self,
        name: &str,
        connection: Connection,
        model: usize,
    ) -> Result<Simulated, bellwether::service::ServiceError> {
        let models = Models::Shared(Arc::clone(&self.models[model]));
        // The same in every run of a seed, and another one at each start.
        let mut server = DefaultHasher::new();
        (name, self.began.elapsed()).hash(&mut server);
        let settings = Settings {
            server: Some(server.finish()),
            max_skew: Duration::from_secs(300),
            remembered_events: self.remembered_events,
            max_events_in_flight: 1_000,
            max_calls_in_flight: 1_000,
            rollout: rollout::Settings {
                max_tenants: 1_000,
                auto_create_tenants: true,
                rebuild_rate: self.rebuild_rate,
            },
            max_unsettled_effects: 64,
        };
        let began = self.began;
        let clock: Clock = Arc::new(move || people::at(began.elapsed().as_nanos() as i64));
        Service::open(connection, models, settings, clock, Counters::disabled()).await
    }
}
