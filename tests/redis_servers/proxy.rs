//! A proxy between a client and a server that breaks what passes through it.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

use super::port::Port;

/// Bytes that are read at a time.
const CHUNK_BYTES: usize = 16 * 1024;
/// Chunks on their way in one direction.
const MAX_CHUNKS: usize = 256;

/// What happens to what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    Pass,
    /// Requests arrive that much later, in order and without holding each other up.
    Delay(Duration),
    /// Every so manieth chunk of requests does not reach the server: the connection is cut.
    CutBeforeRequest {
        /// Chunks from one to the next, counted over all connections.
        every: u64,
    },
    /// Every so manieth chunk of requests reaches the server, and the connection is cut when
    /// the reply arrives here.
    CutBeforeReply {
        /// Chunks from one to the next, counted over all connections.
        every: u64,
    },
    /// Connections are taken and kept, and nothing passes either way. What was swallowed is
    /// lost, so the connection is cut when the fault ends.
    HalfOpen,
    /// Replies come in small pieces with pauses.
    Slow {
        /// How large a piece is.
        bytes: usize,
        /// How long a pause is.
        pause: Duration,
    },
    /// Connections are cut, and new ones refused.
    Refuse,
}

/// A listener in front of a server. What it does ends with it.
pub struct TcpProxy {
    state: Arc<State>,
    listening: JoinHandle<()>,
}

struct State {
    port: Port,
    server: SocketAddr,
    fault: watch::Sender<Fault>,
    chunks: AtomicU64,
    connections: watch::Sender<u64>,
    faults: watch::Sender<u64>,
}

impl TcpProxy {
    pub async fn start(server: SocketAddr) -> Self {
        let state = Arc::new(State {
            port: Port::reserve(),
            server,
            fault: watch::Sender::new(Fault::Pass),
            chunks: AtomicU64::new(0),
            connections: watch::Sender::new(0),
            faults: watch::Sender::new(0),
        });
        let listener = listen(&state.port).unwrap();
        let listening = tokio::spawn(run(Arc::clone(&state), listener));
        Self { state, listening }
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.state.port.address()
    }

    /// Has another fault from now on.
    pub fn set(&self, fault: Fault) {
        self.state.fault.send_replace(fault);
    }

    /// How many connections were taken.
    pub fn connections(&self) -> u64 {
        *self.state.connections.borrow()
    }

    /// How often a fault was done to something: a chunk, or a connection.
    pub fn faults(&self) -> u64 {
        *self.state.faults.borrow()
    }

    /// Waits until so many more faults have happened.
    pub async fn until_faults(&self, more: u64) {
        let mut faults = self.state.faults.subscribe();
        let enough = *faults.borrow() + more;
        faults.wait_for(|faults| *faults >= enough).await.unwrap();
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.listening.abort();
        // Ends the connections.
        self.state.fault.send_replace(Fault::Refuse);
    }
}

fn listen(port: &Port) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(port.address())?;
    socket.listen(1024)
}

async fn run(state: Arc<State>, mut listener: TcpListener) {
    let mut fault = state.fault.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => Some(accepted.unwrap()),
            _ = fault.wait_for(|fault| *fault == Fault::Refuse) => None,
        };
        if let Some((client, _)) = accepted {
            state
                .connections
                .send_modify(|connections| *connections += 1);
            tokio::spawn(connect(Arc::clone(&state), client));
        } else {
            drop(listener);
            state.happened();
            let ended = fault.wait_for(|fault| *fault != Fault::Refuse).await;
            drop(ended.unwrap());
            listener = listen(&state.port).unwrap();
        }
    }
}

/// Joins a client with the server until either ends or a fault parts them.
async fn connect(state: Arc<State>, client: TcpStream) {
    let mut fault = state.fault.subscribe();
    if *fault.borrow() == Fault::HalfOpen {
        state.happened();
        let _ = fault.wait_for(|fault| *fault != Fault::HalfOpen).await;
        return;
    }
    let Ok(server) = TcpStream::connect(state.server).await else {
        return;
    };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Set when the reply that is on its way is not to arrive.
    let cut = watch::Sender::new(false);
    tokio::select! {
        () = requests(&state, from_client, to_server, &cut) => {}
        () = replies(&state, from_server, to_client, &cut) => {}
        _ = fault.wait_for(|fault| *fault == Fault::Refuse) => {}
    }
}

impl State {
    fn fault(&self) -> Fault {
        *self.fault.borrow()
    }

    fn happened(&self) {
        self.faults.send_modify(|faults| *faults += 1);
    }

    /// Swallows what comes until the fault is another one.
    async fn swallow(&self, from: &mut OwnedReadHalf) {
        self.happened();
        let mut fault = self.fault.subscribe();
        let ended = fault.wait_for(|fault| *fault != Fault::HalfOpen);
        let swallowed = async {
            let mut chunk = vec![0; CHUNK_BYTES];
            while from.read(&mut chunk).await.is_ok_and(|bytes| bytes > 0) {}
        };
        tokio::select! {
            _ = ended => {}
            () = swallowed => {}
        }
    }

    /// Whether it is this chunk's turn.
    fn is_the(&self, every: u64) -> bool {
        self.chunks.fetch_add(1, Ordering::Relaxed) % every == every - 1
    }
}

/// Passes requests on until the connection is to end.
async fn requests(
    state: &State,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    cut: &watch::Sender<bool>,
) {
    let (due, mut waiting) = mpsc::channel::<(Instant, Vec<u8>)>(MAX_CHUNKS);
    let take = async {
        let mut chunk = vec![0; CHUNK_BYTES];
        while let Ok(bytes @ 1..) = from.read(&mut chunk).await {
            let mut when = Instant::now();
            match state.fault() {
                Fault::Delay(delay) => {
                    when += delay;
                    state.happened();
                }
                Fault::CutBeforeRequest { every } if state.is_the(every) => {
                    state.happened();
                    return;
                }
                Fault::CutBeforeReply { every } if state.is_the(every) => {
                    cut.send_replace(true);
                }
                Fault::HalfOpen => return state.swallow(&mut from).await,
                Fault::Refuse => return,
                _ => {}
            }
            if due.send((when, chunk[..bytes].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let give = async {
        while let Some((when, chunk)) = waiting.recv().await {
            sleep_until(when).await;
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = take => {}
        () = give => {}
    }
}

/// Passes replies on until the connection is to end.
async fn replies(
    state: &State,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    cut: &watch::Sender<bool>,
) {
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(bytes @ 1..) = from.read(&mut chunk).await {
        if *cut.borrow() {
            state.happened();
            return;
        }
        let passed = match state.fault() {
            Fault::HalfOpen => return state.swallow(&mut from).await,
            Fault::Refuse => return,
            Fault::Slow {
                bytes: piece,
                pause,
            } => {
                state.happened();
                trickle(&mut to, &chunk[..bytes], piece, pause).await
            }
            _ => to.write_all(&chunk[..bytes]).await,
        };
        if passed.is_err() {
            return;
        }
    }
}

async fn trickle(
    to: &mut OwnedWriteHalf,
    chunk: &[u8],
    bytes: usize,
    pause: Duration,
) -> io::Result<()> {
    for piece in chunk.chunks(bytes) {
        sleep(pause).await;
        to.write_all(piece).await?;
    }
    Ok(())
}
