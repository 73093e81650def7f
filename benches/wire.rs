//! What calls cost over the wire, beside a service that does nothing with the same
//! messages. The server is the real one, on a fresh embedded store; server and client share
//! the cores, and the phases alternate so that drift of the machine cancels:
//! `cargo bench --bench wire -- --seconds 4`.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::{
    collections::HashMap,
    future::Future,
    io::Write as _,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bellwether::{
    config::{Config, Flags},
    proto::v1::{
        self,
        scoring_service_client::ScoringServiceClient,
        scoring_service_server::{ScoringService, ScoringServiceServer},
    },
    server,
    telemetry::Telemetry,
};
use futures_util::{Stream, StreamExt as _};
use hdrhistogram::Histogram;
use pbjson_types::{Struct, Timestamp};
use tokio::{net::TcpListener, sync::oneshot};
use tonic::{
    Request, Response, Status, Streaming, async_trait,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PROFILES: u64 = 10_000;
const EVENTS_PER_PROFILE: u64 = 10;
const CONNECTIONS: usize = 4;
const CALLS_IN_FLIGHT: usize = 64;
/// Requests of a `ScoreEvents` stream that wait for their answer.
const BATCHES_IN_FLIGHT: usize = 8;
const EVENTS_PER_BATCH: u64 = 100;
/// How often the two sides of a comparison take turns.
const ROUNDS: u32 = 4;
const SEGMENT: &str = "unknown_place";
/// Events begin this long ago and come one every two seconds.
const PAST: Duration = Duration::from_secs(30 * 24 * 3600);
const BETWEEN_EVENTS: Duration = Duration::from_secs(2);

type Client = ScoringServiceClient<Channel>;
type Answered = Pin<Box<dyn Future<Output = ()> + Send>>;
type Call = Arc<dyn Fn(Client) -> Answered + Send + Sync>;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let seconds = seconds_from_arguments();
    let directory = tempfile::tempdir().unwrap();
    let syncs = syncs_per_second(directory.path());
    let bellwether = Bellwether::start(&directory.path().join("store")).await;
    let real = connect(bellwether.address).await;
    let events = Arc::new(Events::new());
    let loaded = Instant::now();
    events.preload(&real[0]).await;
    println!(
        "{PROFILES} profiles of {EVENTS_PER_PROFILE} events loaded in {:.1} s; this disk syncs {syncs:.0} times/s one after the other",
        loaded.elapsed().as_secs_f64(),
    );
    println!(
        "{CALLS_IN_FLIGHT} calls in flight over {CONNECTIONS} connections; {seconds} s for each side"
    );
    let noop = connect(start_noop(&real[0], &events).await).await;
    let sides = Sides {
        noop,
        real,
        time: Duration::from_secs_f64(seconds),
    };

    println!(
        "\n{:<24} {:>10} {:>9} {:>9}   {:>10} {:>9} {:>9}   {:>6}",
        "", "no-op/s", "p50 us", "p99 us", "real/s", "p50 us", "p99 us", "ratio"
    );
    sides.compare("GetProfile", get_profile()).await;
    sides.compare("ScoreEvent", score_event(&events)).await;
    sides
        .compare("RankSegment, page of 10", rank_segment(10))
        .await;
    sides
        .compare("RankSegment, page of 50", rank_segment(50))
        .await;
    sides.compare_streams("ScoreEvents, events", &events).await;
    bellwether.stop().await;
}

fn seconds_from_arguments() -> f64 {
    let arguments: Vec<String> = std::env::args().collect();
    let position = arguments
        .iter()
        .position(|argument| argument == "--seconds");
    position.map_or(4.0, |position| {
        let seconds = arguments.get(position + 1);
        let seconds = seconds.and_then(|seconds| seconds.parse().ok());
        seconds.unwrap_or_else(|| panic!("--seconds takes a number"))
    })
}

/// How often a small append to a file of its own becomes durable.
fn syncs_per_second(directory: &Path) -> f64 {
    let mut file = std::fs::File::create(directory.join("sync")).unwrap();
    let started = Instant::now();
    let mut syncs = 0;
    while started.elapsed() < Duration::from_secs(1) {
        file.write_all(&[7; 1024]).unwrap();
        file.sync_data().unwrap();
        syncs += 1;
    }
    f64::from(syncs) / started.elapsed().as_secs_f64()
}

