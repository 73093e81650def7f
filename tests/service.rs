//! The service on a real store: with no write in flight, pages, counts, the funnel and
//! influence equal a full recount at any instant, whatever was in flight before.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bellwether::{
    scoring::{
        AttributeValue, Attributes, Event, EventOutcome, IdHash, Model, Profile, ProfileId, Tenant,
        Timestamp,
    },
    service::{
        InfluencerQuery, Models, ProfileUpdate, SegmentQuery, Service, ServiceError, Settings, View,
    },
    store::{
        Commit, Committed, Cursor, IndexEntry, RankPage, RankRange, Store, StoreError, Stored,
        TopicTotals, embedded::Embedded,
    },
};
use tempfile::TempDir;

const MODEL: &str = r#"
[scores.interest]
half_life = "2d"
[scores.loyalty]
half_life = "40d"
[scores.fit]
base = 1
[[signals]]
name = "visited"
on = "visit"
points = { interest = 3, loyalty = 1 }
[[signals]]
name = "replied"
on = "reply"
when = 'event.attributes.length > 10'
points = { interest = 5, loyalty = 2 }
[[signals]]
name = "complained"
on = "complaint"
points = { loyalty = -2 }
[[attributes]]
name = "in_retail"
when = 'profile.attributes.industry == "retail"'
points = { fit = 3 }
[[stages]]
name = "awareness"
min = { interest = 1 }
[[stages]]
name = "consideration"
min = { interest = 12 }
[[stages]]
name = "customer"
when = 'seen("purchase")'
[[stages]]
name = "advocate"
when = 'seen("purchase")'
min = { loyalty = 20 }
[[segments]]
name = "everyone"
rank_by = "interest"
[[segments]]
name = "strangers"
when = '!has(profile.attributes.crm_id)'
rank_by = ["interest", "fit"]
min = 5
[[segments]]
name = "leaving"
rank_by = "loyalty"
min = 1
max = 10
[[topics]]
name = "price"
keywords = ["price"]
[[topics]]
name = "quality"
[influence]
event_types = { reply = 2, visit = 1 }
half_life = "10d"
attribution_half_life = "3d"
advance = 4
"#;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;
const START: i64 = 1_767_268_800 * SECOND;
const PEOPLE: u64 = 30;

fn at(offset: i64) -> Timestamp {
    Timestamp::from_nanos(START + offset).unwrap()
}

fn id(number: u64) -> ProfileId {
    ProfileId::new(&format!("person-{number}")).unwrap()
}

fn tenant() -> Tenant {
    Tenant::new("").unwrap()
}

async fn open(directory: &TempDir) -> Service<Embedded> {
    serve(Embedded::open(directory.path()).unwrap()).await
}

async fn serve<S: Store>(store: S) -> Service<S> {
    let models = Models::Shared(Arc::new(Model::parse(MODEL).unwrap()));
    let settings = Settings {
        max_skew: Duration::from_secs(300),
        remembered_events: 256,
        max_events_in_flight: 10_000,
    };
    let clock = Arc::new(|| at(100 * DAY));
    Service::open(store, models, settings, clock).await.unwrap()
}

/// A small generator of pseudo-random numbers: the same seed, the same events.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn event(dice: &mut Dice, number: u64) -> Event {
    let kinds = ["visit", "visit", "reply", "reply", "complaint", "purchase"];
    let sides = if dice.roll(8) == 0 { 6 } else { 5 };
    let kind = kinds[dice.roll(sides) as usize];
    let length = AttributeValue::Number(dice.roll(100) as f64);
    Event {
        id: IdHash::of_event(&format!("event-{number}")),
        profile_id: id(dice.roll(PEOPLE)),
        event_type: kind.to_owned(),
        time: Some(at((number as i64) * DAY / 40)),
        channel: String::new(),
        attributes: Attributes::from([("length".to_owned(), length)]),
        text: if dice.roll(2) == 0 {
            "The price!".to_owned()
        } else {
            String::new()
        },
        tags: if dice.roll(2) == 0 {
            vec!["quality".to_owned()]
        } else {
            Vec::new()
        },
        sentiment: None,
        author_id: (dice.roll(3) > 0).then(|| id(dice.roll(PEOPLE / 3))),
        content_id: String::new(),
    }
}

