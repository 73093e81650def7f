//! Replays a source of JSON Lines into a server: many batches and updates on their way at
//! once, in order where one line can read another, every line answered or the replay fails.

use std::{collections::VecDeque, time::Instant};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use prost::Message as _;
use tokio::{io::AsyncRead, sync::mpsc, task::JoinSet};
use tonic::Status;

use super::{
    ahead::{Read, read},
    answered::AnsweredLines,
    lines::{Entry, Line, LineReader, Position, Update},
    order::{Order, Step},
    outcome::{Outcome, outcome},
    prepare::Preparation,
    stream::{
        Answer, AnsweredBatch, MAX_BATCHES_IN_FLIGHT, Patience, converse, is_for_all, is_quota,
        is_temporary,
    },
    summary::Summary,
    updates::{UpdateAnswer, update},
};
use crate::{
    cli::{
        connection::Client,
        failure::{Failure, describe},
        output::counted,
    },
    proto::v1::{ResponseView, ScoreEventsRequest},
};

/// Bytes of a request of events: servers take 4 MiB unless configured, and a line may
/// have 1 MiB.
const MAX_BATCH_BYTES: usize = 1024 * 1024;
/// Updates on their way at once.
const MAX_UPDATES_IN_FLIGHT: usize = 64;
/// Lines that have been read beyond those that fill every batch on its way: room to look
/// past a profile that waits.
const LOOK_AHEAD_LINES: usize = 4096;
/// Bytes of lines that have been read and not answered.
const MAX_UNANSWERED_BYTES: u64 = 32 * 1024 * 1024;
/// Lines that are parsed ahead of the sender.
const PARSED_AHEAD_LINES: usize = 128;

/// How to replay.
#[derive(Clone, Debug)]
pub struct Options {
    /// What happens to a line before it is sent.
    pub preparation: Preparation,
    /// Events of a request, 1 to 1,000.
    pub batch: usize,
    /// When to give up.
    pub patience: Patience,
}

/// Is told how a replay goes.
pub trait Watcher {
    /// A line was refused for this reason.
    fn refused(&mut self, line: u64, reason: &str);

    /// Every line up to `position` has its answer.
    fn answered(&mut self, position: Position, summary: &Summary) -> Result<(), Failure>;
}

/// Replays `source`, which stands at `position`, to its end.
pub async fn replay<R>(
    client: Client,
    source: R,
    position: Position,
    options: &Options,
    watcher: &mut impl Watcher,
) -> Result<Summary, Failure>
where
    R: AsyncRead + Unpin + Send + 'static,
{
    // Dropping the set stops the tasks when the replay fails or is given up.
    let mut tasks = JoinSet::new();
    let (line_sender, lines) = mpsc::channel(PARSED_AHEAD_LINES);
    let (request_sender, requests) = mpsc::channel(MAX_BATCHES_IN_FLIGHT);
    let (answer_sender, answers) = mpsc::channel(MAX_BATCHES_IN_FLIGHT);
    tasks.spawn(read(LineReader::new(source, position), line_sender));
    tasks.spawn(converse(
        client.clone(),
        requests,
        answer_sender,
        options.patience,
    ));
    let engine = Engine {
        client,
        options,
        watcher,
        summary: Summary::default(),
        progress: AnsweredLines::new(position),
        order: Order::default(),
        ready_events: VecDeque::new(),
        ready_updates: VecDeque::new(),
        sent: VecDeque::new(),
        paused_until: None,
        stopped: None,
    };
    let outcome = engine.run(lines, request_sender, answers).await;
    match outcome {
        Ok(summary) => Ok(summary),
        Err(Stop::Failed(failure)) => Err(failure),
        // A task has ended before its time and knows why.
        Err(Stop::TaskEnded) => {
            while let Some(ended) = tasks.join_next().await {
                match ended {
                    Ok(Err(failure)) => return Err(failure),
                    Ok(Ok(())) => {}
                    Err(error) => return Err(Failure::new(format!("a task failed: {error}"))),
                }
            }
            Err(Failure::new("the replay ended before its source did"))
        }
    }
}

/// Why the engine stops early.
enum Stop {
    Failed(Failure),
    TaskEnded,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// An event that was sent: enough to tell which line it was when its request comes back.
struct Sent {
    line: u64,
    tries: u32,
}

struct Engine<'a, W> {
    client: Client,
    options: &'a Options,
    watcher: &'a mut W,
    summary: Summary,
    progress: AnsweredLines,
    order: Order,
    /// Events that may go.
    ready_events: VecDeque<Step>,
    /// Updates that may go.
    ready_updates: VecDeque<(u64, Update)>,
    /// The events of each request on its way, in order.
    sent: VecDeque<Vec<Sent>>,
    /// Nothing is sent before this instant, because the server said it is busy.
    paused_until: Option<Instant>,
    /// The first line that heard what every line would hear. Nothing more is sent; what is on its way
    /// is waited for.
    stopped: Option<(u64, Status)>,
}

