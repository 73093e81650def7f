//! Another number of partitions for a tenant while servers run: nothing counts twice or not at all,
//! nobody is refused, and whoever is killed on the way is followed by another.

use std::{
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

use bellwether::{
    proto::v1,
    scoring::Tenant,
    store::{
        Coordination as _, Rollout,
        redis::{Progress, Redis, Repartitioning},
    },
};
use futures_util::future::join_all;

use super::{
    models::{answers_by_the_next_model, next_model, until_next_model},
    people::{Answers, Story, assert_influence, assert_same, event_counts, picture, report_part},
    redis_servers::{RedisServer, until},
    repartition::{keys, now_millis, repartition},
    world::{Bellwether, open, profile_request, score_request},
};

const SETTINGS: [(&str, &str); 2] = [("remembered_events", "2000"), ("redis_timeout", "10s")];

/// People who do one thing after the other, each reported to one server and looked up on the
/// other at once: what was answered is there, once, and nobody is refused.
async fn walk(servers: [&Bellwether; 2], walker: u64, walking: &AtomicBool) -> u64 {
    let mut clients = servers.map(Bellwether::client);
    let name = format!("walker-{walker}");
    let mut steps: u64 = 0;
    while walking.load(Ordering::Relaxed) {
        let (one, other) = (steps as usize % 2, (steps as usize + 1) % 2);
        let event = v1::Event {
            event_id: format!("{name}-{steps}"),
            profile_id: name.clone(),
            r#type: "visit".to_owned(),
            time: Some(pbjson_types::Timestamp {
                seconds: 1_767_225_600 + steps as i64,
                nanos: 0,
            }),
            ..Default::default()
        };
        let answer = clients[one].score_event(score_request("", event)).await;
        let answer = answer.unwrap_or_else(|refused| panic!("{name} {steps}: {refused:?}"));
        assert_eq!(answer.get_ref().outcome(), v1::EventOutcome::Applied);
        steps += 1;
        let read = clients[other].get_profile(profile_request("", &name)).await;
        let read = read.unwrap_or_else(|refused| panic!("{name} {steps}: {refused:?}"));
        let profile = read.into_inner().profile.unwrap();
        assert_eq!(profile.event_count, steps as i64, "{name}");
    }
    steps
}

/// Reads how many there are at all stages together: all walkers, always.
async fn count(server: &Bellwether, walking: &AtomicBool, walkers: i64) -> u64 {
    let (mut client, mut reads) = (server.client(), 0);
    while walking.load(Ordering::Relaxed) {
        let funnel = client.get_funnel(v1::GetFunnelRequest::default()).await;
        let funnel = funnel.unwrap().into_inner();
        let all: i64 = funnel.stages.iter().map(|stage| stage.count).sum();
        assert!(all + funnel.unstaged_count >= walkers, "{funnel:?}");
        reads += 1;
    }
    reads
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_on_two_servers_are_never_refused_and_read_what_they_wrote() {
    const WALKERS: u64 = 8;
    let redis = RedisServer::start().await;
    let servers = [
        Bellwether::start(&redis.url(), &SETTINGS).await,
        Bellwether::start(&redis.url(), &SETTINGS).await,
    ];
    let both = [&servers[0], &servers[1]];
    let walking = AtomicBool::new(true);
    for walker in 0..WALKERS {
        let visit = v1::Event {
            event_id: format!("first-{walker}"),
            profile_id: format!("counted-{walker}"),
            r#type: "visit".to_owned(),
            ..Default::default()
        };
        let counted = servers[0]
            .client()
            .score_event(score_request("", visit))
            .await;
        counted.unwrap();
    }
    let tool = open(&redis.url()).await;
    let work = async {
        let tenant = Tenant::new("default").unwrap();
        let mut pauses = Vec::new();
        for partitions in [7, 20] {
            let done = repartition(&tool, &tenant, partitions).await.unwrap();
            pauses.push(done.pause.unwrap());
        }
        walking.store(false, Ordering::Relaxed);
        pauses
    };
    let walkers = join_all((0..WALKERS).map(|walker| walk(both, walker, &walking)));
    let counted = i64::try_from(WALKERS).unwrap();
    let (pauses, steps, counts) = tokio::join!(work, walkers, count(both[1], &walking, counted));
    eprintln!(
        "{} steps, {counts} counts, pauses of {pauses:?}",
        steps.iter().sum::<u64>()
    );
    assert!(counts > 0);
    for (walker, steps) in steps.iter().enumerate() {
        assert!(*steps > 0);
        let asked = profile_request("", &format!("walker-{walker}"));
        for server in &servers {
            let profile = server.client().get_profile(asked.clone()).await.unwrap();
            let profile = profile.into_inner().profile.unwrap();
            assert_eq!(profile.event_count, i64::try_from(*steps).unwrap());
        }
    }
    assert_eq!(keys(&redis, "{default:20:*:fence").await.len(), 20);
    assert!(keys(&redis, "{default:16:*").await.is_empty());
    assert!(keys(&redis, "{default:7:*").await.is_empty());
}

/// The tool in a process of its own, which can be killed.
struct Tool(Child);

impl Tool {
    fn start(store: &str, partitions: u32) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_bellwether"))
            .args(["repartition", "--store", store, "--partitions"])
            .arg(partitions.to_string())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Has the tool work until it has set such a rollout, and kills it.
async fn kill_when(url: &str, watcher: &Redis, what: &str, is_time: fn(&Rollout) -> bool) {
    let tenant = Tenant::new("default").unwrap();
    let before = watcher.rollout(&tenant).await.unwrap().epoch;
    let tool = Tool::start(url, 7);
    until(what, || async {
        let rollout = watcher.rollout(&tenant).await.unwrap();
        (rollout.epoch > before && is_time(&rollout)).then_some(())
    })
    .await;
    tool.kill();
}

/// Works until nobody may commit, and is gone then.
async fn drop_when_switching(store: &Redis, tenant: &Tenant, partitions: u32) {
    let switching = tokio::sync::Notify::new();
    let tell = |progress| {
        if progress == Progress::Switching {
            switching.notify_one();
        }
    };
    let work = Repartitioning::new(store, tenant, &now_millis, &tell).unwrap();
    tokio::select! {
        biased;
        () = switching.notified() => {}
        ended = work.run(partitions) => panic!("{ended:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_is_killed_on_the_way_loses_and_doubles_nothing_and_holds_nobody_up() {
    const CLIENTS: usize = 8;
    let story = Story::new(11, 300, 3_000);
    let redis = RedisServer::start().await;
    let early = Bellwether::start(&redis.url(), &SETTINGS).await;
    let late = Bellwether::start(&redis.url(), &SETTINGS).await;
    let servers = [&early, &late];
    let answers = Answers::default();
    report_part(&servers, CLIENTS, "", &story.parts[0], &answers).await;

    let watcher = open(&redis.url()).await;
    let tenant = Tenant::new("default").unwrap();
    let working = AtomicBool::new(true);
    let work = async {
        let (url, tenant) = (redis.url(), &tenant);
        kill_when(&url, &watcher, "records are copied", |rollout| {
            rollout.repartition.is_some()
        })
        .await;
        for _ in 0..2 {
            drop_when_switching(&watcher, tenant, 7).await;
            assert!(watcher.rollout(tenant).await.unwrap().is_switching());
        }
        kill_when(&url, &watcher, "the copies answer", |rollout| {
            rollout.left_over.is_some()
        })
        .await;
        let mut tool = Tool::start(&url, 7);
        let ended = tokio::task::spawn_blocking(move || tool.0.wait().unwrap());
        assert!(ended.await.unwrap().success());
        working.store(false, Ordering::Relaxed);
    };
    let report = async {
        for part in story.parts[1].chunks(100) {
            report_part(&servers, CLIENTS, "", part, &answers).await;
        }
    };
    let walkers = join_all((0..4).map(|walker| walk(servers, walker, &working)));
    let ((), (), steps) = tokio::join!(work, report, walkers);
    eprintln!("{steps:?} steps");
    report_part(&servers, CLIENTS, "", &story.parts[2], &answers).await;
    assert_eq!(answers.applied(), story.events().count());
    for code in [
        tonic::Code::Unavailable,
        tonic::Code::Unknown,
        tonic::Code::Aborted,
    ] {
        assert_eq!(answers.failed(code), 0, "{code:?}");
    }
    let rollout = watcher.rollout(&tenant).await.unwrap();
    assert!(
        rollout.is_at_rest() && rollout.partitions == Some(7),
        "{rollout:?}"
    );
    assert!(keys(&redis, "{default:16:*").await.is_empty());
    assert_eq!(
        event_counts(&mut early.client(), "", &story).await,
        story.counts()
    );
    let seen = picture(&mut early.client(), "", &story).await;
    assert_influence(&seen, &story);
    assert_same(&picture(&mut late.client(), "", &story).await, &seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_model_waits_until_a_repartition_is_over() {
    let redis = RedisServer::start().await;
    let early = Bellwether::start(&redis.url(), &SETTINGS).await;
    let visit = v1::Event {
        event_id: "1".to_owned(),
        profile_id: "person-0".to_owned(),
        r#type: "visit".to_owned(),
        ..Default::default()
    };
    early
        .client()
        .score_event(score_request("", visit))
        .await
        .unwrap();
    let store = open(&redis.url()).await;
    let tenant = Tenant::new("default").unwrap();
    let rollout = store.rollout(&tenant).await.unwrap();
    let copying = rollout.copy(7, now_millis());
    assert_eq!(store.set_rollout(&tenant, &copying).await, Ok(true));
    store.fence(&tenant, &copying).await.unwrap();

    let late = Bellwether::start_with(&redis.url(), &next_model(), &SETTINGS).await;
    assert!(!answers_by_the_next_model(&late).await);
    assert_eq!(store.rollout(&tenant).await.unwrap(), copying);
    let tell = |_| {};
    let work = Repartitioning::new(&store, &tenant, &now_millis, &tell).unwrap();
    assert_eq!(work.cancel().await, Ok(true));
    for server in [&early, &late] {
        until_next_model(server).await;
    }
}
