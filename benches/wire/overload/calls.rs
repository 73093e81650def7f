//! Calls over bare HTTP/2, which cost a caller less than a gRPC client does: the callers share
//! the processors with the server that they overload.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bellwether::{access::Secret, proto::v1};
use h2::{
    SendStream,
    client::{ResponseFuture, SendRequest},
};
use hdrhistogram::Histogram;
use prost::{Message as _, bytes::Bytes};
use tokio::{net::TcpStream, sync::mpsc};

use crate::events::{Events, assert_applied};

/// How long a caller waits for an answer.
const DEADLINE: &str = "5S";
/// How long a place is kept.
const HELD_FOR: &str = "1M";

/// A connection that is called on.
#[derive(Clone)]
pub struct Connection {
    client: SendRequest<Bytes>,
    uri: http::Uri,
    tenant: Arc<str>,
    authorization: http::HeaderValue,
    events: Arc<Events>,
}

/// A call that is never sent as a whole.
pub type Held = (ResponseFuture, SendStream<Bytes>);

/// What calls came to.
pub struct Outcomes {
    /// How many ended with each gRPC code.
    pub codes: BTreeMap<u16, u64>,
    /// Of calls that were carried out, in microseconds since they were sent.
    pub latencies: Histogram<u64>,
    /// How much later than due calls were sent, in microseconds: more than a little means that
    /// the callers could not do what was asked of them.
    pub lateness: Histogram<u64>,
    /// How long calls were sent for, and how long it took until the last had ended.
    pub sending: Duration,
    pub taken: Duration,
}

/// `OK` and `UNAVAILABLE`.
const OK: u16 = 0;
const UNAVAILABLE: u16 = 14;
/// `DEADLINE_EXCEEDED` and `UNKNOWN`, which nobody wants; others are no answer to these calls.
const FAILED: [u16; 2] = [4, 2];

impl Outcomes {
    fn new() -> Self {
        Self {
            codes: BTreeMap::new(),
            latencies: Histogram::new(3).unwrap(),
            lateness: Histogram::new(3).unwrap(),
            sending: Duration::ZERO,
            taken: Duration::ZERO,
        }
    }

    fn record(&mut self, code: u16, taken: Duration) {
        assert!(
            code == OK || code == UNAVAILABLE || FAILED.contains(&code),
            "a call ended with code {code}"
        );
        *self.codes.entry(code).or_default() += 1;
        if code == OK {
            self.latencies.record(taken.as_micros() as u64).unwrap();
        }
    }

    pub fn count(&self) -> u64 {
        self.codes.values().sum()
    }

    pub fn done(&self) -> u64 {
        self.codes.get(&OK).copied().unwrap_or(0)
    }

    /// Calls a second that were carried out.
    pub fn rate(&self) -> f64 {
        self.done() as f64 / self.taken.as_secs_f64()
    }

    /// The part that was not carried out.
    pub fn refused(&self) -> f64 {
        1.0 - self.done() as f64 / self.count().max(1) as f64
    }

    /// Calls a second that were sent.
    pub fn sent_rate(&self) -> f64 {
        self.count() as f64 / self.sending.as_secs_f64()
    }

    /// A quantile of the latencies in milliseconds.
    pub fn latency(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1_000.0
    }
}

