//! What calls cost over the wire, beside a service that does nothing with the same messages
//! and, for a store in Redis, beside bare Redis that is sent the same commands by the same
//! client. The server is the real one, on a fresh store; server, client and Redis share the
//! cores, and the phases alternate so that drift of the machine cancels:
//! `cargo bench --bench wire -- --seconds 4 --store redis`. With `--memory` instead: what a
//! profile takes of a Redis. With `--overload`: what becomes of calls when there are too many. With
//! `--start`: how long a start on many profiles takes, and how much memory. With `--scale`: what the
//! nodes of clusters do for an event. What is aimed at is printed beneath, with what came of it.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod arguments;
mod bare;
mod bare_fjall;
mod bellwether;
mod clients;
mod events;
mod goals;
mod hot;
mod made_up;
mod memory;
mod noop;
mod overload;
mod phases;
mod redis_server;
mod report;
mod scale;
mod start;

use std::{
    io::Write as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use self::{
    arguments::Arguments,
    bare::Ear,
    bellwether::Bellwether,
    clients::{Clients, Method},
    events::{Events, PROFILES, VIEWS},
    goals::Goals,
    noop::Noop,
    phases::{CALLS_IN_FLIGHT, CONNECTIONS, Measured, Side, Spread, compare},
    redis_server::RedisServer,
    report::{print_heading, print_line},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PAGE_SIZES: [i32; 2] = [10, 50];
const METHODS: [Method; 6] = [
    Method::GetProfile { view: VIEWS[0] },
    Method::GetProfile { view: VIEWS[1] },
    Method::ScoreEvent,
    Method::RankSegment {
        page_size: PAGE_SIZES[0],
    },
    Method::RankSegment {
        page_size: PAGE_SIZES[1],
    },
    Method::ScoreEvents,
];

#[tokio::main(worker_threads = 2)]
async fn main() {
    let mut others = std::env::args().skip_while(|argument| argument != overload::SERVE);
    if others.next().is_some() {
        return overload::serve(others).await;
    }
    let arguments = Arguments::read();
    if arguments.overload {
        return overload::measure(&arguments).await;
    }
    if arguments.memory {
        return memory::measure(&arguments).await;
    }
    if arguments.hot {
        return hot::measure(&arguments).await;
    }
    if arguments.start {
        return start::measure(&arguments).await;
    }
    if arguments.scale {
        return scale::measure(&arguments).await;
    }
    println!(
        "{CALLS_IN_FLIGHT} calls in flight over {CONNECTIONS} connections; {} s for each side",
        arguments.time.as_secs_f64()
    );
    if arguments.embedded {
        measure_embedded(&arguments).await;
    }
    if arguments.redis {
        measure_redis(&arguments).await;
    }
}

async fn measure_embedded(arguments: &Arguments) {
    let directory = tempfile::tempdir().unwrap();
    let syncs = syncs_per_second(directory.path());
    println!("\nEmbedded: this disk syncs {syncs:.0} times/s one after the other");
    let store = directory.path().join("store");
    let sides = Sides::begin(store.display().to_string(), arguments).await;
    print_heading("embedded", false);
    let mut goals = Goals::default();
    for method in arguments.methods(&METHODS) {
        let [noop, real] = sides.of(method);
        if let Method::ScoreEvents = method {
            let bare = bare_fjall::batches(&directory.path().join("bare"));
            let [noop, real, bare] = compare(arguments.time, None, [noop, real, bare]).await;
            print_line(method, &noop, &real, None);
            goals.embedded(method, &noop, &real);
            let name = "ScoreEvents, of bare fjall that syncs each batch";
            goals.at_least(name, 0.85, &real.of(&bare));
        } else {
            let [noop, real] = compare(arguments.time, None, [noop, real]).await;
            print_line(method, &noop, &real, None);
            goals.embedded(method, &noop, &real);
            sides
                .at_half_the_peak(method, &real, arguments, &mut goals)
                .await;
        }
    }
    goals.print();
    sides.bellwether.stop().await;
}

async fn measure_redis(arguments: &Arguments) {
    let redis = RedisServer::start();
    println!(
        "\nRedis {}: without persistence, without eviction",
        redis.info("redis_version").await
    );
    let sides = Sides::begin(redis.address(), arguments).await;
    bare::copy_keys(&redis).await;
    // Whoever overhears a Redis slows it down, so this is over before anything is measured.
    let mut bare = Vec::new();
    let mut ear = Ear::new(&redis).await;
    let methods: Vec<Method> = arguments.methods(&METHODS).collect();
    for &method in &methods {
        bare.push(
            ear.hear(&sides.real, method, &sides.events, arguments.time)
                .await,
        );
    }
    drop(ear);
    print_heading("redis", true);
    let mut goals = Goals::default();
    for (method, bare) in methods.into_iter().zip(bare) {
        let [noop, real] = sides.of(method);
        let [noop, real, bare] =
            compare(arguments.time, Some(redis.process()), [noop, real, bare]).await;
        print_line(method, &noop, &real, Some(&bare));
        goals.redis(method, &noop, &real, &bare);
        sides
            .at_half_the_peak(method, &real, arguments, &mut goals)
            .await;
    }
    if arguments.methods(&METHODS).count() == METHODS.len() {
        let of_views = VIEWS.map(|view| sides.of(Method::GetProfile { view })[1].clone());
        let [basic, full] = compare(arguments.time, None, of_views).await;
        let times = basic.of(&full);
        goals.at_most("GetProfile FULL, times that of BASIC", 3.5, &times);
    }
    sides.bellwether.stop().await;
    if arguments
        .methods(&METHODS)
        .any(|method| method.events() > 1)
    {
        let rates = two_sets(arguments).await;
        let name = "ScoreEvents by a model of two sets, events a second";
        goals.at_least(name, 70_000.0, &rates);
    }
    goals.print();
}

/// Events a second by a model of two sorted sets, which gives no credit.
async fn two_sets(arguments: &Arguments) -> Spread {
    let redis = RedisServer::start();
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/wire/two_sets.toml");
    let bellwether = Bellwether::start_by(redis.address(), Some(model.to_owned())).await;
    let clients = Clients::connect(bellwether.address).await;
    let events = Arc::new(Events::new());
    clients.preload(&events, arguments.events_per_profile).await;
    let mut connection = redis.connect().await;
    let sets: Vec<String> = redis::cmd("KEYS")
        .arg("*:0}:rank:*")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(sets.len(), 2, "{sets:?}");
    let method = Method::ScoreEvents;
    let side = clients.side(method, &events);
    let [measured] = compare(arguments.time, Some(redis.process()), [side]).await;
    bellwether.stop().await;
    measured.rates().times(method.events() as f64)
}

/// How often a small append to a file of its own becomes durable.
fn syncs_per_second(directory: &Path) -> f64 {
    let mut file = std::fs::File::create(directory.join("sync")).unwrap();
    let started = Instant::now();
    let mut syncs = 0;
    while started.elapsed() < Duration::from_secs(1) {
        file.write_all(&[7; 1024]).unwrap();
        file.sync_data().unwrap();
        syncs += 1;
    }
    f64::from(syncs) / started.elapsed().as_secs_f64()
}

/// The service that does nothing, and the real one with its profiles loaded.
struct Sides {
    bellwether: Bellwether,
    events: Arc<Events>,
    noop: Clients,
    real: Clients,
}

impl Sides {
    async fn begin(store: String, arguments: &Arguments) -> Self {
        let events_per_profile = arguments.events_per_profile;
        let bellwether = Bellwether::start(store).await;
        let real = Clients::connect(bellwether.address).await;
        let events = Arc::new(Events::new());
        let loaded = Instant::now();
        real.preload(&events, events_per_profile).await;
        println!(
            "{PROFILES} profiles of {events_per_profile} events loaded in {:.1} s",
            loaded.elapsed().as_secs_f64(),
        );
        let noop = Noop::like(real.of(0), &events, &PAGE_SIZES).await;
        Self {
            noop: Clients::connect(noop.serve().await).await,
            bellwether,
            events,
            real,
        }
    }

    /// How long calls take when half as many come as can be done, beside the service that does
    /// nothing when as many come.
    async fn at_half_the_peak(
        &self,
        method: Method,
        real: &Measured,
        arguments: &Arguments,
        goals: &mut Goals,
    ) {
        if let Method::ScoreEvents = method {
            return;
        }
        let rate = real.rates().median / 2.0;
        let paced = [&self.noop, &self.real]
            .map(|clients| Side::Paced(clients.call(method, &self.events), rate));
        let [noop, real] = compare(arguments.time, None, paced).await;
        let name = format!(
            "{} at half the peak, p99, times that of no-op",
            method.name()
        );
        goals.at_most(&name, 2.0, &real.latency_of(&noop, 0.99));
    }

    fn of(&self, method: Method) -> [Side; 2] {
        [&self.noop, &self.real].map(|clients| clients.side(method, &self.events))
    }
}
