//! A running `redis-server`, which ends when this process does, also when it is killed.

use std::{
    fs::File,
    io::ErrorKind,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

/// What to do when a program is missing, in the words of the panic message.
const INSTALL_REDIS: &str = "redis-server is missing, and the tests of the Redis store start real \
    servers: `make redis` installs it (apt-get install redis-server, or brew install redis)";

/// Ends the server and removes its directory as soon as its input ends, which it does with
/// the process that holds the other end. Values in a `static` are never dropped.
const WATCH: &str = r#"read -r _; kill -9 "$0"; rm -rf "$1""#;

pub struct Process {
    server: Child,
    watcher: Child,
}

impl Process {
    /// Starts a server with a configuration file in `directory`, where its log goes too.
    pub fn start(directory: &Path) -> Self {
        let log = directory.join("log");
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut server = Command::new("redis-server");
        server
            .arg(directory.join("redis.conf"))
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0);
        let server = match server.spawn() {
            Ok(server) => server,
            Err(error) if error.kind() == ErrorKind::NotFound => panic!("{INSTALL_REDIS}"),
            Err(error) => panic!("redis-server does not start: {error}"),
        };
        let watcher = Command::new("sh")
            .args(["-c", WATCH])
            .arg(server.id().to_string())
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        Self { server, watcher }
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.server.try_wait().unwrap()
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.server.id().to_string()])
            .status();
        assert!(sent.unwrap().success(), "cannot send {name} to the server");
    }

    /// Stops it as an administrator would, and waits for its end.
    pub fn stop(mut self) {
        self.signal("TERM");
        self.server.wait().unwrap();
    }

    /// Ends it without warning.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The watcher first: a number that has become free must not be signalled.
        for process in [&mut self.watcher, &mut self.server] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