impl<W: Watcher> Engine<'_, W> {
    async fn run(
        mut self,
        mut lines: mpsc::Receiver<Read>,
        requests: mpsc::Sender<ScoreEventsRequest>,
        mut answers: mpsc::Receiver<Answer>,
    ) -> Result<Summary, Stop> {
        let mut updates = FuturesUnordered::new();
        let mut ended = false;
        loop {
            while !ended && self.has_room() {
                match lines.try_recv() {
                    Ok(line) => ended = self.take(line),
                    Err(mpsc::error::TryRecvError::Empty) => break,
                    Err(mpsc::error::TryRecvError::Disconnected) => return Err(Stop::TaskEnded),
                }
            }
            if self
                .paused_until
                .is_some_and(|until| until <= Instant::now())
            {
                self.paused_until = None;
            }
            if self.paused_until.is_none() && self.stopped.is_none() {
                while self.is_worth_sending(ended) {
                    let request = self.next_request();
                    if requests.send(request).await.is_err() {
                        // Why stands behind the answers.
                        break;
                    }
                }
                while updates.len() < MAX_UPDATES_IN_FLIGHT
                    && let Some(next) = self.ready_updates.pop_front()
                {
                    updates.push(update(self.client.clone(), next, self.options.patience));
                }
            }
            if let Some(position) = self.progress.advanced() {
                self.watcher.answered(position, &self.summary)?;
            }
            if self.sent.is_empty()
                && updates.is_empty()
                && let Some((line, status)) = &self.stopped
            {
                return Err(self.stop_at(*line, status).into());
            }
            if ended && self.progress.is_complete() {
                return Ok(self.summary);
            }
            tokio::select! {
                line = lines.recv(), if !ended && self.has_room() => {
                    ended = self.take(line.ok_or(Stop::TaskEnded)?);
                }
                // Polled even when nothing is expected: it ends when the connection is given up.
                answer = answers.recv(), if self.stopped.is_none() || !self.sent.is_empty() => {
                    match answer.ok_or(Stop::TaskEnded)? {
                        Ok(answer) => self.answer(answer)?,
                        Err(status) => self.lose_stream(status),
                    }
                }
                Some(answer) = updates.next(), if !updates.is_empty() => {
                    self.answer_update(answer)?;
                }
                () = sleep_until(self.paused_until), if self.paused_until.is_some() => {}
            }
        }
    }

    fn has_room(&self) -> bool {
        self.stopped.is_none()
            && self.progress.unanswered_lines()
                < self.options.batch * MAX_BATCHES_IN_FLIGHT + LOOK_AHEAD_LINES
            && self.progress.unanswered_bytes() < MAX_UNANSWERED_BYTES
    }

    /// Takes the next line of the source; whether it was the end.
    fn take(&mut self, read: Read) -> bool {
        let Line { end, content } = match read {
            Read::Line(line) => *line,
            Read::End(cut_off) => {
                self.summary.cut_off = cut_off;
                return true;
            }
        };
        self.progress.read(end);
        let prepared = content.and_then(|entry| match entry {
            Some(entry) => self.options.preparation.prepare(entry).map(Some),
            None => Ok(None),
        });
        match prepared {
            Ok(Some(entry)) => {
                let step = Step {
                    line: end.line,
                    entry,
                    tries: 0,
                };
                if let Some(step) = self.order.admit(step) {
                    self.make_ready(step);
                }
            }
            Ok(None) => self.progress.answered(end.line),
            Err(reason) => self.refuse(end.line, &reason),
        }
        false
    }

    fn make_ready(&mut self, step: Step) {
        match step.entry {
            Entry::Event(_) => self.ready_events.push_back(step),
            Entry::Update(update) => self.ready_updates.push_back((step.line, update)),
        }
    }

    /// Whether to send events now: a full batch, or whatever there is while the server has
    /// nothing to do, or at the end.
    fn is_worth_sending(&self, ended: bool) -> bool {
        !self.ready_events.is_empty()
            && self.sent.len() < MAX_BATCHES_IN_FLIGHT
            && (self.ready_events.len() >= self.options.batch || self.sent.is_empty() || ended)
    }

    fn next_request(&mut self) -> ScoreEventsRequest {
        let mut request = ScoreEventsRequest {
            tenant: self.options.preparation.tenant.clone(),
            events: Vec::new(),
            response_view: ResponseView::None.into(),
        };
        let mut sent = Vec::new();
        let mut bytes = 0;
        while sent.len() < self.options.batch
            && let Some(step) = self.ready_events.pop_front()
        {
            let Step { line, entry, tries } = step;
            let Entry::Event(event) = entry else {
                continue;
            };
            bytes += event.encoded_len();
            if bytes > MAX_BATCH_BYTES && !sent.is_empty() {
                let entry = Entry::Event(event);
                self.ready_events.push_front(Step { line, entry, tries });
                break;
            }
            request.events.push(event);
            sent.push(Sent { line, tries });
        }
        self.sent.push_back(sent);
        request
    }

    fn answer(&mut self, (request, results): AnsweredBatch) -> Result<(), Failure> {
        let sent = self.sent.pop_front().unwrap_or_default();
        if results.len() != sent.len() {
            return Err(Failure::new(format!(
                "the server answered {} of {} events; it does not speak this protocol",
                results.len(),
                sent.len()
            )));
        }
        let mut again = Vec::new();
        for ((Sent { line, tries }, event), result) in
            sent.into_iter().zip(request.events).zip(results)
        {
            match outcome(result) {
                Outcome::Counted(count, is_unmatched) => {
                    *count(&mut self.summary) += 1;
                    if is_unmatched {
                        self.summary.note_unmatched(&event.r#type);
                    }
                    self.progress.answered(line);
                }
                Outcome::Refused(status) if is_temporary(&status) => {
                    let tries = tries + u32::from(!is_quota(&status));
                    self.pause(line, tries, &status)?;
                    let entry = Entry::Event(event);
                    again.push(Step { line, entry, tries });
                    continue;
                }
                Outcome::Refused(status) if is_for_all(&status) => {
                    self.stop(line, status);
                    continue;
                }
                Outcome::Refused(status) => self.refuse(line, &describe(&status)),
                Outcome::Unintelligible => {
                    return Err(Failure::new(format!(
                        "the server gave no outcome for line {line}; it does not speak this protocol"
                    )));
                }
            }
            for step in self.order.answered_event(&event) {
                self.make_ready(step);
            }
        }
        for step in again.into_iter().rev() {
            self.ready_events.push_front(step);
        }
        Ok(())
    }

    fn answer_update(
        &mut self,
        UpdateAnswer {
            line,
            update,
            result,
            retries,
        }: UpdateAnswer,
    ) -> Result<(), Failure> {
        match result {
            Ok(()) => {
                self.summary.updates += 1;
                self.progress.answered(line);
            }
            Err(status) if is_temporary(&status) => {
                return Err(gave_up(line, retries, &status));
            }
            Err(status) if is_for_all(&status) => {
                self.stop(line, status);
                return Ok(());
            }
            Err(status) => self.refuse(line, &describe(&status)),
        }
        for step in self.order.answered_update(&update) {
            self.make_ready(step);
        }
        Ok(())
    }

    /// Sends nothing more. The line and those after it have no answer: a checkpoint stands before them.
    fn stop(&mut self, line: u64, status: Status) {
        if self.stopped.as_ref().is_none_or(|(first, _)| line < *first) {
            self.stopped = Some((line, status));
        }
    }

    /// No more answers will come for events.
    fn lose_stream(&mut self, status: Status) {
        let first = self.sent.iter().flatten().map(|sent| sent.line).min();
        self.sent.clear();
        self.stop(first.unwrap_or_default(), status);
    }

    fn stop_at(&self, line: u64, status: &Status) -> Failure {
        Failure::new(format!(
            "stopped at line {line}, as every other line would hear the same: {}; {} had an answer",
            describe(status),
            counted(
                self.summary.answered().try_into().unwrap_or(i64::MAX),
                "line"
            )
        ))
    }

    /// Sends nothing for a while, or gives up.
    fn pause(&mut self, line: u64, tries: u32, status: &Status) -> Result<(), Failure> {
        let wait = self
            .options
            .patience
            .wait_after(status, tries)
            .ok_or_else(|| gave_up(line, self.options.patience.retries, status))?;
        self.paused_until = self.paused_until.max(Some(Instant::now() + wait));
        Ok(())
    }

    fn refuse(&mut self, line: u64, reason: &str) {
        self.summary.refused += 1;
        self.progress.answered(line);
        self.watcher.refused(line, reason);
    }
}

fn gave_up(line: u64, retries: u32, status: &Status) -> Failure {
    Failure::new(format!(
        "gave up at line {line} after {retries} retries: {}",
        describe(status)
    ))
}

async fn sleep_until(instant: Option<Instant>) {
    if let Some(instant) = instant {
        tokio::time::sleep_until(instant.into()).await;
    }
}
