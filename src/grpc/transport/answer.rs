//! The sending of answers. What is not sent yet is counted for its connection, is handed on in
//! small pieces, and is given up when its reader does not read.
//!
//! hyper asks for no more of an answer while its reader takes nothing, and for nothing at all
//! while other answers have taken all that the connection may send. The answer itself would
//! never learn that time passes. [`Exchange`](super::exchange) watches from outside, by what
//! both share.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body as HttpBody, Frame};
use tokio::time::Instant;
use tonic::{Status, body::Body};

use super::budget::{Account, Taken};
use crate::{
    api::status,
    limits::{GOODBYE_TIMEOUT, SENT_AT_ONCE_BYTES},
};

/// What an answer needs besides its body.
pub struct Sending {
    /// Where what is not sent is counted.
    pub account: Account,
    /// When it must be sent; absent for a stream without an end.
    pub deadline: Option<Instant>,
    /// How long its reader may take nothing.
    pub stall_timeout: Duration,
    /// The place of a stream among all of them.
    pub stream: Option<Taken>,
}

/// What was kept free for an answer until it is known how large it is.
pub type Reserved = Arc<Taken>;

impl Sending {
    /// The answer, so that it is watched when an exchange sends it.
    pub fn of(self, mut response: Response<Body>) -> Response<Body> {
        if response.body().is_end_stream() {
            return response;
        }
        let reserved = response.extensions_mut().remove::<Reserved>();
        response.map(|inner| {
            let answer = Arc::new(Mutex::new(Answer {
                sending: self,
                state: State::Open {
                    inner,
                    _reserved: reserved,
                },
                rest: Rest::default(),
                offered: Some(Instant::now()),
                room: None,
            }));
            Watch::set(&answer);
            Body::new(Sent(answer))
        })
    }
}

/// An answer on its way.
pub struct Answer {
    sending: Sending,
    state: State,
    rest: Rest,
    /// Since when its reader has not taken what it was offered last, which first is the answer.
    offered: Option<Instant>,
    /// What a stream waits for before it makes more.
    room: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

enum State {
    Open {
        inner: Body,
        _reserved: Option<Reserved>,
    },
    /// It will not be sent whole; its reader is told why when it reads again.
    GivenUp {
        why: Option<Box<Status>>,
        at: Instant,
    },
    Over,
}

/// What of a message is not handed on yet.
#[derive(Default)]
struct Rest {
    bytes: Bytes,
    _taken: Option<Taken>,
}

/// What there is to do about an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing before this instant.
    LookAgain(Instant),
    /// Nothing: its reader has all that there is.
    Fine,
    /// Its reader does not even take that it was given up.
    Cut,
}

