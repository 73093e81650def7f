//! A server as a whole: what it answers to calls that are in order, too large, too late or wrong.

use std::time::Duration;

use tokio::{net::TcpStream, sync::oneshot, task::JoinHandle};
use tokio_stream::StreamExt as _;
use tonic::{Code, Request, Status, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt as _;

use super::*;
use crate::{
    config::Flags,
    proto::v1::{self, scoring_service_client::ScoringServiceClient},
};

#[path = "server_reflection_tests.rs"]
mod reflection;
#[path = "server_stop_tests.rs"]
mod stop;

struct Running {
    address: SocketAddr,
    admin: SocketAddr,
    channel: Channel,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), ServerError>>,
    _directory: tempfile::TempDir,
}

fn config(listen: String, directory: &tempfile::TempDir) -> Config {
    let store = directory.path().join("store").display().to_string();
    let flags = Flags {
        listen: Some(listen),
        admin_listen: Some("127.0.0.1:0".to_owned()),
        store: Some(store),
        ..Flags::default()
    };
    Config::load(&flags, |_| None).unwrap()
}

async fn start() -> Running {
    let directory = tempfile::tempdir().unwrap();
    let config = config("127.0.0.1:0".to_owned(), &directory);
    let server = bind(config, Telemetry::disabled()).await.unwrap();
    let address = server.local_address();
    let admin = server.admin_address().unwrap();
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(server.run(async move {
        let _ = stopped.await;
    }));
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    Running {
        address,
        admin,
        channel: endpoint.connect().await.unwrap(),
        stop,
        server,
        _directory: directory,
    }
}

impl Running {
    fn scoring(&self) -> ScoringServiceClient<Channel> {
        ScoringServiceClient::new(self.channel.clone())
    }
}

fn ask(profile_id: &str) -> v1::GetProfileRequest {
    v1::GetProfileRequest {
        profile_id: profile_id.to_owned(),
        ..Default::default()
    }
}

fn unusable_event() -> v1::ScoreEventsRequest {
    v1::ScoreEventsRequest {
        events: vec![v1::Event::default(); 2],
        ..Default::default()
    }
}

#[tokio::test]
async fn a_bad_request_names_its_fields_over_the_wire() {
    let running = start().await;
    let status = running.scoring().get_profile(ask("")).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let violations = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(violations[0].field, "profile_id");
}

/// A tonic client has a timer of its own for `grpc-timeout` and answers `CANCELLED` before
/// the server can; this one has none.
#[tokio::test]
async fn an_expired_deadline_is_never_answered_cancelled() {
    let running = start().await;
    let socket = TcpStream::connect(running.address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    let mut expired = 0;
    for micros in (1..1_200).step_by(3) {
        // Every other message never comes, so that its call can only expire.
        let request = http::Request::post(format!(
            "http://{}/bellwether.v1.ScoringService/GetProfile",
            running.address
        ))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", format!("{micros}u"))
        .body(())
        .unwrap();
        client = client.ready().await.unwrap();
        let (response, mut body) = client.send_request(request, false).unwrap();
        if micros % 2 == 0 {
            let message = prost::Message::encode_to_vec(&ask("nobody"));
            let mut frame = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
            frame.extend(message);
            body.send_data(frame.into(), true).unwrap();
        }
        let response = response.await.unwrap();
        let code = response.headers()["grpc-status"].to_str().unwrap();
        assert!(["4", "5"].contains(&code), "{code}");
        expired += usize::from(code == "4");
    }
    assert!(expired >= 200, "every message that never came must expire");
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_with_a_clear_code() {
    let running = start().await;
    let request = ask(&"x".repeat(5 * 1024 * 1024));
    let status = running.scoring().get_profile(request).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "MESSAGE_TOO_LARGE");
}

#[tokio::test]
async fn a_small_message_of_very_many_events_is_refused_before_it_is_unpacked() {
    let running = start().await;
    let request = v1::ScoreEventsRequest {
        events: vec![v1::Event::default(); 20_000],
        ..Default::default()
    };
    let responses = running
        .scoring()
        .score_events(tokio_stream::once(request))
        .await;
    let status = responses.unwrap().into_inner().message().await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "MESSAGE_TOO_LARGE");
}

