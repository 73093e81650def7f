//! A server whose connection to Redis breaks: every call is answered in time and with a code
//! that says what a retry may do, and no event is lost or counted twice.

use std::time::{Duration, Instant};

use bellwether::proto::v1;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{
    people::{Answers, Story, assert_same, event_counts, picture, recount, report_part},
    redis_servers::{Fault, RedisServer, TcpProxy},
    world::{Bellwether, PATIENCE, RESPONSE_TIMEOUT, profile_request, score_request},
};

/// A server behind a proxy that every event of a story gets through.
async fn tell_through(faults: impl AsyncFn(&TcpProxy), events: u64) -> Answers {
    let story = Story::new(events, 10, events);
    let redis = RedisServer::start().await;
    let proxy = TcpProxy::start(redis.address()).await;
    let timeout = format!("{}ms", RESPONSE_TIMEOUT.as_millis());
    let settings = [
        ("remembered_events", "2000"),
        ("redis_timeout", timeout.as_str()),
    ];
    let url = redis.url_by_way_of(proxy.address());
    let server = Bellwether::start(&url, &settings).await;
    let answers = Answers::default();
    let servers = [&server];
    for part in &story.parts {
        let told = report_part(&servers, 16, "", part, &answers);
        let told = async {
            tokio::select! {
                () = told => {}
                () = async {
                    loop {
                        faults(&proxy).await;
                    }
                } => {}
            }
        };
        let told = tokio::time::timeout(PATIENCE, told).await;
        assert!(told.is_ok(), "the events were never all taken");
    }
    assert!(proxy.faults() > 0);
    proxy.set(Fault::Pass);
    server.until_serving(true).await;
    let counts = event_counts(&mut server.client(), "", &story).await;
    assert_eq!(counts, story.counts());
    let expected = recount(&story, &settings[..1]).await;
    assert_same(&picture(&mut server.client(), "", &story).await, &expected);
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delayed_answers_fail_nothing() {
    let delayed = async |proxy: &TcpProxy| {
        proxy.set(Fault::Delay(Duration::from_millis(30)));
        std::future::pending().await
    };
    let answers = tell_through(delayed, 300).await;
    for code in [Code::Unavailable, Code::Unknown, Code::DeadlineExceeded] {
        assert_eq!(answers.failed(code), 0, "{code:?}");
    }
    assert_eq!(answers.applied(), 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_doubled_or_lost_when_requests_are_cut_off_before_they_arrive() {
    let cut = async |proxy: &TcpProxy| {
        proxy.set(Fault::CutBeforeRequest { every: 6 });
        proxy.until_faults(2).await;
        proxy.set(Fault::Pass);
        tokio::time::sleep(Duration::from_millis(30)).await;
    };
    tell_through(cut, 1_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_doubled_or_lost_when_answers_are_cut_off_after_the_command_ran() {
    let cut = async |proxy: &TcpProxy| {
        proxy.set(Fault::CutBeforeReply { every: 6 });
        proxy.until_faults(2).await;
        proxy.set(Fault::Pass);
        tokio::time::sleep(Duration::from_millis(30)).await;
    };
    tell_through(cut, 1_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_doubled_or_lost_while_redis_hangs_now_and_then() {
    let hang = async |proxy: &TcpProxy| {
        tokio::time::sleep(Duration::from_millis(100)).await;
        proxy.set(Fault::HalfOpen);
        tokio::time::sleep(Duration::from_millis(200)).await;
        proxy.set(Fault::Pass);
    };
    tell_through(hang, 600).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_doubled_or_lost_while_answers_trickle() {
    let trickle = async |proxy: &TcpProxy| {
        proxy.set(Fault::Slow {
            bytes: 200,
            pause: Duration::from_millis(1),
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        proxy.set(Fault::Pass);
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    tell_through(trickle, 600).await;
}

/// Answered later than its time, on a busy machine and through a second attempt to connect.
const SLACK: Duration = Duration::from_millis(1_500);

/// A server with one profile in a Redis that then hangs.
struct Hanging {
    _redis: RedisServer,
    proxy: TcpProxy,
    server: Bellwether,
}

impl Hanging {
    async fn new(settings: &[(&str, &str)]) -> Self {
        let redis = RedisServer::start().await;
        let proxy = TcpProxy::start(redis.address()).await;
        let url = redis.url_by_way_of(proxy.address());
        let server = Bellwether::start(&url, settings).await;
        let request = score_request("", visit("first"));
        server.client().score_event(request).await.unwrap();
        proxy.set(Fault::HalfOpen);
        Self {
            _redis: redis,
            proxy,
            server,
        }
    }

    /// What becomes of a read and of a write, and how long they take.
    async fn call(&self) -> [(Status, Duration); 2] {
        let mut client = self.server.client();
        let begun = Instant::now();
        let read = client.get_profile(profile_request("", "ann")).await;
        let read = (read.unwrap_err(), begun.elapsed());
        let begun = Instant::now();
        let write = client.score_event(score_request("", visit("second"))).await;
        [read, (write.unwrap_err(), begun.elapsed())]
    }
}

fn visit(event_id: &str) -> v1::Event {
    v1::Event {
        event_id: event_id.to_owned(),
        profile_id: "ann".to_owned(),
        r#type: "visit".to_owned(),
        time: Some(pbjson_types::Timestamp {
            seconds: 1_767_225_600,
            nanos: 0,
        }),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_is_kept_even_when_redis_hangs() {
    let deadline = Duration::from_millis(300);
    let settings = [("default_deadline", "300ms"), ("redis_timeout", "5s")];
    let hanging = Hanging::new(&settings).await;
    for (status, took) in hanging.call().await {
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
        assert!(took >= deadline && took < deadline + SLACK, "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_redis_is_unavailable_to_readers_and_says_no_untruth_to_writers() {
    let timeout = Duration::from_millis(300);
    let hanging = Hanging::new(&[("redis_timeout", "300ms")]).await;
    let [(read, read_took), (write, write_took)] = hanging.call().await;
    assert_eq!(read.code(), Code::Unavailable, "{read:?}");
    assert!(read.get_details_retry_info().is_some());
    // A write reads first, so it may well be known that nothing was written.
    let codes = [Code::Unavailable, Code::Unknown];
    assert!(codes.contains(&write.code()), "{write:?}");
    for took in [read_took, write_took] {
        assert!(took < 3 * timeout + SLACK, "{took:?}");
    }
    hanging.server.until_serving(false).await;

    hanging.proxy.set(Fault::Pass);
    hanging.server.until_serving(true).await;
    let mut client = hanging.server.client();
    let request = score_request("", visit("second"));
    let profile = client
        .score_event(request)
        .await
        .unwrap()
        .into_inner()
        .profile;
    assert_eq!(profile.unwrap().event_count, 2);
}
