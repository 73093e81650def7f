//! A call in Connect: its request as one of gRPC, and the answer of gRPC as one of Connect.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body_util::{BodyExt as _, Full};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, body::Body};
use tower::ServiceExt as _;

use super::{
    envelopes::{Envelopes, answer_in_json, end_of_stream},
    error::{self, Refusal},
    from_json::FromJson,
    query::Query,
    turns::in_turn,
};
use crate::{
    api::status,
    grpc::{
        deadline::{Deadlines, sent_timeout},
        transport::{Calls, Connection, Guard, PREFIX_BYTES},
    },
    proto::transcoding::Rpc,
};

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("connect-protocol-version");
const TIMEOUT: HeaderName = HeaderName::from_static("connect-timeout-ms");
const STREAM_ENCODING: HeaderName = HeaderName::from_static("connect-content-encoding");
const ACCEPT_STREAM_ENCODING: HeaderName = HeaderName::from_static("connect-accept-encoding");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
/// Digits of a timeout, by the specification.
const MAX_TIMEOUT_DIGITS: usize = 10;
/// The most that gRPC's timeout can say in a unit.
const MAX_GRPC_TIMEOUT: u64 = 99_999_999;

/// A method that is called in Connect.
pub struct Connect<'a> {
    rpc: Rpc,
    is_json: bool,
    guard: &'a Guard,
    deadlines: Deadlines,
}

impl<'a> Connect<'a> {
    pub const fn new(rpc: Rpc, is_json: bool, guard: &'a Guard, deadlines: Deadlines) -> Self {
        Self {
            rpc,
            is_json,
            guard,
            deadlines,
        }
    }

    /// Makes the call.
    pub async fn answer<S: Calls>(mut self, calls: S, request: Request<Body>) -> Response<Body> {
        let connection = self.guard.connection(request.extensions());
        let request = match self.sent(request) {
            Ok(request) => request,
            // Whoever reads a stream looks for an error at its end.
            Err(refusal) if self.rpc.is_stream() => {
                return self.stream(refusal.into_status().into_http(), &connection);
            }
            Err(refusal) => return refusal.into_response(),
        };
        let deadline = self.deadline(request.request.headers());
        let answered = match calls.oneshot(self.in_grpc(request, &connection)).await {
            Ok(answered) => answered,
            Err(never) => match never {},
        };
        let told = if self.rpc.is_stream() {
            self.stream(answered, &connection)
        } else {
            let (mut head, body) = answered.into_parts();
            let message = self.message(&head.headers, body, &connection);
            let message = match deadline {
                Some(deadline) => timeout_at(deadline, message)
                    .await
                    .unwrap_or_else(|_| Err(status::deadline_exceeded())),
                None => message.await,
            };
            match message {
                Err(status) => return error::response(&status),
                Ok(message) => {
                    self.retype(&mut head.headers);
                    head.headers.insert(CONTENT_LENGTH, message.len().into());
                    Response::from_parts(head, Body::new(Full::new(message)))
                }
            }
        };
        self.guard.sent(&connection, told, deadline)
    }

    /// When the answer must have been sent, as the call itself reckons it.
    fn deadline(&self, headers: &HeaderMap) -> Option<Instant> {
        let timeout = match self.rpc.is_stream() {
            true => sent_timeout(headers),
            false => self.deadlines.of_unary(headers).map(Some),
        };
        Instant::now().checked_add(timeout.ok()??)
    }