/// The real server.
struct Bellwether {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
}

impl Bellwether {
    async fn start(store: &Path) -> Self {
        let flags = Flags {
            listen: Some("127.0.0.1:0".to_owned()),
            store: Some(store.display().to_string()),
            ..Flags::default()
        };
        let config = Config::load(&flags, |_| None).unwrap();
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

    async fn stop(self) {
        let _ = self.stop.send(());
        self.served.await.unwrap();
    }
}

async fn connect(address: SocketAddr) -> Vec<Client> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let channel = endpoint.clone().tcp_nodelay(true).connect().await.unwrap();
        clients.push(Client::new(channel));
    }
    clients
}

/// Answers every call with what the real server answered to one like it.
struct Noop {
    profile: v1::GetProfileResponse,
    scored: v1::ScoreEventResponse,
    pages: HashMap<i32, v1::RankSegmentResponse>,
    batch: v1::ScoreEventsResponse,
}

async fn start_noop(client: &Client, events: &Events) -> SocketAddr {
    let mut client = client.clone();
    let profile = client.get_profile(profile_request(0)).await.unwrap();
    let scored = client.score_event(events.request()).await.unwrap();
    let mut pages = HashMap::new();
    for size in [10, 50] {
        let page = client.rank_segment(page_request(size)).await.unwrap();
        let page = page.into_inner();
        assert_eq!(page.profiles.len(), size as usize);
        pages.insert(size, page);
    }
    let batch = futures_util::stream::iter([events.batch()]);
    let mut answers = client.score_events(batch).await.unwrap().into_inner();
    let noop = Noop {
        profile: profile.into_inner(),
        scored: scored.into_inner(),
        pages,
        batch: answers.next().await.unwrap().unwrap(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = Server::builder().add_service(ScoringServiceServer::new(noop));
    tokio::spawn(async move { server.serve_with_incoming(incoming).await.unwrap() });
    address
}

#[async_trait]
impl ScoringService for Noop {
    async fn score_event(
        &self,
        _: Request<v1::ScoreEventRequest>,
    ) -> Result<Response<v1::ScoreEventResponse>, Status> {
        Ok(Response::new(self.scored.clone()))
    }

    type ScoreEventsStream =
        Pin<Box<dyn Stream<Item = Result<v1::ScoreEventsResponse, Status>> + Send>>;

    async fn score_events(
        &self,
        request: Request<Streaming<v1::ScoreEventsRequest>>,
    ) -> Result<Response<Self::ScoreEventsStream>, Status> {
        let answer = self.batch.clone();
        let answers = request
            .into_inner()
            .map(move |request| request.map(|_| answer.clone()));
        Ok(Response::new(Box::pin(answers)))
    }

    async fn get_profile(
        &self,
        _: Request<v1::GetProfileRequest>,
    ) -> Result<Response<v1::GetProfileResponse>, Status> {
        Ok(Response::new(self.profile.clone()))
    }

    async fn rank_segment(
        &self,
        request: Request<v1::RankSegmentRequest>,
    ) -> Result<Response<v1::RankSegmentResponse>, Status> {
        let page = self.pages.get(&request.get_ref().page_size);
        let page = page.ok_or_else(|| Status::invalid_argument("page_size"))?;
        Ok(Response::new(page.clone()))
    }

    async fn batch_get_profiles(
        &self,
        _: Request<v1::BatchGetProfilesRequest>,
    ) -> Result<Response<v1::BatchGetProfilesResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn update_profile(
        &self,
        _: Request<v1::UpdateProfileRequest>,
    ) -> Result<Response<v1::UpdateProfileResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn get_funnel(
        &self,
        _: Request<v1::GetFunnelRequest>,
    ) -> Result<Response<v1::GetFunnelResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn top_influencers(
        &self,
        _: Request<v1::TopInfluencersRequest>,
    ) -> Result<Response<v1::TopInfluencersResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }
}

/// Events of the forum, each new, on profiles in no particular order. One in four engages
/// with another member on a topic, so that it also earns credit for its author.
struct Events {
    next: AtomicU64,
    /// In seconds since 1970.
    first_time: i64,
}

impl Events {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "a client stamps its own events")]
        let first_time = SystemTime::now() - PAST;
        let since_epoch = first_time.duration_since(UNIX_EPOCH).unwrap();
        Self {
            next: AtomicU64::new(0),
            first_time: since_epoch.as_secs() as i64,
        }
    }

    fn event(&self) -> v1::Event {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let kind = (number + number / PROFILES) % 4;
        let kind = ["question", "answer", "comment", "badge"][kind as usize];
        let (author_id, topics) = match kind {
            "comment" => (profile_id(number / 4), vec!["tools".to_owned()]),
            _ => (String::new(), Vec::new()),
        };
        let attributes = HashMap::from([
            ("length".to_owned(), 640.0.into()),
            ("badge".to_owned(), "Supporter".into()),
            ("grade".to_owned(), "bronze".into()),
        ]);
        let time = self.first_time + BETWEEN_EVENTS.as_secs() as i64 * number as i64;
        v1::Event {
            event_id: format!("event-{number}"),
            profile_id: profile_id(number),
            r#type: kind.to_owned(),
            time: Some(Timestamp {
                seconds: time,
                nanos: 0,
            }),
            channel: "forum".to_owned(),
            attributes: Some(Struct { fields: attributes }),
            author_id,
            topics,
            ..v1::Event::default()
        }
    }

    fn request(&self) -> v1::ScoreEventRequest {
        v1::ScoreEventRequest {
            event: Some(self.event()),
            ..v1::ScoreEventRequest::default()
        }
    }

    fn batch(&self) -> v1::ScoreEventsRequest {
        v1::ScoreEventsRequest {
            events: (0..EVENTS_PER_BATCH).map(|_| self.event()).collect(),
            ..v1::ScoreEventsRequest::default()
        }
    }

    async fn preload(self: &Arc<Self>, client: &Client) {
        let batches = PROFILES * EVENTS_PER_PROFILE / EVENTS_PER_BATCH;
        let events = Arc::clone(self);
        let requests = futures_util::stream::iter(0..batches).map(move |_| events.batch());
        let answers = client.clone().score_events(requests).await.unwrap();
        let mut answers = answers.into_inner();
        while let Some(answer) = answers.next().await {
            assert_all_scored(&answer.unwrap());
        }
    }
}

