//! What more nodes bring: the same events on clusters of one, two and three primaries, and the work
//! that each of them does for an event. All of it shares the cores of one machine, so calls a
//! second say nothing here; the work of a node does.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis::{Cmd, FromRedisValue};

use crate::{
    arguments::Arguments,
    bellwether::Bellwether,
    clients::{Clients, Method},
    events::{EVENTS_PER_BATCH, Events, PROFILES},
    goals::Goals,
    phases::{Spread, TURNS, measure_once, processor_time},
    redis_server::RedisServer,
};

const MOST_PRIMARIES: usize = 3;
const SLOTS: usize = 16_384;
/// How much more than its share of the work of one node the busiest of several may do: the
/// partitions of a tenant are few, and their slots lie as they lie.
const SLACK: f64 = 1.3;
/// How long the nodes of a cluster may take to find each other.
const PATIENCE: Duration = Duration::from_secs(30);

pub async fn measure(arguments: &Arguments) {
    let mut goals = Goals::default();
    let mut of_one = None;
    println!(
        "\n{:<10} {:>30} {:>16} {:>22} {:>18}",
        "primaries", "partitions of each", "us of all", "us of the busiest", "bytes of profile"
    );
    for primaries in 1..=MOST_PRIMARIES {
        let measured = Measured::of(primaries, arguments).await;
        let (all, busiest) = (measured.all(), measured.busiest());
        println!(
            "{primaries:<10} {:>30} {all:>16} {busiest:>22} {:>18.0}",
            format!("{:?}", measured.partitions),
            measured.bytes_per_profile,
        );
        let alone: f64 = *of_one.get_or_insert(busiest.median);
        if primaries > 1 {
            let what = format!("an event's work of the busiest of {primaries}, of that of one");
            let most = measured.share_of_busiest() * SLACK;
            goals.at_most(&what, most, &busiest.times(1.0 / alone));
        }
    }
    goals.print();
}

/// What the nodes of a cluster did.
struct Measured {
    /// Of each node, of the tenant whose events are counted.
    partitions: Vec<usize>,
    /// In each turn, the microseconds of each node for an event.
    turns: Vec<Vec<f64>>,
    bytes_per_profile: f64,
}

impl Measured {
    async fn of(primaries: usize, arguments: &Arguments) -> Self {
        let cluster = Cluster::start(primaries).await;
        let bellwether = Bellwether::start(cluster.address()).await;
        let clients = Clients::connect(bellwether.address).await;
        let events = Arc::new(Events::new());
        let empty = cluster.memory().await;
        clients.preload(&events, arguments.events_per_profile).await;
        let full = cluster.memory().await;
        let side = clients.side(Method::ScoreEvents, &events);
        measure_once(arguments.time / TURNS, &side).await;
        let mut turns = Vec::new();
        for _ in 0..TURNS {
            let before = cluster.worked();
            let measured = measure_once(arguments.time / TURNS, &side).await;
            let counted = (measured.all_calls() * EVENTS_PER_BATCH) as f64;
            let after = cluster.worked().into_iter();
            let each = after.zip(before).map(|(after, before)| after - before);
            turns.push(each.map(|worked| worked / counted).collect());
        }
        let partitions = cluster.partitions().await;
        bellwether.stop().await;
        Self {
            partitions,
            turns,
            bytes_per_profile: (full - empty) / PROFILES as f64,
        }
    }

    fn all(&self) -> Spread {
        Spread::of(self.turns.iter().map(|nodes| nodes.iter().sum()))
    }

    fn busiest(&self) -> Spread {
        let of_turn = |nodes: &Vec<f64>| nodes.iter().copied().fold(0.0, f64::max);
        Spread::of(self.turns.iter().map(of_turn))
    }

    fn share_of_busiest(&self) -> f64 {
        let most = self.partitions.iter().max().copied().unwrap_or_default();
        most as f64 / self.partitions.iter().sum::<usize>() as f64
    }
}

/// Primaries that share the slots evenly.
struct Cluster(Vec<RedisServer>);

impl Cluster {
    async fn start(primaries: usize) -> Self {
        let nodes: Vec<RedisServer> = (0..primaries)
            .map(|_| RedisServer::start_in_cluster())
            .collect();
        let cluster = Self(nodes);
        for (number, node) in cluster.0.iter().enumerate() {
            let from = number * SLOTS / primaries;
            let to = (number + 1) * SLOTS / primaries - 1;
            let mut slots = redis::cmd("CLUSTER");
            slots.arg("ADDSLOTSRANGE").arg(from).arg(to);
            ask::<()>(node, &slots).await;
            let mut epoch = redis::cmd("CLUSTER");
            epoch.arg("SET-CONFIG-EPOCH").arg(number + 1);
            ask::<()>(node, &epoch).await;
            if number > 0 {
                let mut meet = redis::cmd("CLUSTER");
                meet.arg("MEET").arg("127.0.0.1").arg(cluster.0[0].port());
                meet.arg(cluster.0[0].bus_port());
                ask::<()>(node, &meet).await;
            }
        }
        for node in &cluster.0 {
            let mut info = redis::cmd("CLUSTER");
            info.arg("INFO");
            let is_whole = |info: &str| {
                info.contains("cluster_state:ok")
                    && info.contains(&format!("cluster_size:{primaries}"))
            };
            let began = Instant::now();
            while !is_whole(&ask::<String>(node, &info).await) {
                assert!(began.elapsed() < PATIENCE, "the nodes find no cluster");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        cluster
    }

    fn address(&self) -> String {
        let nodes: Vec<String> = self
            .0
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port()))
            .collect();
        format!("redis-cluster://{}", nodes.join(","))
    }

    /// How many microseconds each node has worked.
    fn worked(&self) -> Vec<f64> {
        let worked = |node: &RedisServer| processor_time(node.process()).as_micros() as f64;
        self.0.iter().map(worked).collect()
    }

    async fn memory(&self) -> f64 {
        let mut bytes = 0.0;
        for node in &self.0 {
            bytes += node.info("used_memory").await.parse::<f64>().unwrap();
        }
        bytes
    }

    /// How many partitions each node has: each has its ids.
    async fn partitions(&self) -> Vec<usize> {
        let mut partitions = Vec::new();
        for node in &self.0 {
            let ids: Vec<String> = ask(node, redis::cmd("KEYS").arg("*:ids")).await;
            partitions.push(ids.len());
        }
        partitions
    }
}

async fn ask<T: FromRedisValue>(node: &RedisServer, command: &Cmd) -> T {
    let mut connection = node.connect().await;
    command.query_async(&mut connection).await.unwrap()
}
