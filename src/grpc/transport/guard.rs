//! What a call must leave to others in memory: asked before its request is read, kept until
//! its answer is sent.

use std::{sync::Arc, time::Duration};

use http::{Extensions, Request};
use tokio::time::Instant;
use tonic::{Status, body::Body};

use super::{
    answer::{Reserved, Sending},
    arriving::{Terms, whole_messages},
    budget::{Account, Budget, Budgets},
    connection::Connection,
};
use crate::{
    api::status,
    config::Config,
    limits::{ANSWER_ENTRY_BYTES, ANSWER_ROOM_WAIT, RETRY_UNAVAILABLE_AFTER},
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
        let connection = request.extensions().get::<Connection>().cloned();
        // Without a connection, as in a test of the layer alone, each call is its own.
        let connection = connection.unwrap_or_else(|| Connection::new(&self.budgets));
        let too_much = |account: &Account| {
            account.sheds();
            status::overloaded(RETRY_UNAVAILABLE_AFTER)
        };
        let (streams, answers) = (connection.streams(), connection.answer_bytes());
        if !answers.is_within_share() {
            return Err(too_much(answers));
        }
        let stream = if is_stream {
            Some(streams.try_take(1).ok_or_else(|| too_much(streams))?)
        } else {
            None
        };
        let terms = Terms {
            max_message_bytes: self.max_message_bytes,
            stall_timeout: is_stream.then_some(self.stall_timeout),
        };
        let request = whole_messages(request, terms, connection.request_bytes());
        let sending = Sending {
            account: connection.answer_bytes().clone(),
            deadline,
            stall_timeout: self.stall_timeout,
            stream,
        };
        Ok((request, sending))
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
        None => {
            account.sheds();
            Err(status::overloaded(RETRY_UNAVAILABLE_AFTER))
        }
    }
}
