//! What tenants and models take in Redis: one text for all that have it, nothing for who only
//! asks, and no more tenants than there may be.

use std::time::Duration;

use bellwether::{
    proto::v1,
    scoring::Fingerprint,
    store::{ModelStore as _, SavedModel},
};
use redis::cmd;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{
    redis_servers::{RedisServer, until},
    world::{Bellwether, MODEL, open, profile_request, score_request},
};

async fn score(server: &Bellwether, tenant: &str) -> Result<(), Status> {
    let event = v1::Event {
        event_id: "1".to_owned(),
        profile_id: "anna".to_owned(),
        r#type: "visit".to_owned(),
        ..Default::default()
    };
    let request = score_request(tenant, event);
    server.client().score_event(request).await.map(drop)
}

async fn ask<T: redis::FromRedisValue>(redis: &RedisServer, words: &[&str]) -> T {
    let mut command = cmd(words[0]);
    for word in &words[1..] {
        command.arg(*word);
    }
    let mut connection = redis.connection().await;
    command.query_async(&mut connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_invents_names_makes_no_more_tenants_than_there_may_be() {
    let redis = RedisServer::start().await;
    let server = Bellwether::start(&redis.url(), &[("max_tenants", "2")]).await;
    for tenant in ["a", "b"] {
        score(&server, tenant).await.unwrap();
    }
    let count: usize = ask(&redis, &["DBSIZE"]).await;
    for number in 0..20 {
        let name = format!("invented-{number}");
        let status = score(&server, &name).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        let reason = status.get_details_error_info().unwrap().reason;
        assert_eq!(reason, "TOO_MANY_TENANTS");
        assert!(status.message().contains(&name), "{status:?}");
        let request = profile_request(&name, "anna");
        let read = server.client().get_profile(request).await;
        assert_eq!(read.unwrap_err().code(), Code::NotFound);
    }
    let after: usize = ask(&redis, &["DBSIZE"]).await;
    assert_eq!(
        after, count,
        "nothing is kept of names that were refused or read"
    );
    score(&server, "a").await.unwrap();

    let closed = [("auto_create_tenants", "false")];
    let server = Bellwether::start(&redis.url(), &closed).await;
    score(&server, "b").await.unwrap();
    let status = score(&server, "c").await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status:?}");
    let reason = status.get_details_error_info().unwrap().reason;
    assert_eq!(reason, "UNKNOWN_TENANT");
    assert!(status.message().contains("\"c\""), "{status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_share_one_text_and_one_that_nobody_needs_is_deleted() {
    let redis = RedisServer::start().await;
    let server = Bellwether::start(&redis.url(), &[]).await;
    for tenant in ["a", "b", "c"] {
        score(&server, tenant).await.unwrap();
    }
    let texts = async || -> Vec<String> {
        let fields: Vec<String> = ask(&redis, &["HKEYS", "bellwether:texts"]).await;
        let sources = fields
            .into_iter()
            .filter(|field| field.ends_with(":source"));
        sources.collect()
    };
    assert_eq!(texts().await.len(), 1);
    let next = MODEL.replace("min = 440", "min = 300");
    let request = v1::ApplyModelRequest {
        tenant: String::new(),
        source: next,
        ..Default::default()
    };
    server.model_client().apply_model(request).await.unwrap();
    let settled = || async {
        let request = v1::GetModelsRequest {
            tenant: "a".to_owned(),
        };
        let models = server.model_client().get_models(request).await.unwrap();
        (models.into_inner().waiting_tenants == 0).then_some(())
    };
    until("every tenant has the next model", settled).await;
    assert_eq!(texts().await.len(), 2);

    // As a server does some time after a rollout, with what it has seen to be needed.
    let store = open(&redis.url()).await;
    let other = SavedModel {
        fingerprint: Fingerprint(7),
        source: "x".to_owned(),
        ranks: Vec::new(),
    };
    store.save_model(&other).await.unwrap();
    let kept = [other.fingerprint];
    let left = store.forget_models(&kept, Duration::from_secs(600)).await;
    assert_eq!(left, Ok(1), "the old one was saved too lately");
    assert_eq!(store.forget_models(&kept, Duration::ZERO).await, Ok(0));
    assert_eq!(store.model(other.fingerprint).await, Ok(Some(other)));
    assert_eq!(texts().await.len(), 2);
    // The latest is needed without being named.
    let late = Bellwether::start(&redis.url(), &[]).await;
    for tenant in ["a", "d"] {
        score(&late, tenant).await.unwrap();
    }
}
