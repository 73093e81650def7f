//! What an operator reads when the store cannot serve as Redis is set up, and that nothing
//! was written then.

use std::sync::Arc;

use bellwether::{
    scoring::Tenant,
    store::{
        Committed, Coordination as _, RecordStore as _, Rollout, StoreError,
        codec::FORMAT,
        redis::{Redis, RedisSettings},
    },
};
use futures_util::future::join_all;
use redis::cmd;

use super::{
    alone::{GENERATION, id, ranked},
    old_redis::OldRedis,
    redis_servers::{Certificate, Options, RedisCluster, RedisServer},
    world::{Bellwether, open, profile_request, settings},
};

/// The message of a store that does not open because of how Redis is set up.
async fn refused(settings: &RedisSettings) -> String {
    match Redis::open(settings).await {
        Err(StoreError::Misconfigured(message)) => message,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("the store has opened"),
    }
}

fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is missing in {message:?}");
    }
}

async fn count_keys(server: &RedisServer) -> u64 {
    let mut connection = server.connection().await;
    cmd("DBSIZE").query_async(&mut connection).await.unwrap()
}

#[tokio::test]
async fn where_nothing_listens_the_address_is_told() {
    let server = RedisServer::start().await;
    server.stop();
    let Err(StoreError::Unavailable(message)) = Redis::open(&settings(&server.url())).await else {
        panic!("a store without a server has opened, or is misconfigured");
    };
    assert_says(&message, &[&server.address().to_string()]);
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_shown() {
    let server = Options::new().password("opensesame").start().await;
    let wrong = server.url().replace("opensesame", "hunter2");
    let message = refused(&settings(&wrong)).await;
    assert_says(&message, &["password"]);
    assert!(
        !message.contains("hunter2") && !message.contains("opensesame"),
        "{message}"
    );
    let missing = server.url().replace(":opensesame@", "");
    assert_says(&refused(&settings(&missing)).await, &["password"]);
    open(&server.url()).await.ping().await.unwrap();
}

#[tokio::test]
async fn a_redis_before_7_is_refused_with_both_versions() {
    let server = OldRedis::start("6.2.14").await;
    let message = refused(&settings(&server.url())).await;
    assert_says(&message, &["6.2.14", "7.0"]);
}

#[tokio::test]
async fn a_redis_that_evicts_is_refused_with_what_to_set() {
    let server = Options::new().max_memory("100mb");
    let server = server.line("maxmemory-policy allkeys-lru").start().await;
    let message = refused(&settings(&server.url())).await;
    assert_says(&message, &["allkeys-lru", "noeviction"]);
    assert_eq!(count_keys(&server).await, 0);
}

#[tokio::test]
async fn another_number_of_partitions_is_refused_with_both_numbers() {
    let server = RedisServer::start().await;
    open(&server.url()).await;
    let other = RedisSettings {
        partitions: Some(32),
        ..settings(&server.url())
    };
    let message = refused(&other).await;
    assert_says(&message, &["16", "32", "redis_partitions", "repartition"]);
    open(&server.url()).await;
}

#[tokio::test]
async fn unless_configured_a_server_alone_has_one_partition_and_a_cluster_sixteen() {
    let (server, cluster) = (RedisServer::start().await, RedisCluster::start().await);
    for (url, note, expected) in [
        (server.url(), server.connection().await, "1"),
        (
            cluster.url(),
            cluster
                .primary_of(cluster.slot_of("bellwether").await)
                .await
                .connection()
                .await,
            "16",
        ),
    ] {
        let mut note = note;
        let unset = RedisSettings {
            partitions: None,
            ..settings(&url)
        };
        Redis::open(&unset).await.unwrap();
        let noted: String = cmd("HGET")
            .arg(&["bellwether", "partitions"])
            .query_async(&mut note)
            .await
            .unwrap();
        assert_eq!(noted, expected);
    }
}

#[tokio::test]
async fn who_configures_no_partitions_takes_those_that_are_there() {
    let server = RedisServer::start().await;
    let settings = settings(&server.url());
    let (tenant, rollout) = (Tenant::new("shop").unwrap(), Rollout::begin(GENERATION, 0));
    let first = Redis::open(&settings).await.unwrap();
    assert_eq!(first.set_rollout(&tenant, &rollout).await, Ok(true));
    first.fence(&tenant, &rollout).await.unwrap();
    let written = first.commit(&tenant, &rollout, vec![ranked(7)]).await;
    assert_eq!(written, [Ok(Committed::Written)]);
    let unset = RedisSettings {
        partitions: None,
        ..settings
    };
    let second = Redis::open(&unset).await.unwrap();
    let loaded = second.load(&tenant, &[id(7)]).await;
    assert!(loaded[0].as_ref().is_ok_and(Option::is_some), "{loaded:?}");
}

#[tokio::test]
async fn a_note_that_says_no_number_of_partitions_is_refused() {
    let server = RedisServer::start().await;
    open(&server.url()).await;
    let mut connection = server.connection().await;
    for wrong in ["", "0", "many", "4097"] {
        let () = cmd("HSET")
            .arg(&["bellwether", "partitions", wrong])
            .query_async(&mut connection)
            .await
            .unwrap();
        match Redis::open(&settings(&server.url())).await {
            Err(StoreError::Corrupt(message)) => {
                assert_says(&message, &[&format!("{wrong:?} partitions")]);
            }
            other => panic!("{:?}", other.err()),
        }
        let unset = RedisSettings {
            partitions: None,
            ..settings(&server.url())
        };
        let opened = Redis::open(&unset).await;
        assert!(matches!(opened.err(), Some(StoreError::Corrupt(_))));
    }
}

#[tokio::test]
async fn a_foreign_key_space_is_refused_and_left_alone() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    let () = cmd("MSET")
        .arg(&["session:1", "a", "session:2", "b", "cart:1", "c"])
        .query_async(&mut connection)
        .await
        .unwrap();
    let message = refused(&settings(&server.url())).await;
    assert_says(&message, &["3 keys"]);
    assert_eq!(count_keys(&server).await, 3);
}

