//! What a start on many profiles takes: they are committed by the embedded store itself, with the
//! records and ranks that the built-in model gives. Then the real server starts on it, several
//! times, each in a process of its own, and must answer as the store did before.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bellwether::{
    proto::v1,
    scoring::{
        Evaluator, HalfLife, KeyRange, Model, ProfileId, RankChange, RankName, Slope, Tenant,
        Timestamp, index,
    },
    store::{
        Commit, Committed, IndexGeneration, RankRange, RankStore as _, RecordStore as _, Rollout,
        TotalsChange, Version, embedded::Embedded,
    },
};

use crate::{
    arguments::Arguments,
    clients::{Client, Clients},
    goals::Goals,
    made_up::{event, model},
    overload::Server,
    phases::{Spread, processor_time},
};

const PROFILES_PER_COMMIT: u64 = 1_000;
const STARTS: usize = 5;
const SETTLING: Duration = Duration::from_secs(3);
/// Events begin this long ago at the earliest, and lie within ten days.
const PAST: Duration = Duration::from_secs(20 * 24 * 3600);
/// A segment of the model, the rank that it reads, its least points and their half-life.
const SEGMENT: &str = "unknown_place";
const RANK: &str = "segment:unknown_place";
const MIN: f64 = 2.0;
const HALF_LIFE: Duration = Duration::from_secs(28 * 24 * 3600);
const PAGE_SIZE: usize = 100;

pub async fn measure(arguments: &Arguments) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let (profiles, events_per_profile) = (arguments.profiles, arguments.events_per_profile);
    let loaded = Instant::now();
    let store = Embedded::open(&path).unwrap();
    let loading = Arc::new(Loading::of(store, profiles, events_per_profile));
    let expected = loading.load().await;
    let mean = |bytes: u64| bytes as f64 / profiles as f64;
    println!(
        "{profiles} profiles of {events_per_profile} events loaded in {:.1} s; {:.0} bytes of each on disk",
        loaded.elapsed().as_secs_f64(),
        mean(bytes_of(&path))
    );
    let (mut seconds, mut worked, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let started = Instant::now();
        let server = Server::start(&path.display().to_string(), &[]);
        seconds.push(started.elapsed().as_secs_f64());
        worked.push(processor_time(server.process()).as_secs_f64());
        let at_first = mean(resident_bytes(server.process()));
        // The allocator gives back what the start took while the server works.
        let settling = Instant::now();
        while settling.elapsed() < SETTLING {
            expected.assert_answered_by(&server, profiles).await;
        }
        let settled = mean(resident_bytes(server.process()));
        memory.push((at_first, settled));
    }
    let seconds = Spread::of(seconds.into_iter());
    let at_first = Spread::of(memory.iter().map(|(at_first, _)| *at_first));
    let settled = Spread::of(memory.iter().map(|(_, settled)| *settled));
    println!("{STARTS} starts, median (lowest-highest):");
    println!("  seconds until ready: {seconds}");
    println!(
        "  seconds of processors: {}",
        Spread::of(worked.into_iter())
    );
    println!("  resident bytes of a profile, without the system's cache of files:");
    println!("    when it is ready: {at_first}");
    println!("    after {SETTLING:?} of calls: {settled}");
    let mut goals = Goals::default();
    goals.at_most("seconds until ready", 3.0, &seconds);
    goals.at_most(
        "resident bytes of a profile, after some calls",
        400.0,
        &settled,
    );
    goals.print();
}

/// What the store said before it was closed.
struct Expected {
    at: Timestamp,
    page: Vec<String>,
    size: u64,
}

impl Expected {
    async fn of(store: &Embedded, tenant: &Tenant, generation: IndexGeneration) -> Self {
        let at = now();
        let half_life = HalfLife::from_nanos(HALF_LIFE.as_nanos() as i64).unwrap();
        let range = RankRange {
            rank: RankName::new(RANK),
            keys: KeyRange {
                from: Slope::of([half_life]).threshold_key(MIN, at),
                below: None,
            },
        };
        let page = store
            .page(tenant, generation, &range, None, PAGE_SIZE)
            .await;
        let page = page.unwrap();
        assert!(page.total > 0);
        let members = page.entries.iter();
        Self {
            at,
            page: members.map(|(_, id)| id.to_string()).collect(),
            size: page.total,
        }
    }

