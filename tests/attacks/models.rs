//! Work that a model decides: expressions that take all the steps there are, and files that
//! nobody can read.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bellwether::proto::v1::{self, model_service_client::ModelServiceClient};
use futures_util::{StreamExt as _, stream};
use pbjson_types::{ListValue, Struct, Value, value::Kind};
use tonic::{Code, Request};

use crate::server::{Server, patience};

const MIB: usize = 1024 * 1024;

/// An event whose expressions are cut off after as many steps as an event may take.
pub fn costly_event(number: usize) -> v1::Event {
    let words = (0..990).map(|word| Value {
        kind: Some(Kind::StringValue(format!("word{word}"))),
    });
    let list = Kind::ListValue(ListValue {
        values: words.collect(),
    });
    v1::Event {
        event_id: number.to_string(),
        profile_id: format!("costly-{number}"),
        r#type: "costly".to_owned(),
        attributes: Some(Struct {
            fields: [("l".to_owned(), Value { kind: Some(list) })].into(),
        }),
        ..Default::default()
    }
}

/// A file of some 960 KB in which one line of four is a mistake.
pub fn unreadable_model() -> String {
    let signals = (0..18_000)
        .map(|number| format!("[[signals]]\nname = \"s{number}\"\non = \"visit\"\nwhen = 'x +'\n"));
    signals.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_take_all_their_steps_leave_time_for_others() {
    let server = Server::start(&[]).await;
    let mut quiet = server.scoring().await;
    Server::quiet_call(&mut quiet).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let attacker = {
        let (client, is_over) = (server.scoring().await, Arc::clone(&is_over));
        tokio::spawn(async move {
            let calls = stream::iter(0..usize::MAX)
                .take_while(|_| std::future::ready(!is_over.load(Ordering::Relaxed)));
            let calls = calls.map(|number| {
                let mut client = client.clone();
                let request = v1::ScoreEventRequest {
                    event: Some(costly_event(number)),
                    ..Default::default()
                };
                async move { client.score_event(request).await }
            });
            // Two at a time kept both processors for as long as they came.
            let scored = calls.buffer_unordered(2).filter(|scored| {
                let matched = scored
                    .as_ref()
                    .map(|scored| scored.get_ref().matched_signals.clone());
                std::future::ready(matched.is_ok_and(|matched| matched == ["all"]))
            });
            scored.count().await
        })
    };
    for _ in 0..20 {
        let liveness = server.liveness().await;
        assert!(liveness < patience(Duration::from_secs(1)), "{liveness:?}");
        Server::quiet_call(&mut quiet).await;
    }
    is_over.store(true, Ordering::Relaxed);
    let counted = attacker.await.unwrap();
    assert!(counted > 0, "they counted, by what comes before the cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn models_that_nobody_can_read_are_read_one_at_a_time() {
    let server = Server::start(&[]).await;
    let mut quiet = server.scoring().await;
    Server::quiet_call(&mut quiet).await;
    let (memory, threads) = (server.memory(), server.threads());
    let mut channels = Vec::new();
    for _ in 0..4 {
        channels.push(server.channel().await);
    }
    let source = unreadable_model();
    assert!(
        (900_000..1_000_000).contains(&source.len()),
        "{}",
        source.len()
    );
    let calls = (0..300).map(move |number| {
        let mut client = ModelServiceClient::new(channels[number % channels.len()].clone());
        let mut request = Request::new(v1::ApplyModelRequest {
            source: source.clone(),
            ..Default::default()
        });
        // As long as a server lets a caller wait.
        request.set_timeout(Duration::from_secs(60));
        async move {
            let refused = client.apply_model(request).await;
            refused.map(|_| ()).unwrap_err().code()
        }
    });
    let calls = stream::iter(calls).buffer_unordered(300).collect();
    let codes = tokio::spawn(calls);
    let (mut most, mut most_threads) = (0, 0);
    while !codes.is_finished() {
        let liveness = server.liveness().await;
        assert!(liveness < patience(Duration::from_secs(1)), "{liveness:?}");
        most = most.max(server.memory().saturating_sub(memory));
        most_threads = most_threads.max(server.threads());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let codes: Vec<Code> = codes.await.unwrap();
    let of = |code| codes.iter().filter(|other| **other == code).count();
    let (read, turned_away) = (of(Code::InvalidArgument), of(Code::Unavailable));
    assert!(read > 0 && turned_away > 0, "{codes:?}");
    assert_eq!(
        read + turned_away + of(Code::DeadlineExceeded),
        300,
        "{codes:?}"
    );
    // 64 MiB may be on their way, and the allocator keeps what it had for a while: 160 to 190 MiB on
    // a quiet machine. 3.2 GiB were taken when each was read as it came.
    assert!(most < 512 * MIB, "{most} bytes");
    assert!(
        most_threads <= threads + 8,
        "{threads}, then {most_threads} threads"
    );
    Server::quiet_call(&mut quiet).await;
}
