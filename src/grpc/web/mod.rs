//! gRPC-Web and Connect on the port of gRPC. A request in one of them becomes a gRPC request before
//! anything else is asked of it, and its answer is told in its own protocol, so that deadlines, keys,
//! bounds and what a role sees are the same for all, and no handler knows of it. What is none of the
//! three gets an answer that a person can read.

mod asked;
mod connect;
mod cors;
mod envelopes;
mod error;
mod from_json;
mod query;
mod turns;

use std::{
    convert::Infallible,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::Either;
use http::{
    Method, Request, Response, Version,
    header::{CONTENT_TYPE, HOST, ORIGIN},
    uri::Authority,
};
use tonic::body::Body;
use tonic_web::GrpcWebLayer;
use tower::{Layer as _, Service, ServiceExt as _};

use super::{
    deadline::Deadlines,
    transport::{Calls, Guard},
};
use crate::config::Config;
use asked::{Asked, Protocol};
use connect::Connect;
use cors::Origins;

/// Calls that are made in any of the protocols.
#[derive(Clone)]
pub struct Web<S> {
    calls: S,
    others: Arc<Others<S>>,
}

/// What answers whatever is no gRPC.
struct Others<S> {
    calls: S,
    guard: Guard,
    deadlines: Deadlines,
    gets: bool,
    has_keys: bool,
    origins: Origins,
}

impl<S: Calls> Web<S> {
    /// In front of these calls.
    pub fn new(calls: S, guard: Guard, config: &Config) -> Self {
        let others = Others {
            calls: calls.clone(),
            guard,
            deadlines: Deadlines::from(config),
            gets: config.connect_get,
            has_keys: config.keys.is_some(),
            origins: Origins::new(&config.cors_origins),
        };
        Self {
            calls,
            others: Arc::new(others),
        }
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S: Calls> Service<Request<Body>> for Web<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, Answering>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.calls.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if is_grpc(&request) {
            return Either::Left(self.calls.call(request));
        }
        let others = Arc::clone(&self.others);
        let wants_body = request.method() != Method::HEAD;
        Either::Right(Box::pin(async move {
            let response = others.let_in(request).await;
            Ok(match wants_body {
                true => response,
                false => response.map(|_| Body::empty()),
            })
        }))
    }
}

/// Whether it is plain gRPC, which every other question about a request comes after.
fn is_grpc(request: &Request<Body>) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let kind = request.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.as_bytes().split_at_checked(GRPC.len()));
    let is_grpc = kind.is_some_and(|(kind, rest)| {
        kind.eq_ignore_ascii_case(GRPC) && matches!(rest, [] | [b'+' | b';' | b' ', ..])
    });
    is_grpc && request.version() == Version::HTTP_2 && request.method() == Method::POST
}

/// Whether the caller names this server by an address, or as its own machine, and not by a name that
/// somebody may have made to lead here.
fn is_asked_by_address(request: &Request<Body>) -> bool {
    let header = request.headers().get(HOST);
    let header = header.and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let authority = request.uri().authority().cloned().or(header);
    authority.is_some_and(|authority| {
        let host = authority.host().trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok()
    })
}

impl<S: Calls> Others<S> {
    /// Answers what pages of other origins may ask, and what asks whether they may.
    async fn let_in(self: Arc<Self>, request: Request<Body>) -> Response<Body> {
        if let Err(refusal) = self.origins.check(request.headers()) {
            return refusal.into_response();
        }
        // Without an origin it is no page that asks.
        let is_question = request.method() == Method::OPTIONS;
        let is_of_a_page = request.headers().contains_key(ORIGIN);
        let Some(cors) = self.origins.cors().filter(|_| is_of_a_page || !is_question) else {
            return self.answer(request).await;
        };
        let answering =
            tower::service_fn(|request| async { Ok::<_, Infallible>(self.answer(request).await) });
        match cors.layer(answering).oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    async fn answer(&self, mut request: Request<Body>) -> Response<Body> {
        // Browsers send no origin with a GET of a page's own origin. So where nobody is asked for a key,
        // a page whose name is made to lead here would get an answer.
        let gets = self.gets && (self.has_keys || is_asked_by_address(&request));
        let asked = match Asked::of(&request, gets) {
            Ok(asked) => asked,
            Err(refusal) => return refusal.into_response(),
        };
        let calls = self.calls.clone();
        match asked.protocol {
            Protocol::GrpcWeb => {
                let connection = self.guard.connection(request.extensions());
                // The library knows these words in one form alone.
                let kind = asked::essence(&request);
                if let Ok(kind) = kind.parse() {
                    request.headers_mut().insert(CONTENT_TYPE, kind);
                }
                let answered = GrpcWebLayer::new().layer(calls).oneshot(request).await;
                match answered {
                    // In text it is another copy, which nobody has counted.
                    Ok(response) if kind.contains("-text") => {
                        self.guard.sent(&connection, response, None)
                    }
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            }
            Protocol::Connect(rpc) => {
                let connect = Connect::new(rpc, asked.is_json, &self.guard, self.deadlines);
                connect.answer(calls, request).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Counters;

    /// What guards the calls of a server with these settings: the usual ones.
    pub(super) fn guard() -> (Guard, Config) {
        let config = Config::load(&Default::default(), |_| None).unwrap();
        (Guard::new(&config, &Counters::disabled()), config)
    }

    #[test]
    fn who_asks_by_a_name_is_told_from_who_asks_by_an_address() {
        for (host, expected) in [
            (Some("127.0.0.1:50051"), true),
            (Some("[::1]:50051"), true),
            (Some("localhost"), true),
            (Some("evil.example:50051"), false),
            (Some("127.0.0.1.evil.example"), false),
            (None, false),
        ] {
            let mut request = Request::new(Body::empty());
            if let Some(host) = host {
                request.headers_mut().insert(HOST, host.parse().unwrap());
            }
            assert_eq!(is_asked_by_address(&request), expected, "{host:?}");
        }
    }

    #[test]
    fn plain_grpc_is_told_from_everything_else() {
        let asked = |version, kind: Option<&str>| {
            let mut request = Request::new(Body::empty());
            *request.method_mut() = Method::POST;
            *request.version_mut() = version;
            if let Some(kind) = kind {
                let kind = kind.parse().unwrap();
                request.headers_mut().insert(CONTENT_TYPE, kind);
            }
            is_grpc(&request)
        };
        for kind in [
            "application/grpc",
            "application/grpc+proto",
            "application/grpc;x=y",
            "application/grpc ; x=y",
            "Application/GRPC",
            "APPLICATION/gRPC+Proto",
        ] {
            assert!(asked(Version::HTTP_2, Some(kind)), "{kind}");
            assert!(!asked(Version::HTTP_11, Some(kind)), "{kind}");
        }
        for kind in [
            "application/grpc-web",
            "Application/GRPC-Web",
            "application/grpc-web-text+proto",
            "application/json",
            "",
            "application/grpcx",
        ] {
            assert!(!asked(Version::HTTP_2, Some(kind)), "{kind}");
        }
        assert!(!asked(Version::HTTP_2, None));
        let mut get = Request::new(Body::empty());
        *get.version_mut() = Version::HTTP_2;
        let kind = "application/grpc".parse().unwrap();
        get.headers_mut().insert(CONTENT_TYPE, kind);
        assert!(!is_grpc(&get), "calls are made by POST");
    }
}
