//! A Redis that comes back empty, or without a part of what it held, under servers that run: they
//! refuse to make another store of it, and say so.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bellwether::proto::v1;
use redis::cmd;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{
    redis_servers::{RedisServer, until},
    world::{Bellwether, profile_request, score_request},
};

const SETTINGS: [(&str, &str); 1] = [("redis_timeout", "500ms")];

fn visit(number: u64) -> v1::Event {
    v1::Event {
        event_id: number.to_string(),
        profile_id: format!("visitor-{}", number % 40),
        r#type: "visit".to_owned(),
        time: Some(pbjson_types::Timestamp {
            seconds: 1_767_225_600 + number as i64,
            nanos: 0,
        }),
        ..Default::default()
    }
}

async fn score(server: &Bellwether, number: u64) -> Result<v1::EventOutcome, Status> {
    let request = score_request("", visit(number));
    let response = server.client().score_event(request).await?;
    Ok(response.into_inner().outcome())
}

async fn read(server: &Bellwether, visitor: u64) -> Result<v1::Profile, Status> {
    let request = profile_request("", &format!("visitor-{visitor}"));
    let response = server.client().get_profile(request).await?;
    Ok(response.into_inner().profile.unwrap())
}

/// How many people the ranks hold.
async fn counted(server: &Bellwether) -> Result<i64, Status> {
    let mut client = server.client();
    let funnel = client.get_funnel(v1::GetFunnelRequest::default()).await?;
    let funnel = funnel.into_inner();
    let staged = funnel.stages.iter().map(|stage| stage.count);
    Ok(staged.sum::<i64>() + funnel.unstaged_count)
}

async fn keys(redis: &RedisServer, pattern: &str) -> Vec<String> {
    let command = cmd("KEYS").arg(pattern).take();
    let mut connection = redis.connection().await;
    command.query_async(&mut connection).await.unwrap()
}

async fn run(redis: &RedisServer, words: &[&str]) {
    let mut command = cmd(words[0]);
    for word in &words[1..] {
        command.arg(*word);
    }
    let mut connection = redis.connection().await;
    let done: redis::RedisResult<redis::Value> = command.query_async(&mut connection).await;
    done.unwrap();
}

/// The status of a call that is refused because the store has lost what it held.
fn assert_emptied(status: &Status, advice: &str) {
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    let reason = status.get_details_error_info().unwrap().reason;
    assert_eq!(reason, "STORE_EMPTIED", "{status:?}");
    assert!(status.message().contains(advice), "{status:?}");
}