impl Connection {
    /// A connection on which a tenant calls with its key.
    pub async fn open(
        address: SocketAddr,
        tenant: &str,
        secret: &Secret,
        events: &Arc<Events>,
    ) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let mut builder = h2::client::Builder::new();
        let connecting = builder.initial_window_size(1 << 20).handshake(socket);
        let (client, connection) = connecting.await.unwrap();
        tokio::spawn(connection);
        let uri = format!("http://{address}/bellwether.v1.ScoringService/ScoreEvent");
        Self {
            client,
            uri: uri.parse().unwrap(),
            tenant: tenant.into(),
            authorization: format!("Bearer {}", secret.expose()).parse().unwrap(),
            events: Arc::clone(events),
        }
    }

    fn head(&self, deadline: &str) -> http::Request<()> {
        http::Request::post(self.uri.clone())
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-timeout", deadline)
            .header("authorization", self.authorization.clone())
            .body(())
            .unwrap()
    }

    /// Sends an event, and reads its answer to the end; the gRPC code.
    async fn call(&self) -> u16 {
        let request = v1::ScoreEventRequest {
            tenant: self.tenant.to_string(),
            ..self.events.request()
        };
        let mut frame = vec![0; 5];
        request.encode(&mut frame).unwrap();
        let length = u32::try_from(frame.len() - 5).unwrap();
        frame[1..5].copy_from_slice(&length.to_be_bytes());

        let mut client = self.client.clone().ready().await.unwrap();
        let (response, mut body) = client.send_request(self.head(DEADLINE), false).unwrap();
        // A refusal may have ended the stream already; the answer says so.
        let _ = body.send_data(frame.into(), true);
        let response = match response.await {
            Ok(response) => response,
            // The server has refused the stream before it was read.
            Err(error) if error.is_reset() => return UNAVAILABLE,
            Err(error) => panic!("{error}"),
        };
        if let Some(code) = code_of(response.headers()) {
            assert_ne!(code, OK, "an answer without a message");
            return code;
        }
        let mut answers = response.into_body();
        let mut answer = Vec::new();
        while let Some(data) = answers.data().await {
            let data = data.unwrap();
            answers.flow_control().release_capacity(data.len()).unwrap();
            answer.extend_from_slice(&data);
        }
        let trailers = answers.trailers().await.unwrap().unwrap_or_default();
        let code = code_of(&trailers).unwrap();
        if code == OK {
            let scored = v1::ScoreEventResponse::decode(&answer[5..]).unwrap();
            assert_applied(&scored);
        }
        code
    }

    /// Takes a place among the calls of the server and keeps it, by never sending the message.
    pub async fn hold(&self) -> Held {
        let mut client = self.client.clone().ready().await.unwrap();
        let held = client.send_request(self.head(HELD_FOR), false).unwrap();
        // Whoever is answered on the same connection comes after the head of this one.
        self.call().await;
        held
    }
}

fn code_of(headers: &http::HeaderMap) -> Option<u16> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// Callers that each wait for their answer before they call again.
pub async fn closed_loop(connections: &[Connection], callers: usize, time: Duration) -> Outcomes {
    let started = Instant::now();
    let end = started + time;
    let callers: Vec<_> = (0..callers)
        .map(|caller| {
            let connection = connections[caller % connections.len()].clone();
            tokio::spawn(async move {
                let mut outcomes = Outcomes::new();
                while Instant::now() < end {
                    let sent = Instant::now();
                    outcomes.record(connection.call().await, sent.elapsed());
                }
                outcomes
            })
        })
        .collect();
    let mut all = Outcomes::new();
    for caller in callers {
        let outcomes = caller.await.unwrap();
        all.latencies.add(&outcomes.latencies).unwrap();
        for (code, count) in outcomes.codes {
            *all.codes.entry(code).or_default() += count;
        }
    }
    all.taken = started.elapsed();
    all.sending = all.taken;
    all
}

/// Calls that come at their own rate, whatever becomes of those before: each is a task of its own,
/// timed from its first step. The callers share the processors with the server, so they may be
/// late; how much is told beside.
pub async fn open_loop(connections: Vec<Connection>, rate: f64, time: Duration) -> Outcomes {
    let started = Instant::now();
    let (ended, mut codes) = mpsc::unbounded_channel();
    let sending = tokio::spawn(async move {
        let mut number = 0_u64;
        while started.elapsed() < time {
            let due = started + Duration::from_secs_f64(number as f64 / rate);
            if due > Instant::now() {
                tokio::time::sleep_until(due.into()).await;
            }
            let connection = connections[number as usize % connections.len()].clone();
            let ended = ended.clone();
            tokio::spawn(async move {
                let called = Instant::now();
                let code = connection.call().await;
                let _ = ended.send((code, called.elapsed(), called - due));
            });
            number += 1;
            // So that calls begin while others are sent.
            tokio::task::consume_budget().await;
        }
        (number, started.elapsed())
    });
    let mut outcomes = Outcomes::new();
    while let Some((code, taken, late)) = codes.recv().await {
        outcomes.record(code, taken);
        outcomes.lateness.record(late.as_micros() as u64).unwrap();
    }
    let (sent, sending) = sending.await.unwrap();
    assert_eq!(outcomes.count(), sent);
    outcomes.sending = sending;
    outcomes.taken = started.elapsed();
    outcomes
}
