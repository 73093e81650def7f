//! Which protocol a request speaks, and what is wrong with one that speaks none.

use http::{
    HeaderName, HeaderValue, Method, Request, StatusCode, Version,
    header::{ALLOW, CONTENT_TYPE},
};
use tonic::{Code, Status, body::Body};

use super::error::Refusal;
use crate::proto::transcoding::Rpc;

/// What there is for whoever came without knowing.
const HINT: &str = "this port speaks gRPC, gRPC-Web and Connect, such as: curl -d '{\"profileId\":\"ann\"}' \
     -H 'content-type: application/json' http://127.0.0.1:50051/bellwether.v1.ScoringService/GetProfile";

/// What can be sent to any method.
const GRPC_TYPES: &str = "application/grpc, application/grpc-web, application/grpc-web+proto, \
     application/grpc-web-text, application/grpc-web-text+proto";
/// And by Connect.
const UNARY_TYPES: &str = "application/json, application/proto";
const STREAM_TYPES: &str = "application/connect+json, application/connect+proto";

/// What a request asks for.
pub struct Asked {
    pub protocol: Protocol,
    /// Whether its messages are in JSON.
    pub is_json: bool,
}

/// How it asks.
pub enum Protocol {
    GrpcWeb,
    Connect(Rpc),
}

impl Asked {
    /// What a request asks for that is no plain gRPC.
    ///
    /// # Errors
    /// When it cannot be answered by any method.
    pub fn of(request: &Request<Body>, gets: bool) -> Result<Self, Refusal> {
        let path = request.uri().path();
        let kind = essence(request);
        if is_grpc_web(&kind) {
            if request.method() != Method::POST {
                return Err(wrong_method(request, "POST"));
            }
            return Ok(Self {
                protocol: Protocol::GrpcWeb,
                is_json: false,
            });
        }
        let Some(rpc) = Rpc::at(path) else {
            return Err(Refusal::new(
                StatusCode::NOT_FOUND,
                Status::new(
                    Code::Unimplemented,
                    format!("there is no such method; {HINT}"),
                ),
            ));
        };
        let may_get = gets && rpc.is_read() && !rpc.is_stream();
        match *request.method() {
            Method::POST => {}
            Method::GET if may_get => {
                return Ok(Self {
                    protocol: Protocol::Connect(rpc),
                    is_json: false,
                });
            }
            _ => {
                return Err(wrong_method(
                    request,
                    if may_get { "GET, POST" } else { "POST" },
                ));
            }
        }
        if kind == "application/grpc" || kind.starts_with("application/grpc+") {
            return Err(Refusal::new(
                StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                Status::unimplemented(format!("gRPC needs HTTP/2; {HINT}")),
            ));
        }
        let is_json = match (kind.as_str(), rpc.is_stream()) {
            ("application/json", false) | ("application/connect+json", true) => true,
            ("application/proto", false) | ("application/connect+proto", true) => false,
            (_, is_stream) => return Err(wrong_type(request, &kind, is_stream)),
        };
        Ok(Self {
            protocol: Protocol::Connect(rpc),
            is_json,
        })
    }
}

/// The content type without what follows it, in small letters; empty for none.
pub fn essence(request: &Request<Body>) -> String {
    let kind = request.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

fn is_grpc_web(kind: &str) -> bool {
    let rest = kind.strip_prefix("application/grpc-web");
    matches!(rest, Some("" | "+proto" | "-text" | "-text+proto"))
}

fn wrong_method(request: &Request<Body>, allowed: &'static str) -> Refusal {
    let found = request.method();
    let status = Status::unimplemented(format!(
        "{found} is not answered here, {allowed} is; {HINT}"
    ));
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, status)
        .with(ALLOW, HeaderValue::from_static(allowed))
}

fn wrong_type(request: &Request<Body>, kind: &str, is_stream: bool) -> Refusal {
    let own = if is_stream { STREAM_TYPES } else { UNARY_TYPES };
    let sent = match kind {
        "" => "the request has no content-type".to_owned(),
        // A header is no longer than it may be, and yet nobody wants to read all of it.
        other => format!(
            "{:?} is no content-type that is taken here",
            shortened(other)
        ),
    };
    let status = Status::unimplemented(format!("{sent}; send one of {own}; {HINT}"));
    let mut accepted = format!("{own}, {GRPC_TYPES}");
    if request.version() != Version::HTTP_2 {
        accepted = accepted.replacen("application/grpc, ", "", 1);
    }
    let refusal = Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, status);
    match HeaderValue::from_str(&accepted) {
        Ok(accepted) => refusal.with(HeaderName::from_static("accept-post"), accepted),
        Err(_) => refusal,
    }
}

fn shortened(text: &str) -> &str {
    text.split_at_checked(100).map_or(text, |(start, _)| start)
}
