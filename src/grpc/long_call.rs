//! Calls that work for long and answer as a stream: they end with their work, with their deadline,
//! when the server drains, or when nobody hears the answers any more.

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _};
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Extensions, Status};

use super::{calls::StreamDeadline, draining::Draining};
use crate::{api::status, telemetry::Telemetry};

/// The answers of a call.
pub type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
/// Where work tells answers that come before its last one.
pub type Answering<T> = mpsc::Sender<Result<T, Status>>;

/// A call that works for long.
pub struct LongCall {
    name: &'static str,
    started: Instant,
    deadline: Option<Instant>,
    draining: Draining,
    telemetry: Telemetry,
}

impl LongCall {
    /// A call, by the name of its method and the extensions of its request.
    pub fn new(
        name: &'static str,
        extensions: &Extensions,
        draining: &Draining,
        telemetry: &Telemetry,
    ) -> Self {
        let deadline = extensions.get::<StreamDeadline>();
        Self {
            name,
            started: Instant::now(),
            deadline: deadline.map(|StreamDeadline(at)| *at),
            draining: draining.clone(),
            telemetry: telemetry.clone(),
        }
    }

    /// Does work, whose result is the last answer. So many answers wait for who hears them.
    pub fn answer_with<T, Work>(
        mut self,
        waiting: usize,
        work: impl FnOnce(Answering<T>) -> Work,
    ) -> Answers<T>
    where
        T: Send + 'static,
        Work: Future<Output = Result<T, Status>> + Send + 'static,
    {
        let (answers, answered) = mpsc::channel(waiting);
        let work = work(answers.clone());
        tokio::spawn(async move {
            let end = async {
                match self.deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            let last = tokio::select! {
                last = work => last,
                () = end => Err(status::deadline_exceeded()),
                () = self.draining.begun() => Err(status::draining()),
                () = answers.closed() => Err(gone()),
            };
            let code = last.as_ref().map_or_else(Status::code, |_| Code::Ok);
            self.telemetry
                .call_ended(self.name, code, self.started.elapsed());
            // A caller that has gone hears nothing.
            let _ = answers.send(last).await;
        });
        ReceiverStream::new(answered).boxed()
    }
}

/// What becomes of a call whose answers nobody hears any more.
pub fn gone() -> Status {
    Status::cancelled("the caller has gone")
}
