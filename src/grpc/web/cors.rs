//! Pages of which origins may call.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use tonic::Status;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::error::Refusal;

/// How long a browser may remember what it was told.
const MAX_AGE: Duration = Duration::from_secs(7_200);

/// What a page may send besides what every page may.
const ALLOWED_HEADERS: [&str; 13] = [
    "authorization",
    "content-encoding",
    "content-type",
    "connect-accept-encoding",
    "connect-content-encoding",
    "connect-protocol-version",
    "connect-timeout-ms",
    "grpc-timeout",
    "traceparent",
    "tracestate",
    "x-grpc-web",
    "x-requested-with",
    "x-user-agent",
];

/// What a page may read of an answer besides what every page may.
const EXPOSED_HEADERS: [&str; 5] = [
    "connect-content-encoding",
    "content-encoding",
    "grpc-message",
    "grpc-status",
    "grpc-status-details-bin",
];

/// Origins whose pages may call.
pub struct Origins {
    allowed: Vec<String>,
    cors: Option<CorsLayer>,
}

impl Origins {
    /// These; `*` for all. Credentials that a browser would add by itself, such as cookies, are never
    /// asked for: whoever calls shows a key.
    pub fn new(origins: &[String]) -> Self {
        let cors = (!origins.is_empty()).then(|| Self::telling(origins));
        Self {
            allowed: origins.to_vec(),
            cors,
        }
    }

    fn telling(origins: &[String]) -> CorsLayer {
        let allowed = if origins.iter().any(|origin| origin == "*") {
            AllowOrigin::any()
        } else {
            // Each was read as an origin, which a header can hold.
            let origins = origins
                .iter()
                .filter_map(|origin| HeaderValue::from_str(origin).ok());
            AllowOrigin::list(origins)
        };
        CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods([Method::GET, Method::POST])
            .allow_headers(ALLOWED_HEADERS.map(HeaderName::from_static))
            .expose_headers(EXPOSED_HEADERS.map(HeaderName::from_static))
            .vary([
                header::ORIGIN,
                header::ACCESS_CONTROL_REQUEST_METHOD,
                header::ACCESS_CONTROL_REQUEST_HEADERS,
            ])
            .max_age(MAX_AGE)
    }

    /// Refuses a page of another origin. A browser would keep the answer from it and make the call all
    /// the same; and a name that leads to this machine by a trick makes any page one of its own.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut sent = headers.get_all(header::ORIGIN).iter();
        let is_allowed = |origin: &HeaderValue| {
            let mut allowed = self.allowed.iter();
            allowed.any(|allowed| allowed == "*" || origin == allowed.as_str())
        };
        if sent.all(is_allowed) {
            return Ok(());
        }
        let status = Status::permission_denied(
            "pages of this origin may not call; cors_origins lists those that may",
        );
        Err(Refusal::new(StatusCode::FORBIDDEN, status))
    }

    /// What asks and tells; `None` where pages of other origins may not call.
    pub const fn cors(&self) -> Option<&CorsLayer> {
        self.cors.as_ref()
    }
}
