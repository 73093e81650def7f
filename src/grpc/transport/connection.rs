//! What is known of a connection while it is open. Each of its requests carries it, so that
//! whoever shares something among callers can tell them apart.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use http::Extensions;
use tokio::{sync::Notify, time::Instant};

use super::budget::{Account, Budgets};

/// What every HTTP/2 connection begins with; nothing in HTTP/1.1 begins like this.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Stands for the bytes of the preface that have come when what has come is no preface.
const NO_PREFACE: usize = usize::MAX;

/// A connection, told apart from every other one of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(u64);

impl ConnectionId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// A number of its own.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// A connection, in the extensions of each of its requests.
#[derive(Clone, Debug)]
pub struct Connection(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    id: ConnectionId,
    /// What the certificate that the caller has shown is good for.
    certificate_names: OnceLock<Vec<String>>,
    /// How much of the preface has come.
    preface_bytes: AtomicUsize,
    usage: Mutex<Usage>,
    is_unwanted: Notify,
    streams: Account,
    request_bytes: Account,
    answer_bytes: Account,
}

/// What a connection is used for.
#[derive(Clone, Copy, Debug)]
struct Usage {
    open_calls: usize,
    has_called: bool,
    /// When it was accepted, or its last call ended.
    idle_since: Instant,
}

/// How far a connection is from being useful: those that compare less go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Idleness {
    has_called: bool,
    /// Since when it has had no call.
    pub since: Instant,
}

impl Connection {
    /// A connection that has just been accepted.
    pub fn new(budgets: &Budgets) -> Self {
        Self(Arc::new(Shared {
            id: ConnectionId::next(),
            certificate_names: OnceLock::new(),
            preface_bytes: AtomicUsize::new(0),
            usage: Mutex::new(Usage {
                open_calls: 0,
                has_called: false,
                idle_since: Instant::now(),
            }),
            is_unwanted: Notify::new(),
            streams: budgets.streams.account(),
            request_bytes: budgets.request_bytes.account(),
            answer_bytes: budgets.answer_bytes.account(),
        }))
    }

    /// Which one it is.
    pub fn id(&self) -> ConnectionId {
        self.0.id
    }

    /// Notes the names in the certificate that the caller has shown, once.
    pub(super) fn has_shown(&self, names: Vec<String>) {
        // It is shown once, by the handshake.
        let _ = self.0.certificate_names.set(names);
    }

    /// The names in the certificate that the caller has shown: of hosts, and URIs.
    pub fn certificate_names(&self) -> &[String] {
        let names = self.0.certificate_names.get();
        names.map_or(&[][..], Vec::as_slice)
    }

    /// A connection that a request came on, by its extensions.
    pub fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get::<Self>()
    }

    /// The streams that it has open.
    pub(super) fn streams(&self) -> &Account {
        &self.0.streams
    }

    /// The bytes of its messages that are not whole.
    pub(super) fn request_bytes(&self) -> &Account {
        &self.0.request_bytes
    }

    /// The bytes of its answers that are being made or not read.
    pub(super) fn answer_bytes(&self) -> &Account {
        &self.0.answer_bytes
    }

    /// Notes what has come, until it is known whether it speaks HTTP/2.
    pub(super) fn received(&self, bytes: &[u8]) {
        let before = self.0.preface_bytes.load(Ordering::Relaxed);
        let Some(missing) = PREFACE.get(before..).filter(|rest| !rest.is_empty()) else {
            return;
        };
        let compared = bytes.len().min(missing.len());
        let now = if bytes[..compared] == missing[..compared] {
            before + compared
        } else {
            NO_PREFACE
        };
        self.0.preface_bytes.store(now, Ordering::Relaxed);
    }

    /// Whether the caller speaks HTTP/2.
    pub(super) fn speaks_http2(&self) -> bool {
        self.0.preface_bytes.load(Ordering::Relaxed) == PREFACE.len()
    }

    /// Whether the caller has begun to speak: its HTTP/2, or the first of its requests in HTTP/1.1.
    pub(super) fn has_begun(&self) -> bool {
        self.speaks_http2() || self.usage().has_called
    }

    /// Counts a call until what it returns is dropped.
    pub(super) fn call(&self) -> OpenCall {
        let mut usage = self.usage();
        usage.open_calls += 1;
        usage.has_called = true;
        OpenCall(self.clone())
    }

    /// Since when it has had no call; absent while it has one.
    pub(super) fn idleness(&self) -> Option<Idleness> {
        let usage = *self.usage();
        (usage.open_calls == 0).then_some(Idleness {
            has_called: usage.has_called,
            since: usage.idle_since,
        })
    }

    /// Has it closed: its place is needed for another one.
    pub(super) fn give_up(&self) {
        self.0.is_unwanted.notify_one();
    }

    /// Ends when the place of the connection is needed for another one.
    pub(super) async fn given_up(&self) {
        self.0.is_unwanted.notified().await;
    }

    fn usage(&self) -> MutexGuard<'_, Usage> {
        // Whatever is in there is consistent: nothing panics between two changes.
        let usage = self.0.usage.lock();
        usage.unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that is not over.
#[derive(Debug)]
pub struct OpenCall(Connection);

impl Drop for OpenCall {
    fn drop(&mut self) {
        let mut usage = self.0.usage();
        usage.open_calls -= 1;
        usage.idle_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::grpc::transport::budget::Budget;

    fn accepted() -> Connection {
        let [streams, request_bytes, answer_bytes] =
            [1, 1, 1].map(|most| Budget::new(most, Default::default()));
        Connection::new(&Budgets {
            streams,
            request_bytes,
            answer_bytes,
            connections: Arc::default(),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn who_never_called_goes_before_who_did_and_who_calls_never() {
        let [silent, older, newer, busy] = [(); 4].map(|()| accepted());
        for connection in [&older, &newer] {
            tokio::time::advance(Duration::from_secs(1)).await;
            drop(connection.call());
        }
        let call = busy.call();
        assert_eq!(busy.idleness(), None);
        assert!(silent.idleness() < older.idleness());
        assert!(older.idleness() < newer.idleness());
        drop(call);
        assert!(busy.idleness().is_some());
    }

    #[test]
    fn what_is_spoken_is_told_by_the_first_bytes_however_they_come() {
        for size in [1, 3, 24, 100] {
            let http2 = accepted();
            let sent = [PREFACE, b"and more"].concat();
            for piece in sent.chunks(size) {
                http2.received(piece);
            }
            assert!(http2.speaks_http2() && http2.has_begun(), "{size}");
            let http1 = accepted();
            for piece in b"PRINT / HTTP/1.1\r\nhost: localhost\r\n\r\n".chunks(size) {
                http1.received(piece);
            }
            assert!(!http1.speaks_http2() && !http1.has_begun(), "{size}");
            drop(http1.call());
            assert!(http1.has_begun());
        }
    }

    #[test]
    fn a_request_knows_its_connection() {
        let mut extensions = Extensions::new();
        assert!(Connection::of(&extensions).is_none());
        let connection = accepted();
        extensions.insert(connection.clone());
        let found = Connection::of(&extensions).map(Connection::id);
        assert_eq!(found, Some(connection.id()));
        assert_ne!(accepted().id(), connection.id());
    }
}
