//! Request bodies before the decoder sees them. The decoder makes room for what a message
//! announces; here a message is held until it is whole, so that memory grows with what has
//! arrived, and what all connections hold is bounded. Compressed messages are inflated here,
//! within bounds.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, Request};
use http_body::{Body as HttpBody, Frame};
use tokio::time::{Instant, Sleep};
use tonic::{Status, body::Body};

use super::{
    budget::{Account, Taken},
    inflating::Inflating,
    prefix::{PREFIX_BYTES, prefix_of},
};
use crate::{api::status, limits::MIN_UPLOAD_BYTES_PER_SECOND};

/// What is asked of the messages of a request.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The largest message, in bytes.
    pub max_message_bytes: usize,
    /// How long a stream may take to send its first message, and to send the rest of one that
    /// it has begun; a call has its deadline instead.
    pub stall_timeout: Option<Duration>,
}

/// A request whose messages arrive whole; what it holds of them is on this account.
pub fn whole_messages(request: Request<Body>, terms: Terms, account: &Account) -> Request<Body> {
    let is_gzip = is_gzip(request.headers());
    request.map(|inner| {
        if inner.is_end_stream() {
            return inner;
        }
        Body::new(Arriving {
            inner,
            is_gzip,
            chunk: Bytes::new(),
            partial: Partial::new(account),
            inflating: None,
            trailers: None,
            is_over: false,
            awaited: terms.stall_timeout.map(Awaited::new),
            max_message_bytes: terms.max_message_bytes,
        })
    })
}

fn is_gzip(headers: &HeaderMap) -> bool {
    headers
        .get("grpc-encoding")
        .is_some_and(|encoding| encoding == "gzip")
}

struct Arriving {
    inner: Body,
    is_gzip: bool,
    /// What has come and is not looked at yet.
    chunk: Bytes,
    partial: Partial,
    inflating: Option<Inflating>,
    trailers: Option<HeaderMap>,
    is_over: bool,
    awaited: Option<Awaited>,
    max_message_bytes: usize,
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        loop {
            if let Some(inflating) = &mut this.inflating {
                let message = ready!(inflating.poll(context));
                this.inflating = None;
                return Poll::Ready(Some(message.map(Frame::data)));
            }
            if let Some(messages) = this.next_messages()? {
                return Poll::Ready(Some(Ok(Frame::data(messages))));
            }
            if this.inflating.is_some() {
                continue;
            }
            if this.is_over {
                return Poll::Ready(this.trailers.take().map(Frame::trailers).map(Ok));
            }
            match Pin::new(&mut this.inner).poll_frame(context) {
                Poll::Pending => return this.wait(context).map(|status| Some(Err(status))),
                Poll::Ready(None) => this.end()?,
                Poll::Ready(Some(frame)) => match frame?.into_data() {
                    Ok(chunk) => this.chunk = chunk,
                    Err(other) => {
                        this.end()?;
                        this.trailers = other.into_trailers().ok();
                    }
                },
            }
        }
    }
}

impl Arriving {
    /// The messages that are whole; a compressed one begins to be inflated.
    fn next_messages(&mut self) -> Result<Option<Bytes>, Status> {
        if self.partial.is_empty() {
            let messages = self.whole_of_chunk()?;
            if messages.is_some() || self.inflating.is_some() {
                return Ok(messages);
            }
        }
        if self.chunk.is_empty() {
            return Ok(None);
        }
        let begins = self.partial.is_empty();
        let whole = self.partial.fill(&mut self.chunk, self.max_message_bytes)?;
        match whole {
            Some((Prefix { is_compressed, .. }, message)) => {
                self.has_message();
                if is_compressed && self.is_gzip {
                    self.inflate(message);
                    return Ok(None);
                }
                Ok(Some(message))
            }
            None => {
                if let Some(awaited) = &mut self.awaited {
                    awaited.partial(begins, self.partial.len());
                }
                Ok(None)
            }
        }
    }

    /// As many messages as are whole in the chunk, which need no copy.
    fn whole_of_chunk(&mut self) -> Result<Option<Bytes>, Status> {
        let mut end = 0;
        while let Some(prefix) = Prefix::of(&self.chunk[end..], self.max_message_bytes)? {
            let next = end + PREFIX_BYTES + prefix.length;
            if next > self.chunk.len() {
                break;
            }
            if prefix.is_compressed && self.is_gzip {
                if end == 0 {
                    let message = self.chunk.split_to(next);
                    self.has_message();
                    self.inflate(message);
                    return Ok(None);
                }
                break;
            }
            end = next;
        }
        if end == 0 {
            return Ok(None);
        }
        self.has_message();
        Ok(Some(self.chunk.split_to(end)))
    }

