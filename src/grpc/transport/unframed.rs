//! A message that is a whole body, as messages of gRPC come: with its prefix. It is held until it
//! is whole, like them, and within the same bounds.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use tonic::{Status, body::Body};

use super::{
    budget::{Account, Taken},
    prefix::{PREFIX_BYTES, complete},
};
use crate::api::status;

/// A body of one message.
pub struct Unframed {
    inner: Body,
    is_compressed: bool,
    most: usize,
    /// The prefix, then what has come.
    bytes: Vec<u8>,
    taken: Taken,
    is_over: bool,
}

impl Unframed {
    /// A body that has at most so many bytes, compressed or not, held on this account.
    pub fn new(inner: Body, is_compressed: bool, most: usize, account: &Account) -> Self {
        Self {
            inner,
            is_compressed,
            most,
            bytes: vec![0; PREFIX_BYTES],
            taken: account.nothing(),
            is_over: false,
        }
    }

    /// Refuses what is or will be too large.
    fn check(&self, more: usize) -> Result<usize, Status> {
        let announced = usize::try_from(self.inner.size_hint().lower()).unwrap_or(usize::MAX);
        let needed = self.bytes.len() + more;
        if needed.saturating_add(announced) <= PREFIX_BYTES + self.most {
            return Ok(needed);
        }
        Err(status::of_decoder(Status::out_of_range(format!(
            "it has more than {} bytes",
            self.most
        ))))
    }

    fn push(&mut self, chunk: &[u8]) -> Result<(), Status> {
        let needed = self.check(chunk.len())?;
        if needed > self.bytes.capacity() {
            let room = (2 * needed).min(PREFIX_BYTES + self.most);
            if !self.taken.try_grow(room - self.bytes.capacity()) {
                return Err(self.taken.turn_away());
            }
            self.bytes.reserve_exact(room - self.bytes.len());
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    fn message(&mut self) -> Bytes {
        let mut bytes = std::mem::take(&mut self.bytes);
        // Nothing is nothing, however it is compressed.
        let is_compressed = self.is_compressed && bytes.len() > PREFIX_BYTES;
        complete(&mut bytes, u8::from(is_compressed));
        bytes.into()
    }
}

impl HttpBody for Unframed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        while !this.is_over {
            this.check(0)?;
            match ready!(Pin::new(&mut this.inner).poll_frame(context)) {
                Some(frame) => {
                    if let Some(chunk) = frame?.data_ref() {
                        this.push(chunk)?;
                    }
                }
                None => {
                    this.is_over = true;
                    // Whoever reads it counts it from now on, as every message that is whole.
                    this.taken.clear();
                    return Poll::Ready(Some(Ok(Frame::data(this.message()))));
                }
            }
        }
        Poll::Ready(None)
    }
}
