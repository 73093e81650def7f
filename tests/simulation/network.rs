//! The way to the simulated store: messages to its places that arrive late, more than once or
//! not at all, and answers that get lost. Every message is of one place at one instant;
//! a call that needs several places sees each of them at another one.

use std::{
    collections::{BTreeMap, HashMap, hash_map::DefaultHasher},
    future::pending,
    hash::Hasher,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use bellwether::{
    scoring::{Fingerprint, Model, ProfileId, RankKey, RankName, Record, index},
    store::{IndexGeneration, RecentRecords, Rollout, StoreError, Version},
};
use tokio::{
    sync::oneshot,
    time::{Duration, Instant, sleep, sleep_until, timeout},
};

use crate::{
    crowd::Crowd,
    dice::Dice,
    state::{Common, Flaw, Partition, Replica},
};

/// How long a server waits for an answer of the store.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How soon a server that stood still notices that it does no more.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How often things go wrong: once in so many messages, never when 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// The message does not arrive.
    pub lost: u64,
    /// It arrives, the answer does not.
    pub unanswered: u64,
    /// It is refused on arrival.
    pub refused: u64,
    /// It arrives after the sender has given up, or nearly so.
    pub late: u64,
    /// It arrives again, up to minutes later.
    pub repeated: u64,
    /// The usual way takes up to so many milliseconds.
    pub way: u64,
}

/// A place of the store that fails by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A partition.
    Partition(usize),
    /// What belongs to the tenant as a whole.
    Common,
}

/// What becomes of one message.
struct Fate {
    there: Duration,
    back: Duration,
    lost: bool,
    refused: bool,
    unanswered: bool,
    /// Whether the sender notices at once that no answer will come.
    cut: bool,
    again: Option<Duration>,
}

/// The store, its network, and who watches both.
pub struct World {
    /// Failovers lose what was last set for the tenant.
    pub loses: bool,
    pub partitions: Vec<Partition>,
    pub crowd: Crowd,
    pub common: Common,
    pub flaw: Option<Flaw>,
    pub weather: Weather,
    pub outages: BTreeMap<Place, Instant>,
    /// Servers that stand still, as one whose processor is taken away.
    pub frozen: BTreeMap<&'static str, Instant>,
    /// What a failover may bring back: what belonged to the tenant before the latest changes.
    pub earlier: Vec<(Instant, Common)>,
    /// Whether a partition has lost writes.
    pub has_lost: bool,
    /// What replicas of each partition had at some instants.
    pub replicas: Vec<Vec<Replica>>,
    /// The server that took the right to build last.
    pub builder: Option<&'static str>,
    /// Every model that a server may have.
    pub models: &'static [Arc<Model>],
    /// What was seen that must not be.
    pub violations: Vec<String>,
    pub in_flight: usize,
    pub messages: u64,
    dice: Dice,
    replica_dice: Dice,
    /// In the order of their first mention.
    generations: Vec<IndexGeneration>,
    /// Where records stand, by version and model.
    places: HashMap<(Version, Fingerprint), Vec<(RankName, RankKey)>>,
    history: DefaultHasher,
    began: Instant,
    tell: bool,
}

pub type Shared = Arc<Mutex<World>>;

impl World {
    pub fn new(seed: u64, partitions: usize, models: &'static [Arc<Model>]) -> Self {
        Self {
            loses: false,
            partitions: (0..partitions).map(|_| Partition::default()).collect(),
            crowd: Crowd::default(),
            common: Common::default(),
            flaw: None,
            weather: Weather::default(),
            outages: BTreeMap::new(),
            frozen: BTreeMap::new(),
            earlier: Vec::new(),
            has_lost: false,
            replicas: vec![Vec::new(); partitions],
            builder: None,
            models,
            violations: Vec::new(),
            in_flight: 0,
            messages: 0,
            dice: Dice::new(seed, "network"),
            replica_dice: Dice::new(seed, "replicas"),
            generations: Vec::new(),
            places: HashMap::new(),
            history: DefaultHasher::new(),
            began: Instant::now(),
            tell: std::env::var_os("SIMULATION_TRACE").is_some(),
        }
    }

    /// Notes what happened: part of the hash that two runs of a seed must agree on.
    pub fn note(&mut self, what: &str) {
        let at = self.began.elapsed();
        self.history.write_u128(at.as_nanos());
        self.history.write(what.as_bytes());
        if self.tell {
            println!("{:>9.3} {what}", at.as_secs_f64());
        }
    }

