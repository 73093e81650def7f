//! The model changes under load, with two servers of which one is late: no page mixes two
//! models, no profile keeps a stale rank, and both end on the new one.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use bellwether::proto::v1::{self, segment_member::Member};
use tonic::Code;

use super::{
    people::{Answers, Story, assert_same, picture, recount_by, report_part},
    redis_servers::{RedisServer, until},
    world::{Bellwether, MODEL},
};

const CLIENTS: usize = 16;
const SETTINGS: [(&str, &str); 2] = [("remembered_events", "2000"), ("redis_timeout", "10s")];
/// Slow enough that a build of some hundred profiles is still on its way when it is looked at.
const SLOW: (&str, &str) = ("rebuild_rate", "100");

/// Another order of everybody, another score, other bounds, on the same counts.
pub fn next_model() -> String {
    MODEL
        .replace("rank_by = \"interest\"", "rank_by = \"merit\"")
        .replace(
            "[scores.loyalty]",
            "[scores.merit]\nhalf_life = \"7d\"\n[scores.loyalty]",
        )
        .replace(
            "points = { interest = 3,",
            "points = { interest = 3, merit = 40,",
        )
        .replace(
            "points = { interest = 5,",
            "points = { interest = 5, merit = 1,",
        )
        .replace("min = 440", "min = 300")
}

/// The names of scores on a page: those of one model.
fn scores_of(page: &v1::RankSegmentResponse) -> BTreeSet<Vec<String>> {
    let profiles = page
        .members
        .iter()
        .filter_map(|member| match &member.member {
            Some(Member::Profile(profile)) => Some(profile),
            _ => None,
        });
    let names = profiles.map(|profile| {
        let scores = profile.scores.iter().map(|score| score.name.clone());
        scores.collect()
    });
    names.collect()
}

