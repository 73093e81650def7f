//! What becomes of calls when more is asked for than can be done: finds the peak, then offers
//! a half, once and four times as much at a steady rate, with quiet tenants beside it, which
//! also call alone; and streams of events, which wait instead. Every tenant has a key. All of it in
//! turns: records grow, and machines drift.

mod calls;
mod child;
mod keys;
mod quiet;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bellwether::access::Secret;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    transport::Endpoint,
};

pub use self::child::{SERVE, Server, serve};
use self::{
    calls::{Connection, Outcomes, closed_loop, open_loop},
    keys::Keys,
    quiet::Quiet,
};
use crate::{
    arguments::Arguments,
    clients::{BATCHES_IN_FLIGHT, Client},
    events::{Events, assert_all_applied},
    phases::{Spread, TURNS},
    redis_server::RedisServer,
};

const LOUD: &str = "loud";
/// Whose the streams are.
const STREAMED: &str = "default";
const CONNECTIONS: usize = 4;
/// Callers that keep a server busy and are never too many for it.
const CALLERS: usize = 64;
const OFFERED: [f64; 3] = [0.5, 1.0, 4.0];
/// The position of the most that is offered.
const MOST: usize = OFFERED.len() - 1;
/// Tenants with a connection each that call ten times a second.
const QUIET_TENANTS: usize = 10;
const QUIET_RATE: f64 = 10.0;
/// How many times as many streams as keep a server busy, and whether the quiet tenants call
/// meanwhile.
const STREAMS: [(usize, bool); 3] = [(1, false), (1, true), (4, true)];

pub async fn measure(arguments: &Arguments) {
    println!(
        "{CALLERS} callers over {CONNECTIONS} connections for the peak, then open loop; {QUIET_TENANTS} quiet tenants call {QUIET_RATE} times a second each; {TURNS} turns, {} s of each side together",
        arguments.time.as_secs_f64()
    );
    if arguments.embedded {
        let directories = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let [store, refusing] = [0, 1].map(|which| {
            let store = directories[which].path().join("store");
            store.display().to_string()
        });
        measure_store("embedded", &store, &refusing, arguments.time).await;
    }
    if arguments.redis {
        let redis = [(); 2].map(|()| RedisServer::start());
        let [store, refusing] = [0, 1].map(|which| redis[which].address());
        measure_store("redis", &store, &refusing, arguments.time).await;
    }
}

async fn connect(
    address: SocketAddr,
    tenants: &[String],
    keys: &Keys,
    events: &Arc<Events>,
) -> Vec<Connection> {
    let mut connections = Vec::new();
    for tenant in tenants {
        let secret = keys.of(tenant);
        connections.push(Connection::open(address, tenant, secret, events).await);
    }
    connections
}

fn loud() -> Vec<String> {
    vec![LOUD.to_owned(); CONNECTIONS]
}

async fn measure_store(name: &str, store: &str, refusing: &str, time: Duration) {
    let events = Arc::new(Events::new());
    let quiet: Vec<String> = (0..QUIET_TENANTS)
        .map(|tenant| format!("quiet-{tenant}"))
        .collect();
    let tenants = quiet.iter().map(String::as_str).chain([LOUD, STREAMED]);
    let keys = Arc::new(Keys::new(tenants));
    let full = Full::start(refusing, &keys, &events).await;
    let server = Server::start(store, &[&keys.setting()]);
    let loud = connect(server.address, &loud(), &keys, &events).await;
    let quiet = Quiet::connect(server.address, quiet, &keys, &events).await;
    let turn = time / TURNS;
    // What comes first warms up, and makes the tenants known.
    quiet.call(turn).await;
    closed_loop(&loud, CALLERS, turn).await;
    full.refusals(turn).await;

    println!(
        "\n{name:<9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} | {:>7} {:>8} | {:>6}   codes",
        "sent/s", "done/s", "of peak", "p50 ms", "p99 ms", "late ms", "refused", "p99 ms", "rho"
    );
    let mut turns = Vec::new();
    for _ in 0..TURNS {
        let peak = closed_loop(&loud, CALLERS, turn).await;
        let refusals = full.refusals(turn / 2).await;
        let rate_of_refusals = refusals.count() as f64 / refusals.taken.as_secs_f64();
        let cost = peak.rate() / rate_of_refusals;
        print_line("peak", &peak, None, &peak, Some(cost));
        let alone = quiet.call(turn).await;
        print_line("alone", &alone, None, &alone, None);
        let mut offered = Vec::new();
        for times in OFFERED {
            let rate = peak.rate() * times;
            let (loud, quiet) = tokio::join!(open_loop(loud.clone(), rate, turn), quiet.call(turn));
            print_line(&times.to_string(), &loud, Some(&quiet), &peak, None);
            offered.push((loud, quiet));
        }
        turns.push(Turn {
            peak,
            cost,
            alone,
            offered,
        });
    }
    summarize(&turns);
    measure_streams(&server, (&quiet, &keys), &events, turn).await;
}

