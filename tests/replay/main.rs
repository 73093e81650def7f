//! The replay engine against a server that behaves badly: it refuses, breaks connections,
//! is slow or busy.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod scripted;

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bellwether::cli::{
    connection::{Server, Target},
    failure::Failure,
    replay::{
        engine::{Options, Watcher, replay},
        lines::Position,
        prepare::Preparation,
        stream::Patience,
        summary::Summary,
    },
};
use tokio::net::TcpListener;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use scripted::{Scripted, serve};

#[derive(Default)]
struct Seen {
    refusals: Vec<(u64, String)>,
    position: Position,
}

impl Watcher for Seen {
    fn refused(&mut self, line: u64, reason: &str) {
        self.refusals.push((line, reason.to_owned()));
    }

    fn answered(&mut self, position: Position, _: &Summary) -> Result<(), Failure> {
        assert!(position.byte > self.position.byte);
        self.position = position;
        Ok(())
    }
}

/// Replays the text into the server, and tells what the watcher saw.
async fn run(server: &Scripted, text: &str, batch: usize) -> (Result<Summary, Failure>, Seen) {
    let address = serve(server.clone()).await;
    run_at(address, text, batch).await
}

async fn run_at(address: SocketAddr, text: &str, batch: usize) -> (Result<Summary, Failure>, Seen) {
    let target = Target {
        server: Server {
            url: format!("http://{address}"),
            ..Server::default()
        },
        ..Target::default()
    };
    let options = Options {
        preparation: Preparation::default(),
        batch,
        patience: Patience {
            retries: 3,
            first_wait: Duration::from_millis(1),
            longest_wait: Duration::from_millis(5),
        },
    };
    let mut seen = Seen::default();
    let source = std::io::Cursor::new(text.as_bytes().to_vec());
    let client = target.client().unwrap();
    let replayed = replay(client, source, Position::default(), &options, &mut seen);
    let outcome = tokio::time::timeout(Duration::from_secs(60), replayed)
        .await
        .unwrap();
    (outcome, seen)
}

fn event(id: usize, profile_id: &str) -> String {
    format!(
        r#"{{"eventId":"{id}","profileId":"{profile_id}","type":"visit","time":"2026-01-01T00:00:00Z"}}"#
    ) + "\n"
}

