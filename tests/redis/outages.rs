//! A Redis that is restarted, full, locked or made to forget while a server runs: callers
//! read a clear status, health follows, and the server recovers by itself.

use bellwether::proto::v1;
use redis::cmd;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{
    redis_servers::{Options, RedisCluster, RedisServer, until},
    world::{Bellwether, PATIENCE, profile_request, score_request},
};

const SETTINGS: [(&str, &str); 1] = [("redis_timeout", "500ms")];

fn visit(number: u64) -> v1::Event {
    v1::Event {
        event_id: number.to_string(),
        profile_id: format!("visitor-{}", number % 10),
        r#type: "visit".to_owned(),
        time: Some(pbjson_types::Timestamp {
            seconds: 1_767_225_600 + number as i64,
            nanos: 0,
        }),
        ..Default::default()
    }
}

async fn score(server: &Bellwether, number: u64) -> Result<v1::ScoreEventResponse, Status> {
    let request = score_request("", visit(number));
    let response = server.client().score_event(request).await?;
    Ok(response.into_inner())
}

async fn read(server: &Bellwether) -> Result<v1::Profile, Status> {
    let request = profile_request("", "visitor-1");
    let response = server.client().get_profile(request).await?;
    Ok(response.into_inner().profile.unwrap())
}

/// Waits until an event is taken, and tells whether it had counted before.
async fn until_scored(server: &Bellwether, number: u64) -> v1::EventOutcome {
    let scored = || async { score(server, number).await.ok() };
    until("an event is taken", scored).await.outcome()
}

