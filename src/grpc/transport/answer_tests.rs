use std::collections::VecDeque;

use tokio::sync::oneshot;
use tonic::Code;

use super::*;
use crate::{grpc::transport::budget::Budget, telemetry::ShedCount};

const STALL: Duration = Duration::from_secs(20);
const LIMIT: usize = 10_000_000;

/// A body of messages, which tells when it is dropped.
struct Made {
    messages: VecDeque<Bytes>,
    _dropped: oneshot::Sender<()>,
}

impl HttpBody for Made {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(self.messages.pop_front().map(Frame::data).map(Ok))
    }
}

struct World {
    budget: Budget,
    body: Body,
    watch: Watch,
    dropped: oneshot::Receiver<()>,
}

impl World {
    fn new(messages: Vec<usize>, deadline: Option<Instant>) -> Self {
        let budget = Budget::new(LIMIT, ShedCount::default());
        let account = budget.account();
        Self::with(&budget, &account, messages, deadline, None)
    }

    fn with(
        budget: &Budget,
        account: &Account,
        messages: Vec<usize>,
        deadline: Option<Instant>,
        stream: Option<Taken>,
    ) -> Self {
        let (sender, dropped) = oneshot::channel();
        let is_unary = stream.is_none();
        let sending = Sending {
            account: account.clone(),
            deadline,
            stall_timeout: STALL,
            stream,
        };
        let mut response = Response::new(Body::new(Made {
            messages: messages
                .into_iter()
                .map(|size| vec![7; size].into())
                .collect(),
            _dropped: sender,
        }));
        if is_unary {
            let reserved: Reserved = Arc::new(account.take(5_000_000));
            response.extensions_mut().insert(reserved);
        }
        let watch = Watch::default();
        let body = watch.during(|| sending.of(response)).into_body();
        Self {
            budget: budget.clone(),
            body,
            watch,
            dropped,
        }
    }

    async fn next(&mut self) -> Option<Frame<Bytes>> {
        let body = &mut self.body;
        let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
        frame.map(Result::unwrap)
    }

    fn holds(&self, amount: usize) -> bool {
        let fits = |amount| self.budget.account().try_take(amount).is_some();
        fits(LIMIT - amount) && !fits(LIMIT - amount + 1)
    }
}

#[tokio::test]
async fn an_answer_counts_from_its_reservation_until_its_last_piece_is_sent() {
    let mut world = World::new(vec![1_000_000, 3], None);
    assert!(world.holds(5_000_000));
    let first = world.next().await.unwrap().into_data().unwrap();
    assert_eq!(first.len(), SENT_AT_ONCE_BYTES);
    assert!(world.holds(1_000_000 + SENT_AT_ONCE_BYTES));
    let mut sent = vec![first];
    while let Some(frame) = world.next().await {
        let piece = frame.into_data().unwrap();
        assert!(piece.len() <= SENT_AT_ONCE_BYTES);
        sent.push(piece);
    }
    assert_eq!(sent.iter().map(Bytes::len).sum::<usize>(), 1_000_003);
    assert!(sent.concat().iter().all(|byte| *byte == 7));
    drop(sent);
    assert!(world.holds(0));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_frees_everything_learns_why_and_is_cut_in_the_end() {
    for (deadline, after, code) in [
        (None, STALL, Code::Aborted),
        (Some(5), Duration::from_secs(5), Code::DeadlineExceeded),
        (Some(500), STALL, Code::Aborted),
    ] {
        let started = Instant::now();
        let deadline = deadline.map(|seconds| started + Duration::from_secs(seconds));
        let mut world = World::new(vec![1_000_000; 3], deadline);
        let piece = world.next().await.unwrap();
        assert_eq!(
            world.watch.judge(started),
            Verdict::LookAgain(started + after)
        );
        tokio::time::advance(after).await;
        let now = Instant::now();
        let cut = now + GOODBYE_TIMEOUT;
        assert_eq!(world.watch.judge(now), Verdict::LookAgain(cut));
        assert!((&mut world.dropped).await.is_err());
        assert!(world.holds(SENT_AT_ONCE_BYTES));
        drop(piece);
        assert!(world.holds(0));
        assert_eq!(world.watch.judge(cut), Verdict::Cut);

        let trailers = world.next().await.unwrap().into_trailers().unwrap();
        let status = Status::from_header_map(&trailers).unwrap();
        assert_eq!(status.code(), code);
        assert!(world.next().await.is_none());
        assert_eq!(world.watch.judge(cut), Verdict::Fine);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_never_asked_for_is_given_up_and_cut_too() {
    let started = Instant::now();
    let mut world = World::new(vec![1_000_000], None);
    assert_eq!(
        world.watch.judge(started),
        Verdict::LookAgain(started + STALL)
    );
    let cut = started + STALL + GOODBYE_TIMEOUT;
    assert_eq!(world.watch.judge(started + STALL), Verdict::LookAgain(cut));
    assert!((&mut world.dropped).await.is_err());
    assert!(world.holds(0));
    assert_eq!(world.watch.judge(cut), Verdict::Cut);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_waited_for_and_a_dropped_answer_is_not() {
    let mut world = World::new(vec![100_000], None);
    while let Some(piece) = world.next().await {
        tokio::time::advance(STALL / 2).await;
        assert_ne!(world.watch.judge(Instant::now()), Verdict::Cut);
        drop(piece);
    }
    let mut world = World::new(vec![100_000], None);
    world.next().await.unwrap();
    world.body = Body::empty();
    assert!(world.holds(0));
    assert_eq!(world.watch.judge(Instant::now() + 9 * STALL), Verdict::Fine);
}

#[tokio::test(start_paused = true)]
async fn streams_of_a_connection_make_more_only_while_it_leaves_room_to_others() {
    let budget = Budget::new(LIMIT, ShedCount::default());
    let account = budget.account();
    let streams = Budget::new(9, ShedCount::default()).account();
    let stream = || {
        let place = streams.try_take(1);
        World::with(&budget, &account, vec![6_000_000], None, place)
    };
    let (mut first, mut second) = (stream(), stream());
    first.next().await.unwrap();
    let waits = tokio::time::timeout(STALL, second.next()).await;
    assert!(waits.is_err(), "6 MB are held, and 4 MB left");
    let another = budget.account();
    assert!(another.is_within_share());

    drop(first);
    assert!(second.next().await.is_some());
}