    /// The request as it would have been sent without a URL to stand in, once its head is right.
    fn sent(&mut self, request: Request<Body>) -> Result<Sent, Refusal> {
        let mut headers = request.headers().clone();
        let (body, encoding) = if request.method() == Method::GET {
            let query = Query::of(&request)?;
            self.is_json = query.is_json;
            (Some(query.message), Ok(query.is_gzip))
        } else {
            let name = if self.rpc.is_stream() {
                STREAM_ENCODING
            } else {
                CONTENT_ENCODING
            };
            (None, is_gzip(headers.get(name)))
        };
        let is_gzip = encoding?;
        let timeout = check_head(&headers)?;
        for name in [
            CONTENT_ENCODING,
            CONTENT_LENGTH,
            PROTOCOL_VERSION,
            TIMEOUT,
            STREAM_ENCODING,
            GRPC_TIMEOUT,
            GRPC_ENCODING,
        ] {
            headers.remove(name);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        if let Some(timeout) = timeout {
            headers.insert(GRPC_TIMEOUT, timeout);
        }
        let (mut head, sent) = request.into_parts();
        head.headers = headers;
        head.method = Method::POST;
        head.version = Version::HTTP_2;
        let body = body.map_or(sent, |message| Body::new(Full::new(message)));
        Ok(Sent {
            request: Request::from_parts(head, body),
            is_gzip,
        })
    }

    /// The same request in gRPC.
    fn in_grpc(&self, sent: Sent, connection: &Connection) -> Request<Body> {
        let Sent {
            mut request,
            is_gzip,
        } = sent;
        if !self.rpc.is_stream() {
            request = self.guard.framed(request, is_gzip, connection);
        }
        if is_gzip {
            let gzip = HeaderValue::from_static("gzip");
            request.headers_mut().insert(GRPC_ENCODING, gzip);
        }
        if !self.is_json {
            return request;
        }
        let is_stream = self.rpc.is_stream();
        let mut request = self.guard.whole_messages(request, is_stream, connection);
        request.headers_mut().remove(GRPC_ENCODING);
        request.map(|inner| {
            Body::new(FromJson::new(
                inner,
                self.rpc.clone(),
                self.guard.clone(),
                connection.clone(),
            ))
        })
    }

    /// The message of a unary answer.
    async fn message(
        &self,
        headers: &HeaderMap,
        mut body: Body,
        connection: &Connection,
    ) -> Result<Bytes, Status> {
        check_end(headers)?;
        let mut pieces = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame?.into_data() {
                Ok(piece) => pieces.push(piece),
                Err(other) => check_end(&other.into_trailers().unwrap_or_default())?,
            }
        }
        let message = joined(pieces);
        if message.len() < PREFIX_BYTES {
            return Err(status::inconsistent());
        }
        let message = message.slice(PREFIX_BYTES..);
        if !self.is_json {
            return Ok(message);
        }
        let rpc = self.rpc.clone();
        let held = self.guard.hold_answer(connection, message.len());
        let told = in_turn(connection.clone(), message, held, move |message| {
            Ok(answer_in_json(&rpc, &message)?.into())
        });
        told.await
    }

    /// A stream of answers, also one that has failed at once.
    fn stream(&self, answered: Response<Body>, connection: &Connection) -> Response<Body> {
        let (mut head, body) = answered.into_parts();
        let failed = Status::from_header_map(&head.headers);
        self.retype(&mut head.headers);
        let body = match failed {
            Some(status) => Body::new(Full::new(end_of_stream(&status))),
            None => {
                let json_of = self.is_json.then(|| self.rpc.clone());
                Body::new(Envelopes::new(
                    body,
                    json_of,
                    self.guard.clone(),
                    connection.clone(),
                ))
            }
        };
        Response::from_parts(head, body)
    }

    /// Turns headers of an answer in gRPC into those of one in Connect.
    fn retype(&self, headers: &mut HeaderMap) {
        // They mean something in gRPC alone; what they say is told by the end of a stream.
        let own = headers
            .keys()
            .filter(|name| name.as_str().starts_with("grpc-"));
        for name in own.cloned().collect::<Vec<_>>() {
            headers.remove(name);
        }
        let kind = match (self.rpc.is_stream(), self.is_json) {
            (false, true) => "application/json",
            (false, false) => "application/proto",
            (true, true) => "application/connect+json",
            (true, false) => "application/connect+proto",
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        let gzip = HeaderValue::from_static("gzip");
        headers.insert(
            if self.rpc.is_stream() {
                ACCEPT_STREAM_ENCODING
            } else {
                ACCEPT_ENCODING
            },
            gzip,
        );
    }
}

/// A request whose head has been read.
struct Sent {
    request: Request<Body>,
    is_gzip: bool,
}

fn check_end(headers: &HeaderMap) -> Result<(), Status> {
    match Status::from_header_map(headers) {
        Some(status) if status.code() != Code::Ok => Err(status),
        _ => Ok(()),
    }
}

fn bad_request(why: String) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, Status::invalid_argument(why))
}

