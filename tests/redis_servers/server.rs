//! One Redis server that a test can stop, kill, pause and start again.

use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use redis::{AsyncConnectionConfig, Client, TlsCertificates, aio::MultiplexedConnection};

use super::{Certificate, LOOK_AGAIN, MAX_LOOKS, port::Port, process::Process};

/// Ports that are tried before giving up.
const MAX_PORTS: usize = 8;
/// How long an answer may take on a machine that does much else.
const MAX_ANSWER: Duration = Duration::from_secs(10);

/// How a server is set up. It keeps nothing on disk unless told to.
#[derive(Clone, Default)]
pub struct Options {
    password: Option<String>,
    certificate: Option<Arc<Certificate>>,
    lines: Vec<String>,
}

impl Options {
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks clients for a password, and gives it to other servers.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Speaks TLS only, with clients and other servers.
    pub fn tls(mut self, certificate: &Arc<Certificate>) -> Self {
        self.certificate = Some(Arc::clone(certificate));
        self
    }

    /// Refuses writes beyond so much memory, such as `8mb`.
    pub fn max_memory(self, size: &str) -> Self {
        self.line(format!("maxmemory {size}"))
    }

    /// Has every answered write on disk.
    pub fn append_only(self) -> Self {
        self.line("appendonly yes").line("appendfsync always")
    }

    /// Follows another server.
    pub fn replica_of(self, primary: &RedisServer) -> Self {
        let address = primary.address();
        self.line(format!("replicaof {} {}", address.ip(), address.port()))
    }

    /// Any line of `redis.conf`.
    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Starts a server and waits until it answers.
    pub async fn start(self) -> RedisServer {
        for _ in 0..MAX_PORTS {
            let server = RedisServer::new(self.clone());
            match server.run().await {
                Ok(()) => return server,
                Err(log) if log.contains("Address already in use") => {}
                Err(log) => panic!("redis-server ended at its start; is it 7.0 or later?\n{log}"),
            }
        }
        panic!("{MAX_PORTS} ports that the system called free were in use");
    }

    fn configuration(&self, port: u16, bus_port: u16) -> String {
        let mut text = String::from(
            "bind 127.0.0.1\nsave \"\"\nappendonly no\nrepl-diskless-sync-delay 0\nlogfile \"\"\n",
        );
        let mut line = |line: String| writeln!(text, "{line}").unwrap();
        match &self.certificate {
            Some(certificate) => {
                line(format!("port 0\ntls-port {port}\ntls-auth-clients no"));
                line("tls-replication yes\ntls-cluster yes".to_owned());
                for (key, path) in [
                    ("tls-cert-file", certificate.server()),
                    ("tls-key-file", certificate.server_key()),
                    ("tls-ca-cert-file", certificate.authority()),
                ] {
                    line(format!("{key} \"{}\"", path.display()));
                }
            }
            None => line(format!("port {port}")),
        }
        line(format!("cluster-port {bus_port}"));
        if let Some(password) = &self.password {
            line(format!("requirepass {password}\nmasterauth {password}"));
        }
        for own in &self.lines {
            line(own.clone());
        }
        text
    }
}

/// A server of its own port and directory, both kept while it is down.
pub struct RedisServer {
    options: Options,
    port: Port,
    bus_port: Port,
    directory: tempfile::TempDir,
    process: Mutex<Option<Process>>,
}

impl RedisServer {
    /// Starts a server without password or TLS.
    pub async fn start() -> Self {
        Options::new().start().await
    }