/// The phases of a turn, which follow each other at once, so that drift of the machine cancels.
struct Turn {
    peak: Outcomes,
    /// What a refusal costs beside a call that is carried out.
    cost: f64,
    /// Quiet callers without loud ones.
    alone: Outcomes,
    /// Loud callers and quiet ones, for each of `OFFERED`.
    offered: Vec<(Outcomes, Outcomes)>,
}

fn summarize(turns: &[Turn]) {
    let spread = |of: fn(&Turn) -> f64| Spread::of(turns.iter().map(of));
    println!("median of {TURNS} turns (lowest to highest):");
    println!("  a refusal costs, of a call: {}", spread(|turn| turn.cost));
    let kept = |turn: &Turn| turn.offered[MOST].0.rate() / turn.peak.rate();
    println!(
        "  {}x offered, kept of the peak: {}",
        OFFERED[MOST],
        Spread::of(turns.iter().map(kept))
    );
    // Until the last had ended, as what was carried out.
    let sent = |turn: &Turn| {
        let loud = &turn.offered[MOST].0;
        loud.count() as f64 / loud.taken.as_secs_f64() / turn.peak.rate()
    };
    println!(
        "  sent, times the peak: {}",
        Spread::of(turns.iter().map(sent))
    );
    let of_possible = |turn: &Turn| {
        let possible = (1.0 - sent(turn) * turn.cost) / (1.0 - turn.cost);
        kept(turn) / possible
    };
    println!(
        "  of what refusals leave, (1 - sent rho) / (1 - rho): {}",
        Spread::of(turns.iter().map(of_possible))
    );
    println!(
        "  p99 of that at half load: {}",
        spread(|turn| turn.offered[MOST].0.latency(0.99) / turn.offered[0].0.latency(0.99))
    );
    for (number, times) in OFFERED.into_iter().enumerate() {
        let of_alone =
            |turn: &Turn| turn.offered[number].1.latency(0.99) / turn.alone.latency(0.99);
        println!(
            "  {times}x offered, p99 of the quiet, of what it is alone: {}",
            Spread::of(turns.iter().map(of_alone))
        );
    }
    let quiet = turns.iter().map(|turn| &turn.offered[MOST].1);
    let (refused, calls) = quiet.fold((0, 0), |(refused, calls), quiet| {
        (
            refused + quiet.count() - quiet.done(),
            calls + quiet.count(),
        )
    });
    println!("  quiet tenants: {refused} of {calls} calls refused");
}

/// A server that has room for one call, which can be taken: then all others are refused.
struct Full {
    connections: Vec<Connection>,
    _server: Server,
}

impl Full {
    async fn start(store: &str, keys: &Keys, events: &Arc<Events>) -> Self {
        let settings = ["BELLWETHER_MAX_CALLS_IN_FLIGHT=1", &keys.setting()];
        let server = Server::start(store, &settings);
        Self {
            connections: connect(server.address, &loud(), keys, events).await,
            _server: server,
        }
    }

    async fn refusals(&self, time: Duration) -> Outcomes {
        // It is kept until its deadline, which is later.
        let _held = self.connections[0].hold().await;
        let refused = closed_loop(&self.connections, CALLERS, time).await;
        assert_eq!(refused.done(), 0, "everything is refused");
        refused
    }
}

