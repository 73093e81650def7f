//! HTTP/1.1, which anybody can write by hand, and what is written by hand wrongly on purpose; and
//! calls in JSON.

use std::time::Duration;

use bellwether::proto::v1;
use prost::Message as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    raw::{Connection, USUAL_WINDOW, framed},
    server::{Server, patience},
};

/// Longer than anything here may take, and shorter than a connection may be idle.
const PATIENCE: Duration = Duration::from_secs(60);

const GET_PROFILE: &str = "/bellwether.v1.ScoringService/GetProfile";
const SCORE_EVENTS: &str = "/bellwether.v1.ScoringService/ScoreEvents";
const BATCH: &str = "/bellwether.v1.ScoringService/BatchUpdateProfiles";

/// The head of a call in JSON.
fn head(path: &str, rest: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{rest}\r\n"
    )
}

/// A call in JSON.
fn call(path: &str, rest: &str, body: &str) -> String {
    let length = format!("content-length: {}\r\n{rest}", body.len());
    format!("{}{body}", head(path, &length))
}

async fn open(server: &Server, sent: impl AsRef<[u8]>) -> TcpStream {
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    // Who is refused early may find that nobody reads the rest.
    let _ = socket.write_all(sent.as_ref()).await;
    socket
}

/// What comes until the server closes the connection.
async fn rest(mut socket: TcpStream) -> String {
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, socket.read_to_end(&mut answer)).await;
    // One that is cut while it sends is reset.
    drop(read.expect("the server closes it"));
    String::from_utf8_lossy(&answer).into_owned()
}

async fn answered(server: &Server, sent: impl AsRef<[u8]>) -> String {
    rest(open(server, sent).await).await
}

/// Reads until this has come.
async fn read_until(socket: &mut TcpStream, wanted: &str) -> String {
    let mut answer = String::new();
    let mut piece = [0; 4_096];
    while !answer.contains(wanted) {
        let read = timeout(PATIENCE, socket.read(&mut piece)).await;
        let read = read.expect("it comes in time").unwrap();
        assert!(read > 0, "{answer}");
        answer.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    answer
}

#[tokio::test]
async fn whatever_is_no_call_is_refused_and_disturbs_nobody() {
    let server = Server::start(&[]).await;
    let mut quiet = server.scoring().await;
    let two_lengths = head(GET_PROFILE, "content-length: 2\r\ncontent-length: 20\r\n");
    let not_chunked = head(GET_PROFILE, "transfer-encoding: gzip\r\n");
    let negative = head(GET_PROFILE, "content-length: -2\r\n");
    let folded = head(GET_PROFILE, "x: a\r\n b\r\n");
    let header_name = head(GET_PROFILE, "content-length : 2\r\n");
    let many_headers = head(GET_PROFILE, &"x: y\r\n".repeat(200));
    for (sent, expected) in [
        ("\0\0\0\0garbage\r\n\r\n", "400"),
        ("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", ""),
        ("hello\r\n\r\n", "400"),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\r\n\r\n", "400"),
        (&format!("{two_lengths}{{}}"), "400"),
        (&not_chunked, "400"),
        (&negative, "400"),
        (&folded, "400"),
        (&header_name, "400"),
        (&many_headers, "431"),
        (
            &head(GET_PROFILE, &format!("x: {}\r\n", "y".repeat(1 << 20))),
            "431",
        ),
        (&head(&format!("/{}", "y".repeat(1 << 20)), ""), "4"),
    ] {
        let answer = answered(&server, sent).await;
        let expected = format!("HTTP/1.1 {expected}");
        // Where nothing is expected, the connection may be closed without a word.
        let begins =
            answer.starts_with(&expected) || (expected.ends_with(' ') && answer.is_empty());
        let told: String = sent.chars().take(120).collect();
        assert!(begins, "{told:?}: {answer}");
        Server::quiet_call(&mut quiet).await;
    }
}

#[tokio::test]
async fn a_request_hidden_in_the_body_of_another_is_no_request() {
    let server = Server::start(&[]).await;
    let hidden = call(GET_PROFILE, "", "{\"profileId\":\"hidden\"}");
    // Whoever believes the length takes what follows for the body; whoever believes the chunks, for
    // a request. Both lengths at once are an attack.
    let both = format!(
        "content-length: {}\r\ntransfer-encoding: chunked\r\n",
        hidden.len() + 5
    );
    let sent = format!("{}0\r\n\r\n{hidden}", head(GET_PROFILE, &both));
    let answer = answered(&server, sent).await;
    assert!(!answer.contains("hidden"), "{answer}");
}

#[tokio::test]
async fn a_head_that_does_not_end_is_closed() {
    let server = Server::start(&[]).await;
    let before = server.memory();
    let mut slow = Vec::new();
    for _ in 0..200 {
        slow.push(
            open(
                &server,
                format!(
                    "{}x: {}",
                    head(GET_PROFILE, "").trim_end(),
                    "y".repeat(8_000)
                ),
            )
            .await,
        );
    }
    Server::quiet_call(&mut server.scoring().await).await;
    for slow in slow {
        assert_eq!(rest(slow).await, "");
    }
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown}");
}

