//! Every event counts once, and everything that follows from the events equals a recount,
//! with many clients and several servers on one Redis.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use serde_json::Value;
use tonic::Code;

use super::{
    people::{
        Answers, Story, assert_influence, assert_same, event_counts, picture, recount, report_part,
    },
    redis_servers::{RedisCluster, RedisServer},
    world::{Bellwether, RESPONSE_TIMEOUT},
};

const CLIENTS: usize = 64;
/// Every profile remembers all of its events, so that none is too old whatever its order.
const SETTINGS: [(&str, &str); 1] = [("remembered_events", "2000")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_of_64_clients_through_two_servers_counts_once() {
    let story = Story::new(1, 50, 20_000);
    let redis = RedisServer::start().await;
    // Nothing fails here, so a machine that is busy must not make it look so.
    let patient = [
        SETTINGS[0],
        ("redis_timeout", "20s"),
        ("default_deadline", "60s"),
        ("max_deadline", "60s"),
    ];
    let first = Bellwether::start(&redis.url(), &patient).await;
    let second = Bellwether::start(&redis.url(), &patient).await;
    let answers = Answers::default();
    for part in &story.parts {
        report_part(&[&first, &second], CLIENTS, "", part, &answers).await;
    }
    assert_eq!(answers.failed(Code::Unknown), 0);
    assert_eq!(
        answers.applied(),
        20_000,
        "each is said to count by one answer"
    );
    let counts = event_counts(&mut second.client(), "", &story).await;
    assert_eq!(counts, story.counts());
    let expected = recount(&story, &SETTINGS).await;
    assert_influence(&expected, &story);
    for server in [&first, &second] {
        assert_same(&picture(&mut server.client(), "", &story).await, &expected);
    }
}

/// With an answer only after a replica has the write, a failover loses nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_by_a_replica_is_lost_while_slots_move_and_a_primary_dies() {
    let story = Story::new(2, 50, 12_000);
    let cluster = RedisCluster::start().await;
    let timeout = format!("{}ms", RESPONSE_TIMEOUT.as_millis());
    let settings = [
        SETTINGS[0],
        ("redis_wait_replicas", "1"),
        ("redis_timeout", timeout.as_str()),
    ];
    let first = Bellwether::start(&cluster.url(), &settings).await;
    let second = Bellwether::start(&cluster.url(), &settings).await;
    let answers = Answers::default();
    let servers = [&first, &second];
    report_part(&servers, CLIENTS, "", &story.parts[0], &answers).await;
    let (early, late) = story.parts[1].split_at(story.parts[1].len() / 2);

    let moving = AtomicBool::new(true);
    let traffic = async {
        report_part(&servers, CLIENTS, "", early, &answers).await;
        moving.store(false, Ordering::Relaxed);
    };
    let moves = async {
        let mut rounds = 0;
        while moving.load(Ordering::Relaxed) {
            let primaries = cluster.primaries().await;
            let target = primaries[rounds % primaries.len()];
            cluster
                .move_slots(slots_of_partitions(&cluster).await, target)
                .await;
            rounds += 1;
        }
        rounds
    };
    let ((), rounds) = tokio::join!(traffic, moves);
    assert!(rounds > 0, "slots have moved while events came");

    let traffic = report_part(&servers, CLIENTS, "", late, &answers);
    let kill = async {
        let primary = cluster
            .primary_of(cluster.slot_of("{default:16:3}").await)
            .await;
        cluster.fail_over(primary).await;
        primary.restart().await;
        cluster.until_whole().await;
    };
    tokio::join!(traffic, kill);
    assert!(
        answers.failed(Code::Unknown) > 0,
        "the kill came while events did"
    );
    report_part(&servers, CLIENTS, "", &story.parts[2], &answers).await;

    let counts = event_counts(&mut first.client(), "", &story).await;
    assert_eq!(counts, story.counts());
    let expected = recount(&story, &SETTINGS).await;
    assert_influence(&expected, &story);
    for server in [&first, &second] {
        let mut found = picture(&mut server.client(), "", &story).await;
        let influencers = found["influencers"].take();
        assert_touches(&influencers, &expected["influencers"]);
        found["influencers"] = expected["influencers"].clone();
        assert_same(&found, &expected);
    }
}

/// While events wait for replicas and for a failover, an author may forget a credit before the
/// race for its event is over: few may count twice, and none may be missing.
fn assert_touches(found: &Value, expected: &Value) {
    let touches = |lists: &Value| -> BTreeMap<String, u64> {
        let lists = lists.as_array().unwrap().iter().enumerate();
        let authors = lists.flat_map(|(list, page)| {
            let authors = page["influencers"].as_array().unwrap().iter();
            authors.map(move |author| {
                let profile_id = &author["profile"]["profileId"];
                let touches = author["touches"].as_str().unwrap_or("0");
                (format!("{list} {profile_id}"), touches.parse().unwrap())
            })
        });
        authors.collect()
    };
    let (found, expected) = (touches(found), touches(expected));
    assert!(!expected.is_empty());
    for (author, expected) in &expected {
        let found = found[author];
        assert!(
            (*expected..=expected + expected / 50).contains(&found),
            "{author} has {found} touches, expected {expected}"
        );
    }
}

/// A replica lags behind by what it has not received: that may be lost, and counts once when
/// it is sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_failover_loses_counts_once_when_it_is_sent_again() {
    let story = Story::new(3, 20, 2_000);
    let cluster = RedisCluster::start().await;
    let server = Bellwether::start(&cluster.url(), &SETTINGS).await;
    let answers = Answers::of_what_may_be_lost();
    report_part(&[&server], CLIENTS, "", &story.parts[0], &answers).await;
    let (safe, at_risk) = story.parts[1].split_at(story.parts[1].len() / 2);
    report_part(&[&server], CLIENTS, "", safe, &answers).await;
    let before = event_counts(&mut server.client(), "", &story).await;

    let primary = cluster
        .primary_of(cluster.slot_of("{default:16:3}").await)
        .await;
    cluster.until_replicated(primary).await;
    let servers = [&server];
    let traffic = report_part(&servers, CLIENTS, "", at_risk, &answers);
    tokio::join!(traffic, cluster.fail_over(primary));
    let after = event_counts(&mut server.client(), "", &story).await;
    for (person, count) in &before {
        assert!(
            after[person] >= *count,
            "what was replicated of {person} is lost"
        );
        assert!(
            after[person] <= story.counts()[person],
            "{person} has too many"
        );
    }

    // Whoever was answered around a failover sends again, and so it is whole.
    report_part(&[&server], CLIENTS, "", at_risk, &answers).await;
    report_part(&[&server], CLIENTS, "", &story.parts[2], &answers).await;
    let counts = event_counts(&mut server.client(), "", &story).await;
    assert_eq!(counts, story.counts());
}

async fn slots_of_partitions(cluster: &RedisCluster) -> Vec<u16> {
    let mut slots = Vec::new();
    for partition in 0..16 {
        slots.push(
            cluster
                .slot_of(&format!("{{default:16:{partition}}}"))
                .await,
        );
    }
    slots.push(cluster.slot_of("{default}").await);
    slots
}
