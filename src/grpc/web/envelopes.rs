//! The answers of a stream as Connect tells them: each in an envelope, which is what gRPC puts
//! before a message, and how the stream has ended in a last one.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame};
use tonic::{Code, Status, body::Body};
use tonic_types::ErrorDetails;

use super::{
    error::Told,
    turns::{Making, in_turn},
};
use crate::{
    api::status,
    grpc::transport::{Connection, Guard, first_whole, next_message, put_message},
    proto::transcoding::{MAX_ANSWER_MESSAGES, NotTranscoded, Rpc},
};

/// Marks the last envelope.
const END_OF_STREAM: u8 = 2;

/// The answers of a stream.
pub struct Envelopes {
    inner: Body,
    /// The method, where answers are told in JSON.
    json_of: Option<Rpc>,
    guard: Guard,
    connection: Connection,
    /// The beginning of an answer that is not whole.
    partial: BytesMut,
    making: Option<Making>,
    is_over: bool,
}

impl Envelopes {
    pub fn new(inner: Body, json_of: Option<Rpc>, guard: Guard, connection: Connection) -> Self {
        Self {
            inner,
            json_of,
            guard,
            connection,
            partial: BytesMut::new(),
            making: None,
            is_over: false,
        }
    }

    /// The last envelope.
    fn end(&mut self, status: &Status) -> Frame<Bytes> {
        self.is_over = true;
        Frame::data(end_of_stream(status))
    }

    /// Takes what is whole by now, and begins to tell it.
    fn tell(&mut self, rpc: Rpc, piece: &[u8]) {
        self.partial.extend_from_slice(piece);
        let whole = whole_messages(&self.partial);
        if whole > 0 {
            let messages = self.partial.split_to(whole).freeze();
            let held = self.guard.hold_answer(&self.connection, whole);
            let connection = self.connection.clone();
            let made = in_turn(connection, messages, held, move |messages| {
                in_json(&rpc, messages)
            });
            self.making = Some(Box::pin(made));
        }
    }
}

/// How a stream has ended.
pub fn end_of_stream(status: &Status) -> Bytes {
    let end = match status.code() {
        Code::Ok => "{}".to_owned(),
        _ => format!("{{\"error\":{}}}", Told::new(status).text()),
    };
    let mut made = BytesMut::new();
    put_message(&mut made, END_OF_STREAM, end.as_bytes());
    made.freeze()
}

impl HttpBody for Envelopes {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.is_over {
            return Poll::Ready(None);
        }
        loop {
            if let Some(making) = &mut this.making {
                let made = ready!(making.as_mut().poll(context));
                this.making = None;
                let frame = made.map_or_else(|status| this.end(&status), Frame::data);
                return Poll::Ready(Some(Ok(frame)));
            }
            let frame = match ready!(Pin::new(&mut this.inner).poll_frame(context)) {
                None => this.end(&status::inconsistent()),
                Some(Err(status)) => this.end(&status),
                Some(Ok(frame)) => match (frame.into_data(), this.json_of.clone()) {
                    (Ok(piece), None) => Frame::data(piece),
                    (Ok(piece), Some(rpc)) => {
                        this.tell(rpc, &piece);
                        continue;
                    }
                    (Err(other), _) => {
                        let trailers = other.into_trailers().unwrap_or_default();
                        let status = Status::from_header_map(&trailers);
                        this.end(&status.unwrap_or_else(status::inconsistent))
                    }
                },
            };
            return Poll::Ready(Some(Ok(frame)));
        }
    }
}

/// Bytes of the messages that are whole.
fn whole_messages(bytes: &[u8]) -> usize {
    let mut whole = 0;
    while let Some(more) = first_whole(&bytes[whole..]) {
        whole += more;
    }
    whole
}

fn in_json(rpc: &Rpc, mut messages: Bytes) -> Result<Bytes, Status> {
    let mut made = BytesMut::new();
    while let Some(message) = next_message(&mut messages) {
        put_message(&mut made, 0, &answer_in_json(rpc, &message)?);
    }
    Ok(made.freeze())
}

/// One answer in JSON.
pub fn answer_in_json(rpc: &Rpc, message: &[u8]) -> Result<Vec<u8>, Status> {
    rpc.answer_to_json(message).map_err(|error| match error {
        NotTranscoded::TooMany => status::with_reason(
            Code::ResourceExhausted,
            format!(
                "the answer has more than {MAX_ANSWER_MESSAGES} parts, which are too many to tell in \
                 JSON; ask for fewer at a time, or in binary"
            ),
            "ANSWER_TOO_LARGE",
            ErrorDetails::new(),
        ),
        NotTranscoded::Malformed(_) => {
            tracing::error!(%error, "an answer cannot be told in JSON");
            status::inconsistent()
        }
    })
}
