//! A `ScoreEvents` stream that survives its connection: what was sent and not answered
//! is sent again on the next one, which is safe because no event counts twice.

use std::{collections::VecDeque, time::Duration};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    cli::{
        connection::{Client, broke_on_the_way, refused_by_tls},
        failure::{Failure, describe},
    },
    proto::v1::{ScoreEventsRequest, ScoreEventsResult},
};

/// Requests that may be on their way at once.
pub const MAX_BATCHES_IN_FLIGHT: usize = 16;

/// How often and how long to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Tries after the first, without any progress between them.
    pub retries: u32,
    /// The wait before the first retry; each further one waits twice as long.
    pub first_wait: Duration,
    /// The longest wait.
    pub longest_wait: Duration,
}

impl Patience {
    /// How long to wait before this retry, counted from 1; `None` when it is one too many.
    pub fn wait(&self, retry: u32) -> Option<Duration> {
        (retry <= self.retries).then(|| {
            let doublings = retry.saturating_sub(1).min(20);
            self.first_wait
                .saturating_mul(1 << doublings)
                .min(self.longest_wait)
        })
    }

    /// How long to wait after a refusal that may pass; at least as long as the server says. A quota
    /// that says when there is room is waited for, however often.
    pub fn wait_after(&self, status: &Status, retry: u32) -> Option<Duration> {
        let told = retry_delay(status).unwrap_or_default();
        let own = match is_quota(status) {
            true => Some(self.first_wait),
            false => self.wait(retry),
        };
        own.map(|own| own.max(told))
    }
}

fn retry_delay(status: &Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay
}

fn has_reason(status: &Status, reason: &str) -> bool {
    let info = status.get_details_error_info();
    info.is_some_and(|info| info.reason == reason)
}

/// Whether the tenant has asked for more than its quota.
pub fn is_quota(status: &Status) -> bool {
    has_reason(status, "QUOTA_EXCEEDED")
}

/// When there is room again in the quota of the tenant that a call was refused by.
pub fn quota_wait(status: &Status) -> Option<Duration> {
    retry_delay(status).filter(|_| is_quota(status))
}

/// Whether the event needs a new profile, and the tenant may have no more of them: other lines, of
/// people who are there, go on.
fn is_of_new_profile(status: &Status) -> bool {
    has_reason(status, "TOO_MANY_PROFILES")
}

/// Whether no other line would fare better: who calls, what they may or the tenant has to change first.
pub fn is_for_all(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::PermissionDenied | Code::Unauthenticated
    ) || has_reason(status, "UNKNOWN_TENANT")
        || (is_quota(status) && retry_delay(status).is_none())
}

/// Whether the same call may succeed when it is made again: the server is away or busy, or
/// the connection broke before the answer.
pub fn is_temporary(status: &Status) -> bool {
    if refused_by_tls(status).is_some() || is_for_all(status) || is_of_new_profile(status) {
        return false;
    }
    matches!(
        status.code(),
        Code::Unavailable
            | Code::Aborted
            | Code::ResourceExhausted
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
    ) || broke_on_the_way(status)
}

/// A request with what the server said of each of its events, in order.
pub type AnsweredBatch = (ScoreEventsRequest, Vec<ScoreEventsResult>);

/// An answer, or why none will come for the first request without one, nor for those after it.
pub type Answer = Result<AnsweredBatch, Status>;

/// Sends requests in order and hands back each with its answer, in order, until the
/// requests end. Holds at most [`MAX_BATCHES_IN_FLIGHT`] requests.
pub async fn converse(
    mut client: Client,
    mut requests: mpsc::Receiver<ScoreEventsRequest>,
    answers: mpsc::Sender<Answer>,
    patience: Patience,
) -> Result<(), Failure> {
    let mut conversation = Conversation {
        unanswered: VecDeque::new(),
        ended: false,
        failures: 0,
    };
    loop {
        if conversation.unanswered.is_empty() {
            // A stream is opened for something to say: a server may keep its headers back
            // until the first request.
            match requests.recv().await {
                Some(request) => conversation.unanswered.push_back(request),
                None => return Ok(()),
            }
        }
        let Err(status) = conversation
            .hold(&mut client, &mut requests, &answers)
            .await
        else {
            if conversation.ended && conversation.unanswered.is_empty() {
                return Ok(());
            }
            continue;
        };
        if is_for_all(&status) {
            let _ = answers.send(Err(status)).await;
            return Ok(());
        }
        if !is_temporary(&status) {
            return Err(status.into());
        }
        conversation.failures += u32::from(!is_quota(&status));
        let Some(wait) = patience.wait_after(&status, conversation.failures) else {
            return Err(Failure::new(format!(
                "gave up after {} retries without progress: {}",
                patience.retries,
                describe(&status)
            )));
        };
        tokio::time::sleep(wait).await;
    }
}