impl Answer {
    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.offered = None;
        if let Some(piece) = self.next_piece() {
            return Poll::Ready(Some(Ok(piece)));
        }
        ready!(self.poll_room(context));
        match &mut self.state {
            State::Over => Poll::Ready(None),
            State::GivenUp { why, .. } => {
                let trailers = why.take().map(|why| trailers(&why));
                self.state = State::Over;
                Poll::Ready(trailers)
            }
            State::Open { inner, _reserved } => {
                let frame = ready!(Pin::new(inner).poll_frame(context));
                // Now it is known how large it is.
                *_reserved = None;
                match frame {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(bytes) => {
                            let taken = self.sending.account.take(bytes.len());
                            self.rest = Rest {
                                bytes,
                                _taken: Some(taken),
                            };
                            Poll::Ready(self.next_piece().map(Ok))
                        }
                        Err(trailers) => {
                            self.finish();
                            Poll::Ready(Some(Ok(trailers)))
                        }
                    },
                    end => {
                        self.finish();
                        Poll::Ready(end)
                    }
                }
            }
        }
    }

    /// Has a stream make more only while its connection leaves room to others. What it waits
    /// for is read in time, or given up.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.sending.stream.is_none() {
            return Poll::Ready(());
        }
        while !self.sending.account.is_within_share() {
            if let Some(room) = &mut self.room {
                ready!(room.as_mut().poll(context));
                self.room = None;
            }
            let freed = self.sending.account.freed();
            // What was given back before that is seen here.
            if !self.sending.account.is_within_share() {
                self.room = Some(Box::pin(freed));
            }
        }
        self.room = None;
        Poll::Ready(())
    }

    fn next_piece(&mut self) -> Option<Frame<Bytes>> {
        let rest = &mut self.rest;
        if rest.bytes.is_empty() {
            return None;
        }
        self.offered = Some(Instant::now());
        let piece = if rest.bytes.len() <= SENT_AT_ONCE_BYTES {
            let Rest { bytes, _taken } = std::mem::take(rest);
            Piece { bytes, _taken }
        } else {
            // A copy, because a part of a message keeps all of it in memory.
            let bytes = rest.bytes.split_to(SENT_AT_ONCE_BYTES);
            Piece {
                bytes: Bytes::copy_from_slice(&bytes),
                _taken: Some(self.sending.account.take(bytes.len())),
            }
        };
        Some(Frame::data(Bytes::from_owner(piece)))
    }

    fn finish(&mut self) {
        self.state = State::Over;
        self.sending.stream = None;
    }

    /// Gives the answer up when its time has come, and says when to look again.
    pub fn judge(&mut self, now: Instant) -> Verdict {
        let Some(offered) = self.offered else {
            return Verdict::Fine;
        };
        match &self.state {
            State::GivenUp { at, .. } if now >= *at + GOODBYE_TIMEOUT => Verdict::Cut,
            State::GivenUp { at, .. } => Verdict::LookAgain(*at + GOODBYE_TIMEOUT),
            State::Open { .. } | State::Over => {
                let stalled = offered + self.sending.stall_timeout;
                let deadline = self.sending.deadline.filter(|at| *at < stalled);
                let until = deadline.unwrap_or(stalled);
                if now < until {
                    return Verdict::LookAgain(until);
                }
                self.give_up(now, deadline.is_some());
                Verdict::LookAgain(now + GOODBYE_TIMEOUT)
            }
        }
    }

    /// Drops what is not sent, and what makes more of it.
    fn give_up(&mut self, now: Instant, is_late: bool) {
        let why = if is_late {
            status::deadline_exceeded()
        } else {
            status::stalled_reader()
        };
        self.rest = Rest::default();
        self.room = None;
        self.sending.stream = None;
        self.state = State::GivenUp {
            why: Some(Box::new(why)),
            at: now,
        };
    }
}

fn trailers(why: &Status) -> Result<Frame<Bytes>, Status> {
    let mut trailers = HeaderMap::new();
    why.add_header(&mut trailers)?;
    Ok(Frame::trailers(trailers))
}

/// A part of an answer that counts until it is sent or dropped.
struct Piece {
    bytes: Bytes,
    _taken: Option<Taken>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The body that hyper sends.
struct Sent(Arc<Mutex<Answer>>);

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        locked(&self.0).poll_frame(context)
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        // The exchange may hold the answer for a moment longer.
        let mut answer = locked(&self.0);
        answer.rest = Rest::default();
        answer.offered = None;
        answer.finish();
    }
}

/// Both sides are of one task, so nobody waits here.
fn locked(answer: &Mutex<Answer>) -> MutexGuard<'_, Answer> {
    answer.lock().unwrap_or_else(PoisonError::into_inner)
}

tokio::task_local! {
    static WATCHED: Watch;
}

/// The answer that an exchange sends, once there is one.
#[derive(Clone, Default)]
pub struct Watch(Arc<Mutex<Option<Arc<Mutex<Answer>>>>>);

impl Watch {
    /// Runs a part of an exchange, whose answer then becomes known here.
    pub fn during<T>(&self, run: impl FnOnce() -> T) -> T {
        WATCHED.sync_scope(self.clone(), run)
    }

    fn set(answer: &Arc<Mutex<Answer>>) {
        // Without an exchange, as in a test of the layer alone, nobody watches.
        let _ = WATCHED.try_with(|watch| {
            let mut watched = watch.0.lock().unwrap_or_else(PoisonError::into_inner);
            *watched = Some(Arc::clone(answer));
        });
    }

    /// What there is to do about the answer.
    pub fn judge(&self, now: Instant) -> Verdict {
        let watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watched
            .as_ref()
            .map_or(Verdict::Fine, |answer| locked(answer).judge(now))
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
