//! What a server says about its health while its store fails and is back again.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bellwether::{
    admin::{Readiness, State},
    grpc::health::LIVENESS,
    store::embedded::Embedded,
};
use tonic::Streaming;
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_client::HealthClient,
};

use crate::{
    failing::Failing,
    world::{listening, serve},
};

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

async fn next(watched: &mut Streaming<HealthCheckResponse>) -> ServingStatus {
    watched.message().await.unwrap().unwrap().status()
}

#[tokio::test]
async fn liveness_stays_while_readiness_follows_the_store() {
    let parent = tempfile::tempdir().unwrap();
    let (directory, elsewhere) = (parent.path().join("store"), parent.path().join("moved"));
    let commits_left = Arc::new(AtomicUsize::new(usize::MAX));
    let service = serve(Failing {
        commits_left: Arc::clone(&commits_left),
        ..Failing::well(Embedded::open(&directory).unwrap())
    })
    .await;
    let probed = Readiness::default();
    let served = listening(service, probed.clone()).await;
    let mut health = HealthClient::new(served.channel);

    let mut readiness = health.watch(of("")).await.unwrap().into_inner();
    let mut liveness = health.watch(of(LIVENESS)).await.unwrap().into_inner();
    assert_eq!(next(&mut readiness).await, ServingStatus::Serving);
    assert_eq!(probed.now(), State::Serving);
    assert_eq!(next(&mut liveness).await, ServingStatus::Serving);
    let failing = State::Failing("the store is unavailable");
    for (left, expected, state) in [
        (0, ServingStatus::NotServing, failing),
        (usize::MAX, ServingStatus::Serving, State::Serving),
    ] {
        commits_left.store(left, Ordering::SeqCst);
        assert_eq!(next(&mut readiness).await, expected);
        assert_eq!(probed.now(), state);
        let alive = health.check(of(LIVENESS)).await.unwrap();
        assert_eq!(alive.into_inner().status(), ServingStatus::Serving);
    }

    fs::rename(&directory, &elsewhere).unwrap();
    assert_eq!(next(&mut readiness).await, ServingStatus::NotServing);
    fs::rename(&elsewhere, &directory).unwrap();
    assert_eq!(next(&mut readiness).await, ServingStatus::Serving);

    served.stop.send(()).unwrap();
    assert_eq!(next(&mut readiness).await, ServingStatus::NotServing);
    assert_eq!(probed.now(), State::Draining);
    let heard_to_the_end = liveness.message().await.unwrap();
    assert!(heard_to_the_end.is_none(), "{heard_to_the_end:?}");
    served.server.await.unwrap().unwrap();
}
