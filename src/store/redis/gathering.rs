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
    super::{Observer, StoreError, Traffic, traffic::Messages},
    failure::{self, Failure},
};

/// The most senders for one destination at a time. There are more than one only while as much
/// waits as a message carries: the next one is made while Redis is busy with the one before.
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
    /// Whether a message of this size is full.
    fn fills(self, capacity: Self) -> bool {
        self.items >= capacity.items || self.bytes >= capacity.bytes
    }

    fn add(&mut self, other: Self) {
        self.items += other.items;
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    fn remove(&mut self, other: Self) {
        self.items = self.items.saturating_sub(other.items);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }

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
    messages: Messages,
}

/// Who is at work for a destination; removed when nobody is.
struct Queue<C: Carrier> {
    has_caller: bool,
    senders: usize,
    /// Empty without a sender.
    waiting: VecDeque<Waiting<C>>,
    /// Of all that waits.
    size: Size,
}

/// What has become of a request that has come.
enum Entry<C: Carrier> {
    /// Nobody is at work: its caller sends it.
    First(C::Request),
    /// It waits for a sender; `needs_sender`: its caller has to start one.
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
    /// Messages that are carried so, and what they ask for.
    pub fn new(operation: &'static str, carrier: C) -> Arc<Self> {
        Arc::new(Self {
            carrier,
            queues: Mutex::new(HashMap::new()),
            messages: Messages::new(operation),
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
                match self.send(&turn.destination, vec![request]).await {
                    Ok(mut answers) => answers.pop().unwrap_or_else(lost),
                    Err(failure) => {
                        self.refuse_waiting(&turn.destination, &failure);
                        Err(C::error(failure))
                    }
                }
            }
        }
    }

    async fn send(
        &self,
        destination: &C::Destination,
        requests: Vec<C::Request>,
    ) -> Result<Vec<Result<C::Answer, StoreError>>, Failure> {
        let items = requests.iter().map(|request| C::size(request).items).sum();
        let _in_flight = self.messages.send(items);
        self.carrier.send(destination, requests).await
    }

    /// Has each message told.
    pub fn observe(&self, observer: Observer) {
        self.messages.observe(observer);
    }

