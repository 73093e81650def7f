//! `ScoreEvents`: a reader submits requests in the order they come, and the response
//! stream answers them in that order, several in flight between the two. When a caller does
//! not read its answers, the reader stops, and HTTP/2 holds the caller back.

use std::{pin::Pin, sync::Arc};

use futures_util::{Stream, StreamExt as _, stream};
use tokio::{sync::mpsc, time::Instant};
use tonic::{Code, Status};
use tracing::Instrument as _;

use super::{
    caller::{Caller, Entered},
    calls::StreamDeadline,
    draining::Draining,
    unread::{Puts, Takes, Unread},
};
use crate::{
    api::{self, EventPath, status},
    limits::MAX_REQUESTS_IN_FLIGHT_PER_STREAM,
    proto::{google::rpc, v1},
    service::{PendingScores, Service},
    store::Store,
    telemetry::Telemetry,
};

const METHOD: &str = "bellwether.v1.ScoringService/ScoreEvents";

/// The answers to a `ScoreEvents`.
pub type ResponseStream =
    Pin<Box<dyn Stream<Item = Result<v1::ScoreEventsResponse, Status>> + Send>>;

/// Answers the requests of a stream until it ends, one is malformed as a whole, the
/// deadline passes or the server drains. What was submitted before is still answered,
/// except after the deadline.
pub fn answer<S: Store>(
    service: Service<S>,
    caller: Caller,
    requests: impl Stream<Item = Result<v1::ScoreEventsRequest, Status>> + Send + Unpin + 'static,
    deadline: Option<StreamDeadline>,
    draining: Draining,
    unread: &Unread,
    telemetry: Telemetry,
) -> ResponseStream {
    let (puts, takes) = unread.open();
    tokio::spawn(read(service, caller, requests, draining, puts).in_current_span());
    let answers = Answers {
        takes,
        deadline,
        started: Instant::now(),
        telemetry,
        code: None,
    };
    Box::pin(stream::unfold(answers, Answers::next))
}

/// A request whose events are in the queues of their profiles; why each other one is not.
struct Submitted<S> {
    entered: Entered,
    refused: Vec<Option<rpc::Status>>,
    pending: PendingScores<S>,
}

impl<S: Store> Submitted<S> {
    async fn answer(self) -> v1::ScoreEventsResponse {
        let mut scored = self.pending.results().await.into_iter();
        let results = self
            .refused
            .into_iter()
            .enumerate()
            .map(|(index, refused)| {
                if let Some(error) = refused {
                    return v1::ScoreEventsResult {
                        result: Some(v1::score_events_result::Result::Error(error)),
                    };
                }
                let result = scored.next().map_or_else(
                    || Err(status::inconsistent()),
                    |result| {
                        let field = format!("events[{index}].time");
                        result.map_err(|error| self.entered.failed_at(&field, error))
                    },
                );
                api::result_of_event(result, EventPath::Indexed(index))
            });
        self.entered.redacted(v1::ScoreEventsResponse {
            results: results.collect(),
        })
    }
}

async fn read<S: Store>(
    service: Service<S>,
    caller: Caller,
    mut requests: impl Stream<Item = Result<v1::ScoreEventsRequest, Status>> + Send + Unpin,
    mut draining: Draining,
    puts: Puts,
) {
    let puts = Arc::new(puts);
    let (sender, submitted) = mpsc::channel(MAX_REQUESTS_IN_FLIGHT_PER_STREAM);
    tokio::spawn(collect(submitted, Arc::clone(&puts)));
    // Room for the answer comes first: what could not be answered is not read.
    while puts.room().await {
        let request = tokio::select! {
            biased;
            () = puts.gone() => return,
            () = draining.begun() => Some(Err(status::draining())),
            request = requests.next() => request.map(|request| request.map_err(status::of_decoder)),
        };
        let submitted = match request {
            None => return,
            Some(Err(status)) => Err(status),
            Some(Ok(request)) => {
                puts.expect();
                submit(&service, &caller, request).await
            }
        };
        let is_last = submitted.is_err();
        if sender.send(submitted).await.is_err() || is_last {
            return;
        }
    }
}

