//! What concurrent callers ask of one place travels together. Whoever finds nobody at work sends
//! at once. What comes meanwhile is sent by a messenger, which takes all that waits, and goes again
//! with what has come until it is back. Nobody waits for others to come.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::{
    super::StoreError,
    failure::{self, Failure},
};

/// What travels, and how.
pub trait Carrier: Send + Sync + 'static {
    /// What goes to different places never travels together.
    type Place: Clone + Eq + Hash + Send + Sync + 'static;
    /// What a caller asks.
    type Request: Send + 'static;
    /// What it is answered.
    type Answer: Send + 'static;

    /// What one message carries at most, unless a single request is more.
    const CAPACITY: Size;

    /// What a request adds to a message.
    fn size(request: &Self::Request) -> Size;

    /// Sends one message, and gives the answers in the order of the requests.
    fn send(
        &self,
        place: &Self::Place,
        requests: Vec<Self::Request>,
    ) -> impl Future<Output = Result<Vec<Result<Self::Answer, StoreError>>, Failure>> + Send;

    /// What a failure means to a request that was in the message.
    fn error(failure: Failure) -> StoreError;
}

/// How much a message carries.
#[derive(Clone, Copy, Default)]
pub struct Size {
    pub items: usize,
    pub bytes: usize,
}

impl Size {
    /// Adds what still fits beside it. Returns whether it did; whatever it is fits into nothing.
    pub fn take(&mut self, other: Self, capacity: Self) -> bool {
        let items = self.items + other.items;
        let bytes = self.bytes.saturating_add(other.bytes);
        let fits = self.items == 0 || (items <= capacity.items && bytes <= capacity.bytes);
        if fits {
            *self = Self { items, bytes };
        }
        fits
    }
}

/// What each of several requests is answered, of so many items each.
pub fn apart<T>(
    answers: Vec<T>,
    lengths: impl Iterator<Item = usize>,
) -> Vec<Result<Vec<T>, StoreError>> {
    let mut answers = answers.into_iter();
    lengths
        .map(|length| Ok(answers.by_ref().take(length).collect()))
        .collect()
}

/// The requests that wait, by where they go.
pub struct Gathering<C: Carrier> {
    carrier: C,
    queues: Mutex<HashMap<C::Place, Queue<C>>>,
}

/// Who is at work at a place; kept only while somebody is.
struct Queue<C: Carrier> {
    has_caller: bool,
    has_messenger: bool,
    /// Empty without a messenger.
    waiting: VecDeque<Waiting<C>>,
}

/// What has become of a request that came to a place.
enum Entry<C: Carrier> {
    /// Nobody is at work: its caller sends it.
    First(C::Request),
    /// It waits for a messenger; `to_call` says whether its caller has to call one.
    Waits {
        answered: oneshot::Receiver<Result<C::Answer, StoreError>>,
        to_call: bool,
    },
}

struct Waiting<C: Carrier> {
    request: C::Request,
    answer: Answering<C>,
}

/// Requests that travel together, and who is answered, in one order.
type Message<C> = (Vec<<C as Carrier>::Request>, Vec<Answering<C>>);
type Answering<C> = oneshot::Sender<Result<<C as Carrier>::Answer, StoreError>>;

impl<C: Carrier> Gathering<C> {
    pub fn new(carrier: C) -> Arc<Self> {
        Arc::new(Self {
            carrier,
            queues: Mutex::new(HashMap::new()),
        })
    }

    /// Has a request travel. Who drops this while the request waits has it not sent.
    ///
    /// A caller that is first sends its own request, and spares it a task. It holds nobody up, also
    /// when it is dropped or looked after late: a messenger does not wait for it.
    pub async fn ask(
        self: &Arc<Self>,
        place: C::Place,
        request: C::Request,
    ) -> Result<C::Answer, StoreError> {
        let lost = || Err(C::error(failure::given_up()));
        match self.enter(&place, request) {
            Entry::Waits { answered, to_call } => {
                if to_call {
                    tokio::spawn(self.turn(place, Kind::Messenger).work());
                }
                answered.await.unwrap_or_else(|_| lost())
            }
            Entry::First(request) => {
                let turn = self.turn(place, Kind::Caller);
                match self.carrier.send(&turn.place, vec![request]).await {
                    Ok(mut answers) => answers.pop().unwrap_or_else(lost),
                    Err(failure) => {
                        self.refuse_waiting(&turn.place, &failure);
                        Err(C::error(failure))
                    }
                }
            }
        }
    }