fn update(profile_id: &str) -> String {
    format!(r#"{{"updateProfile":{{"profileId":"{profile_id}","attributes":{{"a":1}}}}}}"#) + "\n"
}

#[tokio::test]
async fn every_event_counts_once_and_a_second_replay_changes_nothing() {
    let server = Scripted::default();
    let text: String = (0..2_500)
        .map(|id| event(id, &format!("p{}", id % 7)))
        .collect();
    let (first, seen) = run(&server, &text, 100).await;
    assert_eq!(
        first.unwrap(),
        Summary {
            applied: 2_500,
            ..Summary::default()
        }
    );
    assert_eq!(
        seen.position,
        Position {
            line: 2_500,
            byte: text.len() as u64
        }
    );
    let (second, _) = run(&server, &text, 100).await;
    assert_eq!(
        second.unwrap(),
        Summary {
            duplicate: 2_500,
            ..Summary::default()
        }
    );
    assert!(server.0.lock().unwrap().largest_batch <= 100);
}

#[tokio::test]
async fn refused_lines_are_reported_with_their_numbers_and_the_rest_goes_on() {
    let server = Scripted::with(|script| {
        script
            .event_errors
            .insert("2".to_owned(), [Code::InvalidArgument].into());
        script
            .update_errors
            .insert("q".to_owned(), [Code::InvalidArgument].into());
    });
    let text = event(1, "p")
        + "{broken\n\n"
        + &event(2, "p")
        + &update("q")
        + &event(3, "p").replace("visit", "old")
        + &update("p")
        + r#"{"eventId":"5","profileId":"p","type":"visit"}"#;
    let (summary, seen) = run(&server, &text, 10).await;
    let expected = Summary {
        applied: 1,
        too_old: 1,
        updates: 1,
        refused: 4,
        ..Summary::default()
    };
    assert_eq!(summary.unwrap(), expected);
    let mut lines: Vec<_> = seen.refusals.iter().map(|(line, _)| *line).collect();
    lines.sort_unstable();
    assert_eq!(lines, [2, 4, 5, 8]);
    let reason = |line| {
        seen.refusals
            .iter()
            .find(|(at, _)| *at == line)
            .unwrap()
            .1
            .clone()
    };
    assert_eq!(reason(4), "INVALID_ARGUMENT: scripted");
    assert!(reason(8).contains("no time"));
    assert_eq!(seen.position.line, 8);
}

#[tokio::test]
async fn a_broken_stream_is_opened_again_and_nothing_is_lost_or_counted_twice() {
    let server = Scripted::with(|script| script.break_before = [1, 4, 5, 9].into());
    let text: String = (0..1_000)
        .map(|id| event(id, &format!("p{}", id % 5)))
        .collect();
    let (summary, _) = run(&server, &text, 50).await;
    let summary = summary.unwrap();
    assert_eq!(summary.applied + summary.duplicate, 1_000);
    assert!(summary.duplicate > 0, "{summary:?}");
    assert_eq!(server.0.lock().unwrap().counted.len(), 1_000);
    for profile in 0..5 {
        let ids: Vec<_> = (0..1_000)
            .filter(|id| id % 5 == profile)
            .map(|id| id.to_string())
            .collect();
        assert_eq!(server.history(&format!("p{profile}")), ids);
    }
}

#[tokio::test]
async fn updates_keep_their_place_among_the_events_of_their_profile() {
    let server = Scripted::with(|script| {
        script.update_delay = Duration::from_millis(2);
        script.batch_delay = Duration::from_millis(1);
        script
            .update_errors
            .insert("p1".to_owned(), [Code::Unavailable, Code::Aborted].into());
        script
            .event_errors
            .insert("13".to_owned(), [Code::ResourceExhausted].into());
    });
    let mut text = String::new();
    let mut expected: HashMap<String, Vec<String>> = HashMap::new();
    for id in 0..600 {
        // Profiles change their pace, so updates stand first, last, alone and in rows.
        let profile_id = format!("p{}", id % 3);
        let history = expected.entry(profile_id.clone()).or_default();
        if id % 11 < 4 {
            text += &update(&profile_id);
            history.push("update".to_owned());
        } else {
            text += &event(id, &profile_id);
            history.push(id.to_string());
        }
    }
    let (summary, _) = run(&server, &text, 20).await;
    assert_eq!(summary.unwrap().answered(), 600);
    for (profile_id, mut history) in expected {
        let mut happened = server.history(&profile_id);
        if profile_id == "p1" {
            // The event that the server was too busy for comes again after its neighbours,
            // but between the same updates.
            let between = |history: &mut Vec<String>| {
                history
                    .split_mut(|step| step == "update")
                    .for_each(<[String]>::sort_unstable);
            };
            between(&mut history);
            between(&mut happened);
        }
        assert_eq!(happened, history, "{profile_id}");
    }
}

#[tokio::test]
async fn a_server_that_stays_away_ends_the_replay_with_the_reason() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (outcome, seen) = run_at(address, &event(1, "p"), 10).await;
    let failure = outcome.unwrap_err().to_string();
    assert!(failure.contains("gave up after 3 retries"), "{failure}");
    assert_eq!(seen.position, Position::default());
}

#[tokio::test]
async fn a_server_that_stays_busy_ends_the_replay_and_names_the_line() {
    let busy = [Code::ResourceExhausted; 10];
    let server = Scripted::with(|script| {
        script.event_errors.insert("2".to_owned(), busy.into());
    });
    let (outcome, seen) = run(&server, &(event(1, "p") + &event(2, "p")), 10).await;
    let failure = outcome.unwrap_err().to_string();
    assert!(failure.contains("gave up at line 2"), "{failure}");
    assert!(failure.contains("RESOURCE_EXHAUSTED"), "{failure}");
    assert!(seen.position.line < 2);
}

#[tokio::test]
async fn an_error_that_will_not_pass_ends_the_replay_at_once() {
    let server = Scripted::with(|script| script.always_break = Some(Code::NotFound));
    let (outcome, _) = run(&server, &event(1, "p"), 10).await;
    assert_eq!(outcome.unwrap_err().to_string(), "NOT_FOUND: scripted");
    assert_eq!(server.0.lock().unwrap().batches, 1);
}

