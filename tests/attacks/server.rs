//! The binary, and what the system says of its process.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use bellwether::proto::v1::{
    self, ScoreEventRequest, scoring_service_client::ScoringServiceClient,
};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use tempfile::TempDir;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt as _;

/// Without optimisation everything takes several times as long.
const SLOWER: u32 = if cfg!(debug_assertions) { 8 } else { 1 };

/// How long something may take in this build that may take so long in a release.
pub const fn patience(time: Duration) -> Duration {
    time.saturating_mul(SLOWER)
}

const MODEL: &str = r#"
[scores.fit]
[[signals]]
name = "visited"
on = "visit"
points = { fit = 1 }
[[attributes]]
name = "known"
when = 'has(profile.attributes.crm)'
points = { fit = 20 }
[[segments]]
name = "everybody"
rank_by = ["fit"]
min = 1
"#;

/// Signals that take all the steps of an event, after one that takes few.
fn costly_signals() -> String {
    let costly = (0..240).map(|n| {
        format!(
            "[[signals]]\nname = \"costly_{n}\"\non = \"costly\"\nwhen = 'event.attributes.l.exists(x, x == \"w{n}\" || x.endsWith(\"q\"))'\npoints = {{ fit = 1 }}\n"
        )
    });
    let all = "[[signals]]\nname = \"all\"\non = \"costly\"\npoints = { fit = 1 }\n";
    format!("{all}{}", costly.collect::<String>())
}

/// One attack at a time: what one takes of the processor is not the other's fault.
static TURN: LazyLock<Arc<Mutex<()>>> = LazyLock::new(Arc::default);

/// A server of its own, on a port that the system chose.
pub struct Server {
    process: Child,
    pub address: SocketAddr,
    _directory: TempDir,
    _turn: OwnedMutexGuard<()>,
}

impl Server {
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_within("", settings).await
    }

    /// With limits of the shell, such as `ulimit -n 300;`.
    pub async fn start_within(limits: &str, settings: &[(&str, &str)]) -> Self {
        let turn = Arc::clone(&TURN).lock_owned().await;
        let directory = tempfile::tempdir().unwrap();
        let model = directory.path().join("model.toml");
        fs::write(&model, format!("{MODEL}{}", costly_signals())).unwrap();
        let mut process = Command::new("sh")
            .args(["-c", &format!("{limits} exec \"$0\" \"$@\"")])
            .arg(env!("CARGO_BIN_EXE_bellwether"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(["--admin-listen", "127.0.0.1:0", "--store"])
            .arg(directory.path().join("store"))
            .arg("--model")
            .arg(&model)
            .envs(
                settings
                    .iter()
                    .map(|(key, value)| (format!("BELLWETHER_{key}"), value)),
            )
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let address = loop {
            let Some(Ok(line)) = lines.next() else {
                panic!("the server does not start: {said:#?}");
            };
            if let Some((_, rest)) = line.split_once("address=") {
                break rest.split_whitespace().next().unwrap().parse().unwrap();
            }
            said.push(line);
        };
        // The pipe must not fill up while the server runs.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            process,
            address,
            _directory: directory,
            _turn: turn,
        }
    }

    /// Bytes of memory that the process has.
    pub fn memory(&self) -> usize {
        let resident = self.status("VmRSS:");
        let kibibytes = resident.strip_suffix(" kB").unwrap();
        kibibytes.parse::<usize>().unwrap() * 1_024
    }

    /// How many threads the process has.
    pub fn threads(&self) -> usize {
        self.status("Threads:").parse().unwrap()
    }

    /// How long its threads have worked.
    pub fn worked(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        // After the name in brackets, which may hold spaces: the twelfth and thirteenth fields.
        let fields = stat.rsplit(')').next().unwrap().split_whitespace();
        let ticks = fields.skip(11).take(2);
        Duration::from_millis(
            10 * ticks
                .map(|ticks| ticks.parse::<u64>().unwrap())
                .sum::<u64>(),
        )
    }

    /// Lets it open so many files at a time; what is open stays open.
    pub fn limit_descriptors(&self, most: u64) {
        let process = i32::try_from(self.process.id()).ok();
        let process = process.and_then(Pid::from_raw);
        let current = getrlimit(Resource::Nofile);
        let limit = Rlimit {
            current: Some(most),
            maximum: current.maximum,
        };
        prlimit(process, Resource::Nofile, limit).unwrap();
    }

    fn status(&self, name: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let value = status.lines().find_map(|line| line.strip_prefix(name));
        value.unwrap().trim().to_owned()
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.id()))
            .unwrap()
            .count()
    }

    pub async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.connect().await.unwrap()
    }

    pub async fn scoring(&self) -> ScoringServiceClient<Channel> {
        ScoringServiceClient::new(self.channel().await).max_decoding_message_size(64 << 20)
    }

    /// How long a write of somebody who has nothing to do with the attack takes.
    pub async fn quiet_call(client: &mut ScoringServiceClient<Channel>) -> Duration {
        Self::quiet_call_of("", client, &mut 0).await
    }

    /// The same for a tenant, and how often it is turned away.
    pub async fn quiet_call_of(
        tenant: &str,
        client: &mut ScoringServiceClient<Channel>,
        refusals: &mut usize,
    ) -> Duration {
        let started = Instant::now();
        let event = v1::Event {
            profile_id: "quiet".to_owned(),
            event_id: format!("{:?}", started),
            r#type: "visit".to_owned(),
            ..Default::default()
        };
        let request = ScoreEventRequest {
            tenant: tenant.to_owned(),
            event: Some(event),
            ..Default::default()
        };
        while let Err(refused) = client.score_event(request.clone()).await {
            // Whoever is turned away comes again when it is told to, and waits as long.
            *refusals += 1;
            let details = refused.get_error_details();
            let retry = details.retry_info().and_then(|retry| retry.retry_delay);
            tokio::time::sleep(retry.unwrap_or_else(|| panic!("{refused}"))).await;
        }
        started.elapsed()
    }

    /// How long a probe takes that connects anew, as probes do.
    pub async fn liveness(&self) -> Duration {
        let started = Instant::now();
        let request = HealthCheckRequest {
            service: "liveness".to_owned(),
        };
        let mut health = HealthClient::new(self.channel().await);
        health.check(request).await.unwrap();
        started.elapsed()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
