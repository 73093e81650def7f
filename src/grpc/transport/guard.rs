//! What a call must leave to others in memory: asked before its request is read, kept until
//! its answer is sent.

use std::{sync::Arc, time::Duration};

use http::{Extensions, Request, Response};
use tokio::time::Instant;
use tonic::{Status, body::Body};

use super::{
    answer::{Reserved, Sending},
    arriving::{Terms, whole_messages},
    budget::{Budget, Budgets, Taken},
    connection::Connection,
    unframed::Unframed,
};
use crate::{
    config::Config,
    limits::{ANSWER_ENTRY_BYTES, ANSWER_ROOM_WAIT},
    telemetry::{Counters, Shed},
};

/// What is asked of every call.
#[derive(Clone, Debug)]
pub struct Guard {
    /// What all connections share.
    pub budgets: Budgets,
    max_message_bytes: usize,
    stall_timeout: Duration,
}

impl Guard {
    /// By what is configured; who is turned away is counted.
    pub fn new(config: &Config, counters: &Counters) -> Self {
        let budget = |most, reason| Budget::new(most, counters.shed_by(reason));
        Self {
            budgets: Budgets {
                streams: budget(config.max_streams, Shed::Streams),
                request_bytes: budget(config.max_request_memory_bytes, Shed::RequestMemory),
                answer_bytes: budget(config.max_answer_memory_bytes, Shed::AnswerMemory),
                connections: Arc::default(),
            },
            max_message_bytes: config.max_message_bytes,
            stall_timeout: config.stall_timeout,
        }
    }

    /// The request as it may be read, and how its answer is sent.
    ///
    /// # Errors
    /// `UNAVAILABLE` when the connection has as much as it leaves to others: of streams, or of
    /// answers that it does not read.
    pub fn take_in(
        &self,
        request: Request<Body>,
        is_stream: bool,
        deadline: Option<Instant>,
    ) -> Result<(Request<Body>, Sending), Status> {
        let connection = self.connection(request.extensions());
        let (streams, answers) = (connection.streams(), connection.answer_bytes());
        if !answers.is_within_share() {
            return Err(answers.turn_away());
        }
        let stream = if is_stream {
            Some(streams.try_take(1).ok_or_else(|| streams.turn_away())?)
        } else {
            None
        };
        let request = self.whole_messages(request, is_stream, &connection);
        let sending = Sending {
            account: connection.answer_bytes().clone(),
            deadline,
            stall_timeout: self.stall_timeout,
            stream,
        };
        Ok((request, sending))
    }

    /// The same request with messages that arrive whole, and are not compressed.
    pub fn whole_messages(
        &self,
        request: Request<Body>,
        is_stream: bool,
        connection: &Connection,
    ) -> Request<Body> {
        let terms = Terms {
            max_message_bytes: self.max_message_bytes,
            stall_timeout: is_stream.then_some(self.stall_timeout),
        };
        whole_messages(request, terms, connection.request_bytes())
    }

    /// A request whose body is one message, with its prefix.
    pub fn framed(
        &self,
        request: Request<Body>,
        is_compressed: bool,
        connection: &Connection,
    ) -> Request<Body> {
        let account = connection.request_bytes();
        let most = self.max_message_bytes;
        request.map(|inner| Body::new(Unframed::new(inner, is_compressed, most, account)))
    }

    /// An answer that is sent in another form than a handler gave it.
    pub fn sent(
        &self,
        connection: &Connection,
        answer: Response<Body>,
        deadline: Option<Instant>,
    ) -> Response<Body> {
        let sending = Sending {
            account: connection.answer_bytes().clone(),
            deadline,
            stall_timeout: self.stall_timeout,
            stream: None,
        };
        sending.of(answer)
    }

    /// Keeps a request on the account of its connection while it waits to be read.
    ///
    /// # Errors
    /// `UNAVAILABLE` when the connection has as much as it leaves to others.
    pub fn hold_request(&self, connection: &Connection, bytes: usize) -> Result<Taken, Status> {
        let account = connection.request_bytes();
        account.try_take(bytes).ok_or_else(|| account.turn_away())
    }

    /// Keeps an answer on the account of its connection while it waits to be told.
    pub fn hold_answer(&self, connection: &Connection, bytes: usize) -> Taken {
        connection.answer_bytes().take(bytes)
    }

    /// The connection of a request. Without one, as in a test of the layer alone, each is its own.
    pub fn connection(&self, extensions: &Extensions) -> Connection {
        let connection = extensions.get::<Connection>().cloned();
        connection.unwrap_or_else(|| Connection::new(&self.budgets))
    }
}

/// Keeps room for an answer of so many profiles before it is made; put it in the extensions
/// of the answer.
///
/// # Errors
/// `UNAVAILABLE` when others do not make room in time.
pub async fn reserve(extensions: &Extensions, profiles: usize) -> Result<Option<Reserved>, Status> {
    let Some(connection) = extensions.get::<Connection>() else {
        return Ok(None);
    };
    let room = profiles * ANSWER_ENTRY_BYTES;
    let account = connection.answer_bytes();
    match account.take_within(room, ANSWER_ROOM_WAIT).await {
        Some(taken) => Ok(Some(Arc::new(taken))),
        None => Err(account.turn_away()),
    }
}
