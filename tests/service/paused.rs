//! Callers of `ScoreEvents` that send and do not read: they hold up nobody but themselves.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use bellwether::{
    config::{Config, Flags},
    proto::v1::{self, scoring_service_client::ScoringServiceClient},
    server,
    telemetry::Telemetry,
};
use h2::RecvStream;
use prost::Message as _;
use tokio::{net::TcpStream, sync::oneshot, time::timeout};
use tonic::transport::Channel;

/// How long anything may take at most, so that a test ends.
const PATIENCE: Duration = Duration::from_secs(60);
const EVENTS: usize = 1_000;
const REQUESTS: usize = 9;

struct Running {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
    _directory: tempfile::TempDir,
}

impl Running {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let flags = Flags {
            listen: Some("127.0.0.1:0".to_owned()),
            admin_listen: Some("127.0.0.1:0".to_owned()),
            store: Some(directory.path().join("store").display().to_string()),
            ..Flags::default()
        };
        // Nobody goes on because others are ended for not reading.
        let patient = |name: &str| (name == "BELLWETHER_STALL_TIMEOUT").then(|| "10m".to_owned());
        let config = Config::load(&flags, patient).unwrap();
        let bound = server::bind(config, Telemetry::disabled()).await.unwrap();
        let address = bound.local_address();
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(bound.run(async move { drop(stopped.await) }));
        Self {
            address,
            _stop: stop,
            _directory: directory,
        }
    }

    async fn client(&self) -> ScoringServiceClient<Channel> {
        let endpoint = Channel::from_shared(format!("http://{}", self.address)).unwrap();
        ScoringServiceClient::new(endpoint.connect().await.unwrap())
    }
}

fn request(caller: &str, number: usize) -> v1::ScoreEventsRequest {
    let events = (0..EVENTS).map(|event| v1::Event {
        event_id: format!("{caller}-{number}-{event}"),
        profile_id: format!("{caller}-{event}"),
        r#type: "question".to_owned(),
        ..Default::default()
    });
    v1::ScoreEventsRequest {
        tenant: caller.to_owned(),
        events: events.collect(),
        ..Default::default()
    }
}

/// A stream that sends all its requests and lets the server send back no byte.
async fn send_and_do_not_read(address: SocketAddr, caller: &str) -> RecvStream {
    let socket = TcpStream::connect(address).await.unwrap();
    let mut builder = h2::client::Builder::new();
    let (client, connection) = builder
        .initial_window_size(0)
        .handshake::<_, prost::bytes::Bytes>(socket)
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let request_head = http::Request::post(format!(
        "http://{address}/bellwether.v1.ScoringService/ScoreEvents"
    ))
    .header("content-type", "application/grpc")
    .header("te", "trailers")
    .body(())
    .unwrap();
    let (response, mut body) = client.send_request(request_head, false).unwrap();
    for number in 0..REQUESTS {
        let message = request(caller, number).encode_to_vec();
        let mut frame = vec![0];
        frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        frame.extend(message);
        body.send_data(frame.into(), number == REQUESTS - 1)
            .unwrap();
    }
    response.await.unwrap().into_body()
}

async fn score_and_read(mut client: ScoringServiceClient<Channel>, caller: &'static str) {
    let requests = tokio_stream::iter((0..2).map(move |number| request(caller, number)));
    let answers = client.score_events(requests).await.unwrap();
    let mut answers = answers.into_inner();
    let mut scored: HashMap<bool, usize> = HashMap::new();
    while let Some(answer) = answers.message().await.unwrap() {
        for result in answer.results {
            let is_scored = matches!(
                result.result,
                Some(v1::score_events_result::Result::Response(_))
            );
            *scored.entry(is_scored).or_default() += 1;
        }
    }
    assert_eq!(scored, HashMap::from([(true, 2 * EVENTS)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_holds_up_nobody_else() {
    let running = Running::start().await;
    let mut paused = Vec::new();
    for caller in ["paused-1", "paused-2"] {
        paused.push(send_and_do_not_read(running.address, caller).await);
    }
    // Others of the same tenant, of another one, and on their own stream alone.
    for caller in ["paused-1", "other", "third"] {
        let client = running.client().await;
        timeout(PATIENCE, score_and_read(client, caller))
            .await
            .expect("others go on");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_late_finds_every_answer() {
    let running = Running::start().await;
    let mut client = running.client().await;
    let requests = tokio_stream::iter((0..REQUESTS).map(|number| request("late", number)));
    let answers = client.score_events(requests).await.unwrap();
    let mut answers = answers.into_inner();
    // Somebody else is served in the meantime.
    score_and_read(running.client().await, "other").await;
    let mut answered = 0;
    while let Some(answer) = timeout(PATIENCE, answers.message()).await.unwrap().unwrap() {
        assert_eq!(answer.results.len(), EVENTS);
        answered += 1;
    }
    assert_eq!(answered, REQUESTS);
}
