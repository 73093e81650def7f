//! Answers of `ScoreEvents` that wait to be taken. They are bounded for each stream, whose next
//! request is not read meanwhile, and for all streams together: then the stream whose answers
//! have waited longest is ended. So who does not read holds up nobody else.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use prost::Message as _;
use tokio::sync::Notify;
use tonic::Status;

use crate::{
    api::status,
    limits::{MAX_REQUESTS_IN_FLIGHT_PER_STREAM, MAX_UNREAD_BYTES, MAX_UNREAD_BYTES_PER_STREAM},
    proto::v1,
};

type Answer = Result<v1::ScoreEventsResponse, Status>;

/// The answers of all streams. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Unread(Arc<Mutex<All>>);

#[derive(Debug, Default)]
struct All {
    bytes: usize,
    last_number: u64,
    streams: HashMap<u64, Stream>,
}

#[derive(Debug)]
struct Stream {
    waiting: VecDeque<(Answer, usize, Instant)>,
    bytes: usize,
    /// Requests that are read and whose answers are not taken.
    unanswered: usize,
    /// What the last answer took: the next one is expected to take as much.
    expected_bytes: usize,
    is_closed: bool,
    is_ended: bool,
    wakes: Arc<Wakes>,
}

/// Whom a change wakes.
#[derive(Debug, Default)]
struct Wakes {
    reader: Notify,
    taker: Notify,
}

impl Stream {
    fn has_room(&self) -> bool {
        let expected = (self.unanswered - self.waiting.len()) * self.expected_bytes;
        self.unanswered == 0
            || (self.unanswered < MAX_REQUESTS_IN_FLIGHT_PER_STREAM
                && self.bytes + expected < MAX_UNREAD_BYTES_PER_STREAM)
    }
}

impl All {
    /// Ends the stream whose answers have waited longest, while there are too many.
    fn make_room(&mut self) {
        while self.bytes > MAX_UNREAD_BYTES {
            let waiting = self.streams.values_mut().filter_map(|stream| {
                let (_, _, since) = stream.waiting.front()?;
                (!stream.is_ended).then_some((*since, stream))
            });
            let Some((_, stream)) = waiting.min_by_key(|(since, _)| *since) else {
                return;
            };
            self.bytes -= stream.bytes;
            stream.bytes = 0;
            stream.is_ended = true;
            let ended = (Err(status::stalled_reader()), 0, Instant::now());
            stream.waiting = VecDeque::from([ended]);
            stream.wakes.reader.notify_one();
            stream.wakes.taker.notify_one();
        }
    }
}

impl Unread {
    fn lock(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of answers that wait, of all streams.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// The answers of a new stream: where they are put, and where they are taken.
    pub fn open(&self) -> (Puts, Takes) {
        let wakes = Arc::new(Wakes::default());
        let mut all = self.lock();
        all.last_number += 1;
        let number = all.last_number;
        let stream = Stream {
            waiting: VecDeque::new(),
            bytes: 0,
            unanswered: 0,
            expected_bytes: 0,
            is_closed: false,
            is_ended: false,
            wakes: Arc::clone(&wakes),
        };
        all.streams.insert(number, stream);
        let of = Of {
            unread: self.clone(),
            number,
            wakes,
        };
        (Puts(of.clone()), Takes(of))
    }
}

#[derive(Clone, Debug)]
struct Of {
    unread: Unread,
    number: u64,
    wakes: Arc<Wakes>,
}

impl Of {
    /// Does something with the stream unless its caller has gone.
    fn with<T>(&self, with: impl FnOnce(&mut Stream) -> T) -> Option<T> {
        self.unread.lock().streams.get_mut(&self.number).map(with)
    }
}

/// Where the answers of a stream are put. No more come when it is dropped.
#[derive(Debug)]
pub struct Puts(Of);

impl Puts {
    /// Waits for room for the answer to one more request; false when nobody takes it.
    pub async fn room(&self) -> bool {
        loop {
            let has_room = self
                .0
                .with(|stream| (!stream.is_ended).then(|| stream.has_room()));
            match has_room.flatten() {
                None => return false,
                Some(true) => return true,
                Some(false) => self.0.wakes.reader.notified().await,
            }
        }
    }

    /// Ends when nobody takes answers any more.
    pub async fn gone(&self) {
        while self.0.with(|stream| !stream.is_ended) == Some(true) {
            self.0.wakes.reader.notified().await;
        }
    }

    /// A request is read, and will be answered.
    pub fn expect(&self) {
        self.0.with(|stream| stream.unanswered += 1);
    }

