use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::Instant,
};

use super::*;

async fn started() -> (Admin, Readiness) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let readiness = Readiness::default();
    let admin = Admin::start(listener, readiness.clone(), Telemetry::disabled());
    (admin.unwrap(), readiness)
}

async fn connected(admin: &Admin) -> TcpStream {
    TcpStream::connect(admin.local_address()).await.unwrap()
}

/// What is answered to these bytes until the server closes the connection.
async fn answer_to(admin: &Admin, sent: &[u8]) -> String {
    let mut stream = connected(admin).await;
    // It may close the connection before it has read all.
    let _ = stream.write_all(sent).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

async fn answer(admin: &Admin, request: &str) -> (u16, String) {
    let request = format!("{request} HTTP/1.1\r\nhost: it\r\n\r\n");
    let answer = answer_to(admin, request.as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(head.contains("connection: close"), "{head}");
    (status, body.to_owned())
}

#[tokio::test]
async fn a_probe_is_answered_by_what_the_server_is_up_to() {
    let (admin, readiness) = started().await;
    for (state, status, line) in [
        (State::Starting, 503, "starting\n"),
        (State::Serving, 200, "ok\n"),
        (
            State::Failing("the store is unavailable"),
            503,
            "the store is unavailable; the log says why\n",
        ),
        (State::Draining, 503, "draining\n"),
    ] {
        readiness.set(state);
        let ready = answer(&admin, "GET /readyz").await;
        assert_eq!(ready, (status, line.to_owned()));
        let healthy = answer(&admin, "GET /healthz?verbose").await;
        assert_eq!(healthy, (200, "ok\n".to_owned()));
        let (head_only, body) = answer(&admin, "HEAD /readyz").await;
        assert_eq!((head_only, body.as_str()), (status, ""));
    }
}

#[tokio::test]
async fn nothing_else_is_there_and_nothing_is_changed() {
    let (admin, _) = started().await;
    for path in ["/", "/metrics/", "/health", "*", "http://it/readyz/../x"] {
        let (status, body) = answer(&admin, &format!("GET {path}")).await;
        assert_eq!(status, 404, "{path}");
        for named in ["/healthz", "/readyz", "/metrics"] {
            assert!(body.contains(named), "{body}");
        }
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        for path in ["/healthz", "/readyz", "/metrics"] {
            let sent = format!("{method} {path} HTTP/1.1\r\nhost: it\r\n\r\n");
            let answer = answer_to(&admin, sent.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
            assert!(answer.contains("allow: GET, HEAD\r\n"), "{answer}");
        }
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_the_next_one_answered() {
    let (admin, _) = started().await;
    let long_head = format!("GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(9_000));
    let long_path = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1_000_000));
    let many = format!("GET /healthz HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1_000));
    for (sent, statuses) in [
        (
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
            &[400][..],
        ),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[400]),
        (b"\0\0\0\0\r\n\r\n", &[400]),
        (b"GET /healthz HTTP/9.9\r\n\r\n", &[400]),
        (long_head.as_bytes(), &[431]),
        (long_path.as_bytes(), &[414, 431]),
        (many.as_bytes(), &[431]),
    ] {
        let answer = answer_to(&admin, sent).await;
        // A connection that is reset may take the answer with it.
        let is_refused = answer.is_empty()
            || statuses
                .iter()
                .any(|status| answer.starts_with(&format!("HTTP/1.1 {status} ")));
        assert!(is_refused, "{:?}: {answer}", &sent[..11]);
        assert_eq!(self::answer(&admin, "GET /healthz").await.0, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_slow_has_a_few_seconds_in_all() {
    let (admin, _) = started().await;
    let began = Instant::now();
    let mut stream = connected(&admin).await;
    for byte in b"GET /healthz HTTP/1.1\r\nhost: it\r\n" {
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::advance(ADMIN_CONNECTION_TIMEOUT / 20).await;
    }
    assert_eq!(stream.read(&mut [0; 64]).await.unwrap_or(0), 0);
    assert!(began.elapsed() >= ADMIN_CONNECTION_TIMEOUT);
}

#[tokio::test]
async fn who_keeps_connections_open_keeps_no_probe_out() {
    let (admin, _) = started().await;
    let mut idle = Vec::new();
    for _ in 0..2 * MAX_ADMIN_CONNECTIONS {
        let mut stream = connected(&admin).await;
        stream.write_all(b"GET /heal").await.unwrap();
        idle.push(stream);
    }
    assert_eq!(answer(&admin, "GET /healthz").await.0, 200);
    // The oldest have made room.
    let closed = idle[0].read(&mut [0; 64]).await;
    assert_eq!(closed.unwrap_or(0), 0);
    // Nobody else has been let go of.
    let mut last = idle.pop().unwrap();
    last.write_all(b"thz HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    last.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
}
