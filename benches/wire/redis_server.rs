//! A real `redis-server` for one run: a free port, a temporary directory, nothing kept.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

/// A free port may be taken by somebody else before the server has it.
const MAX_STARTS: usize = 5;

/// The server ends with this.
pub struct RedisServer {
    process: Child,
    port: u16,
    /// By which the nodes of a cluster talk to each other.
    bus_port: u16,
    _directory: TempDir,
}

impl RedisServer {
    pub fn start() -> Self {
        Self::start_with("no")
    }

    /// One that can be a node of a cluster.
    pub fn start_in_cluster() -> Self {
        Self::start_with("yes")
    }

    fn start_with(in_cluster: &str) -> Self {
        (0..MAX_STARTS)
            .find_map(|_| Self::try_start(in_cluster))
            .unwrap_or_else(|| panic!("redis-server does not start"))
    }

    fn try_start(in_cluster: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let probes = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [port, bus_port] = probes.map(|probe| probe.local_addr().unwrap().port());
        let mut process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--cluster-enabled", in_cluster])
            .args(["--cluster-port", &bus_port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .args(["--maxmemory-policy", "noeviction"])
            .arg("--dir")
            .arg(directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("redis-server: {error}; apt-get install redis-server, or brew install redis")
            });
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let is_ready = said.any(|line| line.unwrap().contains("Ready to accept connections"));
        if !is_ready {
            process.wait().unwrap();
            return None;
        }
        // What else it says is read, so that it never waits for a reader.
        std::thread::spawn(move || said.for_each(drop));
        Some(Self {
            process,
            port,
            bus_port,
            _directory: directory,
        })
    }

    pub fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn bus_port(&self) -> u16 {
        self.bus_port
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.process.id()
    }

    pub async fn connect(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.address()).unwrap();
        // A machine that is busy with something else is slow, not wrong.
        let patient = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        let connected = client.get_multiplexed_async_connection_with_config(&patient);
        connected.await.unwrap()
    }

    /// A field of `INFO`.
    pub async fn info(&self, field: &str) -> String {
        let mut connection = self.connect().await;
        let info: String = redis::cmd("INFO")
            .query_async(&mut connection)
            .await
            .unwrap();
        let value = info.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name == field).then(|| value.trim().to_owned())
        });
        value.unwrap_or_else(|| panic!("INFO has no {field}"))
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
