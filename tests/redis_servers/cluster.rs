//! A Redis cluster of three primaries with a replica each, whose primaries a test can kill
//! and whose slots it can move while traffic runs.

use std::borrow::Borrow;

use futures_util::future::join_all;
use redis::{Cmd, FromRedisValue, RedisResult};

use super::{
    server::{Options, RedisServer, field_of},
    until,
};

const PRIMARIES: usize = 3;
const NODES: usize = 2 * PRIMARIES;
const SLOTS: usize = 16_384;
/// Short, so that a failover comes soon; not so short that a busy machine looks dead.
const NODE_TIMEOUT_MILLIS: u64 = 1_500;
/// Keys of a slot that are moved in one step.
const KEYS_PER_MOVE: usize = 50;

/// A node as another one knows it.
#[derive(Clone, Debug)]
struct Known {
    id: String,
    port: u16,
    is_primary: bool,
    has_failed: bool,
    is_linked: bool,
    primary_id: String,
    slots: Vec<(u16, u16)>,
}

/// Six servers.
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    pub async fn start() -> Self {
        Self::start_with(Options::new()).await
    }

    /// Starts six servers, makes them a cluster, and waits until it serves.
    pub async fn start_with(options: Options) -> Self {
        let options = options
            .line("cluster-enabled yes")
            .line(format!("cluster-node-timeout {NODE_TIMEOUT_MILLIS}"))
            // A replica stays with its primary and takes over however long it was cut off.
            .line("cluster-allow-replica-migration no")
            .line("cluster-replica-validity-factor 0");
        let nodes = join_all((0..NODES).map(|_| options.clone().start())).await;
        let cluster = Self { nodes };
        cluster.form().await;
        cluster
    }

    async fn form(&self) {
        let first = self.nodes[0].address();
        let bus_port = self.nodes[0].bus_port();
        for (number, node) in self.nodes.iter().enumerate() {
            if number < PRIMARIES {
                let from = number * SLOTS / PRIMARIES;
                let to = (number + 1) * SLOTS / PRIMARIES - 1;
                run(node, cluster("ADDSLOTSRANGE").arg(from).arg(to)).await;
            }
            run(node, cluster("SET-CONFIG-EPOCH").arg(number + 1)).await;
            if number > 0 {
                let ip = first.ip().to_string();
                let meet = cluster("MEET")
                    .arg(ip)
                    .arg(first.port())
                    .arg(bus_port)
                    .take();
                run(node, meet).await;
            }
        }
        let everybody_is_known = || async {
            for node in &self.nodes {
                let known = known_to(node).await;
                let linked = known.iter().filter(|known| known.is_linked).count();
                if linked < NODES {
                    return None;
                }
            }
            Some(())
        };
        until(
            "all nodes of the cluster know each other",
            everybody_is_known,
        )
        .await;
        for (primary, replica) in self.nodes.iter().zip(&self.nodes[PRIMARIES..]) {
            let id: String = ask(primary, cluster("MYID")).await;
            run(replica, cluster("REPLICATE").arg(id)).await;
        }
        self.until_whole().await;
    }

    /// Waits until every node runs, agrees with the others that all is well, and every
    /// primary has a replica that follows it.
    pub async fn until_whole(&self) {
        let is_whole = || async {
            for node in &self.nodes {
                if !self.agrees(node).await || !is_replicated(node).await {
                    return None;
                }
            }
            Some(())
        };
        until("the cluster is whole", is_whole).await;
    }

    /// Whether a node sees every slot served, and of those that run each as what it is and
    /// none failed.
    async fn agrees(&self, node: &RedisServer) -> bool {
        let info: String = ask(node, cluster("INFO")).await;
        let known = known_to(node).await;
        let runs = |known: &Known| {
            let mut nodes = self.nodes.iter();
            nodes.any(|node| node.address().port() == known.port && node.is_running())
        };
        let serves = |known: &Known| known.is_primary && !known.slots.is_empty();
        let is_well = |known: &Known| {
            let has_role = serves(known) || known.primary_id != "-";
            known.is_linked && !known.has_failed && has_role
        };
        let serving = known.iter().filter(|known| serves(known) && runs(known));
        field_of(&info, "cluster_state") == Some("ok")
            && serving.count() == PRIMARIES
            && known.iter().filter(|known| runs(known)).all(is_well)
    }

    /// The URL of it for a store, which names a few of its nodes.
    pub fn url(&self) -> String {
        let nodes: Vec<String> = self
            .nodes
            .iter()
            .map(|node| node.address().to_string())
            .collect();
        let url = self.nodes[0].url();
        let scheme = url.split("://").next().unwrap();
        let credentials = self.nodes[0].credentials();
        format!(
            "{scheme}-cluster://{credentials}{}",
            nodes[..PRIMARIES + 1].join(",")
        )
    }

    /// Every node, primaries and replicas.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The slot of a key or of its hash tag.
    pub async fn slot_of(&self, key: &str) -> u16 {
        ask(self.any_running(), cluster("KEYSLOT").arg(key)).await
    }

    /// The node that serves a slot now.
    pub async fn primary_of(&self, slot: u16) -> &RedisServer {
        let known = known_to(self.any_running()).await;
        let serves = |known: &&Known| {
            let mut slots = known.slots.iter();
            slots.any(|(from, to)| (from..=to).contains(&&slot))
        };
        let port = known.iter().find(serves).expect("the slot is served").port;
        self.node_at(port)
    }

    /// The nodes that serve slots now.
    pub async fn primaries(&self) -> Vec<&RedisServer> {
        let known = known_to(self.any_running()).await;
        let serving = known
            .iter()
            .filter(|known| known.is_primary && !known.slots.is_empty());
        serving.map(|known| self.node_at(known.port)).collect()
    }

    /// The node that follows a primary.
    pub async fn replica_of(&self, primary: &RedisServer) -> &RedisServer {
        let known = known_to(primary).await;
        let port = primary.address().port();
        let id = &known.iter().find(|known| known.port == port).unwrap().id;
        let mut replicas = known.iter().filter(|known| known.primary_id == *id);
        self.node_at(replicas.next().expect("the primary has a replica").port)
    }

    /// Waits until the replica of a primary has what was written before this call.
    pub async fn until_replicated(&self, primary: &RedisServer) {
        let written = offset_of(primary).await;
        let replica = self.replica_of(primary).await;
        let has_it = || async { (offset_of(replica).await >= written).then_some(()) };
        until("the replica has received what was written", has_it).await;
    }

    /// Kills a primary and waits until its replica serves in its place, for all the others.
    pub async fn fail_over(&self, primary: &RedisServer) {
        primary.kill();
        let others_agree = || async {
            for node in self.nodes.iter().filter(|node| node.is_running()) {
                if !self.agrees(node).await {
                    return None;
                }
            }
            Some(())
        };
        until(
            "a replica serves in the place of the killed primary",
            others_agree,
        )
        .await;
    }

    /// Moves slots to a primary, one after the other, as `redis-cli --cluster reshard` does.
    pub async fn move_slots(&self, slots: impl IntoIterator<Item = u16>, target: &RedisServer) {
        for slot in slots {
            self.move_slot(slot, target).await;
        }
    }

    async fn move_slot(&self, slot: u16, target: &RedisServer) {
        let source = self.primary_of(slot).await;
        if source.address() == target.address() {
            return;
        }
        let source_id: String = ask(source, cluster("MYID")).await;
        let target_id: String = ask(target, cluster("MYID")).await;
        let set = |role: &str, id: &str| cluster("SETSLOT").arg(slot).arg(role).arg(id).take();
        run(target, set("IMPORTING", &source_id)).await;
        run(source, set("MIGRATING", &target_id)).await;
        loop {
            let list = cluster("GETKEYSINSLOT").arg(slot).arg(KEYS_PER_MOVE).take();
            let keys: Vec<Vec<u8>> = ask(source, list).await;
            if keys.is_empty() {
                break;
            }
            let address = target.address();
            let mut migrate = redis::cmd("MIGRATE");
            migrate.arg(address.ip().to_string()).arg(address.port());
            migrate.arg("").arg(0).arg(5_000);
            if let Some(password) = target.password() {
                migrate.arg("AUTH").arg(password);
            }
            run(source, migrate.arg("KEYS").arg(keys)).await;
        }
        // The new owner first: a slot that its owner has given away must be somebody's.
        run(target, set("NODE", &target_id)).await;
        run(source, set("NODE", &target_id)).await;
        for node in self.primaries().await {
            run(node, set("NODE", &target_id)).await;
        }
    }

    fn any_running(&self) -> &RedisServer {
        let mut nodes = self.nodes.iter();
        nodes.find(|node| node.is_running()).expect("a node runs")
    }

    fn node_at(&self, port: u16) -> &RedisServer {
        let mut nodes = self.nodes.iter();
        nodes
            .find(|node| node.address().port() == port)
            .expect("the port is a node's")
    }
}