/// What outlives a connection.
struct Conversation {
    unanswered: VecDeque<ScoreEventsRequest>,
    /// No more requests will come.
    ended: bool,
    /// Connections lost since the last answer.
    failures: u32,
}

impl Conversation {
    /// Holds one stream open until all is said and answered, the server ends it with
    /// nothing left to answer, or it breaks.
    async fn hold(
        &mut self,
        client: &mut Client,
        requests: &mut mpsc::Receiver<ScoreEventsRequest>,
        answers: &mpsc::Sender<Answer>,
    ) -> Result<(), Status> {
        let (sender, receiver) = mpsc::channel(MAX_BATCHES_IN_FLIGHT);
        for request in &self.unanswered {
            say(&sender, request);
        }
        let mut sender = (!self.ended).then_some(sender);
        let mut responses = client
            .score_events(ReceiverStream::new(receiver))
            .await?
            .into_inner();
        while !(self.ended && self.unanswered.is_empty()) {
            tokio::select! {
                request = requests.recv(), if !self.ended && self.unanswered.len() < MAX_BATCHES_IN_FLIGHT => {
                    match request {
                        Some(request) => {
                            if let Some(sender) = &sender {
                                say(sender, &request);
                            }
                            self.unanswered.push_back(request);
                        }
                        None => {
                            self.ended = true;
                            sender = None;
                        }
                    }
                }
                response = responses.message() => {
                    let Some(response) = response? else {
                        return if self.unanswered.is_empty() {
                            Ok(())
                        } else {
                            Err(Status::unavailable("the server ended the stream early"))
                        };
                    };
                    let Some(request) = self.unanswered.pop_front() else {
                        return Err(Status::failed_precondition("the server answered more requests than were sent"));
                    };
                    self.failures = 0;
                    if answers.send(Ok((request, response.results))).await.is_err() {
                        // Nobody listens any more.
                        self.ended = true;
                        self.unanswered.clear();
                    }
                }
            }
        }
        // All is answered. Its end is waited for, so that the server does not see a finished
        // stream as one that its caller broke off; how it ends changes nothing any more.
        drop(sender);
        let _ = responses.message().await;
        Ok(())
    }
}

/// Hands a request to the connection. There is always room, because no more than the
/// channel holds are unanswered; a connection that is gone says so on its other side, and
/// the request is said again on the next one.
fn say(sender: &mpsc::Sender<ScoreEventsRequest>, request: &ScoreEventsRequest) {
    let _ = sender.try_send(request.clone());
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_end() {
        let patience = Patience {
            retries: 4,
            first_wait: Duration::from_millis(100),
            longest_wait: Duration::from_millis(300),
        };
        let waits: Vec<_> = (1..=5)
            .map(|retry| patience.wait(retry).map(|wait| wait.as_millis()))
            .collect();
        assert_eq!(waits, [Some(100), Some(200), Some(300), Some(300), None]);
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for status in [
            Status::unavailable(""),
            Status::aborted(""),
            Status::resource_exhausted(""),
        ] {
            assert!(is_temporary(&status), "{status:?}");
        }
        for status in [
            Status::invalid_argument(""),
            Status::not_found(""),
            Status::internal("a bug"),
        ] {
            assert!(!is_temporary(&status), "{status:?}");
            assert!(!is_for_all(&status), "{status:?}");
        }
    }

    fn refusal(code: Code, reason: &str, retry: Option<Duration>) -> Status {
        let mut details = ErrorDetails::with_error_info(reason, "bellwether", HashMap::new());
        if retry.is_some() {
            details.set_retry_info(retry);
        }
        Status::with_error_details(code, "scripted", details)
    }

    #[test]
    fn what_every_line_would_hear_is_told_from_what_may_pass() {
        for status in [
            Status::permission_denied(""),
            Status::unauthenticated(""),
            refusal(Code::NotFound, "UNKNOWN_TENANT", None),
            refusal(Code::ResourceExhausted, "QUOTA_EXCEEDED", None),
        ] {
            assert!(is_for_all(&status) && !is_temporary(&status), "{status:?}");
        }
        let full = refusal(Code::ResourceExhausted, "TOO_MANY_PROFILES", None);
        assert!(!is_temporary(&full) && !is_for_all(&full));
        let patience = Patience {
            retries: 1,
            first_wait: Duration::from_millis(100),
            longest_wait: Duration::from_secs(1),
        };
        let told = Duration::from_secs(3);
        let quota = refusal(Code::ResourceExhausted, "QUOTA_EXCEEDED", Some(told));
        assert!(is_temporary(&quota) && !is_for_all(&quota));
        assert_eq!(patience.wait_after(&quota, 9), Some(told));
        let busy = refusal(Code::Unavailable, "OVERLOADED", Some(told));
        assert_eq!(patience.wait_after(&busy, 1), Some(told));
        assert_eq!(patience.wait_after(&busy, 2), None);
    }
}