#[tokio::test]
async fn a_body_that_does_not_end_has_the_deadline_of_its_call() {
    let server = Server::start(&[("DEFAULT_DEADLINE", "2s")]).await;
    for announced in ["content-length: 1000\r\n", "transfer-encoding: chunked\r\n"] {
        let slow = open(&server, head(GET_PROFILE, announced)).await;
        let answer = rest(slow).await;
        assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
        assert!(answer.contains("deadline_exceeded"), "{answer}");
    }
}

#[tokio::test]
async fn a_message_of_grpc_web_that_does_not_end_has_the_deadline_of_its_call() {
    let server = Server::start(&[("DEFAULT_DEADLINE", "2s")]).await;
    for (kind, begun) in [
        ("application/grpc-web", "\0\0=\0\0\0"),
        ("application/grpc-web-text", "AAA9AAAA"),
    ] {
        let announced = format!(
            "POST {GET_PROFILE} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\n\
             content-length: 4000000\r\n\r\n{begun}"
        );
        let answer = answered(&server, announced).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("grpc-status: 4"), "{answer}");
    }
}

#[tokio::test]
async fn bodies_that_do_not_end_share_what_there_is_for_requests() {
    let server = Server::start(&[
        ("MAX_REQUEST_MEMORY_BYTES", "8388608"),
        ("DEFAULT_DEADLINE", "20s"),
    ])
    .await;
    let before = server.memory();
    let announced = head(GET_PROFILE, "content-length: 4000000\r\n");
    let sent = format!("{announced}{}", "x".repeat(1_000_000));
    let mut slow = Vec::new();
    for _ in 0..60 {
        slow.push(tokio::spawn({
            let (address, sent) = (server.address, sent.clone());
            async move {
                let mut socket = TcpStream::connect(address).await.unwrap();
                drop(socket.write_all(sent.as_bytes()).await);
                rest(socket).await
            }
        }));
    }
    Server::quiet_call(&mut server.scoring().await).await;
    let mut refused = 0;
    for slow in slow {
        let answer = slow.await.unwrap();
        let is_late = answer.starts_with("HTTP/1.1 504");
        // Who is refused while it still sends may see a reset instead.
        refused += usize::from(!is_late);
        assert!(
            is_late || answer.is_empty() || answer.starts_with("HTTP/1.1 503"),
            "{answer}"
        );
    }
    assert!(refused > 40, "{refused}");
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown}");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_by_what_it_announces_or_has() {
    let server = Server::start(&[("MAX_MESSAGE_BYTES", "100000")]).await;
    let body = "x".repeat(100_001);
    let announced = call(GET_PROFILE, "connection: close\r\n", &body);
    let chunk = format!("{:x}\r\n{}\r\n", 50_001, "x".repeat(50_001));
    let chunked = head(
        GET_PROFILE,
        "transfer-encoding: chunked\r\nconnection: close\r\n",
    );
    let chunked = format!("{chunked}{chunk}{chunk}0\r\n\r\n");
    for sent in [announced, chunked] {
        let answer = answered(&server, sent).await;
        assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
        assert!(answer.contains("MESSAGE_TOO_LARGE"), "{answer}");
    }
    // Nothing of it has to come.
    let answer = answered(&server, head(GET_PROFILE, "content-length: 100001\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
}

#[tokio::test]
async fn who_waits_to_be_asked_for_a_body_is_asked() {
    let server = Server::start(&[]).await;
    let body = "{\"profileId\":\"ann\"}";
    let waiting = format!(
        "content-length: {}\r\nexpect: 100-continue\r\nconnection: close\r\n",
        body.len()
    );
    let mut socket = open(&server, head(GET_PROFILE, &waiting)).await;
    read_until(&mut socket, "100 Continue\r\n\r\n").await;
    socket.write_all(body.as_bytes()).await.unwrap();
    let answer = rest(socket).await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[tokio::test]
async fn requests_that_come_together_are_answered_one_by_one_in_their_order() {
    let server = Server::start(&[]).await;
    let ask =
        |name: &str, rest: &str| call(GET_PROFILE, rest, &format!("{{\"profileId\":\"{name}\"}}"));
    let mut sent: Vec<String> = (0..50)
        .map(|number| ask(&format!("p{number:02}"), ""))
        .collect();
    sent.push(ask("last", "connection: close\r\n"));
    let answer = answered(&server, sent.concat()).await;
    let names: Vec<&str> = answer.split("there is no profile \\\"").skip(1).collect();
    let names: Vec<&str> = names
        .iter()
        .filter_map(|rest| rest.split('\\').next())
        .collect();
    assert_eq!(names.len(), 51, "{answer}");
    assert!(
        names.is_sorted_by_key(|name| if *name == "last" { "z" } else { name }),
        "{names:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn json_of_many_small_values_takes_no_more_than_one_turn_at_a_time() {
    let server = Server::start(&[]).await;
    let mut quiet = server.scoring().await;
    Server::quiet_call(&mut quiet).await;
    let before = server.memory();
    let refused = format!("{{\"updates\":[{}]}}", vec!["{}"; 1_300_000].join(","));
    let taken = format!(
        "{{\"updates\":[{{\"attributes\":{{\"a\":[{}]}}}}]}}",
        vec!["1"; 120_000].join(",")
    );
    let mut attacks = Vec::new();
    for number in 0..20 {
        let body = if number % 2 == 0 { &refused } else { &taken };
        let sent = call(BATCH, "connection: close\r\n", body);
        let address = server.address;
        attacks.push(tokio::spawn(async move {
            let mut socket = TcpStream::connect(address).await.unwrap();
            drop(socket.write_all(sent.as_bytes()).await);
            rest(socket).await
        }));
    }
    let mut most = 0;
    while !attacks.iter().all(tokio::task::JoinHandle::is_finished) {
        let slowest = Server::quiet_call(&mut quiet).await;
        assert!(slowest < patience(Duration::from_secs(1)), "{slowest:?}");
        most = most.max(server.memory());
    }
    for attack in attacks {
        let answer = attack.await.unwrap();
        let is_refused = ["HTTP/1.1 4", "HTTP/1.1 503", "HTTP/1.1 504"];
        assert!(
            answer.is_empty() || is_refused.iter().any(|start| answer.starts_with(start)),
            "{answer}"
        );
    }
    let grown = most.saturating_sub(before);
    assert!(grown < 400 << 20, "{grown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_very_many_small_values_is_refused_before_it_takes_room() {
    let server = Server::start(&[]).await;
    let values = vec!["true"; 900].join(",");
    let update = format!("{{\"profileId\":\"ann\",\"attributes\":{{\"a\":[{values}]}}}}");
    let close = "connection: close\r\n";
    let stated = call(
        "/bellwether.v1.ScoringService/UpdateProfile",
        close,
        &update,
    );
    let stated = answered(&server, stated).await;
    assert!(stated.starts_with("HTTP/1.1 200"), "{stated}");
    let before = server.memory();
    let batch = |count: usize| {
        let ids = vec!["\"ann\""; count].join(",");
        let asked = format!("{{\"profileIds\":[{ids}]}}");
        call(
            "/bellwether.v1.ScoringService/BatchGetProfiles",
            close,
            &asked,
        )
    };
    let told = answered(&server, batch(10)).await;
    assert!(told.starts_with("HTTP/1.1 200"), "{told}");
    let refused = answered(&server, batch(1_000)).await;
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    assert!(
        refused.contains("ANSWER_TOO_LARGE") || refused.contains("ask for fewer"),
        "{refused}"
    );
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 100 << 20, "{grown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_json_is_given_up_at_the_deadline_of_its_call() {
    // Long before its reader would be given up for taking nothing.
    let server = Server::start(&[("STALL_TIMEOUT", "5m")]).await;
    crate::with_large_profiles(&server, 300).await;
    let connection = Connection::open(server.address, USUAL_WINDOW).await;
    let head = [
        ("content-type", "application/json"),
        ("connect-timeout-ms", "3000"),
    ];
    let mut call = connection.call("RankSegment", &head).await.unwrap();
    let page = "{\"segment\":\"everybody\",\"pageSize\":1000}";
    call.request.send_data(page.into(), true).unwrap();
    let response = timeout(PATIENCE, call.response).await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    // Without making room for more.
    let cut = async { while let Some(Ok(_)) = body.data().await {} };
    timeout(PATIENCE, cut).await.expect("it is cut");
    assert!(!body.is_end_stream(), "a page that is cut is no whole one");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads_are_given_up() {
    let server = Server::start(&[("STALL_TIMEOUT", "2s")]).await;
    crate::with_large_profiles(&server, 300).await;
    let before = server.memory();
    let page = "{\"segment\":\"everybody\",\"pageSize\":1000}";
    let sent = call("/bellwether.v1.ScoringService/RankSegment", "", page);
    let mut unread = Vec::new();
    for _ in 0..80 {
        unread.push(open(&server, &sent).await);
    }
    Server::quiet_call(&mut server.scoring().await).await;
    let open_files = server.descriptors();
    let given_up = async {
        while server.descriptors() + 15 > open_files {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, given_up).await.expect("they are closed");
    drop(unread);
    // All of them would be 800 MB, in binary and in JSON.
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 400 << 20, "{grown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_given_up_when_others_leave_its_connection_no_room() {
    let server = Server::start(&[("STALL_TIMEOUT", "2s")]).await;
    crate::with_large_profiles(&server, 100).await;
    let page = v1::RankSegmentRequest {
        segment: "everybody".to_owned(),
        page_size: 100,
        ..Default::default()
    };
    let in_json = "{\"segment\":\"everybody\",\"pageSize\":100}";
    for (kind, message) in [
        ("application/grpc", framed(0, &page.encode_to_vec())),
        ("application/proto", page.encode_to_vec().into()),
        ("application/json", in_json.into()),
    ] {
        let connection = Connection::open(server.address, USUAL_WINDOW).await;
        let answer = async || {
            let headers = [("content-type", kind)];
            let mut call = connection.call("RankSegment", &headers).await.unwrap();
            call.request.send_data(message.clone(), true).unwrap();
            let response = call.response.await.unwrap();
            assert_eq!(response.status(), 200);
            response.into_body()
        };
        let mut first = answer().await;
        // What has come is not given back, so that nothing more may be sent.
        let mut came = 0;
        while came < USUAL_WINDOW as usize {
            came += first.data().await.unwrap().unwrap().len();
        }
        let mut second = answer().await;
        let end = timeout(PATIENCE, second.data()).await.expect("it is cut");
        assert!(end.is_some_and(|data| data.is_err()), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_in_json_that_nobody_reads_are_given_up_in_http2_too() {
    let server = Server::start(&[("STALL_TIMEOUT", "2s")]).await;
    crate::with_large_profiles(&server, 300).await;
    let before = server.memory();
    let mut unread = Vec::new();
    for _ in 0..4 {
        let connection = Connection::open(server.address, USUAL_WINDOW).await;
        for _ in 0..5 {
            let kind = [("content-type", "application/json")];
            let mut call = connection.call("RankSegment", &kind).await.unwrap();
            let page = "{\"segment\":\"everybody\",\"pageSize\":1000}";
            call.request.send_data(page.into(), true).unwrap();
            unread.push(call);
        }
    }
    Server::quiet_call(&mut server.scoring().await).await;
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 400 << 20, "{grown}");
    for call in unread {
        // What is refused for lack of room is short; the rest is cut.
        let Ok(response) = call.response.await else {
            continue;
        };
        let is_page = response.status() == 200;
        let mut body = response.into_body();
        if !is_page {
            continue;
        }
        let cut = async { while let Some(Ok(_)) = body.data().await {} };
        timeout(PATIENCE, cut).await.expect("it is cut");
        assert!(!body.is_end_stream(), "a page that is cut is no whole one");
    }
}

#[tokio::test]
async fn a_stream_whose_messages_stop_halfway_is_ended() {
    let server = Server::start(&[("STALL_TIMEOUT", "1s")]).await;
    let head = format!(
        "POST {SCORE_EVENTS} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/connect+json\r\n\
         transfer-encoding: chunked\r\nconnection: close\r\n\r\n7\r\n\0\0\0\0\u{9}{{}}\r\n"
    );
    let answer = answered(&server, head).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("MESSAGE_NOT_SENT"), "{answer}");
}