fn assert_all_scored(answer: &v1::ScoreEventsResponse) {
    for result in &answer.results {
        let result = result.result.as_ref();
        assert!(matches!(
            result,
            Some(v1::score_events_result::Result::Response(_))
        ));
    }
}

/// A profile; numbers that follow each other lie far apart.
fn profile_id(number: u64) -> String {
    format!("member-{}", number * 7_919 % PROFILES)
}

fn profile_request(number: u64) -> v1::GetProfileRequest {
    v1::GetProfileRequest {
        profile_id: profile_id(number),
        ..v1::GetProfileRequest::default()
    }
}

fn page_request(page_size: i32) -> v1::RankSegmentRequest {
    v1::RankSegmentRequest {
        segment: SEGMENT.to_owned(),
        page_size,
        ..v1::RankSegmentRequest::default()
    }
}

fn get_profile() -> Call {
    let next = Arc::new(AtomicU64::new(0));
    Arc::new(move |mut client| {
        let request = profile_request(next.fetch_add(1, Ordering::Relaxed));
        Box::pin(async move {
            client.get_profile(request).await.unwrap();
        })
    })
}

fn score_event(events: &Arc<Events>) -> Call {
    let events = Arc::clone(events);
    Arc::new(move |mut client| {
        let request = events.request();
        Box::pin(async move {
            client.score_event(request).await.unwrap();
        })
    })
}

fn rank_segment(page_size: i32) -> Call {
    Arc::new(move |mut client| {
        Box::pin(async move {
            client.rank_segment(page_request(page_size)).await.unwrap();
        })
    })
}

/// What was measured on one side.
struct Measured {
    latencies: Histogram<u64>,
    taken: Duration,
}

impl Measured {
    fn new() -> Self {
        Self {
            latencies: Histogram::new(3).unwrap(),
            taken: Duration::ZERO,
        }
    }

