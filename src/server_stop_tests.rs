//! A stop that loses nothing, and what is told of it.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::Instant,
};

use super::*;

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