/// Sends events through concurrent streams, one stream for each group of people so that
/// the order of a profile's events is kept, with duplicates.
async fn stream(service: &Service<Embedded>, events: &[Event]) {
    let mut streams: HashMap<u64, Vec<Event>> = HashMap::new();
    for event in events {
        let stream = xxhash(event.profile_id.as_str()) % 4;
        streams.entry(stream).or_default().push(event.clone());
    }
    let tasks: Vec<_> = streams
        .into_values()
        .map(|events| {
            let service = service.clone();
            tokio::spawn(async move {
                let mut pending = Vec::new();
                for batch in events.chunks(7) {
                    let twice: Vec<Event> =
                        batch.iter().chain(batch.iter().take(2)).cloned().collect();
                    pending.push(service.submit_events(&tenant(), twice).await);
                }
                for pending in pending {
                    for result in pending.results().await {
                        result.unwrap();
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

fn xxhash(text: &str) -> u64 {
    IdHash::of_event(text).0
}

async fn everybody(service: &Service<Embedded>, view: View, instant: Timestamp) -> Vec<Profile> {
    let mut profiles = Vec::new();
    for number in 0..PEOPLE {
        match service
            .profile(&tenant(), &id(number), view, Some(instant))
            .await
        {
            Ok(profile) => profiles.push(profile),
            Err(ServiceError::UnknownProfile(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    profiles
}

async fn members(
    service: &Service<Embedded>,
    segment: &str,
    page_size: usize,
    instant: Timestamp,
) -> (Vec<Profile>, u64) {
    let mut members = Vec::new();
    let mut after = None;
    loop {
        let query = SegmentQuery {
            segment: segment.to_owned(),
            stages: Vec::new(),
            view: View::Basic,
            as_of: Some(instant),
            page_size,
            after,
        };
        let page = service.rank_segment(&tenant(), query).await.unwrap();
        for (rank, profile) in page.entries {
            members.push(profile);
            assert_eq!(rank, members.len() as u64, "places are without gaps");
        }
        after = page.next;
        if after.is_none() {
            return (members, page.total);
        }
    }
}

fn points(profile: &Profile, names: &[&str]) -> f64 {
    names
        .iter()
        .map(|name| {
            profile
                .scores
                .iter()
                .find(|score| score.name == *name)
                .unwrap()
                .points
        })
        .product()
}

async fn check_exactness(service: &Service<Embedded>, instant: Timestamp) {
    let profiles = everybody(service, View::Full, instant).await;
    let segments: [(&str, &[&str]); 3] = [
        ("everyone", &["interest"]),
        ("strangers", &["interest", "fit"]),
        ("leaving", &["loyalty"]),
    ];
    for (segment, factors) in segments {
        let (listed, total) = members(service, segment, 4, instant).await;
        let mut expected: Vec<&Profile> = profiles
            .iter()
            .filter(|profile| profile.segments.iter().any(|name| name == segment))
            .collect();
        expected.sort_by(|a, b| {
            let by_points = points(b, factors).total_cmp(&points(a, factors));
            by_points.then_with(|| a.profile_id.cmp(&b.profile_id))
        });
        assert_eq!(total, expected.len() as u64, "{segment}");
        let ids = |profiles: &[&Profile]| -> Vec<String> {
            profiles
                .iter()
                .map(|profile| profile.profile_id.to_string())
                .collect()
        };
        assert_eq!(
            ids(&listed.iter().collect::<Vec<_>>()),
            ids(&expected),
            "{segment}"
        );
    }
    let funnel = service.funnel(&tenant(), Some(instant)).await.unwrap();
    let mut stages: BTreeMap<Option<String>, u64> = BTreeMap::new();
    for profile in &profiles {
        *stages.entry(profile.stage.clone()).or_default() += 1;
    }
    assert_eq!(funnel.unstaged, stages.remove(&None).unwrap_or(0));
    for (stage, count) in funnel.stages {
        assert_eq!(
            count,
            stages.remove(&Some(stage.clone())).unwrap_or(0),
            "{stage}"
        );
    }
    for position in 0..3 {
        let with_points: Vec<f64> = profiles
            .iter()
            .map(|profile| profile.scores[position].points)
            .filter(|points| *points > 0.0)
            .collect();
        for profile in &profiles {
            let own = profile.scores[position].points;
            let at_most = with_points
                .iter()
                .filter(|points| **points <= own * (1.0 + 1e-6))
                .count();
            let expected = (own > 0.0).then(|| 100.0 * at_most as f64 / with_points.len() as f64);
            let shown = profile.scores[position].percentile;
            match (expected, shown) {
                (Some(expected), Some(shown)) => assert!((expected - shown).abs() < 1e-9),
                other => assert_eq!(other, (None, None)),
            }
        }
    }
}

/// Touches and advances as the events themselves say: touches by author and topic.
fn touches(events: &[Event]) -> BTreeMap<(String, String), u64> {
    let mut touches = BTreeMap::new();
    for event in events {
        let listed = ["reply", "visit"].contains(&event.event_type.as_str());
        let Some(author) = event
            .author_id
            .as_ref()
            .filter(|author| listed && **author != event.profile_id)
        else {
            continue;
        };
        let mut topics = event.tags.clone();
        if !event.text.is_empty() {
            topics.push("price".to_owned());
        }
        for topic in topics {
            *touches.entry((author.to_string(), topic)).or_default() += 1;
        }
    }
    touches
}

async fn influence<S: Store>(
    service: &Service<S>,
    instant: Timestamp,
) -> BTreeMap<(String, String), (u64, i64, i64)> {
    let mut found = BTreeMap::new();
    for topic in ["price", "quality"] {
        let mut after = None;
        let mut last = f64::INFINITY;
        loop {
            let query = InfluencerQuery {
                topic: topic.to_owned(),
                stage: String::new(),
                as_of: Some(instant),
                page_size: 3,
                after,
            };
            let page = service.top_influencers(&tenant(), query).await.unwrap();
            for author in page.entries {
                assert!(author.influence <= last * (1.0 + 1e-9));
                last = author.influence;
                let key = (author.profile.profile_id.to_string(), topic.to_owned());
                let rounded = |value: f64| (value * 1e6).round() as i64;
                found.insert(
                    key,
                    (
                        author.touches,
                        rounded(author.advances),
                        rounded(author.influence),
                    ),
                );
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_concurrent_streams_everything_equals_a_recount() {
    for seed in 1..=4 {
        let directory = tempfile::tempdir().unwrap();
        let service = open(&directory).await;
        let mut dice = Dice(seed);
        for number in 0..PEOPLE {
            let mut attributes = Attributes::new();
            if dice.roll(3) == 0 {
                attributes.insert(
                    "industry".to_owned(),
                    AttributeValue::String("retail".to_owned()),
                );
            }
            if dice.roll(4) == 0 {
                attributes.insert("crm_id".to_owned(), AttributeValue::Number(7.0));
            }
            let update = ProfileUpdate {
                profile_id: id(number),
                attributes,
                mask: Vec::new(),
            };
            service.update_profile(&tenant(), update).await.unwrap();
        }
        let events: Vec<Event> = (0..1_500).map(|number| event(&mut dice, number)).collect();
        stream(&service, &events).await;

        for later in [0, 1, 5, 30, 365, 3_650] {
            check_exactness(&service, at((38 + later) * DAY)).await;
        }
        let found = influence(&service, at(38 * DAY)).await;
        let expected = touches(&events);
        assert_eq!(found.len(), expected.len());
        for (key, count) in &expected {
            assert_eq!(found[key].0, *count, "{key:?}");
        }
        let advances: i64 = found.values().map(|(_, advances, _)| advances).sum();
        assert!(advances > 0, "somebody advanced after a touch");

        // A second run counts nothing; a start from the disk alone finds the same.
        let before = everybody(&service, View::Full, at(38 * DAY)).await;
        for result in service
            .submit_events(&tenant(), events.clone())
            .await
            .results()
            .await
        {
            assert_eq!(result.unwrap().outcome, EventOutcome::Duplicate);
        }
        service.finish().await;
        drop(service);
        let service = open(&directory).await;
        assert_eq!(everybody(&service, View::Full, at(38 * DAY)).await, before);
        assert_eq!(influence(&service, at(38 * DAY)).await, found);
        check_exactness(&service, at(45 * DAY)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_callers_of_one_profile_count_every_event_once() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    let tasks: Vec<_> = (0..64_u64)
        .map(|task| {
            let service = service.clone();
            tokio::spawn(async move {
                for number in 0..20_u64 {
                    // Every event is sent by two tasks.
                    let name = format!("{}-{number}", task / 2);
                    let event = Event {
                        id: IdHash::of_event(&name),
                        profile_id: id(task / 2 % 2),
                        event_type: "visit".to_owned(),
                        time: Some(at(number as i64 * SECOND)),
                        author_id: Some(id(2)),
                        tags: vec!["price".to_owned()],
                        ..event(&mut Dice(1), 1)
                    };
                    let event = Event {
                        text: String::new(),
                        ..event
                    };
                    service.score_event(&tenant(), event).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for person in 0..2 {
        let profile = service
            .profile(&tenant(), &id(person), View::Basic, None)
            .await
            .unwrap();
        // More than are remembered, and all within: 16 senders of 20 events each.
        assert_eq!(profile.event_count, 320);
    }
    let found = influence(&service, at(DAY)).await;
    assert_eq!(found[&(id(2).to_string(), "price".to_owned())].0, 640);
}

#[tokio::test]
async fn a_request_that_is_refused_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    let far = Event {
        time: Some(at(101 * DAY)),
        ..event(&mut Dice(1), 1)
    };
    let refused = service
        .score_event(&tenant(), far.clone())
        .await
        .unwrap_err();
    assert!(
        matches!(refused, ServiceError::TooFarAhead { .. }),
        "{refused}"
    );
    let attributes: Attributes = (0..60)
        .map(|n| (format!("a{n}"), AttributeValue::Null))
        .collect();
    let update = |attributes: Attributes| ProfileUpdate {
        profile_id: id(1),
        attributes,
        mask: Vec::new(),
    };
    service
        .update_profile(&tenant(), update(attributes))
        .await
        .unwrap();
    let more: Attributes = (0..60)
        .map(|n| (format!("b{n}"), AttributeValue::Null))
        .collect();
    let refused = service
        .update_profile(&tenant(), update(more))
        .await
        .unwrap_err();
    assert!(matches!(refused, ServiceError::Attributes(_)), "{refused}");
    let profile = service
        .profile(&tenant(), &id(1), View::Basic, None)
        .await
        .unwrap();
    assert_eq!(profile.attributes.len(), 60);
    let missing = service
        .profile(&tenant(), &far.profile_id, View::Basic, None)
        .await;
    assert!(far.profile_id == id(1) || matches!(missing, Err(ServiceError::UnknownProfile(_))));
}

#[tokio::test]
async fn an_event_slightly_ahead_takes_its_arrival() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    let ahead = Event {
        time: Some(at(100 * DAY + SECOND)),
        ..event(&mut Dice(1), 1)
    };
    let scored = service.score_event(&tenant(), ahead).await.unwrap();
    assert_eq!(scored.profile.last_event_time, Some(at(100 * DAY)));
}

/// A store that takes a number of commits and then no more, as one whose disk is full.
struct Failing {
    store: Embedded,
    commits_left: Arc<AtomicUsize>,
}

impl Store for Failing {
    async fn load(
        &self,
        tenant: &Tenant,
        profile_ids: &[ProfileId],
    ) -> Vec<Result<Option<Stored>, StoreError>> {
        self.store.load(tenant, profile_ids).await
    }

    async fn commit(
        &self,
        tenant: &Tenant,
        commits: Vec<Commit>,
    ) -> Vec<Result<Committed, StoreError>> {
        let take = |left: usize| left.checked_sub(1);
        let order = Ordering::SeqCst;
        if self.commits_left.fetch_update(order, order, take).is_err() {
            let full = StoreError::Unavailable("the disk is full".to_owned());
            return vec![Err(full); commits.len()];
        }
        self.store.commit(tenant, commits).await
    }

    async fn page(
        &self,
        tenant: &Tenant,
        range: &RankRange,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<RankPage, StoreError> {
        self.store.page(tenant, range, after, limit).await
    }

    async fn count(&self, tenant: &Tenant, ranges: &[RankRange]) -> Result<Vec<u64>, StoreError> {
        self.store.count(tenant, ranges).await
    }

    async fn totals(
        &self,
        tenant: &Tenant,
        topics: &[String],
    ) -> Result<Vec<TopicTotals>, StoreError> {
        self.store.totals(tenant, topics).await
    }

    async fn scan(
        &self,
        tenant: &Tenant,
        after: Option<&ProfileId>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.store.scan(tenant, after, limit).await
    }

    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        self.store.tenants().await
    }

    async fn index(&self, tenant: &Tenant, entries: Vec<IndexEntry>) -> Result<(), StoreError> {
        self.store.index(tenant, entries).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn credits_count_once_wherever_the_store_stops_between_them_and_their_causes() {
    // A whole run takes eight.
    for commits in 0..8 {
        let directory = tempfile::tempdir().unwrap();
        let commits_left = Arc::new(AtomicUsize::new(commits));
        let store = Failing {
            store: Embedded::open(directory.path()).unwrap(),
            commits_left: Arc::clone(&commits_left),
        };
        let service = serve(store).await;
        let touch = |number: u64| Event {
            id: IdHash::of_event(&number.to_string()),
            profile_id: ProfileId::new(&format!("actor-{}", number % 700)).unwrap(),
            event_type: "visit".to_owned(),
            time: Some(at(number as i64 * SECOND)),
            author_id: Some(id(2)),
            tags: vec!["price".to_owned()],
            text: String::new(),
            ..event(&mut Dice(1), 1)
        };
        let events: Vec<Event> = (0..1_000).map(touch).collect();
        let send = async || {
            let pending = service.submit_events(&tenant(), events.clone()).await;
            pending.results().await
        };
        assert!(send().await.iter().any(Result::is_err), "{commits}");
        commits_left.store(usize::MAX, Ordering::SeqCst);
        for _ in 0..2 {
            assert!(send().await.iter().all(Result::is_ok));
        }
        let found = influence(&service, at(DAY)).await;
        let author = (id(2).to_string(), "price".to_owned());
        assert_eq!(found[&author].0, 1_000, "stopped after {commits} commits");
    }
}