/// Whether a node is a replica with a live link, or a primary that has one.
async fn is_replicated(node: &RedisServer) -> bool {
    let info: String = ask(node, redis::cmd("INFO").arg("replication")).await;
    match field_of(&info, "role") {
        Some("master") => {
            field_of(&info, "slave0").is_some_and(|slave| slave.contains("state=online"))
        }
        _ => field_of(&info, "master_link_status") == Some("up"),
    }
}

/// How much a node has written to its replicas, or received of its primary.
async fn offset_of(node: &RedisServer) -> u64 {
    let info: String = ask(node, redis::cmd("INFO").arg("replication")).await;
    let field = match field_of(&info, "role") {
        Some("master") => "master_repl_offset",
        _ => "slave_repl_offset",
    };
    field_of(&info, field).unwrap().parse().unwrap()
}

async fn known_to(node: &RedisServer) -> Vec<Known> {
    let text: String = ask(node, cluster("NODES")).await;
    text.lines().map(known).collect()
}

/// Reads a line of `CLUSTER NODES`.
fn known(line: &str) -> Known {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let address = fields[1].split('@').next().unwrap();
    let flags: Vec<&str> = fields[2].split(',').collect();
    // What is in brackets is on its way in or out.
    let slots = fields[8..].iter().filter(|slots| !slots.starts_with('['));
    let range = |slots: &&str| {
        let (from, to) = slots.split_once('-').unwrap_or((slots, slots));
        (from.parse().unwrap(), to.parse().unwrap())
    };
    Known {
        id: fields[0].to_owned(),
        port: address.rsplit(':').next().unwrap().parse().unwrap(),
        is_primary: flags.contains(&"master"),
        has_failed: flags.iter().any(|flag| flag.starts_with("fail")),
        is_linked: fields[7] == "connected" && !flags.contains(&"handshake"),
        primary_id: fields[3].to_owned(),
        slots: slots.map(range).collect(),
    }
}

fn cluster(subcommand: &str) -> Cmd {
    redis::cmd("CLUSTER").arg(subcommand).take()
}

async fn run(node: &RedisServer, command: impl Borrow<Cmd>) {
    let () = ask(node, command).await;
}

async fn ask<T: FromRedisValue>(node: &RedisServer, command: impl Borrow<Cmd>) -> T {
    let mut connection = node.connection().await;
    let answer: RedisResult<T> = command.borrow().query_async(&mut connection).await;
    answer.unwrap_or_else(|error| panic!("{}: {error}", node.address()))
}
