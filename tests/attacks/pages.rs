//! Answers that nobody reads.

use std::time::Duration;

use bellwether::proto::v1;
use futures_util::future::join_all;
use tonic::Code;

use crate::{
    raw::{Connection, rest},
    server::Server,
    with_large_profiles,
};

const MIB: usize = 1024 * 1024;

/// Profiles of 15 KB each.
pub const PROFILES: usize = 300;

/// A page of 4.5 MB, which says that it may become four times as large.
pub fn large_page() -> v1::RankSegmentRequest {
    v1::RankSegmentRequest {
        segment: "everybody".to_owned(),
        page_size: 1_000,
        ..Default::default()
    }
}

#[tokio::test]
async fn pages_that_nobody_reads_are_few_and_end_while_others_are_answered() {
    let server = Server::start(&[("STALL_TIMEOUT", "3s")]).await;
    with_large_profiles(&server, PROFILES).await;
    let mut quiet = server.scoring().await;
    // One page as a reader has it, and what it takes.
    let page = quiet.rank_segment(large_page()).await.unwrap();
    assert_eq!(page.into_inner().members.len(), PROFILES);
    let before = server.memory();

    let mut calls = Vec::new();
    for _ in 0..4 {
        let connection = Connection::open(server.address, 0).await;
        for _ in 0..50 {
            calls.push(
                connection
                    .send("RankSegment", &[], &large_page())
                    .await
                    .unwrap(),
            );
        }
    }
    let ended = tokio::spawn(join_all(calls.into_iter().map(|call| call.end())));
    let mut most = 0;
    while !ended.is_finished() {
        Server::quiet_call(&mut quiet).await;
        most = most.max(server.memory().saturating_sub(before));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ends = ended.await.unwrap();
    let of = |code| ends.iter().filter(|(end, _)| *end == code).count();
    let cut = of(Code::Cancelled) + of(Code::DeadlineExceeded) + of(Code::Aborted);
    assert!(cut >= 4, "{ends:?}");
    assert!(of(Code::Unavailable) >= 100, "{ends:?}");
    assert_eq!(cut + of(Code::Unavailable), 200, "{ends:?}");
    // All of them together have 900 MB.
    assert!(most < 256 * MIB, "{most} bytes");

    // What they took is free again; the quiet caller is one more of the segment.
    let page = quiet.rank_segment(large_page()).await.unwrap();
    assert_eq!(page.into_inner().members.len(), PROFILES + 1);
}

#[tokio::test]
async fn who_pauses_for_too_long_learns_why_the_answer_ends() {
    let server = Server::start(&[("STALL_TIMEOUT", "2s")]).await;
    with_large_profiles(&server, 20).await;
    let connection = Connection::open(server.address, 1_000).await;
    let events = (0..1_000).map(|number| v1::Event {
        profile_id: format!("person-{}", number % 20),
        r#type: "visit".to_owned(),
        ..Default::default()
    });
    let events = v1::ScoreEventsRequest {
        events: events.collect(),
        ..Default::default()
    };
    let stream = connection.send("ScoreEvents", &[], &events).await.unwrap();
    let in_time = [("grpc-timeout", "2S")];
    let page = large_page();
    let page = connection.send("RankSegment", &in_time, &page).await;
    let page = page.unwrap().begun().await;
    let stream = stream.begun().await;
    // Longer than the server waits, and not as long as it waits to tell why.
    tokio::time::sleep(Duration::from_secs(4)).await;
    for (answer, code) in [(stream, Code::Aborted), (page, Code::DeadlineExceeded)] {
        let (end, bytes) = rest(answer).await;
        assert_eq!(end, code);
        // What was on its way, of 300 KB and more.
        assert!((1_000..100_000).contains(&bytes), "{bytes}");
    }
}
