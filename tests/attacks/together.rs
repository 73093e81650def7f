//! Every attack at once, and what must hold meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bellwether::proto::v1::{self, model_service_client::ModelServiceClient};
use bytes::Bytes;
use prost::Message as _;
use tokio::{net::TcpStream, task::JoinSet};

use crate::{
    models::{costly_event, unreadable_model},
    pages::{PROFILES, large_page},
    raw::{Call, Connection, USUAL_WINDOW, framed},
    server::{Server, patience},
    with_large_profiles,
};

const MIB: usize = 1024 * 1024;
/// How long the attacks go on.
const ATTACKED_FOR: Duration = Duration::from_secs(6);
/// Calls of the quiet caller in that time: ten a second.
const QUIET_CALLS: usize = 60;
/// Their tenant, which has nothing to do with the attackers.
const QUIET: &str = "quiet";

/// Memory of a server beside its records, in bytes.
const MOST_MEMORY: usize = 512 * MIB;
const MOST_P99: Duration = patience(Duration::from_millis(250));
const MOST_LIVENESS: Duration = patience(Duration::from_secs(1));

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_caller_does_not_notice_all_attacks_together() {
    let server = Arc::new(Server::start(&[]).await);
    with_large_profiles(&server, PROFILES).await;
    let mut quiet = server.scoring().await;
    Server::quiet_call_of(QUIET, &mut quiet, &mut 0).await;

    let is_over = Arc::new(AtomicBool::new(false));
    let mut attackers = JoinSet::new();
    for _ in 0..2 {
        attackers.spawn(announce(Arc::clone(&server), Arc::clone(&is_over)));
        attackers.spawn(ask_for_pages(Arc::clone(&server), Arc::clone(&is_over)));
        attackers.spawn(bomb(Arc::clone(&server), Arc::clone(&is_over)));
        attackers.spawn(say_nothing(Arc::clone(&server), Arc::clone(&is_over)));
    }

    attackers.spawn(pause(Arc::clone(&server)));
    for kind in [Flood::Scores, Flood::CostlyEvents, Flood::Tenants] {
        attackers.spawn(flood(Arc::clone(&server), Arc::clone(&is_over), kind));
    }
    attackers.spawn(apply(Arc::clone(&server), Arc::clone(&is_over)));

    let (mut taken, mut refusals) = (Vec::new(), 0);
    let mut liveness = Duration::ZERO;
    let mut most = 0;
    let mut due = tokio::time::interval(ATTACKED_FOR / u32::try_from(QUIET_CALLS).unwrap());
    for number in 0..QUIET_CALLS {
        due.tick().await;
        taken.push(Server::quiet_call_of(QUIET, &mut quiet, &mut refusals).await);
        if number % 8 == 0 {
            liveness = liveness.max(server.liveness().await);
        }
        most = most.max(server.memory());
    }
    is_over.store(true, Ordering::Relaxed);
    attackers.abort_all();
    while let Some(ended) = attackers.join_next().await {
        // An attacker that has failed attacks nobody.
        assert!(ended.is_ok() || ended.is_err_and(|error| error.is_cancelled()));
    }

    taken.sort_unstable();
    let p99 = taken[QUIET_CALLS * 99 / 100 - 1];
    println!(
        "memory {} MiB, p50 {:?}, p99 {p99:?}, {refusals} refused, liveness {liveness:?}",
        most / MIB,
        taken[QUIET_CALLS / 2],
    );
    assert!(most < MOST_MEMORY, "{} MiB", most / MIB);
    assert!(p99 < MOST_P99, "{taken:?}");
    assert_eq!(refusals, 0, "less than one in a hundred");
    assert!(liveness < MOST_LIVENESS, "{liveness:?}");
}

