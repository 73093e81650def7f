//! The real server in a process of its own, so that what it does with the processors is not
//! what the callers do: this program again, which serves until its input ends.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use bellwether::{
    config::{Config, Flags},
    server,
};

/// The argument that makes this program serve: a store follows, then settings as `NAME=value`.
pub const SERVE: &str = "--serve";

/// What the server says before its address.
const LISTENING: &str = "listening ";

pub struct Server {
    process: Child,
    pub address: SocketAddr,
}

impl Server {
    /// Starts a server on a store with these settings beside the defaults.
    pub fn start(store: &str, settings: &[&str]) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg(SERVE)
            .arg(store)
            .args(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        lines.read_line(&mut said).unwrap();
        let address = said.trim().strip_prefix(LISTENING);
        let address = address.unwrap_or_else(|| panic!("the server does not start: {said}"));
        Self {
            address: address.parse().unwrap(),
            process,
        }
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// What the other process does.
pub async fn serve(mut arguments: impl Iterator<Item = String>) {
    let flags = Flags {
        listen: Some("127.0.0.1:0".to_owned()),
        admin_listen: Some("127.0.0.1:0".to_owned()),
        store: arguments.next(),
        ..Flags::default()
    };
    let settings: Vec<String> = arguments.collect();
    let setting = |name: &str| {
        let mut settings = settings
            .iter()
            .filter_map(|setting| setting.split_once('='));
        settings.find_map(|(key, value)| (key == name).then(|| value.to_owned()))
    };
    let config = Config::load(&flags, setting).unwrap();
    // Refusals and failures are logged as by a server that somebody runs.
    let (telemetry, _) =
        bellwether::telemetry::start(config.log_level, config.log_format, None).unwrap();
    let bound = server::bind(config, telemetry).await.unwrap();
    println!("{LISTENING}{}", bound.local_address());
    std::io::stdout().flush().unwrap();
    let ended = tokio::task::spawn_blocking(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
    });
    let stop = async { drop(ended.await) };
    bound.run(stop).await.unwrap();
}
