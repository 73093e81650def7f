use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use tokio::sync::mpsc;
use tonic::Code;

use super::*;
use crate::{grpc::transport::budget::Budget, telemetry::ShedCount};

const MOST: usize = 1024 * 1024;

/// A body of what is sent to it.
struct Fed(mpsc::UnboundedReceiver<Bytes>);

impl HttpBody for Fed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let chunk = ready!(self.0.poll_recv(context));
        Poll::Ready(chunk.map(Frame::data).map(Ok))
    }
}

struct Stream {
    sender: Option<mpsc::UnboundedSender<Bytes>>,
    body: Body,
}

impl Stream {
    fn new(budget: &Budget, is_gzip: bool) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut request = Request::new(Body::new(Fed(receiver)));
        if is_gzip {
            let headers = request.headers_mut();
            headers.insert("grpc-encoding", "gzip".parse().unwrap());
        }
        let terms = Terms {
            max_message_bytes: MOST,
            stall_timeout: Some(Duration::from_secs(20)),
        };
        let body = whole_messages(request, terms, &budget.account()).into_body();
        Self {
            sender: Some(sender),
            body,
        }
    }

    fn send(&self, bytes: &[u8]) {
        let sender = self.sender.as_ref().unwrap();
        sender.send(Bytes::copy_from_slice(bytes)).unwrap();
    }

    fn end(&mut self) {
        self.sender = None;
    }

    async fn next(&mut self) -> Option<Result<Bytes, Status>> {
        let body = &mut self.body;
        let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
        frame.map(|frame| frame.map(|frame| frame.into_data().unwrap()))
    }

    async fn refused(&mut self) -> Status {
        self.next().await.unwrap().unwrap_err()
    }
}

fn message(payload: &[u8]) -> Vec<u8> {
    framed(0, payload)
}

fn framed(flag: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[flag], &length[..], payload].concat()
}

fn gzipped(payload: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(payload).unwrap();
    framed(1, &encoder.finish().unwrap())
}

fn unlimited() -> Budget {
    Budget::new(usize::MAX, ShedCount::default())
}

#[tokio::test(start_paused = true)]
async fn a_message_is_passed_on_when_it_is_whole_and_holds_what_has_arrived() {
    let budget = Budget::new(MOST, ShedCount::default());
    let mut stream = Stream::new(&budget, false);
    let whole = message(&[7; 100_000]);
    stream.send(&whole[..50_000]);
    let early = tokio::time::timeout(Duration::from_secs(1), stream.next()).await;
    assert!(early.is_err());
    let held = MOST - free(&budget);
    assert!((50_000..=100_005).contains(&held), "{held}");
    stream.send(&whole[50_000..]);
    assert_eq!(stream.next().await.unwrap().unwrap(), whole);
    assert_eq!(free(&budget), MOST);
}

/// The largest amount that a newcomer could take.
fn free(budget: &Budget) -> usize {
    let account = budget.account();
    let (mut fits, mut does_not) = (0, MOST + 1);
    while does_not - fits > 1 {
        let amount = fits.midpoint(does_not);
        if account.try_take(amount).is_some() {
            fits = amount;
        } else {
            does_not = amount;
        }
    }
    fits
}