    async fn assert_answered_by(&self, server: &Server, profiles: u64) {
        let mut client: Client = Clients::connect(server.address).await.of(0);
        let (seconds, nanos) = self.at.parts();
        let as_of = Some(pbjson_types::Timestamp { seconds, nanos });
        let question = v1::RankSegmentRequest {
            segment: SEGMENT.to_owned(),
            page_size: PAGE_SIZE as i32,
            as_of,
            ..v1::RankSegmentRequest::default()
        };
        let page = client.rank_segment(question).await.unwrap().into_inner();
        assert_eq!(page.segment_size as u64, self.size);
        let members = page.members.into_iter().map(|member| match member.member {
            Some(v1::segment_member::Member::Profile(profile)) => profile.profile_id,
            other => panic!("no person: {other:?}"),
        });
        assert_eq!(members.collect::<Vec<_>>(), self.page);
        let question = v1::GetFunnelRequest {
            as_of,
            ..v1::GetFunnelRequest::default()
        };
        let funnel = client.get_funnel(question).await.unwrap().into_inner();
        let staged: i64 = funnel.stages.iter().map(|stage| stage.count).sum();
        assert_eq!((staged + funnel.unstaged_count) as u64, profiles);
    }
}

/// Profiles on their way into a store.
struct Loading {
    store: Embedded,
    model: Arc<Model>,
    tenant: Tenant,
    generation: IndexGeneration,
    profiles: u64,
    events_per_profile: u64,
}

impl Loading {
    fn of(store: Embedded, profiles: u64, events_per_profile: u64) -> Self {
        let model = Arc::new(model());
        Self {
            generation: IndexGeneration {
                number: 1,
                model: model.fingerprint(),
            },
            store,
            model,
            tenant: Tenant::new("").unwrap(),
            profiles,
            events_per_profile,
        }
    }

    /// Loads all, closes the store, and returns what it said before.
    async fn load(self: Arc<Self>) -> Expected {
        let batches = self.profiles.div_ceil(PROFILES_PER_COMMIT);
        let loaders = std::thread::available_parallelism().unwrap().get() as u64;
        let loaders = (0..loaders).map(|first| {
            let loading = Arc::clone(&self);
            tokio::spawn(async move {
                for batch in (first..batches).step_by(loaders as usize) {
                    loading.commit(batch).await;
                }
            })
        });
        for loader in loaders.collect::<Vec<_>>() {
            loader.await.unwrap();
        }
        Expected::of(&self.store, &self.tenant, self.generation).await
    }

    /// Profiles of one batch are each other's authors.
    async fn commit(&self, batch: u64) {
        let first = batch * PROFILES_PER_COMMIT;
        let numbers = first..self.profiles.min(first + PROFILES_PER_COMMIT);
        // Numbers that follow each other lie far apart in the store.
        let id = |number: u64| format!("member-{}", number * 7_919 % self.profiles);
        let earliest = now().saturating_add_nanos(-(PAST.as_nanos() as i64));
        let mut evaluator = Evaluator::new(Arc::clone(&self.model), 256);
        for number in numbers.clone() {
            let after = Duration::from_millis(number * 977 % 864_000_000 / 2);
            let first_time = earliest.saturating_add_nanos(after.as_nanos() as i64);
            let author = id(first + (number * 31 + 1) % (numbers.end - first));
            for event_number in 0..self.events_per_profile {
                let event = event(&id(number), &author, event_number, first_time);
                evaluator.apply(&event, event.time.unwrap());
            }
        }
        let commits = evaluator.into_records().into_iter();
        let commits = commits.map(|(profile_id, record)| self.commit_of(profile_id, record));
        let rollout = Rollout::begin(self.generation, 1);
        let written = self.store.commit(&self.tenant, &rollout, commits.collect());
        for result in written.await {
            assert_eq!(result, Ok(Committed::Written));
        }
    }

    fn commit_of(&self, profile_id: ProfileId, record: bellwether::scoring::Record) -> Commit {
        let entries = index(&self.model, &profile_id, &record).into_iter();
        let changes = entries.map(|(rank, key)| RankChange {
            rank,
            old: None,
            new: Some(key),
        });
        Commit {
            expected: None,
            version: Version(1),
            ranks: vec![(self.generation, changes.collect())],
            totals: record.topic_deltas().map(TotalsChange::adding).collect(),
            record: Some(record),
            profile_id,
        }
    }
}

fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "a client knows what time it is")]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::from_nanos(now.unwrap().as_nanos() as i64).unwrap()
}

/// What a process has in memory, but for what the system can read from files again.
fn resident_bytes(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = resident.unwrap().trim().strip_suffix(" kB").unwrap();
    1_024 * kilobytes.parse::<u64>().unwrap()
}

fn bytes_of(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries
        .map(|entry| match entry.file_type().unwrap().is_dir() {
            true => bytes_of(&entry.path()),
            false => entry.metadata().unwrap().len(),
        })
        .sum()
}