    /// Puts an answer.
    pub fn put(&self, answer: Answer) {
        let bytes = answer.as_ref().map_or(0, |answer| answer.encoded_len());
        let mut all = self.0.unread.lock();
        let Some(stream) = all.streams.get_mut(&self.0.number) else {
            return;
        };
        if stream.is_ended {
            return;
        }
        stream.waiting.push_back((answer, bytes, Instant::now()));
        stream.bytes += bytes;
        stream.expected_bytes = bytes;
        all.bytes += bytes;
        all.make_room();
        drop(all);
        self.0.wakes.taker.notify_one();
    }
}

impl Drop for Puts {
    fn drop(&mut self) {
        self.0.with(|stream| stream.is_closed = true);
        self.0.wakes.taker.notify_one();
    }
}

/// Where the answers of a stream are taken. When it is dropped the caller has gone.
#[derive(Debug)]
pub struct Takes(Of);

impl Takes {
    /// The next answer; `None` after the last one.
    pub async fn take(&self) -> Option<Answer> {
        loop {
            if let Some(taken) = self.try_take() {
                return taken;
            }
            self.0.wakes.taker.notified().await;
        }
    }

    /// The next answer or the end, when one of them is there.
    fn try_take(&self) -> Option<Option<Answer>> {
        let mut all = self.0.unread.lock();
        let Some(stream) = all.streams.get_mut(&self.0.number) else {
            return Some(None);
        };
        if let Some((answer, bytes, _)) = stream.waiting.pop_front() {
            stream.bytes -= bytes;
            stream.unanswered = stream.unanswered.saturating_sub(1);
            all.bytes -= bytes;
            self.0.wakes.reader.notify_one();
            return Some(Some(answer));
        }
        (stream.is_closed || stream.is_ended).then_some(None)
    }

    /// Whether every request that was read is answered, and its answer taken.
    pub fn is_even(&self) -> bool {
        self.0.with(|stream| stream.unanswered == 0) == Some(true)
    }
}

impl Drop for Takes {
    fn drop(&mut self) {
        let mut all = self.0.unread.lock();
        if let Some(stream) = all.streams.remove(&self.0.number) {
            all.bytes -= stream.bytes;
        }
        self.0.wakes.reader.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn answer(bytes: usize) -> Answer {
        let event = v1::ScoreEventsResult {
            result: Some(v1::score_events_result::Result::Error(
                crate::proto::google::rpc::Status {
                    code: 3,
                    message: "x".repeat(bytes),
                    details: Vec::new(),
                },
            )),
        };
        Ok(v1::ScoreEventsResponse {
            results: vec![event],
        })
    }

    fn is_ready(future: impl Future<Output = bool>) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::pin::pin!(future).poll(&mut context).is_ready()
    }

    #[tokio::test]
    async fn a_stream_reads_on_only_while_few_of_its_answers_wait() {
        let (puts, takes) = Unread::default().open();
        for _ in 0..MAX_REQUESTS_IN_FLIGHT_PER_STREAM {
            assert!(puts.room().await);
            puts.expect();
        }
        assert!(!is_ready(puts.room()));
        puts.put(answer(10));
        assert!(!is_ready(puts.room()));
        assert!(takes.take().await.unwrap().is_ok());
        assert!(is_ready(puts.room()));
        assert!(!takes.is_even());
    }

    #[tokio::test]
    async fn large_answers_hold_their_stream_up_sooner_and_one_is_always_possible() {
        let (puts, takes) = Unread::default().open();
        puts.expect();
        puts.put(answer(MAX_UNREAD_BYTES_PER_STREAM));
        assert!(!is_ready(puts.room()));
        takes.take().await;
        assert!(takes.is_even());
        assert!(is_ready(puts.room()));
        puts.expect();
        assert!(!is_ready(puts.room()), "the next answer may be as large");
    }

    #[tokio::test]
    async fn who_has_not_read_for_longest_is_ended_and_others_go_on() {
        let unread = Unread::default();
        let streams: Vec<_> = (0..3).map(|_| unread.open()).collect();
        for (puts, _) in &streams {
            puts.expect();
            puts.put(answer(MAX_UNREAD_BYTES / 3 - 100));
        }
        let (busy, taken) = unread.open();
        for _ in 0..3 {
            busy.expect();
            busy.put(answer(1_000));
            assert!(taken.take().await.unwrap().is_ok());
        }
        let ended = streams[0].1.take().await.unwrap().unwrap_err();
        assert_eq!(ended.code(), Code::Aborted);
        assert!(streams[0].1.take().await.is_none());
        assert!(!streams[0].0.room().await);
        assert!(streams[1].1.take().await.unwrap().is_ok());
        drop(streams);
        assert_eq!(unread.lock().bytes, 0);
    }

    #[tokio::test]
    async fn the_last_answer_is_followed_by_the_end() {
        let (puts, takes) = Unread::default().open();
        puts.expect();
        puts.put(answer(1));
        drop(puts);
        assert!(takes.take().await.is_some());
        assert!(takes.take().await.is_none());
        assert!(takes.is_even());
    }
}
