//! The admin address: probes and metrics, in plain HTTP/1.1, beside the calls and whatever they
//! do. It changes nothing and names no tenant, so it needs neither TLS nor a caller's name. A
//! connection asks once and has a few seconds in all; when there are too many, the oldest makes
//! room, so that nobody keeps a probe out.

mod readiness;

use std::{collections::VecDeque, convert::Infallible, io, net::SocketAddr};

use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};
use tokio_util::task::AbortOnDropHandle;

pub use readiness::{Readiness, State};

use crate::{
    limits::{ACCEPT_PAUSE, ADMIN_CONNECTION_TIMEOUT, MAX_ADMIN_CONNECTIONS, MAX_ADMIN_HEAD_BYTES},
    telemetry::{METRICS_CONTENT_TYPE, Telemetry},
};

const TEXT: &str = "text/plain; charset=utf-8";
const PATHS: &str = "there are /healthz, /readyz and /metrics";

/// Answers on the admin address until it is dropped.
#[derive(Debug)]
pub struct Admin {
    local_address: SocketAddr,
    _serving: AbortOnDropHandle<()>,
}

impl Admin {
    /// Answers from now on.
    ///
    /// # Errors
    /// When the address is not known to the system.
    pub fn start(
        listener: TcpListener,
        readiness: Readiness,
        telemetry: Telemetry,
    ) -> io::Result<Self> {
        let local_address = listener.local_addr()?;
        let asked = Asked {
            readiness,
            telemetry,
        };
        Ok(Self {
            local_address,
            _serving: AbortOnDropHandle::new(tokio::spawn(serve(listener, asked))),
        })
    }

    /// Where it answers, with the port that the system chose for port 0.
    pub const fn local_address(&self) -> SocketAddr {
        self.local_address
    }
}

async fn serve(listener: TcpListener, asked: Asked) {
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = running.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    open.retain(|connection| !connection.is_finished());
                    if open.len() >= MAX_ADMIN_CONNECTIONS
                        && let Some(oldest) = open.pop_front()
                    {
                        oldest.abort();
                    }
                    open.push_back(running.spawn(attend(stream, asked.clone())));
                }
                // Whoever went away, or a system that has no more to give for the moment.
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
}

async fn attend(stream: TcpStream, asked: Asked) {
    let answering = service_fn(move |request| {
        let asked = asked.clone();
        async move { Ok::<_, Infallible>(asked.answer(&request).await) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(MAX_ADMIN_HEAD_BYTES)
        // The whole connection has a timeout.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), answering);
    // What becomes of it is the caller's business.
    let _ = tokio::time::timeout(ADMIN_CONNECTION_TIMEOUT, connection).await;
}

/// What can be asked for.
#[derive(Clone)]
struct Asked {
    readiness: Readiness,
    telemetry: Telemetry,
}

impl Asked {
    async fn answer(&self, request: &Request<Incoming>) -> Response<String> {
        let path = request.uri().path();
        if !["/healthz", "/readyz", "/metrics"].contains(&path) {
            return said(StatusCode::NOT_FOUND, PATHS);
        }
        // Of an answer to HEAD the head alone is sent.
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let mut refusal = said(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered");
            let allowed = HeaderValue::from_static("GET, HEAD");
            refusal.headers_mut().insert(ALLOW, allowed);
            return refusal;
        }
        match path {
            "/metrics" => self.metrics().await,
            "/readyz" => match self.readiness.now() {
                state if state.is_serving() => said(StatusCode::OK, "ok"),
                state => said(StatusCode::SERVICE_UNAVAILABLE, &state.to_string()),
            },
            _ => said(StatusCode::OK, "ok"),
        }
    }

    async fn metrics(&self) -> Response<String> {
        match self.telemetry.scraped().await {
            Ok(text) => text_of(StatusCode::OK, METRICS_CONTENT_TYPE, text),
            Err(error) => {
                tracing::error!(%error, "the metrics cannot be told");
                said(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the metrics cannot be told; the log says why",
                )
            }
        }
    }
}

fn said(status: StatusCode, line: &str) -> Response<String> {
    text_of(status, TEXT, format!("{line}\n"))
}

fn text_of(status: StatusCode, content_type: &'static str, text: String) -> Response<String> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
#[path = "admin_tests.rs"]
mod tests;