    /// What a generation is called in notes: its own number is another one in every run.
    pub fn name(&mut self, generation: IndexGeneration) -> String {
        let known = self
            .generations
            .iter()
            .position(|known| *known == generation);
        let place = known.unwrap_or_else(|| {
            self.generations.push(generation);
            self.generations.len() - 1
        });
        let mut models = self.models.iter();
        let model = models.position(|model| model.fingerprint() == generation.model);
        format!(
            "generation {place} of model {}",
            model.unwrap_or(usize::MAX)
        )
    }

    /// What a rollout is called in notes.
    pub fn describe(&mut self, rollout: &Rollout) -> String {
        let active = rollout.active.map(|generation| self.name(generation));
        let candidate = rollout.candidate.map(|generation| self.name(generation));
        let discarded = rollout.discarded.len();
        format!(
            "epoch {}: active {active:?}, candidate {candidate:?}, {discarded} discarded",
            rollout.epoch
        )
    }

    /// A hash of everything that happened.
    pub fn history(&self) -> u64 {
        self.history.finish()
    }

    pub fn violate(&mut self, what: String) {
        self.note(&format!("VIOLATION {what}"));
        self.violations.push(what);
    }

    pub fn partition_of(&self, profile_id: &ProfileId) -> usize {
        let hash = xxhash_rust::xxh3::xxh3_64(profile_id.as_str().as_bytes());
        (hash % self.partitions.len() as u64) as usize
    }

    /// What each rank of a generation must hold in a partition.
    pub fn recount(
        &mut self,
        partition: usize,
        generation: IndexGeneration,
    ) -> BTreeMap<RankName, BTreeMap<ProfileId, RankKey>> {
        let mut ranks: BTreeMap<RankName, BTreeMap<ProfileId, RankKey>> = BTreeMap::new();
        let mut models = self.models.iter();
        let Some(model) = models.find(|model| model.fingerprint() == generation.model) else {
            return ranks;
        };
        for stored in self.partitions[partition].records.values() {
            let places = self.places.entry((stored.version, generation.model));
            let (profile_id, record) = (&stored.profile_id, &stored.record);
            for (rank, key) in places.or_insert_with(|| index(model, profile_id, record)) {
                let entries = ranks.entry(rank.clone()).or_default();
                entries.insert(stored.profile_id.clone(), *key);
            }
        }
        ranks
    }

    /// A rank that is read must be complete and of one model.
    pub fn check_read(&mut self, partition: usize, generation: IndexGeneration, rank: &RankName) {
        let expected = self.recount(partition, generation).remove(rank);
        let kept = &self.partitions[partition].ranks;
        let kept = kept.get(&(generation.number, rank.clone()));
        if expected.as_ref() != kept {
            let kept = kept.cloned();
            let name = self.name(generation);
            let found = format!(
                "{rank} of {name} was read in partition {partition} as {kept:?}, a recount is {expected:?}"
            );
            self.violate(found);
        }
    }

    /// Now and then a replica falls behind.
    pub fn lag(&mut self, partition: usize) {
        if self.replica_dice.once_in(6) {
            let replica = self.partitions[partition].replica();
            self.replicas[partition].push(replica);
        }
    }

    /// A partition fails, and a replica takes its place that has not got the latest writes, with
    /// the ranks of the generation that answers.
    pub fn fail_over(&mut self, partition: usize, replica: Replica) {
        self.note(&format!("a failover loses writes of {partition}"));
        self.has_lost = true;
        let kept = &mut self.partitions[partition];
        let before: Vec<ProfileId> = kept.records.keys().cloned().collect();
        kept.fall_back_to(replica);
        let after: Vec<ProfileId> = kept.records.keys().cloned().collect();
        for id in before.iter().chain(&after) {
            let stored = self.partitions[partition].records.get(id);
            self.crowd.note(id, stored.map(|stored| &*stored.record));
        }
        self.rebuild_ranks(partition);
    }

    /// Changes records behind everybody's back, with the totals and ranks that follow from them.
    pub fn rewrite(&mut self, change: impl Fn(&ProfileId, &Record) -> Record) {
        for partition in 0..self.partitions.len() {
            for (id, stored) in &mut self.partitions[partition].records {
                stored.record = Arc::new(change(id, &stored.record));
                stored.version = Version(self.replica_dice.roll(u64::MAX));
            }
            self.partitions[partition].add_up_totals();
            self.rebuild_ranks(partition);
        }
    }

    /// The ranks of the generation that answers.
    fn rebuild_ranks(&mut self, partition: usize) {
        let active = self.common.rollout.active;
        let ranks = active.map(|active| (active.number, self.recount(partition, active)));
        let ranks = ranks.into_iter().flat_map(|(number, ranks)| {
            let ranks = ranks.into_iter();
            ranks.map(move |(rank, entries)| ((number, rank), entries))
        });
        self.partitions[partition].ranks = ranks.collect();
    }