fn is_gzip(encoding: Option<&HeaderValue>) -> Result<bool, Refusal> {
    let encoding = encoding.map(|encoding| encoding.as_bytes().to_ascii_lowercase());
    match encoding.as_deref() {
        None | Some(b"identity") => Ok(false),
        Some(b"gzip") => Ok(true),
        Some(_) => Err(Refusal::new(
            StatusCode::NOT_IMPLEMENTED,
            Status::unimplemented("messages come as they are or by gzip"),
        )),
    }
}

/// What the head says besides what is called: the timeout as gRPC says it.
fn check_head(headers: &HeaderMap) -> Result<Option<HeaderValue>, Refusal> {
    if headers
        .get(PROTOCOL_VERSION)
        .is_some_and(|version| version != "1")
    {
        return Err(bad_request(format!(
            "{PROTOCOL_VERSION} is 1, the only one there is"
        )));
    }
    let Some(timeout) = headers.get(TIMEOUT) else {
        return Ok(None);
    };
    let malformed = || {
        bad_request(format!(
            "{TIMEOUT} is malformed; send 1 to {MAX_TIMEOUT_DIGITS} digits"
        ))
    };
    let digits = timeout.to_str().map_err(|_| malformed())?;
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    if !is_number || digits.len() > MAX_TIMEOUT_DIGITS {
        return Err(malformed());
    }
    let milliseconds: u64 = digits.parse().map_err(|_| malformed())?;
    let said = if milliseconds <= MAX_GRPC_TIMEOUT {
        format!("{milliseconds}m")
    } else {
        format!("{}S", milliseconds.div_ceil(1_000))
    };
    HeaderValue::from_str(&said)
        .map(Some)
        .map_err(|_| malformed())
}

/// All pieces of an answer together.
fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 {
        return std::mem::take(&mut pieces[0]);
    }
    pieces.concat().into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::grpc::web::tests::guard;

    #[test]
    fn an_answer_has_no_header_that_means_something_in_grpc_alone() {
        let (guard, config) = guard();
        let connection = guard.connection(&http::Extensions::new());
        let rpc = Rpc::at("/bellwether.v1.ScoringService/ScoreEvents").unwrap();
        let connect = Connect::new(rpc, true, &guard, Deadlines::from(&config));
        let failed: Response<Body> = status::overloaded(Duration::from_millis(70)).into_http();
        assert!(failed.headers().contains_key(status::RETRY_PUSHBACK));
        let told = connect.stream(failed, &connection);
        let names = told.headers().keys().map(HeaderName::as_str);
        let of_grpc: Vec<&str> = names.filter(|name| name.starts_with("grpc-")).collect();
        assert!(of_grpc.is_empty(), "{of_grpc:?}");
    }

    #[test]
    fn an_encoding_is_known_however_it_is_written() {
        let of = |encoding: &str| is_gzip(HeaderValue::from_str(encoding).ok().as_ref()).ok();
        assert_eq!(of("gzip"), Some(true));
        assert_eq!(of("GZip"), Some(true));
        assert_eq!(of("Identity"), Some(false));
        assert_eq!(of("br"), None);
    }

    fn timeout(text: &str) -> Option<Option<String>> {
        let mut headers = HeaderMap::new();
        headers.insert(TIMEOUT, HeaderValue::from_bytes(text.as_bytes()).unwrap());
        let read = check_head(&headers).ok()?;
        Some(read.map(|value| value.to_str().unwrap().to_owned()))
    }

    #[test]
    fn a_timeout_is_said_as_grpc_says_it() {
        for (sent, said) in [
            ("0", "0m"),
            ("250", "250m"),
            ("99999999", "99999999m"),
            ("100000001", "100001S"),
            ("9999999999", "10000000S"),
        ] {
            assert_eq!(timeout(sent), Some(Some(said.to_owned())), "{sent}");
        }
        for malformed in ["", "-1", "+1", "1.5", "10m", " 1", "99999999999", "é"] {
            assert_eq!(timeout(malformed), None, "{malformed}");
        }
    }
}
