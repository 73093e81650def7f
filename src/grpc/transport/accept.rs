//! Takes connections in and lets go of those that are of no use: who says nothing, who calls
//! no more, and, when there are too many, who has been idle for longest. Running out of
//! descriptors pauses it.

use std::{
    collections::HashMap,
    future::poll_fn,
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};

use super::{
    budget::Budgets,
    connection::{Connection, ConnectionId},
    descriptors,
    exchange::{Exchanges, Watching},
    requests::{Calls, Requests},
    socket::{Socket, Stream},
    tls::{Tls, names_in},
};
use crate::{
    config::Config,
    grpc::draining::Draining,
    limits::{
        ACCEPT_PAUSE, CONNECTION_WINDOW_BYTES, GOODBYE_TIMEOUT, HANDSHAKE_TIMEOUT,
        KEEPALIVE_INTERVAL, KEEPALIVE_PROBES, KEEPALIVE_TIMEOUT, MAX_HEADER_BYTES,
        MAX_SEND_BUFFER_BYTES, MAX_UNSENT_TLS_BYTES, STREAM_WINDOW_BYTES,
    },
    telemetry::is_new,
};

/// What a server lets its callers have.
#[derive(Clone, Copy, Debug)]
pub struct TransportSettings {
    /// Connections at a time.
    pub max_connections: usize,
    /// Calls and streams of one connection at a time.
    pub max_concurrent_streams: u32,
    /// How long a connection may be without a call.
    pub idle_timeout: Duration,
    /// How long a caller may leave the server waiting in the middle of something.
    pub stall_timeout: Duration,
}

impl From<&Config> for TransportSettings {
    fn from(config: &Config) -> Self {
        Self {
            max_connections: config.max_connections,
            max_concurrent_streams: config.max_concurrent_streams,
            idle_timeout: config.idle_timeout,
            stall_timeout: config.stall_timeout,
        }
    }
}