#[tokio::test]
async fn text_that_is_no_utf8_is_the_callers_mistake() {
    // A `Struct` name is on the wire what a tenant is: bytes of field 1.
    #[derive(Clone, PartialEq, prost::Message)]
    struct Raw {
        #[prost(bytes, tag = "2")]
        profile_id: Vec<u8>,
    }
    let running = start().await;
    let mut grpc = tonic::client::Grpc::new(running.channel.clone());
    grpc.ready().await.unwrap();
    let path = "/bellwether.v1.ScoringService/GetProfile".parse().unwrap();
    let raw = Raw {
        profile_id: vec![0xFF, 0xFE],
    };
    let codec = tonic_prost::ProstCodec::<Raw, v1::GetProfileResponse>::default();
    let status: Status = grpc
        .unary(Request::new(raw), path, codec)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
}

#[tokio::test]
async fn a_stream_answers_what_came_before_a_malformed_request() {
    let running = start().await;
    let requests = [
        unusable_event(),
        unusable_event(),
        v1::ScoreEventsRequest::default(),
        unusable_event(),
    ];
    let responses = running
        .scoring()
        .score_events(tokio_stream::iter(requests))
        .await;
    let mut responses = responses.unwrap().into_inner();
    for _ in 0..2 {
        let results = responses.message().await.unwrap().unwrap().results;
        assert_eq!(results.len(), 2);
        let Some(v1::score_events_result::Result::Error(error)) = &results[1].result else {
            panic!("{results:?}");
        };
        assert!(error.message.starts_with("events[1].event_id"), "{error:?}");
        assert_eq!(error.details.len(), 2);
    }
    let status = responses.message().await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().starts_with("events has 0 entries"));
}

#[tokio::test]
async fn a_stream_of_small_requests_is_slowed_down_and_not_cut() {
    let running = start().await;
    let requests = (0..5_000).map(|number: u32| v1::ScoreEventsRequest {
        events: vec![v1::Event {
            event_id: number.to_string(),
            profile_id: "ann".to_owned(),
            r#type: "visit".to_owned(),
            ..Default::default()
        }],
        ..Default::default()
    });
    let requests: Vec<_> = requests.collect();
    let responses = running
        .scoring()
        .score_events(tokio_stream::iter(requests))
        .await;
    let mut responses = responses.unwrap().into_inner();
    let mut answered = 0;
    while responses.message().await.unwrap().is_some() {
        answered += 1;
    }
    assert_eq!(answered, 5_000);
}

#[tokio::test]
async fn a_stream_ends_at_the_deadline_that_its_caller_sent() {
    let running = start().await;
    let requests = tokio_stream::iter([unusable_event()]).chain(tokio_stream::pending());
    let mut request = Request::new(requests);
    request.set_timeout(Duration::from_millis(200));
    let mut responses = running
        .scoring()
        .score_events(request)
        .await
        .unwrap()
        .into_inner();
    assert!(responses.message().await.unwrap().is_some());
    let status = responses.message().await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn whoever_watches_first_finds_the_service_known() {
    let directory = tempfile::tempdir().unwrap();
    let config = config("127.0.0.1:0".to_owned(), &directory);
    let server = bind(config, Telemetry::disabled()).await.unwrap();
    let endpoint = Channel::from_shared(format!("http://{}", server.local_address())).unwrap();
    // The request waits in the socket before the server runs.
    let watching = tokio::spawn(async move {
        let mut health = HealthClient::new(endpoint.connect_lazy());
        let request = HealthCheckRequest {
            service: "bellwether.v1.ScoringService".to_owned(),
        };
        let mut watched = health.watch(request).await?.into_inner();
        watched.message().await
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(server.run(async move {
        let _ = stopped.await;
    }));
    assert_eq!(watching.await.unwrap().unwrap().unwrap().status, 1);
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let running = start().await;
    for path in ["/bellwether.v1.ScoringService/Nope", "/nobody.Knows/Me"] {
        let mut grpc = tonic::client::Grpc::new(running.channel.clone());
        grpc.ready().await.unwrap();
        let codec =
            tonic_prost::ProstCodec::<v1::GetProfileRequest, v1::GetProfileResponse>::default();
        let path = path.parse().unwrap();
        let status: Status = grpc
            .unary(Request::new(ask("ann")), path, codec)
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
    }
}

#[tokio::test]
async fn a_busy_port_is_told_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = first.local_addr().unwrap();
    let config = config(address.to_string(), &directory);
    let error = bind(config.clone(), Telemetry::disabled()).await;
    let error = error.err().unwrap();
    assert!(error.to_string().contains(&address.to_string()));
    assert!(
        error
            .to_string()
            .contains("? --listen takes another address")
    );

    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        admin_listen: address,
        ..config
    };
    let error = bind(config, Telemetry::disabled()).await.err().unwrap();
    assert!(error.to_string().contains(&address.to_string()));
    assert!(
        error
            .to_string()
            .contains("? --admin-listen takes another address")
    );
}