    fn fate(&mut self) -> Fate {
        let weather = self.weather;
        let dice = &mut self.dice;
        let way =
            |dice: &mut Dice| Duration::from_micros(dice.between(50, weather.way.max(1) * 1_000));
        let mut fate = Fate {
            there: way(dice),
            back: way(dice),
            lost: dice.once_in(weather.lost),
            refused: dice.once_in(weather.refused),
            unanswered: dice.once_in(weather.unanswered),
            cut: dice.once_in(2),
            again: None,
        };
        if dice.once_in(weather.late) {
            fate.there = Duration::from_millis(dice.between(500, 10_000));
        }
        if dice.once_in(weather.repeated) {
            let most = if dice.once_in(2) { 500 } else { 120_000 };
            fate.again = Some(Duration::from_millis(dice.between(1, most)));
        }
        fate
    }

    fn is_away(&self, place: Place) -> bool {
        let until = self.outages.get(&place);
        until.is_some_and(|until| *until > Instant::now())
    }
}

/// Room for some of the records that there are, so that others are thrown out.
const RECENT_BYTES: usize = 12 * 1024;

/// A server's connections to the store. A server that was killed sends nothing any more and
/// hears nothing.
#[derive(Clone)]
pub struct Connection {
    world: Shared,
    alive: Arc<AtomicBool>,
    pub name: &'static str,
    /// As a server keeps them that shares its store with others.
    pub recent: Arc<RecentRecords>,
}

/// Whether it is known that a message which was not answered did nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Read,
    Write,
}

impl Connection {
    pub fn new(world: Shared, name: &'static str) -> Self {
        Self {
            world,
            alive: Arc::new(AtomicBool::new(true)),
            name,
            recent: Arc::new(RecentRecords::within(RECENT_BYTES)),
        }
    }

    pub fn kill(&self) {
        self.alive.store(false, Ordering::SeqCst);
    }

    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::SeqCst)
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Waits for ever when the server was killed, for a while when it stands still.
    async fn live(&self) {
        loop {
            let until = self.world().frozen.get(self.name).copied();
            match until.filter(|until| *until > Instant::now()) {
                Some(until) => sleep_until(until.min(Instant::now() + LOOK_AGAIN)).await,
                None => break,
            }
        }
        if !self.is_alive() {
            pending::<()>().await;
        }
    }

    /// Sends a message to a place of the store, and waits for the answer.
    pub async fn ask<R: Send + 'static>(
        &self,
        place: Place,
        kind: Kind,
        execute: impl FnMut(&mut World) -> R + Send + 'static,
    ) -> Result<R, StoreError> {
        self.live().await;
        let answer = self.send(place, execute);
        let answer = timeout(RESPONSE_TIMEOUT, answer).await;
        self.live().await;
        match answer {
            Ok(Ok(answer)) => answer,
            _ if kind == Kind::Read => Err(StoreError::Unavailable("no answer".to_owned())),
            _ => Err(StoreError::OutcomeUnknown("no answer".to_owned())),
        }
    }

    /// Sends a message on a way of its own, which it goes whatever becomes of the sender.
    pub fn send<R: Send + 'static>(
        &self,
        place: Place,
        mut execute: impl FnMut(&mut World) -> R + Send + 'static,
    ) -> oneshot::Receiver<Result<R, StoreError>> {
        let (answer, receiver) = oneshot::channel();
        let fate = {
            let mut world = self.world();
            world.in_flight += 1;
            world.messages += 1;
            world.fate()
        };
        let world = Arc::clone(&self.world);
        tokio::spawn(async move {
            let mut answer = Some(answer);
            sleep(fate.there).await;
            if !fate.lost {
                let result = {
                    let mut world = world.lock().unwrap();
                    if fate.refused || world.is_away(place) {
                        Err(StoreError::Unavailable("it is away".to_owned()))
                    } else {
                        Ok(execute(&mut world))
                    }
                };
                sleep(fate.back).await;
                if !fate.unanswered
                    && let Some(answer) = answer.take()
                {
                    drop(answer.send(result));
                }
            }
            if fate.cut {
                answer = None;
            }
            if let Some(again) = fate.again {
                sleep(again).await;
                let mut world = world.lock().unwrap();
                if !world.is_away(place) {
                    world.note("again:");
                    execute(&mut world);
                }
            }
            world.lock().unwrap().in_flight -= 1;
            if answer.is_some() {
                sleep(RESPONSE_TIMEOUT).await;
            }
        });
        receiver
    }
}