/// Serves calls on every connection until the server drains, then takes no more and ends when
/// the last one has closed.
pub async fn serve<S: Calls>(
    listener: TcpListener,
    calls: S,
    settings: TransportSettings,
    budgets: Budgets,
    tls: Option<Arc<Tls>>,
    mut draining: Draining,
) {
    let mut server = Acceptor {
        most: descriptors::connections(settings.max_connections).max(1),
        calls,
        settings,
        budgets,
        tls,
        draining: draining.clone(),
        open: HashMap::new(),
        running: JoinSet::new(),
    };
    loop {
        server.tell_connections();
        tokio::select! {
            () = draining.begun() => break,
            Some(closed) = server.running.join_next() => server.forget(closed),
            accepted = listener.accept() => match accepted {
                Ok((stream, caller)) => server.take_in(stream, caller),
                Err(error) if is_of_the_caller(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, open = server.open.len(), "no connection can be taken in");
                    server.make_room();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    // Callers look for another server at once instead of waiting for this one.
    drop(listener);
    while let Some(closed) = server.running.join_next().await {
        server.forget(closed);
        server.tell_connections();
    }
}

/// Whether the caller went away before it was taken in.
fn is_of_the_caller(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

struct Acceptor<S> {
    most: usize,
    calls: S,
    settings: TransportSettings,
    budgets: Budgets,
    /// `None` takes in whoever comes as it is.
    tls: Option<Arc<Tls>>,
    draining: Draining,
    open: HashMap<ConnectionId, Connection>,
    running: JoinSet<ConnectionId>,
}

impl<S: Calls> Acceptor<S> {
    fn take_in(&mut self, stream: TcpStream, caller: SocketAddr) {
        if self.open.len() >= self.most && !self.make_room() {
            // Everybody else is in the middle of a call; dropping it closes it.
            return;
        }
        // Answers are small, and each is awaited. HTTP/1.1 has no way of its own to ask whether a
        // caller is still there who waits for a stream.
        let alive = TcpKeepalive::new()
            .with_time(KEEPALIVE_INTERVAL)
            .with_interval(KEEPALIVE_TIMEOUT / KEEPALIVE_PROBES)
            .with_retries(KEEPALIVE_PROBES);
        let is_alive = SockRef::from(&stream).set_tcp_keepalive(&alive);
        if stream.set_nodelay(true).is_err() || is_alive.is_err() {
            return;
        }
        let connection = Connection::new(&self.budgets);
        self.open.insert(connection.id(), connection.clone());
        let http = self.http(Exchanges::new(connection.clone()));
        let requests = Requests::new(self.calls.clone(), connection.clone());
        let acceptor = self.tls.as_ref().map(|tls| tls.acceptor());
        let settings = self.settings;
        let mut draining = self.draining.clone();
        self.running.spawn(async move {
            let stream = match acceptor {
                None => Some(Stream::Left(stream)),
                Some(acceptor) => {
                    let shaken = shake_hands(acceptor.accept(stream), &connection, &mut draining);
                    shaken.await.map_err(|refused| refused.log(caller)).ok()
                }
            };
            if let Some(stream) = stream {
                let socket = Socket::new(stream, connection.clone(), settings.stall_timeout);
                let serving = http.serve_connection(TokioIo::new(socket), requests);
                attend(serving, &connection, settings, draining).await;
            }
            connection.id()
        });
    }

    fn tell_connections(&self) {
        let told = &self.budgets.connections;
        told.store(self.open.len(), Ordering::Relaxed);
    }

    /// Closes the connection that is missed least; says whether there was one.
    fn make_room(&mut self) -> bool {
        let idle = self.open.values().filter_map(|connection| {
            let idleness = connection.idleness()?;
            Some((idleness, connection.id()))
        });
        let Some((_, id)) = idle.min() else {
            return false;
        };
        if let Some(connection) = self.open.remove(&id) {
            connection.give_up();
        }
        true
    }

    fn forget(&mut self, closed: Result<ConnectionId, tokio::task::JoinError>) {
        match closed {
            Ok(id) => drop(self.open.remove(&id)),
            Err(error) => tracing::error!(%error, "a connection failed"),
        }
    }

    /// Either version, told by the first bytes.
    fn http(&self, exchanges: Exchanges) -> auto::Builder<Exchanges> {
        let mut builder = auto::Builder::new(exchanges);
        builder
            .http1()
            // Who sends a head slowly is idle meanwhile, and is let go of like others who are.
            .header_read_timeout(None)
            .max_buf_size(MAX_HEADER_BYTES as usize);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.settings.max_concurrent_streams)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(MAX_SEND_BUFFER_BYTES)
            .keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .max_header_list_size(MAX_HEADER_BYTES);
        builder
    }
}

/// The stream of a connection whose caller has shaken hands.
async fn shake_hands(
    handshake: tokio_rustls::Accept<TcpStream>,
    connection: &Connection,
    draining: &mut Draining,
) -> Result<Stream, Refused> {
    tokio::select! {
        // What is in the middle of a handshake has no call.
        () = draining.begun() => Err(Refused::Unwanted),
        () = connection.given_up() => Err(Refused::Unwanted),
        shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake) => match shaken {
            Ok(Ok(mut stream)) => {
                let (_, session) = stream.get_mut();
                session.set_buffer_limit(Some(MAX_UNSENT_TLS_BYTES));
                let certificates = session.peer_certificates().unwrap_or_default();
                connection.has_shown(certificates.first().map_or_else(Vec::new, names_in));
                Ok(Stream::Right(Box::new(stream)))
            }
            Ok(Err(error)) => Err(Refused::Failed(error)),
            Err(_) => Err(Refused::TooSlow),
        },
    }
}

/// Why a caller has not shaken hands.
enum Refused {
    Failed(io::Error),
    TooSlow,
    /// The server ends, or needs the place of the connection.
    Unwanted,
}

impl Refused {
    /// Says it, each kind now and then.
    fn log(self, caller: SocketAddr) {
        let line = "a TLS handshake failed";
        let (kind, error) = match self {
            Self::Unwanted => return,
            Self::TooSlow => ("too slow", None),
            // Checks of a port do this all the time.
            Self::Failed(error) if error.kind() == io::ErrorKind::UnexpectedEof => return,
            Self::Failed(error) => {
                let source = error.get_ref();
                let kind = match source.and_then(|source| source.downcast_ref()) {
                    Some(rustls::Error::NoCertificatesPresented) => "no certificate was shown",
                    Some(rustls::Error::InvalidCertificate(_)) => "the certificate is refused",
                    Some(rustls::Error::InvalidMessage(_)) => "the caller speaks no TLS",
                    Some(rustls::Error::AlertReceived(_)) => "the caller refuses it",
                    _ => "another reason",
                };
                (kind, Some(error))
            }
        };
        if is_new([line, kind, ""]) {
            let error = error.map(|error| error.to_string());
            tracing::info!(%caller, error, "{line}: {kind}");
        }
    }
}

/// Serves a connection until it closes, is of no use any more, or the server drains.
async fn attend<S: Calls>(
    serving: auto::Connection<'_, TokioIo<Socket>, Requests<S>, Exchanges>,
    connection: &Connection,
    settings: TransportSettings,
    mut draining: Draining,
) {
    let mut serving = std::pin::pin!(serving);
    // In HTTP/2 each exchange watches its own answer.
    let mut watching = Watching::default();
    let mut is_leaving = false;
    let accepted = Instant::now();
    let mut look_at = accepted + HANDSHAKE_TIMEOUT.min(settings.idle_timeout);
    loop {
        tokio::select! {
            ended = poll_fn(|context| match connection.speaks_http2() {
                true => serving.as_mut().poll(context).map(Some),
                false => watching.poll(context, |context| serving.as_mut().poll(context)),
            }) => {
                if let Some(Err(error)) = ended {
                    tracing::debug!(error = %error, "a connection ended");
                }
                return;
            }
            () = connection.given_up() => return,
            () = draining.begun(), if !is_leaving => {
                if !connection.has_begun() {
                    return;
                }
                is_leaving = true;
                serving.as_mut().graceful_shutdown();
                look_at = Instant::now() + GOODBYE_TIMEOUT;
            }
            () = tokio::time::sleep_until(look_at) => {
                let now = Instant::now();
                if !connection.has_begun() && now >= accepted + HANDSHAKE_TIMEOUT {
                    return;
                }
                let idle_since = connection.idleness().map(|idleness| idleness.since);
                match idle_since {
                    // Who has nothing to wait for and does not say goodbye is gone.
                    Some(_) if is_leaving => return,
                    Some(since) if now >= since + settings.idle_timeout => {
                        is_leaving = true;
                        serving.as_mut().graceful_shutdown();
                        look_at = now + GOODBYE_TIMEOUT;
                    }
                    Some(since) => look_at = since + settings.idle_timeout,
                    None if is_leaving => look_at = now + GOODBYE_TIMEOUT,
                    None => look_at = now + settings.idle_timeout,
                }
                if !connection.has_begun() {
                    look_at = look_at.min(accepted + HANDSHAKE_TIMEOUT);
                }
            }
        }
    }
}
