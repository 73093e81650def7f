//! A service with a model and a clock, and people who do things at random.

use std::{collections::HashMap, sync::Arc};

use bellwether::{
    admin::Readiness,
    clock::system_clock,
    config::{Config, Flags},
    grpc::{
        authentication::Authentication,
        server::{self, ServeError},
    },
    rollout::Models,
    scoring::{AttributeValue, Attributes, Event, IdHash, Model, ProfileId, Tenant, Timestamp},
    service::{ProfileQuery, Service, ServiceError, Settings, View},
    store::{Store, embedded::Embedded},
    telemetry::{Counters, Telemetry},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::transport::Channel;

pub const MODEL: &str = r#"
[scores.interest]
half_life = "2d"
[scores.loyalty]
half_life = "40d"
[scores.fit]
base = 1
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
[subjects.account]
[[signals]]
name = "met_a_manager"
on = "meeting"
when = 'author.attributes.role == "manager"'
points = { loyalty = 1 }
[[signals]]
name = "met_with_a_warm_account"
on = "meeting"
when = 'subjects.account.scores.interest >= 2'
points = { loyalty = 1 }
[[attributes]]
name = "in_retail"
when = 'profile.attributes.industry == "retail"'
points = { fit = 3 }
[[stages]]
name = "awareness"
min = { interest = 1 }
[[stages]]
name = "consideration"
min = { interest = 12 }
[[stages]]
name = "customer"
when = 'seen("purchase")'
[[stages]]
name = "advocate"
when = 'seen("purchase")'
min = { loyalty = 20 }
[[segments]]
name = "everyone"
rank_by = "interest"
[[segments]]
name = "strangers"
when = '!has(profile.attributes.crm_id)'
rank_by = ["interest", "fit"]
min = 5
[[segments]]
name = "leaving"
rank_by = "loyalty"
min = 1
max = 10
[[topics]]
name = "price"
keywords = ["price"]
[[topics]]
name = "quality"
[influence]
event_types = { reply = 2, visit = 1 }
half_life = "10d"
attribution_half_life = "3d"
advance = 4
"#;

pub const SECOND: i64 = 1_000_000_000;
pub const DAY: i64 = 86_400 * SECOND;
const START: i64 = 1_767_268_800 * SECOND;
pub const PEOPLE: u64 = 30;

pub fn at(offset: i64) -> Timestamp {
    Timestamp::from_nanos(START + offset).unwrap()
}

pub fn id(number: u64) -> ProfileId {
    ProfileId::new(&format!("person-{number}")).unwrap()
}

/// A read of profiles that must be known.
pub fn reading(view: View, as_of: Option<Timestamp>) -> ProfileQuery {
    ProfileQuery {
        view,
        as_of,
        or_default: false,
    }
}

pub fn tenant() -> Tenant {
    Tenant::new("").unwrap()
}

pub async fn open(directory: &TempDir) -> Service<Embedded> {
    serve(Embedded::open(directory.path()).unwrap()).await
}

pub async fn serve<S: Store>(store: S) -> Service<S> {
    serve_with(store, Models::Shared(model(MODEL))).await
}

pub async fn serve_model<S: Store>(store: S, source: &str) -> Service<S> {
    serve_with(store, Models::Shared(model(source))).await
}

pub fn model(source: &str) -> Arc<Model> {
    Arc::new(Model::parse(source).unwrap())
}

pub async fn serve_with<S: Store>(store: S, models: Models) -> Service<S> {
    open_with(store, models).await.unwrap()
}

pub async fn open_with<S: Store>(store: S, models: Models) -> Result<Service<S>, ServiceError> {
    open_as(store, models, settings()).await
}

pub fn settings() -> Settings {
    let config = Config::load(&Flags::default(), |_| None).unwrap();
    bellwether::server::service_settings(&config, 1)
}

pub async fn open_as<S: Store>(
    store: S,
    models: Models,
    settings: Settings,
) -> Result<Service<S>, ServiceError> {
    let clock = Arc::new(|| at(100 * DAY));
    Service::open(store, models, settings, clock, Counters::disabled()).await
}

/// A server that serves.
pub struct Served {
    pub channel: Channel,
    /// Has it stop.
    pub stop: oneshot::Sender<()>,
    pub server: JoinHandle<Result<(), ServeError>>,
}

/// Serves a service on a free port to anybody.
pub async fn listening<S: Store>(service: Service<S>, readiness: Readiness) -> Served {
    let config = Config::load(&Flags::default(), |_| None).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        server::serve(
            service,
            listener,
            (None, Authentication::none(system_clock())),
            &config,
            Telemetry::disabled(),
            readiness,
            async move { drop(stopped.await) },
        )
        .await
    });
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    Served {
        channel: channel.connect().await.unwrap(),
        stop,
        server,
    }
}

/// A small generator of pseudo-random numbers: the same seed, the same events.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

pub fn event(dice: &mut Dice, number: u64) -> Event {
    let kinds = ["visit", "visit", "reply", "reply", "complaint", "purchase"];
    let sides = if dice.roll(8) == 0 { 6 } else { 5 };
    let kind = kinds[dice.roll(sides) as usize];
    let length = AttributeValue::Number(dice.roll(100) as f64);
    Event {
        id: IdHash::of_event(&format!("event-{number}")),
        profile_id: id(dice.roll(PEOPLE)),
        event_type: kind.to_owned(),
        time: Some(at((number as i64) * DAY / 40)),
        channel: String::new(),
        attributes: Attributes::from([("length".to_owned(), length)]),
        text: if dice.roll(2) == 0 {
            "The price!".to_owned()
        } else {
            String::new()
        },
        tags: if dice.roll(2) == 0 {
            vec!["quality".into()]
        } else {
            Vec::new()
        },
        sentiment: None,
        author_id: (dice.roll(3) > 0).then(|| id(dice.roll(PEOPLE / 3))),
        content_id: String::new(),
        campaign_id: String::new(),
        subjects: Vec::new(),
    }
}

/// Sends events through concurrent streams, one stream for each group of people so that
/// the order of a profile's events is kept, with duplicates.
pub async fn stream(service: &Service<Embedded>, events: &[Event]) {
    let mut streams: HashMap<u64, Vec<Event>> = HashMap::new();
    for event in events {
        let stream = xxhash(event.profile_id.as_str()) % 4;
        streams.entry(stream).or_default().push(event.clone());
    }
    let tasks: Vec<_> = streams
        .into_values()
        .map(|events| {
            let service = service.clone();
            tokio::spawn(async move {
                let mut pending = Vec::new();
                for batch in events.chunks(7) {
                    let twice: Vec<Event> =
                        batch.iter().chain(batch.iter().take(2)).cloned().collect();
                    pending.push(service.submit_events(&tenant(), twice, None).await);
                }
                for pending in pending {
                    for result in pending.results().await {
                        result.unwrap();
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

fn xxhash(text: &str) -> u64 {
    IdHash::of_event(text).0
}
