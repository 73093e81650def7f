//! What concurrent callers ask of one destination travels together. Whoever finds nobody at work
//! sends at once. What comes meanwhile is sent by a sender, which takes all that waits, and goes on
//! with what has come until it is answered. Nobody waits for others to come.

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

/// Senders of one destination. There are more than one only while more waits than a message
/// carries: the next one is made while Redis is busy with the one before.
const MOST_SENDERS: usize = 4;

/// What travels, and how.
pub trait Carrier: Send + Sync + 'static {
    /// What goes to different destinations never travels together.
    type Destination: Clone + Eq + Hash + Send + Sync + 'static;
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
        destination: &Self::Destination,
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
    queues: Mutex<HashMap<C::Destination, Queue<C>>>,
}

/// Who is at work for a destination; kept only while somebody is.
struct Queue<C: Carrier> {
    has_caller: bool,
    senders: usize,
    /// Empty without a sender.
    waiting: VecDeque<Waiting<C>>,
    /// Of all that waits.
    items: usize,
}

/// What has become of a request that has come.
enum Entry<C: Carrier> {
    /// Nobody is at work: its caller sends it.
    First(C::Request),
    /// It waits for a sender, of whom its caller may have to begin a further one.
    Waits {
        answered: oneshot::Receiver<Result<C::Answer, StoreError>>,
        needs_sender: bool,
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
    /// when it is dropped or looked after late: no sender waits for it.
    pub async fn ask(
        self: &Arc<Self>,
        destination: C::Destination,
        request: C::Request,
    ) -> Result<C::Answer, StoreError> {
        let lost = || Err(C::error(failure::given_up()));
        match self.enter(&destination, request) {
            Entry::Waits {
                answered,
                needs_sender,
            } => {
                if needs_sender {
                    tokio::spawn(self.turn(destination, Kind::Sender).work());
                }
                answered.await.unwrap_or_else(|_| lost())
            }
            Entry::First(request) => {
                let turn = self.turn(destination, Kind::Caller);
                match self.carrier.send(&turn.destination, vec![request]).await {
                    Ok(mut answers) => answers.pop().unwrap_or_else(lost),
                    Err(failure) => {
                        self.refuse_waiting(&turn.destination, &failure);
                        Err(C::error(failure))
                    }
                }
            }
        }
    }

    fn turn(self: &Arc<Self>, destination: C::Destination, kind: Kind) -> Turn<C> {
        Turn {
            gathering: Arc::clone(self),
            destination,
            kind,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<C::Destination, Queue<C>>> {
        // Nothing between locking and unlocking panics and leaves a queue half changed.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, destination: &C::Destination, request: C::Request) -> Entry<C> {
        let mut queues = self.lock();
        let Some(queue) = queues.get_mut(destination) else {
            let queue = Queue {
                has_caller: true,
                senders: 0,
                waiting: VecDeque::new(),
                items: 0,
            };
            queues.insert(destination.clone(), queue);
            return Entry::First(request);
        };
        let (answer, answered) = oneshot::channel();
        queue.items += C::size(&request).items;
        queue.waiting.push_back(Waiting { request, answer });
        let is_full = queue.items >= C::CAPACITY.items;
        let needs_sender = queue.senders == 0 || (is_full && queue.senders < MOST_SENDERS);
        queue.senders += usize::from(needs_sender);
        Entry::Waits {
            answered,
            needs_sender,
        }
    }

    /// Takes what the next message of a sender carries. When nothing waits, its turn has ended.
    fn take(&self, destination: &C::Destination) -> Option<Message<C>> {
        let mut queues = self.lock();
        let queue = queues.get_mut(destination)?;
        let (mut requests, mut answers) = (Vec::new(), Vec::new());
        let mut size = Size::default();
        while let Some(Waiting { request, answer }) = queue.waiting.pop_front() {
            let own = C::size(&request);
            if !answer.is_closed() && !size.take(own, C::CAPACITY) {
                queue.waiting.push_front(Waiting { request, answer });
                break;
            }
            queue.items -= own.items;
            if answer.is_closed() {
                continue;
            }
            requests.push(request);
            answers.push(answer);
        }
        if requests.is_empty() {
            end_turn(&mut queues, destination, |queue| queue.senders -= 1);
            return None;
        }
        Some((requests, answers))
    }

    /// Whoever waits behind a message that was not answered in time would wait as long again. Nothing
    /// of it was sent, so that it has changed nothing.
    fn refuse_waiting(&self, destination: &C::Destination, failure: &Failure) {
        if !failure.error.is_timeout() {
            return;
        }
        let mut queues = self.lock();
        let queue = queues.get_mut(destination);
        let waiting = queue.map_or_else(VecDeque::new, Queue::empty);
        drop(queues);
        let unsent = failure.clone().of_read();
        for Waiting { answer, .. } in waiting {
            let _ = answer.send(Err(unsent.clone()));
        }
    }
}

impl<C: Carrier> Queue<C> {
    fn empty(&mut self) -> VecDeque<Waiting<C>> {
        self.items = 0;
        std::mem::take(&mut self.waiting)
    }
}

/// Somebody is no longer at work for a destination.
fn end_turn<C: Carrier>(
    queues: &mut HashMap<C::Destination, Queue<C>>,
    destination: &C::Destination,
    leave: impl FnOnce(&mut Queue<C>),
) {
    if let Some(queue) = queues.get_mut(destination) {
        leave(queue);
        if !queue.has_caller && queue.senders == 0 {
            queues.remove(destination);
        }
    }
}

/// Work for a destination; it ends when this is dropped.
struct Turn<C: Carrier> {
    gathering: Arc<Gathering<C>>,
    destination: C::Destination,
    kind: Kind,
}

enum Kind {
    Caller,
    Sender,
    Ended,
}

impl<C: Carrier> Turn<C> {
    /// Sends messages, one after the other, until nothing waits.
    async fn work(mut self) {
        while let Some((requests, answers)) = self.gathering.take(&self.destination) {
            // Whoever has dropped its question hears nothing.
            match self
                .gathering
                .carrier
                .send(&self.destination, requests)
                .await
            {
                Ok(results) => {
                    for (answer, result) in answers.into_iter().zip(results) {
                        let _ = answer.send(result);
                    }
                }
                Err(failure) => {
                    self.gathering.refuse_waiting(&self.destination, &failure);
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
            Kind::Caller => end_turn(&mut queues, &self.destination, |queue| {
                queue.has_caller = false;
            }),
            // It has panicked, or the runtime has ended.
            Kind::Sender => end_turn(&mut queues, &self.destination, |queue| {
                queue.senders -= 1;
                if queue.senders == 0 {
                    // Nobody is left to send what waits.
                    drop(queue.empty());
                }
            }),
        }
    }
}