fn print_line(
    offered: &str,
    loud: &Outcomes,
    quiet: Option<&Outcomes>,
    peak: &Outcomes,
    cost: Option<f64>,
) {
    let number = |number: Option<f64>| number.map_or_else(String::new, |n| format!("{n:.3}"));
    let refused = quiet.map(|quiet| quiet.refused() * 100.0);
    let slowest = quiet.map(|quiet| quiet.latency(0.99));
    println!(
        "{offered:<9} {:>8.0} {:>8.0} {:>8.2} {:>8.1} {:>8.1} {:>8.1} | {:>7} {:>8} | {:>6}   {:?}",
        loud.sent_rate(),
        loud.rate(),
        loud.rate() / peak.rate(),
        loud.latency(0.5),
        loud.latency(0.99),
        loud.lateness.value_at_quantile(0.5) as f64 / 1_000.0,
        number(refused),
        number(slowest),
        number(cost),
        loud.codes,
    );
}

/// Streams that send as fast as they are let, with the quiet tenants beside them.
async fn measure_streams(
    server: &Server,
    (quiet, keys): (&Quiet, &Keys),
    events: &Arc<Events>,
    time: Duration,
) {
    println!("streams    events/s  of peak | refused    p99 ms");
    let mut kept = STREAMS.map(|_| Vec::new());
    for _ in 0..TURNS {
        let mut peak = None;
        for ((times, has_quiet), kept) in STREAMS.into_iter().zip(&mut kept) {
            let secret = keys.of(STREAMED);
            let streams = stream(server, (times * CONNECTIONS, secret), events, time);
            let quiet_calls = async {
                match has_quiet {
                    true => Some(quiet.call(time).await),
                    false => None,
                }
            };
            let (rate, quiet) = tokio::join!(streams, quiet_calls);
            let of_peak = rate / *peak.get_or_insert(rate);
            kept.push(of_peak);
            print!("{:<8} {rate:>10.0} {of_peak:>8.2} |", times * CONNECTIONS);
            if let Some(quiet) = quiet {
                let (refused, slowest) = (quiet.refused() * 100.0, quiet.latency(0.99));
                print!(" {refused:>6.1}% {slowest:>9.1}   {:?}", quiet.codes);
            }
            println!();
        }
    }
    println!("median of {TURNS} turns (lowest to highest):");
    for ((times, has_quiet), kept) in STREAMS.into_iter().zip(kept) {
        let beside = if has_quiet {
            ", beside quiet tenants"
        } else {
            ""
        };
        let streams = times * CONNECTIONS;
        let kept = Spread::of(kept.into_iter());
        println!("  {streams} streams{beside}, kept of the peak: {kept}");
    }
}

/// Events a second that so many streams have counted.
async fn stream(
    server: &Server,
    (streams, secret): (usize, &Secret),
    events: &Arc<Events>,
    time: Duration,
) -> f64 {
    let authorization: MetadataValue<Ascii> =
        format!("Bearer {}", secret.expose()).parse().unwrap();
    let mut clients = Vec::new();
    for _ in 0..streams {
        let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
        let channel = endpoint.tcp_nodelay(true).connect().await.unwrap();
        clients.push(Client::new(channel));
    }
    let started = Instant::now();
    let end = started + time;
    let running: Vec<_> = clients
        .into_iter()
        .map(|client| {
            let calling = (client, authorization.clone());
            tokio::spawn(keep_streaming(calling, Arc::clone(events), end))
        })
        .collect();
    let mut counted = 0;
    for stream in running {
        counted += stream.await.unwrap();
    }
    counted as f64 / started.elapsed().as_secs_f64()
}

/// Keeps batches in flight on one stream until the end; the events that were counted.
async fn keep_streaming(
    (mut client, authorization): (Client, MetadataValue<Ascii>),
    events: Arc<Events>,
    end: Instant,
) -> u64 {
    let (sender, receiver) = mpsc::channel(BATCHES_IN_FLIGHT);
    let mut request = Request::new(ReceiverStream::new(receiver));
    request
        .metadata_mut()
        .insert("authorization", authorization);
    let answers = client.score_events(request).await;
    let mut answers = answers.unwrap().into_inner();
    let (mut waiting, mut counted) = (0, 0);
    loop {
        while waiting < BATCHES_IN_FLIGHT && Instant::now() < end {
            sender.send(events.batch()).await.unwrap();
            waiting += 1;
        }
        if waiting == 0 {
            return counted;
        }
        let answer = answers.message().await.unwrap().unwrap();
        waiting -= 1;
        assert_all_applied(&answer);
        counted += answer.results.len() as u64;
    }
}
