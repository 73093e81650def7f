//! The service on a real store: with no write in flight, pages, counts, the funnel and
//! influence equal a full recount at any instant, whatever was in flight before.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod answers;
mod audit;
mod backup;
mod conditions;
mod counters;
mod failing;
mod health;
mod models;
mod others;
mod past;
mod paused;
mod profile_quotas;
mod tenants;
mod traces;
mod views;
mod world;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bellwether::{
    rollout::Models,
    scoring::{
        AttributeValue, Attributes, Event, IdHash, Name, Profile, ProfileId, SegmentMembership,
        Timestamp,
    },
    service::{
        InfluencerQuery, Paging, ProfileUpdate, SegmentQuery, Service, ServiceError, Settings, View,
    },
    store::{Store, embedded::Embedded},
};

use failing::Failing;
use world::{
    DAY, Dice, MODEL, PEOPLE, SECOND, at, event, id, model, open, open_as, reading, serve,
    settings, stream, tenant,
};

pub async fn everybody(
    service: &Service<Embedded>,
    view: View,
    instant: Timestamp,
) -> Vec<Profile> {
    let mut profiles = Vec::new();
    for number in 0..PEOPLE {
        match service
            .profile(&tenant(), &id(number), reading(view, Some(instant)))
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
    let mut start = None;
    loop {
        let query = SegmentQuery {
            segment: segment.to_owned(),
            condition: None,
            fraction: None,
            view: View::Basic,
            paging: Paging {
                as_of: Some(instant),
                page_size,
                start,
            },
        };
        let page = service
            .rank_segment(&tenant(), query)
            .await
            .unwrap()
            .members;
        for (rank, member) in page.entries {
            members.push(member.profile);
            assert_eq!(rank, members.len() as u64, "places are without gaps");
        }
        start = page.next;
        if start.is_none() {
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

/// What a profile says of a segment that it belongs to.
fn membership<'p>(profile: &'p Profile, segment: &str) -> Option<&'p SegmentMembership> {
    let mut segments = profile.segments.iter();
    segments.find(|member| member.segment == segment)
}

fn belongs(profile: &Profile, segment: &str) -> bool {
    membership(profile, segment).is_some()
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
            .filter(|profile| belongs(profile, segment))
            .collect();
        expected.sort_by(|a, b| {
            let by_points = points(b, factors).total_cmp(&points(a, factors));
            by_points.then_with(|| a.profile_id.cmp(&b.profile_id))
        });
        assert_eq!(total, expected.len() as u64, "{segment}");
        for profile in &expected {
            let ranked_by = membership(profile, segment).unwrap().points;
            assert!((ranked_by / points(profile, factors) - 1.0).abs() < 1e-12);
        }
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
    let mut stages: BTreeMap<Option<Name>, u64> = BTreeMap::new();
    for profile in &profiles {
        *stages.entry(profile.stage.clone()).or_default() += 1;
    }
    assert_eq!(funnel.unstaged, stages.remove(&None).unwrap_or(0));
    for (stage, count) in funnel.stages {
        assert_eq!(
            count,
            stages.remove(&Some(stage.clone().into())).unwrap_or(0),
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
fn touches(events: &[Event]) -> BTreeMap<(String, Name), u64> {
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
            topics.push("price".into());
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
) -> BTreeMap<(String, Name), (u64, i64, i64)> {
    let mut found = BTreeMap::new();
    for topic in ["price", "quality"] {
        let mut start = None;
        let mut last = f64::INFINITY;
        loop {
            let query = InfluencerQuery {
                topic: topic.to_owned(),
                stage: String::new(),
                paging: Paging {
                    as_of: Some(instant),
                    page_size: 3,
                    start,
                },
            };
            let page = service.top_influencers(&tenant(), query).await.unwrap();
            for author in page.entries {
                assert!(author.influence <= last * (1.0 + 1e-9));
                last = author.influence;
                let key = (author.profile.profile_id.to_string(), Name::new(topic));
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
            start = page.next;
            if start.is_none() {
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
        // With so little room for effects rounds wait for each other, and are drafted again.
        let settings = Settings {
            max_unsettled_effects: if seed % 2 == 0 { 40 } else { 256 },
            ..settings()
        };
        let store = Embedded::open(directory.path()).unwrap();
        let models = Models::Shared(model(MODEL));
        let service = open_as(store, models, settings).await.unwrap();
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
                removed: Vec::new(),
            };
            service
                .update_profile(&tenant(), update, None)
                .await
                .unwrap();
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
            .submit_events(&tenant(), events.clone(), None)
            .await
            .results()
            .await
        {
            assert!(result.unwrap().outcome.is_duplicate());
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
                        tags: vec!["price".into()],
                        ..event(&mut Dice(1), 1)
                    };
                    let event = Event {
                        text: String::new(),
                        ..event
                    };
                    service.score_event(&tenant(), event, None).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for person in 0..2 {
        let profile = service
            .profile(&tenant(), &id(person), reading(View::Basic, None))
            .await
            .unwrap();
        // More than are remembered, and all within: 16 senders of 20 events each.
        assert_eq!(profile.event_count, 320);
    }
    let found = influence(&service, at(DAY)).await;
    assert_eq!(found[&(id(2).to_string(), Name::new("price"))].0, 640);
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
        .score_event(&tenant(), far.clone(), None)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, ServiceError::TooFarAhead { .. }),
        "{refused}"
    );
    let attributes: Attributes = (0..60)
        .map(|n| (format!("a{n}"), AttributeValue::Bool(true)))
        .collect();
    let update = |attributes: Attributes| ProfileUpdate {
        profile_id: id(1),
        attributes,
        removed: Vec::new(),
    };
    service
        .update_profile(&tenant(), update(attributes), None)
        .await
        .unwrap();
    let more: Attributes = (0..60)
        .map(|n| (format!("b{n}"), AttributeValue::Bool(true)))
        .collect();
    let refused = service
        .update_profile(&tenant(), update(more), None)
        .await
        .unwrap_err();
    assert!(matches!(refused, ServiceError::Attributes(_)), "{refused}");
    let profile = service
        .profile(&tenant(), &id(1), reading(View::Basic, None))
        .await
        .unwrap();
    assert_eq!(profile.attributes.len(), 60);
    let missing = service
        .profile(&tenant(), &far.profile_id, reading(View::Basic, None))
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
    let scored = service
        .score_event(&tenant(), ahead, Some(View::Basic))
        .await
        .unwrap();
    assert_eq!(scored.profile.unwrap().last_event_time, Some(at(100 * DAY)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn credits_count_once_wherever_the_store_stops_between_them_and_their_causes() {
    // A whole run takes eight.
    for commits in 0..8 {
        let directory = tempfile::tempdir().unwrap();
        let commits_left = Arc::new(AtomicUsize::new(commits));
        let store = Failing {
            commits_left: Arc::clone(&commits_left),
            ..Failing::well(Embedded::open(directory.path()).unwrap())
        };
        let service = serve(store).await;
        let touch = |number: u64| Event {
            id: IdHash::of_event(&number.to_string()),
            profile_id: ProfileId::new(&format!("actor-{}", number % 700)).unwrap(),
            event_type: "visit".to_owned(),
            time: Some(at(number as i64 * SECOND)),
            author_id: Some(id(2)),
            tags: vec!["price".into()],
            text: String::new(),
            ..event(&mut Dice(1), 1)
        };
        let events: Vec<Event> = (0..1_000).map(touch).collect();
        let send = async || {
            let pending = service.submit_events(&tenant(), events.clone(), None).await;
            pending.results().await
        };
        assert!(send().await.iter().any(Result::is_err), "{commits}");
        commits_left.store(usize::MAX, Ordering::SeqCst);
        for _ in 0..2 {
            assert!(send().await.iter().all(Result::is_ok));
        }
        let found = influence(&service, at(DAY)).await;
        let author = (id(2).to_string(), Name::new("price"));
        assert_eq!(found[&author].0, 1_000, "stopped after {commits} commits");
    }
}