/// Sends events without end, of this tenant and of ever new ones, until told to stop.
async fn write(server: &Bellwether, writing: &AtomicBool, acknowledged: &AtomicU64) {
    let mut client = server.client();
    for number in 0.. {
        if !writing.load(Ordering::Relaxed) {
            return;
        }
        let tenant = match number % 5 {
            0 => format!("tenant-{}", number / 5 % 50),
            _ => String::new(),
        };
        if client
            .score_event(score_request(&tenant, visit(number)))
            .await
            .is_ok()
        {
            acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Empties a Redis under two servers with writes in flight.
async fn empty_under_servers(redis: &RedisServer, empty: impl AsyncFn()) {
    let servers = [
        Bellwether::start(&redis.url(), &SETTINGS).await,
        Bellwether::start(&redis.url(), &SETTINGS).await,
    ];
    let [one, other] = &servers;
    let (writing, acknowledged) = (AtomicBool::new(true), AtomicU64::new(0));
    let emptied = async {
        until("writes are under way", || async {
            (acknowledged.load(Ordering::Relaxed) > 200).then_some(())
        })
        .await;
        empty().await;
        for server in &servers {
            server.until_serving(false).await;
        }
        writing.store(false, Ordering::Relaxed);
    };
    tokio::join!(
        emptied,
        write(one, &writing, &acknowledged),
        write(other, &writing, &acknowledged),
    );
    for server in &servers {
        let refused = || async {
            let status = score(server, 1_000_000).await.unwrap_err();
            let info = status.get_details_error_info()?;
            (info.reason == "STORE_EMPTIED").then_some(status)
        };
        let status = until("writes are refused for the loss", refused).await;
        assert_emptied(&status, "restart the servers");
        assert_emptied(&read(server, 1).await.unwrap_err(), "restart the servers");
        assert_emptied(&counted(server).await.unwrap_err(), "restart the servers");
    }
    let data = keys(redis, "*:profile:*").await;
    assert!(data.is_empty(), "written into the emptied Redis: {data:?}");
    assert!(keys(redis, "bellwether").await.is_empty());

    let fresh = Bellwether::start(&redis.url(), &SETTINGS).await;
    assert_eq!(score(&fresh, 1).await.unwrap(), v1::EventOutcome::Applied);
    assert_eq!(counted(&fresh).await.unwrap(), 1);
    // Who was there before serves no other store without a restart.
    for server in &servers {
        let refused = || async {
            let status = score(server, 2).await.err()?;
            status.message().contains("another store").then_some(status)
        };
        assert_emptied(
            &until("the new store is told apart", refused).await,
            "restart",
        );
    }
    assert_eq!(counted(&fresh).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_make_no_new_store_of_one_that_is_emptied() {
    let redis = RedisServer::start().await;
    empty_under_servers(&redis, async || run(&redis, &["FLUSHALL"]).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_make_no_new_store_of_one_that_kept_nothing_over_a_restart() {
    let redis = RedisServer::start().await;
    empty_under_servers(&redis, async || {
        redis.kill();
        redis.restart().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_servers_left_in_an_emptied_redis_hinders_no_start() {
    let redis = RedisServer::start().await;
    run(&redis, &["ZADD", "bellwether:servers", "1", "7"]).await;
    run(&redis, &["SADD", "bellwether:tenants", "default"]).await;
    run(
        &redis,
        &["SET", "{default}:rollout", "{\"epoch\":9,\"after\":5}"],
    )
    .await;
    run(&redis, &["SET", "{default:16:3}:fence", "9 1"]).await;
    let server = Bellwether::start(&redis.url(), &SETTINGS).await;
    assert_eq!(score(&server, 1).await.unwrap(), v1::EventOutcome::Applied);
    server.stop().await;

    // Data without its note is no such thing.
    run(&redis, &["DEL", "bellwether"]).await;
    let refused = Bellwether::try_start(&redis.url(), &SETTINGS).await;
    let told = refused.err().unwrap();
    let advice = "HSET bellwether format 2 partitions 16";
    let unset = Bellwether::try_start(&redis.url(), &[("redis_partitions", "")]).await;
    assert!(unset.err().unwrap().contains(advice), "the keys say it");
    assert!(
        told.contains("its note is gone") && told.contains(advice),
        "{told}"
    );
    run(&redis, &advice.split(' ').collect::<Vec<_>>()).await;
    let server = Bellwether::start(&redis.url(), &SETTINGS).await;
    assert_eq!(
        score(&server, 1).await.unwrap(),
        v1::EventOutcome::Duplicate
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_go_on_when_what_was_lost_is_back() {
    let redis = RedisServer::start().await;
    let server = Bellwether::start(&redis.url(), &SETTINGS).await;
    score(&server, 1).await.unwrap();
    run(&redis, &["RENAME", "bellwether", "elsewhere"]).await;
    server.until_serving(false).await;
    assert_emptied(
        &score(&server, 2).await.unwrap_err(),
        "its note `bellwether` is gone",
    );
    run(&redis, &["RENAME", "elsewhere", "bellwether"]).await;
    server.until_serving(true).await;
    assert_eq!(score(&server, 2).await.unwrap(), v1::EventOutcome::Applied);
    assert_eq!(
        score(&server, 1).await.unwrap(),
        v1::EventOutcome::Duplicate
    );
}

/// As when one primary of a cluster has come back empty, and the note is on another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_is_lost_is_refused_until_a_start_goes_on_with_what_is_left() {
    let redis = RedisServer::start().await;
    let server = Bellwether::start(&redis.url(), &SETTINGS).await;
    for number in 0..40 {
        score(&server, number).await.unwrap();
    }
    server.stop().await;
    // Long ago, so that no failover can be meant.
    let rollout = "{\"epoch\":7,\"after\":6,\"active\":\"%\"}";
    let text = {
        let mut connection = redis.connection().await;
        let command = cmd("GET").arg("{default}:rollout").take();
        let text: String = command.query_async(&mut connection).await.unwrap();
        let (_, rest) = text.split_once("\"active\":\"").unwrap();
        let active = rest.split('"').next().unwrap().to_owned();
        let number = active.split(':').next().unwrap().to_owned();
        for fence in keys(&redis, "{default:*:*}:fence").await {
            run(&redis, &["SET", &fence, &format!("7 {number}")]).await;
        }
        rollout.replace('%', &active)
    };
    run(&redis, &["SET", "{default}:rollout", &text]).await;
    let server = Bellwether::start(&redis.url(), &SETTINGS).await;
    assert_eq!(counted(&server).await.unwrap(), 40);

    let lost = keys(&redis, "{default:16:3}:*").await;
    let people = lost
        .iter()
        .filter_map(|key| key.split(":profile:visitor-").nth(1));
    let people: Vec<u64> = people.map(|number| number.parse().unwrap()).collect();
    assert!(!people.is_empty() && people.len() < 20, "{lost:?}");
    for key in &lost {
        run(&redis, &["DEL", key]).await;
    }
    let again = people[0];
    for _ in 0..2 {
        assert_emptied(
            &score(&server, 40 + again).await.unwrap_err(),
            "a part of the database",
        );
        assert_emptied(
            &counted(&server).await.unwrap_err(),
            "a part of the database",
        );
    }
    assert!(keys(&redis, "{default:16:3}:*").await.is_empty());
    server.stop().await;
    let server = Bellwether::start(&redis.url(), &SETTINGS).await;
    assert_eq!(counted(&server).await.unwrap(), 40 - people.len() as i64);
    let counted = score(&server, again).await.unwrap();
    assert_eq!(counted, v1::EventOutcome::Applied);
}
