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
                let connection = this.connection.clone();
                let made = in_turn(connection, json, held, move |json| in_binary(&rpc, &json));
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

#[cfg(test)]
mod tests {
    use http::{Extensions, Request};
    use http_body_util::{BodyExt as _, StreamBody};
    use tokio::sync::mpsc;
    use tokio_stream::{StreamExt as _, wrappers::UnboundedReceiverStream};

    use super::*;
    use crate::{
        grpc::{
            transport::PREFIX_BYTES,
            web::{tests::guard, turns},
        },
        limits::TRANSCODED_AT_ONCE_BYTES,
    };

    /// What is counted while a body comes, waits to be read, and is read.
    #[tokio::test]
    async fn a_body_is_counted_once_from_its_first_byte_until_it_is_read() {
        let (guard, _) = guard();
        let taken = || guard.budgets.request_bytes.taken();
        let connection = guard.connection(&Extensions::new());
        let rpc = Rpc::at("/bellwether.v1.ScoringService/GetProfile").unwrap();
        let id = "x".repeat(4 * TRANSCODED_AT_ONCE_BYTES);
        let json = Bytes::from(format!("{{\"profileId\":\"{id}\"}}"));
        let (sender, receiver) = mpsc::unbounded_channel();
        let pieces = UnboundedReceiverStream::new(receiver);
        let pieces = pieces.map(|piece| Ok::<_, Status>(Frame::data(piece)));
        let request = Request::new(Body::new(StreamBody::new(pieces)));
        let framed = guard.framed(request, false, &connection);
        let whole = guard.whole_messages(framed, false, &connection);
        let mut body = FromJson::new(whole.into_body(), rpc, guard.clone(), connection.clone());
        // Whoever has the turn lets the body wait.
        let turn = turns::turn(&guard.connection(&Extensions::new())).await;

        sender.send(json.slice(..json.len() / 2)).unwrap();
        assert!(futures_util::poll!(body.frame()).is_pending());
        let most = json.len() + PREFIX_BYTES;
        assert!((json.len() / 2..=most).contains(&taken()), "{}", taken());
        sender.send(json.slice(json.len() / 2..)).unwrap();
        drop(sender);
        assert!(futures_util::poll!(body.frame()).is_pending());
        assert_eq!(taken(), json.len());

        drop(turn);
        let read = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(read.len() > id.len());
        assert!(body.frame().await.is_none());
        assert_eq!(taken(), 0, "the body is still there");
    }
}