    fn turn(self: &Arc<Self>, place: C::Place, kind: Kind) -> Turn<C> {
        Turn {
            gathering: Arc::clone(self),
            place,
            kind,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<C::Place, Queue<C>>> {
        // Nothing between locking and unlocking panics and leaves a queue half changed.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, place: &C::Place, request: C::Request) -> Entry<C> {
        let mut queues = self.lock();
        let Some(queue) = queues.get_mut(place) else {
            let queue = Queue {
                has_caller: true,
                has_messenger: false,
                waiting: VecDeque::new(),
            };
            queues.insert(place.clone(), queue);
            return Entry::First(request);
        };
        let (answer, answered) = oneshot::channel();
        queue.waiting.push_back(Waiting { request, answer });
        let to_call = !queue.has_messenger;
        queue.has_messenger = true;
        Entry::Waits { answered, to_call }
    }

    /// Takes what the next message of a messenger carries. When nothing waits, its turn has ended.
    fn take(&self, place: &C::Place) -> Option<Message<C>> {
        let mut queues = self.lock();
        let queue = queues.get_mut(place)?;
        let (mut requests, mut answers) = (Vec::new(), Vec::new());
        let mut size = Size::default();
        while let Some(Waiting { request, answer }) = queue.waiting.pop_front() {
            if answer.is_closed() {
                continue;
            }
            if !size.take(C::size(&request), C::CAPACITY) {
                queue.waiting.push_front(Waiting { request, answer });
                break;
            }
            requests.push(request);
            answers.push(answer);
        }
        if requests.is_empty() {
            end_turn(&mut queues, place, |queue| queue.has_messenger = false);
            return None;
        }
        Some((requests, answers))
    }

    /// Whoever waits behind a message that was not answered in time would wait as long again. Nothing
    /// of it was sent, so that it has changed nothing.
    fn refuse_waiting(&self, place: &C::Place, failure: &Failure) {
        if !failure.error.is_timeout() {
            return;
        }
        let mut queues = self.lock();
        let queue = queues.get_mut(place);
        let waiting = queue.map_or_else(VecDeque::new, |queue| std::mem::take(&mut queue.waiting));
        drop(queues);
        let unsent = failure.clone().of_read();
        for Waiting { answer, .. } in waiting {
            let _ = answer.send(Err(unsent.clone()));
        }
    }
}

/// Somebody is no longer at work at a place.
fn end_turn<C: Carrier>(
    queues: &mut HashMap<C::Place, Queue<C>>,
    place: &C::Place,
    leave: impl FnOnce(&mut Queue<C>),
) {
    if let Some(queue) = queues.get_mut(place) {
        leave(queue);
        if !queue.has_caller && !queue.has_messenger {
            queues.remove(place);
        }
    }
}

/// Work at a place; it ends when this is dropped.
struct Turn<C: Carrier> {
    gathering: Arc<Gathering<C>>,
    place: C::Place,
    kind: Kind,
}

enum Kind {
    Caller,
    Messenger,
    Ended,
}

impl<C: Carrier> Turn<C> {
    /// Sends messages, one after the other, until nothing waits.
    async fn work(mut self) {
        while let Some((requests, answers)) = self.gathering.take(&self.place) {
            // Whoever has dropped its question hears nothing.
            match self.gathering.carrier.send(&self.place, requests).await {
                Ok(results) => {
                    for (answer, result) in answers.into_iter().zip(results) {
                        let _ = answer.send(result);
                    }
                }
                Err(failure) => {
                    self.gathering.refuse_waiting(&self.place, &failure);
                    let error = C::error(failure);
                    for answer in answers {
                        let _ = answer.send(Err(error.clone()));
                    }
                }
            }
        }
        self.kind = Kind::Ended;
    }
}

impl<C: Carrier> Drop for Turn<C> {
    fn drop(&mut self) {
        let mut queues = self.gathering.lock();
        match self.kind {
            Kind::Ended => {}
            Kind::Caller => end_turn(&mut queues, &self.place, |queue| queue.has_caller = false),
            // It has panicked, or the runtime has ended: nobody is left to send what waits.
            Kind::Messenger => end_turn(&mut queues, &self.place, |queue| {
                queue.has_messenger = false;
                queue.waiting.clear();
            }),
        }
    }
}