#[tokio::test]
async fn another_format_is_refused() {
    let server = RedisServer::start().await;
    open(&server.url()).await;
    let mut connection = server.connection().await;
    for format in ["1", "3"] {
        let () = cmd("HSET")
            .arg(&["bellwether", "format", format])
            .query_async(&mut connection)
            .await
            .unwrap();
        let said = format!("is in format {format}; this version reads format 2");
        assert_says(&refused(&settings(&server.url())).await, &[&said]);
    }
}

#[tokio::test]
async fn stores_that_start_at_once_on_an_empty_redis_agree() {
    let server = RedisServer::start().await;
    let settings = settings(&server.url());
    let opened = join_all((0..12).map(|_| Redis::open(&settings))).await;
    assert!(opened.iter().all(Result::is_ok));
}

#[tokio::test]
async fn stores_that_start_at_once_and_disagree_leave_one_number_of_partitions() {
    let server = RedisServer::start().await;
    let wanted: Vec<RedisSettings> = (0..12)
        .map(|number| RedisSettings {
            partitions: Some(16 + number % 2),
            ..settings(&server.url())
        })
        .collect();
    let opened = join_all(wanted.iter().map(Redis::open)).await;
    let opened: Vec<bool> = opened.iter().map(Result::is_ok).collect();
    let half = [[true, false], [false, true]].map(|pair| pair.repeat(6));
    assert!(half.contains(&opened), "{opened:?}");
}

#[tokio::test]
async fn a_cluster_is_told_from_a_server_alone_with_what_to_write() {
    let server = RedisServer::start().await;
    let as_cluster = server.url().replace("redis://", "redis-cluster://");
    let message = refused(&settings(&as_cluster)).await;
    assert_says(&message, &["redis://"]);
    let node = Options::new().line("cluster-enabled yes").start().await;
    let message = refused(&settings(&node.url())).await;
    assert_says(&message, &["redis-cluster://"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_verified_by_the_given_authority_and_nothing_else() {
    let certificate = Arc::new(Certificate::make());
    let server = Options::new().tls(&certificate).password("secret");
    let server = server.start().await;
    let unverified = settings(&server.url());
    let error = Redis::open(&unverified).await.err().unwrap();
    assert_says(&error.to_string(), &["certificate"]);
    let foreign = RedisSettings {
        certificate_authorities: Some(Certificate::make().authority()),
        ..unverified.clone()
    };
    // Its files are gone with it.
    let error = Redis::open(&foreign).await.err().unwrap();
    assert_says(&error.to_string(), &["ca.pem"]);
    let other = Certificate::make();
    let foreign = RedisSettings {
        certificate_authorities: Some(other.authority()),
        ..unverified.clone()
    };
    let error = Redis::open(&foreign).await.err().unwrap();
    assert_says(&error.to_string(), &["certificate"]);
    let verified = RedisSettings {
        certificate_authorities: Some(certificate.authority()),
        ..unverified
    };
    let store = Redis::open(&verified).await.unwrap();
    store.ping().await.unwrap();

    let authority = certificate.authority().display().to_string();
    let server = Bellwether::start(&server.url(), &[("redis_ca", &authority)]).await;
    server.until_serving(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_may_have_a_password_and_tls() {
    let certificate = Arc::new(Certificate::make());
    let options = Options::new().tls(&certificate).password("secret");
    let cluster = RedisCluster::start_with(options).await;
    let authority = certificate.authority().display().to_string();
    let server = Bellwether::start(&cluster.url(), &[("redis_ca", &authority)]).await;
    server.until_serving(true).await;
}

/// `bellwether import` of a file with one profile.
fn import(store: &str) -> std::process::Output {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("backup.jsonl");
    let lines = [
        r#"{"format":1,"tenant":"shop"}"#,
        &format!(r#"{{"profileId":"anna","record":{{"format":{FORMAT},"eventCount":"1"}}}}"#),
        r#"{"profiles":1}"#,
    ];
    std::fs::write(&file, lines.join("\n") + "\n").unwrap();
    std::process::Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .args(["import", "--tenant", "shop", "--store", store])
        .arg(&file)
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_beside_servers_is_refused_with_what_to_do_instead() {
    let redis = RedisServer::start().await;
    let server = Bellwether::start(&redis.url(), &[]).await;
    let refused = import(&redis.url());
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert_says(
        &told,
        &[
            "nothing was written: a server serves",
            "stop",
            "into an empty store",
        ],
    );
    let keys = cmd("KEYS").arg("{shop*").take();
    let keys: Vec<String> = keys
        .query_async(&mut redis.connection().await)
        .await
        .unwrap();
    assert!(keys.is_empty(), "{keys:?}");
    // One that has stopped in order is gone at once.
    server.stop().await;
    let imported = import(&redis.url());
    assert!(imported.status.success(), "{imported:?}");
    let server = Bellwether::start(&redis.url(), &[]).await;
    let request = profile_request("shop", "anna");
    server.client().get_profile(request).await.unwrap();
}

/// Once through everything that lies between an operator and the store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_start_says_why() {
    let redis = RedisServer::start().await;
    open(&redis.url()).await;
    let started = Bellwether::try_start(&redis.url(), &[("redis_partitions", "8")]).await;
    assert_says(&started.err().unwrap(), &["8", "16"]);
}