#[tokio::test(start_paused = true)]
async fn an_announcement_alone_takes_nothing_and_ends_in_time() {
    let budget = Budget::new(MOST, ShedCount::default());
    let mut stream = Stream::new(&budget, false);
    stream.send(&message(&[0; MOST])[..5]);
    let started = Instant::now();
    let early = tokio::time::timeout(Duration::from_secs(1), stream.next()).await;
    assert!(early.is_err());
    assert!(MOST - free(&budget) <= 16);
    let refused = stream.refused().await;
    assert_eq!(refused.code(), Code::DeadlineExceeded, "{refused}");
    assert_eq!(started.elapsed(), Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn the_first_message_has_a_deadline_and_the_pause_after_one_has_none() {
    let mut silent = Stream::new(&unlimited(), false);
    assert_eq!(silent.refused().await.code(), Code::DeadlineExceeded);

    let mut stream = Stream::new(&unlimited(), false);
    stream.send(&message(b"first"));
    stream.next().await.unwrap().unwrap();
    let hours = Duration::from_secs(7_200);
    assert!(tokio::time::timeout(hours, stream.next()).await.is_err());
    stream.send(&message(b"second")[..8]);
    assert_eq!(stream.refused().await.code(), Code::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn who_sends_slowly_but_steadily_is_waited_for() {
    let mut stream = Stream::new(&unlimited(), false);
    let whole = message(&vec![7; MOST]);
    let sender = stream.sender.take().unwrap();
    let chunks: Vec<_> = whole
        .chunks(32 * 1024)
        .map(Bytes::copy_from_slice)
        .collect();
    tokio::spawn(async move {
        for chunk in chunks {
            tokio::time::sleep(Duration::from_secs(2)).await;
            sender.send(chunk).unwrap();
        }
        std::future::pending::<()>().await;
    });
    let started = Instant::now();
    assert_eq!(stream.next().await.unwrap().unwrap(), whole);
    assert!(started.elapsed() > Duration::from_secs(60));
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_its_reason() {
    let mut large = Stream::new(&unlimited(), false);
    large.send(&message(&[])[..1]);
    large.send(&u32::MAX.to_be_bytes());
    assert_eq!(large.refused().await.code(), Code::ResourceExhausted);

    let mut strange = Stream::new(&unlimited(), false);
    strange.send(&framed(7, b"what"));
    assert_eq!(strange.refused().await.code(), Code::InvalidArgument);

    let mut cut = Stream::new(&unlimited(), false);
    cut.send(&message(b"half of it")[..9]);
    cut.end();
    let refused = cut.refused().await;
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(
        refused.message().contains("ends after 9 bytes"),
        "{refused}"
    );
}

#[tokio::test]
async fn messages_beyond_the_budget_are_turned_away_and_others_get_through() {
    let budget = Budget::new(100_000, ShedCount::default());
    let whole = message(&[7; 40_000]);
    let mut streams = Vec::new();
    for _ in 0..8 {
        let mut stream = Stream::new(&budget, false);
        stream.send(&whole[..30_000]);
        let pending = tokio::select! {
            biased;
            refused = stream.next() => Err(refused),
            () = std::future::ready(()) => Ok(()),
        };
        streams.push((stream, pending));
    }
    let turned_away = streams.iter().filter(|(_, pending)| pending.is_err());
    for (_, refused) in turned_away.clone() {
        let refused = refused.as_ref().unwrap_err().as_ref().unwrap();
        assert_eq!(refused.as_ref().unwrap_err().code(), Code::Unavailable);
    }
    assert_eq!(turned_away.count(), 6);
    // A message in one piece is not held at all.
    let mut quiet = Stream::new(&budget, false);
    quiet.send(&whole);
    assert_eq!(quiet.next().await.unwrap().unwrap(), whole);
}

#[tokio::test]
async fn a_compressed_message_is_inflated_within_bounds() {
    let payload: String = (0..1_000)
        .map(|number| format!("event-{number} of profile-{}", number * 7_919 % 1_000))
        .collect();
    let mut stream = Stream::new(&unlimited(), true);
    stream.send(&[message(b"plain"), gzipped(payload.as_bytes())].concat());
    assert_eq!(stream.next().await.unwrap().unwrap(), message(b"plain"));
    let inflated = stream.next().await.unwrap().unwrap();
    assert_eq!(inflated, message(payload.as_bytes()));

    for (payload, reason) in [
        (vec![0; MOST], "200 times as large"),
        (noise(MOST + 1), "more than 1048576 bytes"),
    ] {
        let mut bomb = Stream::new(&unlimited(), true);
        bomb.send(&gzipped(&payload));
        let refused = bomb.refused().await;
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert!(refused.message().contains(reason), "{refused}");
    }

    let mut strange = Stream::new(&unlimited(), true);
    strange.send(&framed(1, b"this is no gzip"));
    assert_eq!(strange.refused().await.code(), Code::InvalidArgument);
}

/// Bytes that compress, though not much.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 28) as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn however_messages_are_cut_into_chunks_the_same_ones_arrive(
        payloads in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..300)), 1..8),
        cuts in prop::collection::vec(1_usize..200, 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let budget = Budget::new(MOST, ShedCount::default());
            let mut stream = Stream::new(&budget, true);
            let mut sent = Vec::new();
            let mut expected = Vec::new();
            for (is_compressed, payload) in &payloads {
                sent.extend(if *is_compressed { gzipped(payload) } else { message(payload) });
                expected.extend(message(payload));
            }
            let mut cuts = cuts.iter().cycle();
            let mut rest = &sent[..];
            while !rest.is_empty() {
                let (chunk, others) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                stream.send(chunk);
                rest = others;
            }
            stream.end();
            let mut arrived = Vec::new();
            while let Some(messages) = stream.next().await {
                arrived.extend(messages.unwrap());
            }
            assert_eq!(arrived, expected);
            assert_eq!(free(&budget), MOST);
        });
    }
}
