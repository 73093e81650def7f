//! Whole servers with one model, and what their callers do.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use bellwether::{
    config::{Config, Flags},
    proto::v1::{
        self, model_service_client::ModelServiceClient,
        scoring_service_client::ScoringServiceClient,
    },
    server::{self, ServerError},
    store::redis::{Redis, RedisAddress, RedisSettings},
    telemetry::Telemetry,
};
use tokio::{sync::oneshot, task::JoinHandle};
use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

/// Nothing in it depends on the order in which events arrive, as long as everybody visits
/// first and buys last: who touches whom while both are at one stage, and every stage is
/// reached once.
pub const MODEL: &str = r#"
[scores.interest]
half_life = "7d"
[scores.loyalty]
[[signals]]
name = "visited"
on = "visit"
points = { interest = 3, loyalty = 1 }
[[signals]]
name = "replied"
on = "reply"
when = 'event.attributes.length > 10'
points = { interest = 5, loyalty = 2 }
[[signals]]
name = "complained"
on = "complaint"
points = { loyalty = -2 }
[[stages]]
name = "awareness"
when = 'seen("visit")'
[[stages]]
name = "customer"
when = 'seen("purchase")'
[[stages]]
name = "advocate"
when = 'seen("purchase")'
min = { loyalty = 450 }
[[segments]]
name = "everyone"
rank_by = "interest"
[[segments]]
name = "loyal"
rank_by = ["loyalty"]
min = 440
[[topics]]
name = "price"
[[topics]]
name = "quality"
[influence]
event_types = { reply = 2, share = 3 }
half_life = "10d"
attribution_half_life = "3d"
advance = 4
"#;

/// How long anything may take at most, so that a test ends.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A server in this process, on a port that the system chose.
pub struct Bellwether {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<Result<(), ServerError>>,
    _directory: tempfile::TempDir,
}

impl Bellwether {
    /// Starts a server on a store, with these settings beside the defaults.
    pub async fn start(store: &str, settings: &[(&str, &str)]) -> Self {
        Self::start_with(store, MODEL, settings).await
    }

    /// Starts a server with another model.
    pub async fn start_with(store: &str, model: &str, settings: &[(&str, &str)]) -> Self {
        let started = Self::try_start_with(store, model, settings).await;
        started.unwrap_or_else(|error| panic!("{error}"))
    }

    /// What an operator reads when it does not start.
    pub async fn try_start(store: &str, settings: &[(&str, &str)]) -> Result<Self, String> {
        Self::try_start_with(store, MODEL, settings).await
    }

    async fn try_start_with(
        store: &str,
        model_text: &str,
        settings: &[(&str, &str)],
    ) -> Result<Self, String> {
        let directory = tempfile::tempdir().unwrap();
        let model = directory.path().join("model.toml");
        std::fs::write(&model, model_text).unwrap();
        let flags = Flags {
            listen: Some("127.0.0.1:0".to_owned()),
            admin_listen: Some("127.0.0.1:0".to_owned()),
            store: Some(store.to_owned()),
            model: Some(model.display().to_string()),
            ..Flags::default()
        };
        // A server alone would have one, and nothing to merge.
        let variables: HashMap<String, String> = [("redis_partitions", "16")]
            .iter()
            .chain(settings)
            .map(|(key, value)| {
                let name = format!("BELLWETHER_{}", key.to_ascii_uppercase());
                (name, (*value).to_owned())
            })
            .collect();
        let config = Config::load(&flags, |name| variables.get(name).cloned());
        let config = config.map_err(|error| error.to_string())?;
        let bound = server::bind(config, Telemetry::disabled()).await;
        let bound = bound.map_err(|error| error.to_string())?;
        let address = bound.local_address();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(bound.run(async move {
            let _ = stopped.await;
        }));
        Ok(Self {
            address,
            stop: Some(stop),
            served,
            _directory: directory,
        })
    }

    /// A client with a connection of its own.
    pub fn client(&self) -> ScoringServiceClient<Channel> {
        ScoringServiceClient::new(self.channel())
    }

    /// A client for what changes models.
    pub fn model_client(&self) -> ModelServiceClient<Channel> {
        ModelServiceClient::new(self.channel())
    }

    fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address))
            .unwrap()
            .connect_lazy()
    }

    /// Waits until the server says of itself that it serves, or that it does not.
    pub async fn until_serving(&self, serving: bool) {
        let mut health = HealthClient::new(self.channel());
        let request = HealthCheckRequest::default();
        let mut watched = health.watch(request).await.unwrap().into_inner();
        let wanted = async {
            loop {
                let report = watched.message().await.unwrap();
                let status = report.expect("health is reported until the end").status;
                if (status == 1) == serving {
                    return;
                }
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wanted).await;
        assert!(waited.is_ok(), "health never became {serving}");
    }

    /// Finishes what is in work, and fails when the server failed.
    pub async fn stop(mut self) {
        let _ = self.stop.take().unwrap().send(());
        (&mut self.served).await.unwrap().unwrap();
    }
}

impl Drop for Bellwether {
    fn drop(&mut self) {
        self.served.abort();
    }
}

/// Opens a store past any server, with quick time-outs.
pub async fn open(url: &str) -> Redis {
    let opened = Redis::open(&settings(url)).await;
    opened.unwrap_or_else(|error| panic!("{error}"))
}

/// What a store is opened with unless a test says otherwise.
pub fn settings(url: &str) -> RedisSettings {
    RedisSettings {
        address: RedisAddress::parse(url).unwrap(),
        certificate_authorities: None,
        partitions: Some(16),
        wait_replicas: 0,
        response_timeout: RESPONSE_TIMEOUT,
        connection_timeout: RESPONSE_TIMEOUT,
    }
}

/// How long Redis may take to answer before a call gives up.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);

pub fn score_request(tenant: &str, event: v1::Event) -> v1::ScoreEventRequest {
    v1::ScoreEventRequest {
        tenant: tenant.to_owned(),
        event: Some(event),
        ..Default::default()
    }
}

pub fn profile_request(tenant: &str, profile_id: &str) -> v1::GetProfileRequest {
    v1::GetProfileRequest {
        tenant: tenant.to_owned(),
        profile_id: profile_id.to_owned(),
        ..Default::default()
    }
}

/// Whether the same request may be sent again, and may succeed then.
pub fn may_be_sent_again(status: &Status) -> bool {
    let codes = [
        Code::Aborted,
        Code::Unavailable,
        Code::Unknown,
        Code::DeadlineExceeded,
    ];
    codes.contains(&status.code())
}