/// Reads all pages of everybody, again and again, until told to stop; how many it has read.
/// A walk that the change of the model interrupts begins again.
async fn read_pages(server: &Bellwether, reading: &AtomicBool) -> u64 {
    let mut client = server.client();
    let mut pages = 0;
    while reading.load(Ordering::Relaxed) {
        let mut page_token = String::new();
        let mut seen = BTreeSet::new();
        let mut walked = BTreeSet::new();
        loop {
            let request = v1::RankSegmentRequest {
                segment: "everyone".to_owned(),
                page_size: 100,
                page_token,
                ..Default::default()
            };
            let page = match client.rank_segment(request).await {
                Ok(page) => page.into_inner(),
                Err(status) if status.code() == Code::FailedPrecondition => break,
                Err(status) => panic!("{status:?}"),
            };
            walked.extend(scores_of(&page));
            assert!(walked.len() <= 1, "one walk shows two models: {walked:?}");
            for member in &page.members {
                let Some(Member::Profile(profile)) = &member.member else {
                    panic!("{member:?}");
                };
                assert!(
                    seen.insert(profile.profile_id.clone()),
                    "somebody stands twice"
                );
            }
            pages += 1;
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
    }
    pages
}

pub async fn answers_by_the_next_model(server: &Bellwether) -> bool {
    let request = v1::GetProfileRequest {
        profile_id: "person-0".to_owned(),
        ..Default::default()
    };
    let profile = server.client().get_profile(request).await.unwrap();
    let profile = profile.into_inner().profile.unwrap();
    profile.scores.iter().any(|score| score.name == "merit")
}

pub async fn until_next_model(server: &Bellwether) {
    let changed = || async { answers_by_the_next_model(server).await.then_some(()) };
    until("the server answers by the next model", changed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_changes_under_load_reaches_the_late_server_and_mixes_no_page() {
    let story = Story::new(5, 1_200, 6_000);
    let redis = RedisServer::start().await;
    let late = Bellwether::start(&redis.url(), &SETTINGS).await;
    let answers = Answers::default();
    report_part(&[&late], CLIENTS, "", &story.parts[0], &answers).await;

    let next = next_model();
    let early = Bellwether::start_with(&redis.url(), &next, &SETTINGS).await;
    assert!(
        !answers_by_the_next_model(&early).await,
        "beside a server that answers, the ranks are built while it is ready"
    );
    let servers = [&late, &early];
    let reading = AtomicBool::new(true);
    let traffic = async {
        report_part(&servers, CLIENTS, "", &story.parts[1], &answers).await;
        for server in servers {
            until_next_model(server).await;
        }
        reading.store(false, Ordering::Relaxed);
    };
    let ((), of_late, of_early) = tokio::join!(
        traffic,
        read_pages(&late, &reading),
        read_pages(&early, &reading)
    );
    assert!(of_late > 0 && of_early > 0);
    report_part(&servers, CLIENTS, "", &story.parts[2], &answers).await;

    // The old file once more: it changes nothing.
    let later = Bellwether::start(&redis.url(), &SETTINGS).await;
    let expected = recount_by(&next, &story, &SETTINGS).await;
    for server in [&late, &early, &later] {
        assert!(answers_by_the_next_model(server).await);
        assert_same(&picture(&mut server.client(), "", &story).await, &expected);
    }
}

/// A server in a process of its own, which can be killed.
struct Process {
    child: Child,
    _directory: tempfile::TempDir,
}

impl Process {
    /// Starts a server and waits until it listens.
    fn start(store: &str, model: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.toml");
        std::fs::write(&path, model).unwrap();
        let settings = SETTINGS.into_iter().chain([SLOW]).map(|(key, value)| {
            let name = format!("BELLWETHER_{}", key.to_ascii_uppercase());
            (name, value)
        });
        let mut child = Command::new(env!("CARGO_BIN_EXE_bellwether"))
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--admin-listen",
                "127.0.0.1:0",
                "--store",
                store,
                "--model",
            ])
            .arg(&path)
            .envs(settings)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let listening = log.any(|line| line.unwrap().contains("listening"));
        assert!(listening, "the server has ended before it listened");
        std::thread::spawn(move || log.for_each(drop));
        Self {
            child,
            _directory: directory,
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Has a server of the test's own among those that serve, for an hour: whoever starts finds
/// that it is not alone, however long the others are held up.
async fn announce_a_guest(redis: &RedisServer) {
    let script = "local now = redis.call('TIME')[1] * 1000
        return redis.call('ZADD', 'bellwether:servers', now + 3600000, 'guest')";
    let mut connection = redis.connection().await;
    let added: i64 = redis::cmd("EVAL")
        .arg(script)
        .arg(0)
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(added, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranks_whose_builder_was_killed_in_the_middle_are_finished_by_another_server() {
    let story = Story::new(6, 1_200, 4_000);
    let redis = RedisServer::start().await;
    let settings = SETTINGS.into_iter().chain([SLOW]).collect::<Vec<_>>();
    let early = Bellwether::start(&redis.url(), &settings).await;
    let answers = Answers::default();
    report_part(&[&early], CLIENTS, "", &story.parts[0], &answers).await;

    // Nobody else may build than the server that is going to be killed.
    announce_a_guest(&redis).await;
    let mut connection = redis.connection().await;
    let right = "{default}:builder";
    let held: redis::RedisResult<()> = redis::cmd("SET")
        .arg(right)
        .arg("guest")
        .query_async(&mut connection)
        .await;
    held.unwrap();
    let next = next_model();
    let builder = Process::start(&redis.url(), &next);
    early.stop().await;
    let freed: redis::RedisResult<()> = redis::cmd("DEL")
        .arg(right)
        .query_async(&mut connection)
        .await;
    freed.unwrap();
    let begun = || async {
        let mut connection = redis.connection().await;
        let indexed: Vec<String> = redis::cmd("KEYS")
            .arg("{default}:indexed:*")
            .query_async(&mut connection)
            .await
            .unwrap();
        (!indexed.is_empty()).then_some(())
    };
    until("the first ranks are built", begun).await;
    builder.kill();
    let rollout: String = redis::cmd("GET")
        .arg("{default}:rollout")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert!(
        rollout.contains("candidate"),
        "not in the middle: {rollout}"
    );

    // With the old file: it follows the latest model, and finishes what is left.
    let late = Bellwether::start(&redis.url(), &settings).await;
    report_part(&[&late], CLIENTS, "", &story.parts[1], &answers).await;
    until_next_model(&late).await;
    report_part(&[&late], CLIENTS, "", &story.parts[2], &answers).await;
    let expected = recount_by(&next, &story, &SETTINGS).await;
    assert_same(&picture(&mut late.client(), "", &story).await, &expected);
    leaves_one_generation(&redis).await;
}

async fn apply(server: &Bellwether, source: &str) -> v1::ApplyModelResponse {
    let request = v1::ApplyModelRequest {
        tenant: String::new(),
        source: source.to_owned(),
        ..Default::default()
    };
    let applied = server.model_client().apply_model(request).await;
    applied.unwrap().into_inner()
}

async fn models(server: &Bellwether) -> v1::GetModelsResponse {
    let request = v1::GetModelsRequest::default();
    let models = server.model_client().get_models(request).await;
    models.unwrap().into_inner()
}

/// Waits until a server says that a model answers, and that no other is on its way.
async fn until_settled(server: &Bellwether, fingerprint: &str) {
    let settled = || async {
        let models = models(server).await;
        let active = models.active.unwrap_or_default().fingerprint;
        (active == fingerprint && models.candidate.is_none() && models.waiting_tenants == 0)
            .then_some(())
    };
    until("the model answers", settled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_applied_model_reaches_every_server_and_is_taken_back_in_the_middle() {
    let story = Story::new(7, 1_200, 4_000);
    let redis = RedisServer::start().await;
    let settings = SETTINGS.into_iter().chain([SLOW]).collect::<Vec<_>>();
    let one = Bellwether::start(&redis.url(), &settings).await;
    let other = Bellwether::start(&redis.url(), &settings).await;
    let servers = [&one, &other];
    let answers = Answers::default();
    report_part(&servers, CLIENTS, "", &story.parts[0], &answers).await;
    let old = models(&one).await.active.unwrap().fingerprint;

    let next = next_model();
    let applied = apply(&one, &next).await;
    assert!(applied.changed && applied.state() == v1::ModelState::Building);
    let proposed = || async {
        let candidate = models(&other).await.candidate?;
        let model = candidate.model.unwrap();
        assert_eq!(model.fingerprint, applied.fingerprint);
        assert_eq!(candidate.total_profiles, 1_200);
        Some(())
    };
    until("the other server tells of the candidate", proposed).await;
    let back = apply(&other, MODEL).await;
    assert_eq!((back.changed, &back.fingerprint), (true, &old));
    assert!(back.revision > applied.revision);
    for server in servers {
        until_settled(server, &old).await;
    }
    report_part(&servers, CLIENTS, "", &story.parts[1], &answers).await;

    apply(&other, &next).await;
    let started_late = Bellwether::start(&redis.url(), &settings).await;
    let servers = [&one, &other, &started_late];
    for server in servers {
        until_settled(server, &applied.fingerprint).await;
        until_next_model(server).await;
    }
    report_part(&servers, CLIENTS, "", &story.parts[2], &answers).await;
    let expected = recount_by(&next, &story, &SETTINGS).await;
    for server in servers {
        assert_same(&picture(&mut server.client(), "", &story).await, &expected);
    }
    leaves_one_generation(&redis).await;
}

/// Nothing is left of the ranks of models that are no more.
async fn leaves_one_generation(redis: &RedisServer) {
    let one = || async {
        let mut connection = redis.connection().await;
        let ranks: Vec<String> = redis::cmd("KEYS")
            .arg("*:rank:*")
            .query_async(&mut connection)
            .await
            .unwrap();
        let generations = ranks.iter().filter_map(|key| key.split(':').nth(3));
        let generations: BTreeSet<&str> = generations.collect();
        (generations.len() == 1).then_some(())
    };
    tokio::time::timeout(
        Duration::from_secs(60),
        until("one generation is left", one),
    )
    .await
    .unwrap();
}