    /// What has travelled, and what waits to.
    pub fn traffic(&self) -> Traffic {
        let waiting = self.lock().values().map(|queue| queue.waiting.len()).sum();
        self.messages.traffic(waiting)
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
                size: Size::default(),
            };
            queues.insert(destination.clone(), queue);
            return Entry::First(request);
        };
        let (answer, answered) = oneshot::channel();
        queue.size.add(C::size(&request));
        queue.waiting.push_back(Waiting { request, answer });
        let is_full = queue.size.fills(C::CAPACITY);
        let needs_sender = queue.senders == 0 || (is_full && queue.senders < MOST_SENDERS);
        queue.senders += usize::from(needs_sender);
        Entry::Waits {
            answered,
            needs_sender,
        }
    }

    /// Takes what the next message of a sender carries. Its turn has ended when nothing waits, or
    /// when others can do what waits.
    fn take(&self, destination: &C::Destination) -> Option<Message<C>> {
        let mut queues = self.lock();
        let queue = queues.get_mut(destination)?;
        if queue.senders > 1 && !queue.size.fills(C::CAPACITY) {
            // Another one looks again before it ends.
            end_turn(&mut queues, destination, |queue| queue.senders -= 1);
            return None;
        }
        let (mut requests, mut answers) = (Vec::new(), Vec::new());
        let mut size = Size::default();
        while let Some(Waiting { request, answer }) = queue.waiting.pop_front() {
            let own = C::size(&request);
            // Asked once, because it may be closed at any moment.
            let is_wanted = !answer.is_closed();
            if is_wanted && !size.take(own, C::CAPACITY) {
                queue.waiting.push_front(Waiting { request, answer });
                break;
            }
            queue.size.remove(own);
            if !is_wanted {
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
        self.size = Size::default();
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
            match self.gathering.send(&self.destination, requests).await {
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

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use futures_util::future::join_all;
    use tokio::sync::{Notify, Semaphore};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Answers each request with itself, a message at a time when it is let.
    struct Echo {
        let_through: Semaphore,
        /// A message has come.
        came: Notify,
        /// How many requests each message had.
        messages: Mutex<Vec<usize>>,
        under_way: AtomicUsize,
        most_under_way: AtomicUsize,
    }

    impl Echo {
        fn gathering() -> Arc<Gathering<Self>> {
            let echo = Self {
                let_through: Semaphore::new(0),
                came: Notify::new(),
                messages: Mutex::default(),
                under_way: AtomicUsize::new(0),
                most_under_way: AtomicUsize::new(0),
            };
            Gathering::new("echo", echo)
        }

        fn messages(&self) -> Vec<usize> {
            self.messages.lock().unwrap().clone()
        }

        /// Waits until so many messages have come.
        async fn until_came(&self, messages: usize) {
            let until = async {
                while self.messages().len() < messages {
                    self.came.notified().await;
                }
            };
            let came = tokio::time::timeout(PATIENCE, until).await;
            assert!(came.is_ok(), "{messages}: {:?}", self.messages());
        }
    }

    impl Carrier for Echo {
        type Destination = ();
        /// How many items it has.
        type Request = usize;
        type Answer = usize;

        const CAPACITY: Size = Size {
            items: 4,
            bytes: usize::MAX,
        };

        fn size(items: &usize) -> Size {
            Size {
                items: *items,
                bytes: *items,
            }
        }

        async fn send(
            &self,
            (): &(),
            requests: Vec<usize>,
        ) -> Result<Vec<Result<usize, StoreError>>, Failure> {
            self.messages.lock().unwrap().push(requests.len());
            let under_way = 1 + self.under_way.fetch_add(1, Ordering::SeqCst);
            self.most_under_way.fetch_max(under_way, Ordering::SeqCst);
            self.came.notify_one();
            self.let_through.acquire().await.unwrap().forget();
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            Ok(requests.into_iter().map(Ok).collect())
        }

        fn error(failure: Failure) -> StoreError {
            failure.of_read()
        }
    }

    fn ask(gathering: &Arc<Gathering<Echo>>, items: usize) -> tokio::task::JoinHandle<usize> {
        let gathering = Arc::clone(gathering);
        tokio::spawn(async move { gathering.ask((), items).await.unwrap() })
    }

    /// Waits until so many are at work.
    async fn until_idle_but(gathering: &Gathering<Echo>, at_work: usize) {
        let until = async {
            let of = |queue: &Queue<Echo>| queue.senders + usize::from(queue.has_caller);
            while gathering.lock().values().map(of).sum::<usize>() != at_work {
                tokio::task::yield_now().await;
            }
        };
        let ended = tokio::time::timeout(PATIENCE, until).await;
        assert!(ended.is_ok(), "somebody else is at work");
    }

    #[tokio::test]
    async fn further_senders_go_only_while_as_much_waits_as_a_message_carries() {
        let gathering = Echo::gathering();
        let echo = &gathering.carrier;
        let first = ask(&gathering, 1);
        echo.until_came(1).await;
        let one = ask(&gathering, 1);
        echo.until_came(2).await;
        let waiting: Vec<_> = (0..40).map(|_| ask(&gathering, 1)).collect();
        echo.until_came(MOST_SENDERS + 1).await;
        assert_eq!(echo.messages(), [1, 1, 4, 4, 4]);
        echo.let_through.add_permits(1_000);
        for answered in join_all(waiting.into_iter().chain([first, one])).await {
            assert_eq!(answered.unwrap(), 1);
        }
        assert_eq!(echo.most_under_way.load(Ordering::SeqCst), MOST_SENDERS + 1);
        until_idle_but(&gathering, 0).await;
        // All that is known of the burst is forgotten.
        let before = echo.messages().len();
        assert_eq!(gathering.ask((), 2).await, Ok(2));
        assert_eq!(echo.messages()[before..], [1]);
        let messages = echo.messages().len();
        let travelled = Traffic {
            operation: "echo",
            messages: messages as u64,
            items: 44,
            in_flight: 0,
            waiting: 0,
        };
        assert_eq!(gathering.traffic(), travelled);
    }

    #[tokio::test]
    async fn a_further_sender_ends_when_one_can_do_what_waits() {
        let gathering = Echo::gathering();
        let echo = &gathering.carrier;
        let mut asked = vec![ask(&gathering, 1)];
        echo.until_came(1).await;
        asked.push(ask(&gathering, 1));
        echo.until_came(2).await;
        asked.extend((0..4).map(|_| ask(&gathering, 1)));
        echo.until_came(3).await;
        // Of the three under way, two are of senders. What comes now is less than a message.
        asked.extend((0..3).map(|_| ask(&gathering, 1)));
        tokio::task::yield_now().await;
        echo.let_through.add_permits(2);
        until_idle_but(&gathering, 1).await;
        assert_eq!(echo.messages(), [1, 1, 4], "it waits for the other one");
        echo.let_through.add_permits(1);
        echo.until_came(4).await;
        assert_eq!(echo.messages(), [1, 1, 4, 3]);
        echo.let_through.add_permits(1_000);
        join_all(asked).await;
        until_idle_but(&gathering, 0).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn whatever_its_size_and_whoever_leaves_each_who_stays_is_answered() {
        let gathering = Echo::gathering();
        gathering.carrier.let_through.add_permits(1_000_000);
        for round in 0..200_usize {
            let asked: Vec<_> = (0..60)
                .map(|number| ask(&gathering, [1, 4, 2, 9][(round + number) % 4]))
                .collect();
            for (number, asked) in asked.into_iter().enumerate() {
                if number % 3 == round % 3 {
                    asked.abort();
                    drop(asked.await);
                } else {
                    assert_eq!(asked.await.unwrap(), [1, 4, 2, 9][(round + number) % 4]);
                }
            }
        }
        until_idle_but(&gathering, 0).await;
    }
}