    fn inflate(&mut self, mut message: Bytes) {
        message.advance(PREFIX_BYTES);
        let account = self.partial.account.clone();
        self.inflating = Some(Inflating::new(message, self.max_message_bytes, &account));
    }

    fn has_message(&mut self) {
        if let Some(awaited) = &mut self.awaited {
            awaited.message();
        }
    }

    fn end(&mut self) -> Result<(), Status> {
        self.is_over = true;
        if self.partial.is_empty() {
            return Ok(());
        }
        Err(status::of_decoder(Status::internal(format!(
            "it ends after {} bytes, before it is whole",
            self.partial.len()
        ))))
    }

    fn wait(&mut self, context: &mut Context<'_>) -> Poll<Status> {
        match &mut self.awaited {
            Some(awaited) => awaited.poll(context).map(|()| status::stalled_sender()),
            None => Poll::Pending,
        }
    }
}

/// What is before a message.
#[derive(Clone, Copy)]
struct Prefix {
    is_compressed: bool,
    length: usize,
}

impl Prefix {
    /// The prefix at the beginning of these bytes, when it is whole.
    fn of(bytes: &[u8], max_message_bytes: usize) -> Result<Option<Self>, Status> {
        let Some((flag, length)) = prefix_of(bytes) else {
            return Ok(None);
        };
        if flag > 1 {
            return Err(status::of_decoder(Status::internal(format!(
                "it begins with {flag} instead of 0 or 1"
            ))));
        }
        if length > max_message_bytes {
            return Err(status::of_decoder(Status::out_of_range(format!(
                "it has {length} bytes, at most {max_message_bytes} are taken"
            ))));
        }
        Ok(Some(Self {
            is_compressed: flag == 1,
            length,
        }))
    }
}

/// The beginning of a message.
struct Partial {
    bytes: Vec<u8>,
    account: Account,
    taken: Option<Taken>,
}

impl Partial {
    fn new(account: &Account) -> Self {
        Self {
            bytes: Vec::new(),
            account: account.clone(),
            taken: None,
        }
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes of a chunk what belongs to the message, and returns the message when it is whole.
    fn fill(&mut self, chunk: &mut Bytes, most: usize) -> Result<Option<(Prefix, Bytes)>, Status> {
        let missing = PREFIX_BYTES.saturating_sub(self.bytes.len());
        self.push(chunk, missing, PREFIX_BYTES)?;
        let Some(prefix) = Prefix::of(&self.bytes, most)? else {
            return Ok(None);
        };
        let whole = PREFIX_BYTES + prefix.length;
        self.push(chunk, whole - self.bytes.len(), whole)?;
        if self.bytes.len() < whole {
            return Ok(None);
        }
        self.taken = None;
        Ok(Some((prefix, Bytes::from(mem::take(&mut self.bytes)))))
    }

    /// Room doubles, up to what is needed in the end.
    fn push(&mut self, chunk: &mut Bytes, missing: usize, whole: usize) -> Result<(), Status> {
        let pushed = chunk.split_to(missing.min(chunk.len()));
        let needed = self.bytes.len() + pushed.len();
        if needed > self.bytes.capacity() {
            let room = (2 * needed).min(whole);
            let more = room - self.bytes.capacity();
            let fits = match &mut self.taken {
                Some(taken) => taken.try_grow(more),
                nothing => {
                    *nothing = self.account.try_take(more);
                    nothing.is_some()
                }
            };
            if !fits {
                return Err(self.account.turn_away());
            }
            self.bytes.reserve_exact(room - self.bytes.len());
        }
        self.bytes.extend_from_slice(&pushed);
        Ok(())
    }
}

/// When a stream must have sent what it owes: its first message, or the rest of one.
struct Awaited {
    timeout: Duration,
    until: Option<Instant>,
    since: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Awaited {
    fn new(timeout: Duration) -> Self {
        let since = Instant::now();
        Self {
            timeout,
            until: Some(since + timeout),
            since,
            sleep: None,
        }
    }

    fn message(&mut self) {
        self.until = None;
    }

    /// A message of which so many bytes have come; each second's worth of them buys another.
    fn partial(&mut self, begins: bool, bytes: usize) {
        if begins && self.until.is_none() {
            self.since = Instant::now();
        }
        let bought = bytes as u64 / MIN_UPLOAD_BYTES_PER_SECOND;
        self.until = Some(self.since + self.timeout + Duration::from_secs(bought));
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(until) = self.until else {
            return Poll::Pending;
        };
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if sleep.deadline() != until {
            sleep.as_mut().reset(until);
        }
        sleep.as_mut().poll(context)
    }
}

#[cfg(test)]
#[path = "arriving_tests.rs"]
mod tests;
