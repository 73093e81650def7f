//! Quotas of profiles on a Redis: exact for one server, and for several within what they make in a
//! second.

use std::{num::NonZeroU64, sync::Arc, time::Duration};

use bellwether::{
    clock::system_clock,
    config::{Config, Flags},
    rollout::Models,
    scoring::{Event, IdHash, Model, ProfileId, Tenant},
    server::{SERVERS_TO_STOP_AT_ONCE, service_settings},
    service::{Service, ServiceError},
    store::{RecordStore as _, redis::Redis},
    telemetry::Counters,
};

use super::{
    redis_servers::{RedisCluster, RedisServer},
    repartition::repartition,
    world::{MODEL, PATIENCE, open, settings},
};

const MOST: u64 = 10;
/// What one server does not see of another is older than this.
const BELIEVED_FOR: Duration = Duration::from_secs(1);

fn tenant() -> Tenant {
    Tenant::new("small").unwrap()
}

fn full() -> ServiceError {
    ServiceError::TooManyProfiles {
        tenant: tenant(),
        most: MOST,
    }
}

async fn serve(store: Redis) -> Service<Redis> {
    let config = Config::load(&Flags::default(), |_| None).unwrap();
    let settings = service_settings(&config, SERVERS_TO_STOP_AT_ONCE);
    let models = Models::Shared(Arc::new(Model::parse(MODEL).unwrap()));
    let opened = Service::open(
        store,
        models,
        settings,
        system_clock(),
        Counters::disabled(),
    );
    let service = opened.await.unwrap();
    service.limit_profiles(Arc::new(|_| NonZeroU64::new(MOST)));
    service
}

fn event(name: &str, of: &str, author: Option<&str>) -> Event {
    let id = |name: &str| ProfileId::new(name).unwrap();
    Event {
        id: IdHash::of_event(name),
        profile_id: id(of),
        event_type: "reply".to_owned(),
        time: Some(system_clock()()),
        channel: String::new(),
        attributes: [].into(),
        text: String::new(),
        tags: vec!["price".into()],
        sentiment: None,
        author_id: author.map(id),
        content_id: String::new(),
        campaign_id: String::new(),
        subjects: Vec::new(),
    }
}

/// Whether each event is taken, all sent side by side.
async fn score_all(services: &[Service<Redis>], events: Vec<Event>) -> Vec<bool> {
    let services = services.iter().cycle();
    let callers = events.into_iter().zip(services).map(|(event, service)| {
        let service = service.clone();
        tokio::spawn(async move {
            match service.score_event(&tenant(), event, None).await {
                Ok(_) => true,
                Err(error) => {
                    assert_eq!(error, full());
                    false
                }
            }
        })
    });
    let mut taken = Vec::new();
    for caller in callers.collect::<Vec<_>>() {
        taken.push(caller.await.unwrap());
    }
    taken
}

fn strangers(word: &str) -> Vec<Event> {
    let number = 0..64;
    let names = number.map(|number| format!("{word} {number}"));
    names.map(|name| event(&name, &name, None)).collect()
}

async fn assert_exact(url: &str) {
    let services = [serve(open(url).await).await];
    let count = open(url).await;
    // Some by their author, who has no record either.
    let mut events = strangers("first");
    for (number, event) in events
        .iter_mut()
        .enumerate()
        .filter(|(number, _)| number % 3 == 0)
    {
        event.author_id = ProfileId::new(&format!("author {number}"));
    }
    let taken = score_all(&services, events).await;
    let is_taken = taken.iter().filter(|taken| **taken).count();
    let records = count.record_count(&tenant()).await.unwrap();
    assert!(is_taken > 0 && records <= MOST, "{records}: {taken:?}");
    // The last place is for somebody who comes alone.
    score_all(&services, strangers("second")).await;
    assert_eq!(count.record_count(&tenant()).await, Ok(MOST));
    services[0].finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_lets_in_exactly_as_many() {
    let redis = RedisServer::start().await;
    assert_exact(&redis.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_on_a_cluster_lets_in_exactly_as_many() {
    let cluster = RedisCluster::start().await;
    assert_exact(&cluster.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_miss_what_the_other_made_within_a_second_and_nothing_more() {
    let redis = RedisServer::start().await;
    let services = [
        serve(open(&redis.url()).await).await,
        serve(open(&redis.url()).await).await,
    ];
    let count = open(&redis.url()).await;
    let taken = score_all(&services, strangers("first")).await;
    let records = count.record_count(&tenant()).await.unwrap();
    assert_eq!(records, taken.iter().filter(|taken| **taken).count() as u64);
    // Each lets in as many as there may be, if it sees nothing of the other.
    assert!((MOST..=2 * MOST).contains(&records), "{records}");
    // What they believed then is over.
    tokio::time::sleep(BELIEVED_FOR).await;
    let taken = score_all(&services, strangers("second")).await;
    assert!(!taken.contains(&true), "{taken:?}");
    assert_eq!(count.record_count(&tenant()).await, Ok(records));
    for service in services {
        service.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_made_by_two_servers_at_once_takes_one_place() {
    let redis = RedisServer::start().await;
    let services = [
        serve(open(&redis.url()).await).await,
        serve(open(&redis.url()).await).await,
    ];
    // Ten people, of whom each server hears at the same time, again and again.
    let people = 0..MOST;
    let events = people.flat_map(|person| {
        (0..16).map(move |number| {
            let name = format!("{person}");
            event(&format!("{name} {number}"), &name, None)
        })
    });
    let taken = score_all(&services, events.collect()).await;
    assert!(!taken.contains(&false), "{taken:?}");
    let count = open(&redis.url()).await;
    assert_eq!(count.record_count(&tenant()).await, Ok(MOST));
    for service in services {
        service.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_holds_through_a_repartition() {
    let redis = RedisServer::start().await;
    let services = [serve(open(&redis.url()).await).await];
    let tool = Redis::open(&settings(&redis.url())).await.unwrap();
    score_all(&services, strangers("first")).await;
    let tenant = tenant();
    let mut work = Box::pin(repartition(&tool, &tenant, 5));
    let began = std::time::Instant::now();
    let mut round = 0;
    let done = loop {
        round += 1;
        let events = strangers(&format!("round {round}"));
        tokio::select! {
            done = &mut work => break done,
            taken = score_all(&services, events) => assert!(!taken.contains(&true), "{taken:?}"),
        }
        assert!(began.elapsed() < PATIENCE, "the repartition never ends");
    };
    done.unwrap();
    let taken = score_all(&services, strangers("last")).await;
    assert!(!taken.contains(&true), "{taken:?}");
    assert_eq!(tool.record_count(&tenant).await, Ok(MOST));
    services[0].finish().await;
}
