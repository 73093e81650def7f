//! The gRPC server on a service: health, reflection, limits, and a stop that loses nothing.

use std::{
    convert::Infallible,
    future::Future,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use futures_util::future::Either;
use http::{Request, Response};
use tokio::{net::TcpListener, sync::watch};
use tonic::{body::Body, codec::CompressionEncoding, server::NamedService, service::Routes};
use tonic_health::server::HealthReporter;
use tower::{Layer as _, Service as TowerService};

use super::{
    authentication::Authentication,
    calls::CallsLayer,
    deadline::Deadlines,
    draining::Draining,
    handlers::Handlers,
    health::Health,
    model_handlers::ModelHandlers,
    store_handlers::StoreHandlers,
    transport::{self, Budgets, Tls},
    unknown_names,
    unread::Unread,
    web::Web,
};
use crate::{
    admin::Readiness,
    api::TokenSeal,
    config::Config,
    proto::{
        PUBLIC_DESCRIPTORS,
        v1::{
            model_service_server::ModelServiceServer, scoring_service_server::ScoringServiceServer,
            store_service_server::StoreServiceServer,
        },
    },
    service::Service,
    store::Store,
    telemetry::{Telemetry, TransportLoad},
};

type Scoring<S> = ScoringServiceServer<Handlers<S>>;

/// Why a server stopped early.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The descriptors that reflection serves are damaged.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// Page tokens cannot be sealed with the key of the store.
    #[error("page tokens cannot be sealed with the key of the store")]
    TokenKey,
}

/// Serves until `stop` ends, then drains: reports `NOT_SERVING`, accepts nothing more, and
/// waits for what is in work, at most the configured time.
///
/// # Errors
/// [`ServeError`] when the server cannot start or its transport fails.
pub async fn serve<S: Store>(
    service: Service<S>,
    listener: TcpListener,
    (tls, authentication): (Option<Arc<Tls>>, Authentication),
    config: &Config,
    telemetry: Telemetry,
    readiness: Readiness,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let counters = telemetry.counters();
    let (drain, is_draining) = watch::channel(false);
    let draining = Draining::new(is_draining);
    let mut health = Health::new(Scoring::<S>::NAME, readiness).await;
    // Whoever is let in finds the health known: a watcher of an unknown name is turned away.
    health.check(&service).await;
    let handlers = Handlers::new(
        service.clone(),
        draining.clone(),
        telemetry.clone(),
        TokenSeal::new(service.token_key()).ok_or(ServeError::TokenKey)?,
    );
    let guard = transport::Guard::new(config, &telemetry.counters());
    let budgets = guard.budgets.clone();
    observe(&telemetry, budgets.clone(), handlers.unread());
    let scoring = Scoring::<S>::new(handlers)
        .max_decoding_message_size(config.max_message_bytes)
        .accept_compressed(CompressionEncoding::Gzip);
    let mut others = others(health.reporter())?;
    if config.model_service {
        let handlers = ModelHandlers::new(service.clone(), draining.clone(), telemetry.clone());
        others = others.add_service(
            ModelServiceServer::new(handlers)
                .max_decoding_message_size(config.max_message_bytes)
                .accept_compressed(CompressionEncoding::Gzip),
        );
    }
    // Where others call and nobody is asked who they are, nobody takes everything away.
    if config.keys.is_some() || !config.allow_anonymous {
        let handlers = StoreHandlers::new(service.clone(), draining.clone(), telemetry.clone());
        others = others.add_service(
            StoreServiceServer::new(handlers)
                .max_decoding_message_size(config.max_message_bytes)
                .accept_compressed(CompressionEncoding::Gzip),
        );
    }
    let others = others.prepare();
    let front = Front { scoring, others };
    let deadlines = Deadlines::from(config);
    let calls = CallsLayer::new(
        authentication.clone(),
        deadlines,
        service.gate(),
        guard.clone(),
        telemetry,
    )
    .layer(front);
    let calls = Web::new(calls, guard, config);
    let server = transport::serve(
        listener,
        calls,
        config.into(),
        budgets,
        tls.clone(),
        draining,
    );
    let mut server = std::pin::pin!(server);

    tokio::select! {
        () = &mut server => return Ok(()),
        never = health.follow(&service) => match never {},
        never = follow_tls(tls.as_deref(), || counters.refused_file("tls")) => match never {},
        never = authentication.follow(|| counters.refused_file("keys")) => match never {},
        never = unknown_names::tell(&authentication, &service) => match never {},
        () = stop => {}
    }
    tracing::info!("stopping: finishing what is in work");
    health.drain().await;
    drain.send_replace(true);
    let closed = tokio::time::timeout(config.drain_timeout, server).await;
    if closed.is_err() {
        tracing::warn!("the drain timeout has passed; closing connections in use");
    }
    Ok(())
}

/// Has told what callers hold.
fn observe(telemetry: &Telemetry, budgets: Budgets, unread: Unread) {
    telemetry.observe_transport(move || TransportLoad {
        connections: budgets.connections.load(Ordering::Relaxed),
        streams: budgets.streams.taken(),
        request_bytes: budgets.request_bytes.taken(),
        answer_bytes: budgets.answer_bytes.taken(),
        unread_bytes: unread.bytes(),
    });
}

async fn follow_tls(tls: Option<&Tls>, refused: impl Fn() + Send) -> Infallible {
    match tls {
        Some(tls) => tls.follow(refused).await,
        None => std::future::pending().await,
    }
}

/// Health and reflection.
fn others(reporter: &HealthReporter) -> Result<Routes, tonic_reflection::server::Error> {
    use tonic_health::pb::{
        FILE_DESCRIPTOR_SET as HEALTH_DESCRIPTORS, health_server::HealthServer,
    };
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(PUBLIC_DESCRIPTORS)
            .register_encoded_file_descriptor_set(HEALTH_DESCRIPTORS)
    };
    let health = tonic_health::server::HealthService::from_health_reporter(reporter.clone());
    Ok(Routes::new(HealthServer::new(health))
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?))
}

/// Sends scoring calls straight to their service, and everything else through the router,
/// which costs a call about a microsecond.
struct Front<S> {
    scoring: Scoring<S>,
    others: Routes,
}

impl<S> Clone for Front<S> {
    fn clone(&self) -> Self {
        Self {
            scoring: self.scoring.clone(),
            others: self.others.clone(),
        }
    }
}

impl<S: Store> TowerService<Request<Body>> for Front<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<
        <Scoring<S> as TowerService<Request<Body>>>::Future,
        <Routes as TowerService<Request<Body>>>::Future,
    >;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Neither of the two is ever busy.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let scoring = request
            .uri()
            .path()
            .strip_prefix('/')
            .and_then(|path| path.strip_prefix(Scoring::<S>::NAME));
        if scoring.is_some_and(|method| method.starts_with('/')) {
            Either::Left(self.scoring.call(request))
        } else {
            Either::Right(TowerService::<Request<Body>>::call(
                &mut self.others,
                request,
            ))
        }
    }
}