/// Calls again and again on one connection, keeping every answer unread, and begins anew when
/// the server has had enough.
async fn attack<F>(
    server: Arc<Server>,
    is_over: Arc<AtomicBool>,
    (window, calls): (u32, usize),
    begin: impl Fn(Connection) -> F + Send,
) where
    F: Future<Output = Result<Call, h2::Error>> + Send,
{
    while !is_over.load(Ordering::Relaxed) {
        // A server that has too many connections lets go of those without a call.
        let Some(connection) = Connection::try_open(server.address, window).await else {
            continue;
        };
        let mut unread = Vec::new();
        while !is_over.load(Ordering::Relaxed) && unread.len() < calls {
            let Ok(call) = begin(connection.clone()).await else {
                break;
            };
            unread.push(call);
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// Announces messages that never come.
async fn announce(server: Arc<Server>, is_over: Arc<AtomicBool>) {
    attack(
        server,
        is_over,
        (USUAL_WINDOW, 250),
        |connection| async move {
            let mut call = connection.call("ScoreEvents", &[]).await?;
            let announced = Bytes::from_static(&[0, 0, 0x40, 0, 0]);
            call.request.send_data(announced, false)?;
            Ok(call)
        },
    )
    .await;
}

/// Asks for pages of 15 MB.
async fn ask_for_pages(server: Arc<Server>, is_over: Arc<AtomicBool>) {
    attack(server, is_over, (0, 60), |connection| async move {
        connection.send("RankSegment", &[], &large_page()).await
    })
    .await;
}

/// Sends nine requests of a thousand events and reads none of the answers.
async fn pause(server: Arc<Server>) {
    let events = (0..1_000).map(|event| v1::Event {
        profile_id: format!("paused-{event}"),
        r#type: "visit".to_owned(),
        ..Default::default()
    });
    let request = v1::ScoreEventsRequest {
        events: events.collect(),
        ..Default::default()
    };
    let request = framed(0, &request.encode_to_vec());
    let connection = Connection::open(server.address, 0).await;
    let mut call = connection.call("ScoreEvents", &[]).await.unwrap();
    for _ in 0..9 {
        call.request.send_data(request.clone(), false).unwrap();
    }
    // Longer than the attacks go on.
    tokio::time::sleep(10 * ATTACKED_FOR).await;
}

/// Compresses a message of zeros.
async fn bomb(server: Arc<Server>, is_over: Arc<AtomicBool>) {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write as _;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![0; 4 * MIB]).unwrap();
    let gzip = framed(1, &encoder.finish().unwrap());
    attack(server, is_over, (USUAL_WINDOW, 20), move |connection| {
        let gzip = gzip.clone();
        async move {
            let headers = [("grpc-encoding", "gzip")];
            let mut call = connection.call("ScoreEvent", &headers).await?;
            call.request.send_data(gzip, true)?;
            Ok(call)
        }
    })
    .await;
}

/// Connects and says nothing.
async fn say_nothing(server: Arc<Server>, is_over: Arc<AtomicBool>) {
    let mut silent = Vec::new();
    while !is_over.load(Ordering::Relaxed) && silent.len() < 400 {
        silent.extend(TcpStream::connect(server.address).await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(ATTACKED_FOR).await;
}

/// What a flood of single calls asks for.
#[derive(Clone, Copy)]
enum Flood {
    Scores,
    /// Events that take all their steps.
    CostlyEvents,
    /// Each for a tenant of its own.
    Tenants,
}

/// Keeps many calls in flight, whatever becomes of them.
async fn flood(server: Arc<Server>, is_over: Arc<AtomicBool>, kind: Flood) {
    let client = server.scoring().await;
    let in_flight = match kind {
        Flood::Scores => 400,
        Flood::CostlyEvents => 2,
        Flood::Tenants => 20,
    };
    let numbers = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..in_flight {
        let (mut client, is_over) = (client.clone(), Arc::clone(&is_over));
        let numbers = Arc::clone(&numbers);
        callers.spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                let number = numbers.fetch_add(1, Ordering::Relaxed);
                let event = v1::Event {
                    event_id: number.to_string(),
                    profile_id: format!("flood-{}", number % 1_000),
                    r#type: "visit".to_owned(),
                    ..Default::default()
                };
                let (tenant, event) = match kind {
                    Flood::Scores => (String::new(), event),
                    Flood::CostlyEvents => (String::new(), costly_event(number)),
                    Flood::Tenants => (format!("tenant-{number}"), event),
                };
                let request = v1::ScoreEventRequest {
                    tenant,
                    event: Some(event),
                    ..Default::default()
                };
                drop(client.score_event(request).await);
            }
        });
    }
    callers.join_all().await;
}

/// Applies a model that nobody can read, again and again.
async fn apply(server: Arc<Server>, is_over: Arc<AtomicBool>) {
    let source = unreadable_model();
    let client = ModelServiceClient::new(server.channel().await);
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let (mut client, is_over) = (client.clone(), Arc::clone(&is_over));
        let request = v1::ApplyModelRequest {
            source: source.clone(),
            ..Default::default()
        };
        callers.spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                let refused = client.apply_model(request.clone()).await;
                assert!(refused.is_err());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }
    callers.join_all().await;
}