    fn new(options: Options) -> Self {
        let (port, bus_port) = (Port::reserve(), Port::reserve());
        let directory = tempfile::tempdir().unwrap();
        let configuration = options.configuration(port.number(), bus_port.number());
        fs::write(directory.path().join("redis.conf"), configuration).unwrap();
        Self {
            options,
            port,
            bus_port,
            directory,
            process: Mutex::new(None),
        }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Where it listens for other servers of a cluster.
    pub const fn bus_port(&self) -> u16 {
        self.bus_port.number()
    }

    /// The URL of it for a store, with its password.
    pub fn url(&self) -> String {
        self.url_by_way_of(self.address())
    }

    /// The URL of it through a proxy.
    pub fn url_by_way_of(&self, address: SocketAddr) -> String {
        let scheme = if self.options.certificate.is_some() {
            "rediss"
        } else {
            "redis"
        };
        format!("{scheme}://{}{address}", self.credentials())
    }

    /// What stands before the host in a URL.
    pub fn credentials(&self) -> String {
        let password = self.options.password.as_ref();
        password.map_or_else(String::new, |password| format!(":{password}@"))
    }

    /// A connection to a server whose password has been changed to this one.
    pub async fn connection_as(&self, password: &str) -> MultiplexedConnection {
        let url = format!("redis://:{password}@{}", self.address());
        let client = Client::open(url).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    pub const fn password(&self) -> Option<&String> {
        self.options.password.as_ref()
    }

    /// A connection past the store under test.
    pub async fn connection(&self) -> MultiplexedConnection {
        self.connect().await.unwrap()
    }

    async fn connect(&self) -> redis::RedisResult<MultiplexedConnection> {
        let url = self.url();
        let client = match &self.options.certificate {
            Some(certificate) => Client::build_with_tls(
                url,
                TlsCertificates {
                    client_tls: None,
                    root_cert: Some(fs::read(certificate.authority()).unwrap()),
                },
            )?,
            None => Client::open(url)?,
        };
        let patient = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(MAX_ANSWER))
            .set_response_timeout(Some(MAX_ANSWER));
        client
            .get_multiplexed_async_connection_with_config(&patient)
            .await
    }

    /// One field of `INFO`.
    pub async fn info(&self, section: &str, field: &str) -> Option<String> {
        let mut connection = self.connection().await;
        let text: String = redis::cmd("INFO")
            .arg(section)
            .query_async(&mut connection)
            .await
            .unwrap();
        field_of(&text, field).map(str::to_owned)
    }

    /// Stops it as an administrator would.
    pub fn stop(&self) {
        self.take().stop();
    }

    /// Ends it without warning, as a machine that loses power.
    pub fn kill(&self) {
        self.take().kill();
    }

    /// Starts it again, where it was and with what it has on disk; stops it before when it
    /// runs.
    pub async fn restart(&self) {
        let running = self.process.lock().unwrap().take();
        if let Some(process) = running {
            process.stop();
        }
        if let Err(log) = self.run().await {
            panic!("redis-server ended at its restart:\n{log}");
        }
    }

    /// Has it stand still: connections stay and nothing is answered.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    pub fn is_running(&self) -> bool {
        self.process.lock().unwrap().is_some()
    }

    fn signal(&self, name: &str) {
        let process = self.process.lock().unwrap();
        process.as_ref().expect("the server runs").signal(name);
    }

    fn take(&self) -> Process {
        let process = self.process.lock().unwrap().take();
        process.expect("the server runs")
    }

    /// Starts the process and waits until it answers; the log when it ends instead.
    async fn run(&self) -> Result<(), String> {
        let process = Process::start(self.directory.path());
        *self.process.lock().unwrap() = Some(process);
        for _ in 0..MAX_LOOKS {
            let ended = self.process.lock().unwrap().as_mut().unwrap().ended();
            if ended.is_some() {
                self.take().kill();
                return Err(self.log());
            }
            if self.answers().await {
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        panic!("redis-server never answered:\n{}", self.log());
    }

    /// Whether it answers, and not that it is still loading.
    async fn answers(&self) -> bool {
        let Ok(mut connection) = self.connect().await else {
            return false;
        };
        let answer = redis::cmd("PING").query_async(&mut connection).await;
        answer.is_ok_and(|answer: String| answer == "PONG")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // The process before its directory.
        self.process.get_mut().unwrap().take();
    }
}

/// A field of a text of `name:value` lines.
pub fn field_of<'text>(text: &'text str, field: &str) -> Option<&'text str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name == field).then_some(value.trim_end())
    })
}
