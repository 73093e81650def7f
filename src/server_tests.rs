//! A server as a whole: health, reflection, limits, and a stop that loses nothing.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
    time::Instant,
};
use tokio_stream::StreamExt as _;
use tonic::{Code, Request, Status, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt as _;

use super::*;
use crate::{
    config::Flags,
    proto::v1::{self, scoring_service_client::ScoringServiceClient},
};

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
async fn a_stop_ends_idle_streams_and_watchers_long_before_the_drain_timeout() {
    let running = start().await;
    let requests = tokio_stream::iter([unusable_event()]).chain(tokio_stream::pending());
    let responses = running.scoring().score_events(requests).await;
    let mut responses = responses.unwrap().into_inner();
    assert!(responses.message().await.unwrap().is_some());
    let mut health = HealthClient::new(running.channel.clone());
    let watch = |service: &str| HealthCheckRequest {
        service: service.to_owned(),
    };
    let request = watch("bellwether.v1.ScoringService");
    let mut watched = health.watch(request).await.unwrap().into_inner();
    assert_eq!(watched.message().await.unwrap().unwrap().status, 1);
    let mut liveness = health.watch(watch("liveness")).await.unwrap().into_inner();
    assert_eq!(liveness.message().await.unwrap().unwrap().status, 1);

    let stopping = Instant::now();
    running.stop.send(()).unwrap();
    assert_eq!(watched.message().await.unwrap().unwrap().status, 2);
    assert!(watched.message().await.unwrap().is_none());
    assert!(liveness.message().await.unwrap().is_none());
    let status = responses.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.get_details_retry_info().is_some());
    running.server.await.unwrap().unwrap();
    assert!(stopping.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn both_versions_of_reflection_know_the_service() {
    use tonic_reflection::pb::{v1, v1alpha};
    let running = start().await;
    let list = || v1::server_reflection_request::MessageRequest::ListServices(String::new());
    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(list()),
    };
    let mut client =
        v1::server_reflection_client::ServerReflectionClient::new(running.channel.clone());
    let answers = client
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    let text = format!("{answer:?}");
    for name in ["bellwether.v1.ScoringService", "grpc.health.v1.Health"] {
        assert!(text.contains(name), "{text}");
    }

    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
                "bellwether.v1.ScoringService".to_owned(),
            ),
        ),
    };
    let mut client =
        v1alpha::server_reflection_client::ServerReflectionClient::new(running.channel.clone());
    let answers = client
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    assert!(format!("{answer:?}").contains("FileDescriptorResponse"));
}

#[tokio::test]
async fn reflection_tells_of_the_public_services_and_of_nothing_that_is_stored() {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let running = start().await;
    let symbol = |name: &str| MessageRequest::FileContainingSymbol(name.to_owned());
    let asked = [
        MessageRequest::ListServices(String::new()),
        symbol("bellwether.v1.Profile"),
        symbol("bellwether.v1.ModelService"),
        symbol("google.rpc.Status"),
        symbol("google.protobuf.Timestamp"),
        symbol("bellwether.record.v1.ExportedProfile"),
        symbol("bellwether.record.v1.Record"),
        MessageRequest::FileByFilename("bellwether/record/v1/record.proto".to_owned()),
    ];
    let requests = asked.map(|asked| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(asked),
    });
    let mut client = ServerReflectionClient::new(running.channel.clone());
    let mut told = Vec::new();
    for request in requests {
        // An answer that there is none ends the stream.
        let answers = client.server_reflection_info(tokio_stream::once(request));
        let mut answers = match answers.await {
            Ok(answers) => answers.into_inner(),
            Err(status) => {
                told.push(format!("{:?}", status.code()));
                continue;
            }
        };
        told.push(match answers.message().await {
            Ok(answer) => match answer.and_then(|answer| answer.message_response) {
                Some(MessageResponse::ListServicesResponse(list)) => {
                    let names = list.service.into_iter().map(|service| service.name);
                    let mut names: Vec<String> = names.collect();
                    names.sort();
                    names.join(" ")
                }
                Some(MessageResponse::FileDescriptorResponse(_)) => "a file".to_owned(),
                other => format!("{other:?}"),
            },
            Err(status) => format!("{:?}", status.code()),
        });
    }
    let services = "bellwether.v1.ModelService bellwether.v1.ScoringService \
                    grpc.health.v1.Health grpc.reflection.v1.ServerReflection";
    let (file, none) = ("a file", "NotFound");
    let expected = [services, file, file, file, file, none, none, none];
    assert_eq!(told, expected);
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

/// The status and the line that a path of the admin address is answered with.
async fn probed(admin: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(admin).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: it\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap();
    (status.to_owned(), body.trim_end().to_owned())
}

#[tokio::test]
async fn a_server_that_drains_is_alive_to_its_end_and_not_ready() {
    let running = start().await;
    let mut health = HealthClient::new(running.channel.clone());
    let request = HealthCheckRequest::default();
    let mut watched = health.watch(request).await.unwrap().into_inner();
    assert_eq!(watched.message().await.unwrap().unwrap().status, 1);
    let answered = |status: &str, line: &str| (status.to_owned(), line.to_owned());
    assert_eq!(
        probed(running.admin, "/readyz").await,
        answered("200", "ok")
    );
    assert_eq!(
        probed(running.admin, "/healthz").await,
        answered("200", "ok")
    );

    // A call whose message does not come is in work until its deadline. It has come when one that
    // was sent after it is answered.
    let socket = TcpStream::connect(running.address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut send = async |is_whole| {
        let path = "/bellwether.v1.ScoringService/GetProfile";
        let request = http::Request::post(format!("http://{}{path}", running.address))
            .header("content-type", "application/grpc")
            .body(())
            .unwrap();
        client = client.clone().ready().await.unwrap();
        client.send_request(request, is_whole).unwrap()
    };
    let unfinished = send(false).await;
    send(true).await.0.await.unwrap();

    running.stop.send(()).unwrap();
    assert_eq!(watched.message().await.unwrap().unwrap().status, 2);
    assert_eq!(
        probed(running.admin, "/readyz").await,
        answered("503", "draining")
    );
    assert_eq!(
        probed(running.admin, "/healthz").await,
        answered("200", "ok")
    );

    drop(unfinished);
    connection.abort();
    running.server.await.unwrap().unwrap();
    assert!(TcpStream::connect(running.admin).await.is_err());
}