#[tokio::test]
async fn what_every_line_would_hear_ends_the_replay_once_what_is_on_its_way_is_settled() {
    let server = Scripted::with(|script| {
        script.update_delay = Duration::from_millis(20);
        script
            .event_errors
            .insert("4".to_owned(), [Code::PermissionDenied].into());
    });
    let first = event(1, "p") + &update("q") + &event(3, "r") + &event(4, "s");
    let rest: String = (5..20_000).map(|id| event(id, "s")).collect();
    let (outcome, seen) = run(&server, &(first + &rest), 1).await;
    let failure = outcome.unwrap_err().to_string();
    assert!(failure.contains("stopped at line 4"), "{failure}");
    assert!(failure.contains("PERMISSION_DENIED: scripted"), "{failure}");
    assert_eq!(seen.refusals, []);
    assert_eq!(seen.position.line, 3);
    assert_eq!(server.history("q"), ["update"]);
    assert!(server.history("s").len() < 100);
}

#[tokio::test]
async fn a_stream_or_an_update_that_is_refused_for_all_names_its_line() {
    for code in [Code::PermissionDenied, Code::Unauthenticated] {
        let server = Scripted::with(|script| script.always_break = Some(code));
        let (outcome, _) = run(&server, &("\n".to_owned() + &event(1, "p")), 10).await;
        let failure = outcome.unwrap_err().to_string();
        assert!(failure.contains("stopped at line 2"), "{failure}");
        assert_eq!(server.0.lock().unwrap().batches, 1);

        let server = Scripted::with(|script| {
            script.update_errors.insert("q".to_owned(), [code].into());
        });
        let (outcome, seen) = run(&server, &(event(1, "p") + &update("q")), 10).await;
        let failure = outcome.unwrap_err().to_string();
        assert!(failure.contains("stopped at line 2"), "{failure}");
        assert_eq!(seen.position.line, 1);
    }
}

#[tokio::test]
async fn a_quota_is_waited_for_as_often_as_the_server_says_when_there_is_room() {
    let refusal = |retry: Option<Duration>| {
        let mut details =
            ErrorDetails::with_error_info("QUOTA_EXCEEDED", "bellwether", HashMap::new());
        if retry.is_some() {
            details.set_retry_info(retry);
        }
        Status::with_error_details(Code::ResourceExhausted, "scripted", details)
    };
    let with = |refusals: Vec<Status>| {
        Scripted::with(|script| {
            script
                .event_refusals
                .insert("1".to_owned(), refusals.into());
        })
    };
    // More often than a lost connection is tried again.
    let passing = vec![refusal(Some(Duration::from_millis(10))); 8];
    let started = Instant::now();
    let (summary, _) = run(&with(passing), &event(1, "p"), 10).await;
    assert_eq!(summary.unwrap().applied, 1);
    assert!(started.elapsed() >= Duration::from_millis(80));

    let (outcome, seen) = run(&with(vec![refusal(None)]), &event(1, "p"), 10).await;
    let failure = outcome.unwrap_err().to_string();
    assert!(failure.contains("stopped at line 1"), "{failure}");
    assert_eq!(seen.position.line, 0);
}

#[tokio::test]
async fn an_empty_source_is_done_without_a_server() {
    let address = "127.0.0.1:1".parse().unwrap();
    let (summary, seen) = run_at(address, "\n\n", 10).await;
    assert_eq!(summary.unwrap(), Summary::default());
    assert_eq!(seen.position.line, 2);
}

#[tokio::test]
async fn updates_go_ahead_of_events_that_wait_for_others() {
    let server = Scripted::with(|script| script.update_delay = Duration::from_millis(20));
    let mut text = String::new();
    for author in 0..200 {
        let author_id = format!("author-{author}");
        text += &update(&author_id);
        text += &event(author, "ann").replace(
            "\"type\"",
            &format!("\"authorId\":\"{author_id}\",\"type\""),
        );
    }
    let started = Instant::now();
    let (summary, _) = run(&server, &text, 10).await;
    assert_eq!(summary.unwrap().applied, 200);
    // One after the other the updates alone would take four seconds.
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    let ids: Vec<_> = (0..200).map(|id| id.to_string()).collect();
    assert_eq!(server.history("ann"), ids);
}
