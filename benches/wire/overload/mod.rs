//! What becomes of calls when more is asked for than can be done: finds the peak, then offers
//! a half, once and four times as much at a steady rate, with quiet tenants beside it; and
//! streams of events, which wait instead.

mod calls;
mod child;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bellwether::proto::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;

pub use self::child::{SERVE, serve};
use self::{
    calls::{Connection, Outcomes, closed_loop, open_loop},
    child::Server,
};
use crate::{
    arguments::Arguments,
    clients::{BATCHES_IN_FLIGHT, Client},
    events::Events,
    redis_server::RedisServer,
};

const CONNECTIONS: usize = 4;
/// Callers that keep a server busy and are never too many for it.
const CALLERS: usize = 64;
const OFFERED: [f64; 3] = [0.5, 1.0, 4.0];
/// Tenants with a connection each that call ten times a second.
const QUIET_TENANTS: usize = 10;
const QUIET_RATE: f64 = 10.0;
/// How many times as many streams as keep a server busy, and whether the quiet tenants call
/// meanwhile.
const STREAMS: [(usize, bool); 3] = [(1, false), (1, true), (4, true)];

pub async fn measure(arguments: &Arguments) {
    println!(
        "{CALLERS} callers over {CONNECTIONS} connections for the peak, then open loop; {QUIET_TENANTS} quiet tenants call {QUIET_RATE} times a second each; {} s each",
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

async fn connect(server: &Server, tenants: &[String], events: &Arc<Events>) -> Vec<Connection> {
    let mut connections = Vec::new();
    for tenant in tenants {
        connections.push(Connection::open(server.address, tenant, events).await);
    }
    connections
}

fn loud() -> Vec<String> {
    vec!["loud".to_owned(); CONNECTIONS]
}

async fn measure_store(name: &str, store: &str, refusing: &str, time: Duration) {
    let events = Arc::new(Events::new());
    let refusals = refusals(refusing, &events, time).await;
    let server = Server::start(store, &[]);
    let loud = connect(&server, &loud(), &events).await;
    let quiet: Vec<String> = (0..QUIET_TENANTS)
        .map(|tenant| format!("quiet-{tenant}"))
        .collect();
    let quiet = connect(&server, &quiet, &events).await;
    // What comes first warms up, and makes the tenants known.
    closed_loop(&quiet, QUIET_TENANTS, time / 4).await;
    closed_loop(&loud, CALLERS, time / 2).await;
    let peak = closed_loop(&loud, CALLERS, time).await;
    let cost = peak.rate() / (refusals.count() as f64 / refusals.taken.as_secs_f64());
    println!(
        "\n{name}: peak {:.0} calls/s, p50 {:.1} ms, p99 {:.1} ms; a refusal costs {cost:.3} of a call (rho)",
        peak.rate(),
        peak.latency(0.5),
        peak.latency(0.99),
    );
    println!(
        "{:<8} {:>10} {:>8} {:>8} {:>8} {:>9} | {:>9} {:>9}   codes",
        "offered", "calls/s", "done/s", "p50 ms", "p99 ms", "of peak", "refused", "p99 ms"
    );
    let mut half = None;
    for offered in OFFERED {
        let rate = peak.rate() * offered;
        let (loud, quiet) = tokio::join!(
            open_loop(loud.clone(), rate, time),
            open_loop(quiet.clone(), QUIET_RATE * QUIET_TENANTS as f64, time)
        );
        print_line(offered, &loud, &quiet, &peak);
        let half = half.get_or_insert_with(|| loud.latency(0.99));
        if offered > 1.0 {
            let possible = (1.0 - offered * cost) / (1.0 - cost);
            let kept = loud.rate() / peak.rate();
            println!(
                "         kept {kept:.2} of the peak, {:.2} of the {possible:.2} that refusals leave; p99 {:.1} times that at half load",
                kept / possible,
                loud.latency(0.99) / *half,
            );
        }
    }
    measure_streams(&server, &quiet, &events, time).await;
}

/// Callers of a server that has room for one call, which is taken: all others are refused.
async fn refusals(store: &str, events: &Arc<Events>, time: Duration) -> Outcomes {
    let full = Server::start(
        store,
        &[
            "BELLWETHER_MAX_CALLS_IN_FLIGHT=1",
            "BELLWETHER_DEFAULT_DEADLINE=10m",
            "BELLWETHER_MAX_DEADLINE=10m",
        ],
    );
    let connections = connect(&full, &loud(), events).await;
    let held = connections[0].hold().await;
    closed_loop(&connections, CALLERS, time / 4).await;
    let refused = closed_loop(&connections, CALLERS, time / 2).await;
    assert_eq!(refused.done(), 0, "everything is refused");
    drop(held);
    refused
}

fn print_line(offered: f64, loud: &Outcomes, quiet: &Outcomes, peak: &Outcomes) {
    println!(
        "{offered:<8} {:>10.0} {:>8.0} {:>8.1} {:>8.1} {:>9.2} | {:>8.1}% {:>9.1}   {:?}",
        loud.count() as f64 / loud.taken.as_secs_f64(),
        loud.rate(),
        loud.latency(0.5),
        loud.latency(0.99),
        loud.rate() / peak.rate(),
        quiet.refused() * 100.0,
        quiet.latency(0.99),
        loud.codes,
    );
}

/// Streams that send as fast as they are let, with the quiet tenants beside them.
async fn measure_streams(
    server: &Server,
    quiet: &[Connection],
    events: &Arc<Events>,
    time: Duration,
) {
    println!("streams    events/s  of peak | refused    p99 ms");
    let mut peak = None;
    for (times, has_quiet) in STREAMS {
        let mut clients = Vec::new();
        for _ in 0..times * CONNECTIONS {
            let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
            let channel = endpoint.tcp_nodelay(true).connect().await.unwrap();
            clients.push(Client::new(channel));
        }
        let streams = async {
            let end = Instant::now() + time;
            let running: Vec<_> = clients
                .into_iter()
                .map(|client| tokio::spawn(keep_streaming(client, Arc::clone(events), end)))
                .collect();
            let mut counted = 0;
            for stream in running {
                counted += stream.await.unwrap();
            }
            counted as f64 / time.as_secs_f64()
        };
        let quiet_calls = async {
            if !has_quiet {
                return None;
            }
            let rate = QUIET_RATE * QUIET_TENANTS as f64;
            Some(open_loop(quiet.to_vec(), rate, time).await)
        };
        let (rate, quiet) = tokio::join!(streams, quiet_calls);
        let peak = peak.get_or_insert(rate);
        print!(
            "{:<8} {rate:>10.0} {:>8.2} |",
            times * CONNECTIONS,
            rate / *peak
        );
        if let Some(quiet) = quiet {
            let (refused, slowest) = (quiet.refused() * 100.0, quiet.latency(0.99));
            print!(" {refused:>6.1}% {slowest:>9.1}   {:?}", quiet.codes);
        }
        println!();
    }
}

/// Keeps batches in flight on one stream; the events that were counted before the end.
async fn keep_streaming(mut client: Client, events: Arc<Events>, end: Instant) -> u64 {
    let (sender, receiver) = mpsc::channel(BATCHES_IN_FLIGHT);
    let answers = client.score_events(ReceiverStream::new(receiver)).await;
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
        for result in &answer.results {
            match &result.result {
                Some(v1::score_events_result::Result::Response(scored)) => {
                    assert_eq!(scored.outcome(), v1::EventOutcome::Applied, "{scored:?}");
                }
                other => panic!("an event was not counted: {other:?}"),
            }
        }
        if Instant::now() < end {
            counted += answer.results.len() as u64;
        }
    }
}
