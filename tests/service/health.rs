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
    clock::system_clock,
    config::{Config, Flags},
    grpc::{authentication::Authentication, health::LIVENESS, server},
    store::embedded::Embedded,
    telemetry::Telemetry,
};
use tokio::{net::TcpListener, sync::oneshot};
use tonic::{Streaming, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_client::HealthClient,
};

use crate::{failing::Failing, world::serve};

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
    let config = Config::load(&Flags::default(), |_| None).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let probed = Readiness::default();
    let told = probed.clone();
    let server = tokio::spawn(async move {
        let stop = async move { drop(stopped.await) };
        server::serve(
            service,
            listener,
            (None, Authentication::none(system_clock())),
            &config,
            Telemetry::disabled(),
            told,
            stop,
        )
        .await
    });
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    let mut health = HealthClient::new(channel.connect().await.unwrap());

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

    stop.send(()).unwrap();
    assert_eq!(next(&mut readiness).await, ServingStatus::NotServing);
    assert_eq!(probed.now(), State::Draining);
    let heard_to_the_end = liveness.message().await.unwrap();
    assert!(heard_to_the_end.is_none(), "{heard_to_the_end:?}");
    server.await.unwrap().unwrap();
}
