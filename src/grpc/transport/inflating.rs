//! A compressed message becomes what it was, in steps, so that other calls have their turn, and
//! only as far as a message that somebody means goes: a thousand zeros compress to one byte.

use std::{
    io::Read as _,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf as _, Bytes, buf::Reader};
use flate2::read::GzDecoder;
use tokio::time::Instant;
use tonic::Status;

use super::{
    budget::{Account, Taken},
    prefix::{PREFIX_BYTES, complete},
};
use crate::{
    api::status,
    limits::{INFLATED_AT_ONCE_BYTES, INFLATED_FREELY_BYTES, MAX_INFLATION, MAX_INFLATION_TIME},
};

/// A message that is being inflated.
pub struct Inflating {
    decoder: GzDecoder<Reader<Bytes>>,
    /// Room for the prefix, then what has come out so far.
    inflated: Vec<u8>,
    most: usize,
    largest: usize,
    taken: Taken,
    spent: Duration,
}

impl Inflating {
    /// A message of these bytes, its prefix left out, which may become so large.
    pub fn new(compressed: Bytes, max_message_bytes: usize, account: &Account) -> Self {
        let meant = INFLATED_FREELY_BYTES + MAX_INFLATION * compressed.len();
        Self {
            decoder: GzDecoder::new(compressed.reader()),
            inflated: vec![0; PREFIX_BYTES],
            most: meant.min(max_message_bytes),
            largest: max_message_bytes,
            taken: account.nothing(),
            spent: Duration::ZERO,
        }
    }

    /// The message with a prefix that says that it is not compressed.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Bytes, Status>> {
        let started = Instant::now();
        let is_done = match self.step() {
            Err(status) => return Poll::Ready(Err(status)),
            Ok(is_done) => is_done,
        };
        if is_done {
            return Poll::Ready(Ok(self.message()));
        }
        self.spent += started.elapsed();
        if self.spent > MAX_INFLATION_TIME {
            return Poll::Ready(Err(too_large("it takes too long to decompress")));
        }
        // The task goes to the end of the queue.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Inflates a little; says whether that was all.
    fn step(&mut self) -> Result<bool, Status> {
        let before = self.inflated.len();
        // One more than may be tells what is too much from what just fits.
        let room = (self.most + 1 + PREFIX_BYTES - before).min(INFLATED_AT_ONCE_BYTES);
        if !self.taken.try_grow(room) {
            return Err(self.taken.turn_away());
        }
        let mut step = (&mut self.decoder).take(room as u64);
        let read = step.read_to_end(&mut self.inflated).map_err(|error| {
            status::of_decoder(Status::internal(format!("it is no gzip: {error}")))
        })?;
        if self.inflated.len() - PREFIX_BYTES > self.most {
            return Err(too_large(&if self.most < self.largest {
                format!(
                    "decompressed it is more than {MAX_INFLATION} times as large, beyond the {INFLATED_FREELY_BYTES} bytes that any may have"
                )
            } else {
                format!("decompressed it has more than {} bytes", self.most)
            }));
        }
        Ok(read < room)
    }

    fn message(&mut self) -> Bytes {
        let mut message = std::mem::take(&mut self.inflated);
        complete(&mut message, 0);
        message.into()
    }
}

fn too_large(why: &str) -> Status {
    status::of_decoder(Status::out_of_range(why))
}