async fn set(redis: &RedisServer, parameter: &str, value: &str) {
    let mut connection = redis.connection().await;
    let command = cmd("CONFIG").arg("SET").arg(parameter).arg(value).take();
    let () = command.query_async(&mut connection).await.unwrap();
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_of_redis_everything_is_there_and_goes_on() {
    let redis = Options::new().append_only().start().await;
    let server = Bellwether::start(&redis.url(), &SETTINGS).await;
    for number in 0..20 {
        score(&server, number).await.unwrap();
    }
    for stop in [RedisServer::stop, RedisServer::kill] {
        stop(&redis);
        let status = read(&server).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert_eq!(reason(&status), "STORE_UNAVAILABLE");
        let status = score(&server, 100).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        server.until_serving(false).await;
        redis.restart().await;
        server.until_serving(true).await;
        assert_eq!(read(&server).await.unwrap().event_count, 2);
        // Known from before the restart.
        assert_eq!(until_scored(&server, 1).await, v1::EventOutcome::Duplicate);
    }
    assert_eq!(until_scored(&server, 101).await, v1::EventOutcome::Applied);
    assert_eq!(read(&server).await.unwrap().event_count, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_redis_refuses_writes_clearly_and_still_answers_reads() {
    let redis = RedisServer::start().await;
    let server = Bellwether::start(&redis.url(), &SETTINGS).await;
    score(&server, 1).await.unwrap();
    set(&redis, "maxmemory", "1").await;
    let status = score(&server, 2).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(reason(&status), "STORE_UNAVAILABLE");
    assert!(status.message().contains("raise maxmemory"), "{status:?}");
    assert_eq!(read(&server).await.unwrap().event_count, 1);
    server.until_serving(false).await;
    assert_eq!(read(&server).await.unwrap().event_count, 1);
    set(&redis, "maxmemory", "0").await;
    server.until_serving(true).await;
    assert_eq!(
        score(&server, 2).await.unwrap().outcome(),
        v1::EventOutcome::Applied
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_follows_what_writes_come_to() {
    let redis = RedisServer::start().await;
    let server = Bellwether::start(&redis.url(), &SETTINGS).await;
    score(&server, 1).await.unwrap();
    for (parameter, bad, good) in [
        ("min-replicas-to-write", "1", "0"),
        ("maxmemory-policy", "allkeys-lru", "noeviction"),
    ] {
        set(&redis, parameter, bad).await;
        server.until_serving(false).await;
        set(&redis, parameter, good).await;
        server.until_serving(true).await;
        until_scored(&server, 2).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_no_replica_confirms_are_no_good_health() {
    let redis = RedisServer::start().await;
    let settings = [SETTINGS[0], ("redis_wait_replicas", "1")];
    let server = Bellwether::start(&redis.url(), &settings).await;
    server.until_serving(true).await;
    let failing = async {
        for number in 0.. {
            let status = score(&server, number).await.unwrap_err();
            assert_eq!(status.code(), Code::Unknown, "{status:?}");
        }
    };
    tokio::select! {
        () = failing => {}
        () = server.until_serving(false) => {}
    }
    // Whoever sends nothing any more has it tried again.
    server.until_serving(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_changes_is_a_matter_for_the_operator_until_it_is_right_again() {
    let redis = Options::new().password("first").start().await;
    let server = Bellwether::start(&redis.url(), &SETTINGS).await;
    score(&server, 1).await.unwrap();
    set(&redis, "requirepass", "second").await;
    // Who is connected stays so.
    let mut connection = redis.connection_as("second").await;
    let kill = cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").take();
    let _: redis::RedisResult<u64> = kill.query_async(&mut connection).await;
    server.until_serving(false).await;
    let status = read(&server).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert_eq!(reason(&status), "STORE_MISCONFIGURED");
    for secret in ["first", "second"] {
        assert!(!status.message().contains(secret), "{status:?}");
    }

    let mut connection = redis.connection_as("second").await;
    let back = cmd("CONFIG").arg(&["SET", "requirepass", "first"]).take();
    let () = back.query_async(&mut connection).await.unwrap();
    server.until_serving(true).await;
    assert_eq!(until_scored(&server, 2).await, v1::EventOutcome::Applied);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_forgets_its_scripts_is_given_them_again() {
    let redis = RedisServer::start().await;
    let server = Bellwether::start(&redis.url(), &SETTINGS).await;
    score(&server, 1).await.unwrap();
    let mut connection = redis.connection().await;
    let () = cmd("SCRIPT")
        .arg("FLUSH")
        .query_async(&mut connection)
        .await
        .unwrap();
    let funnel = v1::GetFunnelRequest::default();
    server.client().get_funnel(funnel).await.unwrap();
    assert_eq!(
        score(&server, 2).await.unwrap().outcome(),
        v1::EventOutcome::Applied
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_stands_still_is_not_ready_and_is_so_again_when_it_goes_on() {
    let redis = RedisServer::start().await;
    let server = Bellwether::start(&redis.url(), &SETTINGS).await;
    score(&server, 1).await.unwrap();
    redis.pause();
    server.until_serving(false).await;
    let status = read(&server).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    redis.resume();
    server.until_serving(true).await;
    assert_eq!(until_scored(&server, 2).await, v1::EventOutcome::Applied);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_has_become_a_replica_refuses_writes_until_it_is_primary_again() {
    let redis = RedisServer::start().await;
    let other = RedisServer::start().await;
    // Of one that is there and empty it would take over that it holds nothing.
    other.stop();
    let server = Bellwether::start(&redis.url(), &SETTINGS).await;
    score(&server, 1).await.unwrap();
    let mut connection = redis.connection().await;
    let follow = cmd("REPLICAOF")
        .arg("127.0.0.1")
        .arg(other.address().port())
        .take();
    let () = follow.query_async(&mut connection).await.unwrap();
    let status = score(&server, 2).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    let lead = cmd("REPLICAOF").arg(&["NO", "ONE"]).take();
    let () = lead.query_async(&mut connection).await.unwrap();
    assert_eq!(until_scored(&server, 3).await, v1::EventOutcome::Applied);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_without_one_of_its_parts_refuses_clearly_and_recovers() {
    let cluster = RedisCluster::start_with(Options::new().append_only()).await;
    let server = Bellwether::start(&cluster.url(), &SETTINGS).await;
    for number in 0..10 {
        score(&server, number).await.unwrap();
    }
    // A primary and its replica: nobody can take over.
    let primary = cluster
        .primary_of(cluster.slot_of("{default:16:1}").await)
        .await;
    let replica = cluster.replica_of(primary).await;
    replica.kill();
    primary.kill();
    server.until_serving(false).await;
    let refused = async {
        for number in 10..20 {
            if let Err(status) = score(&server, number).await {
                let codes = [Code::Unavailable, Code::Unknown];
                assert!(codes.contains(&status.code()), "{status:?}");
            }
        }
    };
    let refused = tokio::time::timeout(PATIENCE, refused).await;
    assert!(
        refused.is_ok(),
        "calls are answered while the cluster is down"
    );
    primary.restart().await;
    replica.restart().await;
    cluster.until_whole().await;
    server.until_serving(true).await;
    for number in 0..10 {
        // Known from before.
        let outcome = until_scored(&server, number).await;
        assert_eq!(outcome, v1::EventOutcome::Duplicate);
    }
}
