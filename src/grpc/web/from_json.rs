//! The body of a request whose messages come in JSON, as the same messages in binary.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame};
use tonic::{Code, Status, body::Body};
use tonic_types::ErrorDetails;

use super::turns::{Making, in_turn};
use crate::{
    api::status,
    grpc::transport::{Connection, Guard, next_message, put_message},
    proto::transcoding::{NotTranscoded, Rpc},
};

/// Messages that arrive whole and not compressed.
pub struct FromJson {
    inner: Body,
    rpc: Rpc,
    guard: Guard,
    connection: Connection,
    /// What has come and is not read yet.
    messages: Bytes,
    making: Option<Making>,
}

impl FromJson {
    pub const fn new(inner: Body, rpc: Rpc, guard: Guard, connection: Connection) -> Self {
        Self {
            inner,
            rpc,
            guard,
            connection,
            messages: Bytes::new(),
            making: None,
        }
    }
}

impl HttpBody for FromJson {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        loop {
            if let Some(making) = &mut this.making {
                let made = ready!(making.as_mut().poll(context));
                this.making = None;
                return Poll::Ready(Some(made.map(Frame::data)));
            }
            // One at a time: those before a malformed one are answered.
            if this.messages.first().is_some_and(|flags| *flags != 0) {
                // Compressed, where no compression was agreed on, or a mark that is not known.
                return Poll::Ready(Some(Err(refused(&NotTranscoded::Malformed(
                    "its envelope is marked as compressed, and connect-content-encoding does not say by what".to_owned(),
                )))));
            }
            if let Some(json) = next_message(&mut this.messages) {
                let held = this.guard.hold_request(&this.connection, json.len())?;
                let rpc = this.rpc.clone();
                let made = in_turn(json, held, move |json| in_binary(&rpc, &json));
                this.making = Some(Box::pin(made));
                continue;
            }
            match ready!(Pin::new(&mut this.inner).poll_frame(context)) {
                None => return Poll::Ready(None),
                Some(frame) => match frame?.into_data() {
                    Ok(messages) => this.messages = messages,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
            }
        }
    }
}

fn in_binary(rpc: &Rpc, json: &[u8]) -> Result<Bytes, Status> {
    let message = rpc
        .request_from_json(json)
        .map_err(|wrong| refused(&wrong))?;
    let mut made = BytesMut::new();
    put_message(&mut made, 0, &message);
    Ok(made.freeze())
}

fn refused(wrong: &NotTranscoded) -> Status {
    match wrong {
        NotTranscoded::Malformed(why) => status::with_reason(
            Code::InvalidArgument,
            format!("the message cannot be read: {why}"),
            "MALFORMED_MESSAGE",
            ErrorDetails::new(),
        ),
        NotTranscoded::TooMany => status::of_decoder(Status::out_of_range(wrong.to_string())),
    }
}