    fn add(&mut self, latencies: &Histogram<u64>) {
        self.latencies.add(latencies).unwrap();
    }

    fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.taken.as_secs_f64()
    }
}

/// The service that does nothing, and the real one.
struct Sides {
    noop: Vec<Client>,
    real: Vec<Client>,
    /// For each side of a comparison.
    time: Duration,
}

impl Sides {
    async fn compare(&self, name: &str, call: Call) {
        let (mut noop, mut real) = (Measured::new(), Measured::new());
        let slice = self.time / ROUNDS;
        // The first slices warm up and do not count.
        run_calls(&self.noop, &call, slice / 2, &mut Measured::new()).await;
        run_calls(&self.real, &call, slice / 2, &mut Measured::new()).await;
        for _ in 0..ROUNDS {
            run_calls(&self.noop, &call, slice, &mut noop).await;
            run_calls(&self.real, &call, slice, &mut real).await;
        }
        print(name, &noop, &real, 1.0);
    }

    async fn compare_streams(&self, name: &str, events: &Arc<Events>) {
        let (mut noop, mut real) = (Measured::new(), Measured::new());
        let slice = self.time / ROUNDS;
        for _ in 0..ROUNDS {
            run_streams(&self.noop, events, slice, &mut noop).await;
            run_streams(&self.real, events, slice, &mut real).await;
        }
        print(name, &noop, &real, EVENTS_PER_BATCH as f64);
    }
}

fn print(name: &str, noop: &Measured, real: &Measured, events_per_call: f64) {
    let side = |measured: &Measured| {
        let at = |quantile| measured.latencies.value_at_quantile(quantile);
        format!(
            "{:>10.0} {:>9} {:>9}",
            measured.per_second() * events_per_call,
            at(0.5),
            at(0.99)
        )
    };
    println!(
        "{name:<24} {}   {}   {:>6.2}",
        side(noop),
        side(real),
        real.per_second() / noop.per_second()
    );
}

/// Keeps calls in flight for a time.
async fn run_calls(clients: &[Client], call: &Call, time: Duration, measured: &mut Measured) {
    let started = Instant::now();
    let callers: Vec<_> = (0..CALLS_IN_FLIGHT)
        .map(|caller| {
            let (client, call) = (clients[caller % clients.len()].clone(), Arc::clone(call));
            tokio::spawn(async move {
                let mut latencies = Histogram::<u64>::new(3).unwrap();
                while started.elapsed() < time {
                    let called = Instant::now();
                    call(client.clone()).await;
                    latencies
                        .record(called.elapsed().as_micros() as u64)
                        .unwrap();
                }
                latencies
            })
        })
        .collect();
    for caller in callers {
        measured.add(&caller.await.unwrap());
    }
    measured.taken += started.elapsed();
}

/// Keeps batches in flight on one stream of each connection for a time.
async fn run_streams(
    clients: &[Client],
    events: &Arc<Events>,
    time: Duration,
    measured: &mut Measured,
) {
    let started = Instant::now();
    let streams: Vec<_> = clients
        .iter()
        .map(|client| {
            tokio::spawn(run_stream(
                client.clone(),
                Arc::clone(events),
                started + time,
            ))
        })
        .collect();
    for stream in streams {
        measured.add(&stream.await.unwrap());
    }
    measured.taken += started.elapsed();
}

async fn run_stream(mut client: Client, events: Arc<Events>, end: Instant) -> Histogram<u64> {
    let (sender, receiver) = tokio::sync::mpsc::channel(BATCHES_IN_FLIGHT);
    let requests = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut answers = client.score_events(requests).await.unwrap().into_inner();
    let mut sent = std::collections::VecDeque::new();
    let mut latencies = Histogram::<u64>::new(3).unwrap();
    loop {
        while sent.len() < BATCHES_IN_FLIGHT && Instant::now() < end {
            sent.push_back(Instant::now());
            sender.send(events.batch()).await.unwrap();
        }
        let Some(called) = sent.pop_front() else {
            return latencies;
        };
        let answer = answers.next().await.unwrap().unwrap();
        assert_eq!(answer.results.len() as u64, EVENTS_PER_BATCH);
        latencies
            .record(called.elapsed().as_micros() as u64)
            .unwrap();
    }
}