/// Puts the answers to what was submitted where they are taken, each once its events are
/// counted, whether or not somebody takes it.
async fn collect<S: Store>(
    mut submitted: mpsc::Receiver<Result<Submitted<S>, Status>>,
    puts: Arc<Puts>,
) {
    while let Some(submitted) = submitted.recv().await {
        match submitted {
            Ok(submitted) => puts.put(Ok(submitted.answer().await)),
            Err(status) => puts.put(Err(status)),
        }
    }
}

async fn submit<S: Store>(
    service: &Service<S>,
    caller: &Caller,
    request: v1::ScoreEventsRequest,
) -> Result<Submitted<S>, Status> {
    let (tenant, events, view) = api::score_events(request)?;
    let entered = caller
        .enter_in_stream(service, &tenant, events.len())
        .await?;
    let mut accepted = Vec::with_capacity(events.len());
    let mut refused = Vec::with_capacity(events.len());
    for (index, event) in events.into_iter().enumerate() {
        match api::event(event, EventPath::Indexed(index)) {
            Ok(event) => {
                accepted.push(event);
                refused.push(None);
            }
            Err(status) => refused.push(Some(status::to_message(&status))),
        }
    }
    let pending = service.submit_events(&tenant, accepted, view).await;
    Ok(Submitted {
        entered,
        refused,
        pending,
    })
}

struct Answers {
    takes: Takes,
    deadline: Option<StreamDeadline>,
    started: Instant,
    telemetry: Telemetry,
    /// How the stream has ended; absent while it goes on.
    code: Option<Code>,
}

impl Answers {
    async fn next(mut self) -> Option<(Result<v1::ScoreEventsResponse, Status>, Self)> {
        if self.code.is_some() {
            return None;
        }
        let answer = match self.deadline {
            None => self.takes.take().await,
            Some(StreamDeadline(deadline)) => tokio::time::timeout_at(deadline, self.takes.take())
                .await
                .unwrap_or_else(|_| Some(Err(status::deadline_exceeded()))),
        };
        match &answer {
            None => self.code = Some(Code::Ok),
            Some(Err(status)) => self.code = Some(status.code()),
            Some(Ok(_)) => {}
        }
        answer.map(|answer| (answer, self))
    }

    /// How the stream ends when it ends now. A caller that goes away when it has all its answers
    /// has got what it wanted; one that leaves some has cancelled the stream.
    fn code_at_end(&self) -> Code {
        self.code.unwrap_or_else(|| match self.takes.is_even() {
            true => Code::Ok,
            false => Code::Cancelled,
        })
    }
}

/// Counts the stream as it ended.
impl Drop for Answers {
    fn drop(&mut self) {
        let (code, taken) = (self.code_at_end(), self.started.elapsed());
        self.telemetry.call_ended(METHOD, code, taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(unread: &Unread) -> (Puts, Answers) {
        let (puts, takes) = unread.open();
        let answers = Answers {
            takes,
            deadline: None,
            started: Instant::now(),
            telemetry: Telemetry::disabled(),
            code: None,
        };
        (puts, answers)
    }

    fn put(puts: &Puts, answer: Result<v1::ScoreEventsResponse, Status>) {
        puts.expect();
        puts.put(answer);
    }

    #[tokio::test]
    async fn a_caller_that_goes_with_all_its_answers_has_not_failed() {
        let unread = Unread::default();
        let (puts, answers) = begun(&unread);
        assert_eq!(answers.code_at_end(), Code::Ok, "it asked for nothing");
        put(&puts, Ok(v1::ScoreEventsResponse::default()));
        assert_eq!(answers.code_at_end(), Code::Cancelled, "an answer is left");
        let (_, answers) = answers.next().await.unwrap();
        assert_eq!(answers.code_at_end(), Code::Ok);
    }

    #[tokio::test]
    async fn a_stream_ends_as_its_last_answer_says() {
        let unread = Unread::default();
        let (puts, answers) = begun(&unread);
        put(&puts, Err(status::draining()));
        let (_, answers) = answers.next().await.unwrap();
        assert_eq!(answers.code_at_end(), Code::Unavailable);
        assert!(answers.next().await.is_none());

        let (_puts, mut answers) = begun(&unread);
        answers.deadline = Some(StreamDeadline(Instant::now()));
        let (_, answers) = answers.next().await.unwrap();
        assert_eq!(answers.code_at_end(), Code::DeadlineExceeded);
    }
}
