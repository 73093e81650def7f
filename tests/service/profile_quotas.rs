//! Tenants that may have so many profiles: never one more, never one less, and whoever is there goes
//! on.

use std::{
    collections::BTreeSet,
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use bellwether::{
    scoring::{
        AttributeValue, Event, EventOutcome, IdHash, ProfileId, RetractionOutcome, Selection,
    },
    service::{ProfileUpdate, Service, ServiceError, View},
    store::{RecordStore as _, Store, StoreError, embedded::Embedded},
};
use tempfile::TempDir;

use crate::{
    failing::Failing,
    world::{self, DAY, Dice, MODEL, SECOND, at, id, open, reading, serve_model, tenant},
};

/// Counts of no subject, so that profiles do not wait for each other.
const PEOPLE_ALONE: &str = r#"
[scores.interest]
half_life = "2d"
[[signals]]
name = "visited"
on = "visit"
points = { interest = 3 }
[[topics]]
name = "quality"
[influence]
event_types = { reply = 2 }
half_life = "10d"
attribution_half_life = "3d"
advance = 4
"#;

/// Bounds what a service may have, and lets the bound be changed.
fn bound<S: Store>(service: &Service<S>, most: u64) -> Arc<AtomicU64> {
    let bound = Arc::new(AtomicU64::new(most));
    let asked = Arc::clone(&bound);
    service.limit_profiles(Arc::new(move |_| {
        NonZeroU64::new(asked.load(Ordering::Relaxed))
    }));
    bound
}

fn full(most: u64) -> ServiceError {
    ServiceError::TooManyProfiles {
        tenant: tenant(),
        most,
    }
}

fn visit(name: &str, of: ProfileId) -> Event {
    Event {
        id: IdHash::of_event(name),
        profile_id: of,
        event_type: "visit".to_owned(),
        time: Some(at(DAY)),
        author_id: None,
        tags: Vec::new(),
        text: String::new(),
        ..world::event(&mut Dice(1), 1)
    }
}

/// Gives its author credit.
fn reply(name: &str, of: ProfileId, author: ProfileId) -> Event {
    Event {
        event_type: "reply".to_owned(),
        author_id: Some(author),
        tags: vec!["quality".into()],
        ..visit(name, of)
    }
}

fn of_account(event: Event, account: &str) -> Event {
    Event {
        subjects: Vec::from_iter(ProfileId::of_subject("account", account)),
        ..event
    }
}

fn update(of: ProfileId) -> ProfileUpdate {
    ProfileUpdate {
        profile_id: of,
        attributes: [("city".to_owned(), AttributeValue::String("Ulm".to_owned()))].into(),
        removed: Vec::new(),
    }
}

async fn score<S: Store>(service: &Service<S>, event: Event) -> Result<EventOutcome, ServiceError> {
    let scored = service.score_event(&tenant(), event, None).await;
    scored.map(|scored| scored.outcome)
}

async fn is_there(service: &Service<Embedded>, profile: &ProfileId) -> bool {
    let query = reading(View::Basic, None);
    service.profile(&tenant(), profile, query).await.is_ok()
}

/// Ends a service, and tells who has a record.
async fn ended<S: Store>(service: Service<S>, directory: &TempDir) -> BTreeSet<String> {
    service.finish().await;
    drop(service);
    let store = Embedded::open(directory.path()).unwrap();
    let records = store.scan(&tenant(), None, 10_000).await.unwrap();
    let count = store.record_count(&tenant()).await.unwrap();
    assert_eq!(count, records.len() as u64);
    let ids = records.iter().map(|stored| stored.profile_id.to_string());
    ids.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_come_side_by_side_exactly_as_many_are_let_in() {
    for (model, round) in [(MODEL, 0), (PEOPLE_ALONE, 1), (MODEL, 2), (PEOPLE_ALONE, 3)] {
        let directory = tempfile::tempdir().unwrap();
        let service = serve_model(Embedded::open(directory.path()).unwrap(), model).await;
        bound(&service, 10);
        let callers = (0..64).map(|number| {
            let service = service.clone();
            tokio::spawn(async move {
                let name = format!("{round} {number}");
                if number % 4 == 3 {
                    let update = update(id(number));
                    let made = service.update_profile(&tenant(), update, None).await;
                    return made.map(drop);
                }
                score(&service, visit(&name, id(number))).await.map(drop)
            })
        });
        let callers: Vec<_> = callers.collect();
        let mut let_in = 0;
        for caller in callers {
            match caller.await.unwrap() {
                Ok(()) => let_in += 1,
                Err(error) => assert_eq!(error, full(10)),
            }
        }
        assert_eq!(let_in, 10);
        assert_eq!(ended(service, &directory).await.len(), 10);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authors_and_subjects_that_effects_make_are_never_too_many() {
    for seed in 0..6 {
        let directory = tempfile::tempdir().unwrap();
        let service = open(&directory).await;
        bound(&service, 12);
        let callers = (0..8_u64).map(|caller| {
            let service = service.clone();
            tokio::spawn(async move {
                let mut dice = Dice(seed * 100 + caller);
                let mut taken = 0;
                for batch in 0..4 {
                    let events: Vec<Event> = (0..8)
                        .map(|number| {
                            let name = format!("{caller} {batch} {number}");
                            let (of, author) = (id(dice.roll(30)), id(dice.roll(30)));
                            let account = format!("company-{}", dice.roll(5));
                            of_account(reply(&name, of, author), &account)
                        })
                        .collect();
                    let pending = service.submit_events(&tenant(), events, None).await;
                    for result in pending.results().await {
                        match result {
                            Ok(_) => taken += 1,
                            Err(error) => assert_eq!(error, full(12)),
                        }
                    }
                }
                taken
            })
        });
        let callers: Vec<_> = callers.collect();
        let mut taken = 0;
        for caller in callers {
            taken += caller.await.unwrap();
        }
        assert!(taken > 0);
        let there = ended(service, &directory).await;
        assert!((10..=12).contains(&there.len()), "{there:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_has_never_been_and_everything_else_is_as_without_a_quota() {
    const MOST: usize = 9;
    for seed in 0..4 {
        let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let service = open(&directory).await;
        bound(&service, MOST as u64);
        let unbounded = open(&other).await;
        let mut dice = Dice(seed);
        let mut there = BTreeSet::new();
        let mut refused = 0;
        for number in 0..120 {
            let (of, author) = (id(dice.roll(8)), id(dice.roll(8)));
            let mut event = Event {
                time: Some(at(number * SECOND)),
                ..visit(&number.to_string(), of.clone())
            };
            let mut needed = BTreeSet::from([of.to_string()]);
            if dice.roll(2) == 0 {
                event.author_id = Some(author.clone());
                event.tags = vec!["quality".into()];
                needed.insert(author.to_string());
            }
            if dice.roll(3) == 0 {
                event = of_account(event, &format!("company-{}", dice.roll(3)));
                needed.extend(event.subjects.iter().map(ToString::to_string));
            }
            let after: BTreeSet<String> = there.union(&needed).cloned().collect();
            let result = score(&service, event.clone()).await;
            if after.len() > MOST {
                assert_eq!(result, Err(full(MOST as u64)), "{seed} {number}: {event:?}");
                refused += 1;
            } else {
                assert_eq!(result, score(&unbounded, event).await);
                assert!(result.is_ok(), "{seed} {number}: {result:?}");
                there = after;
            }
        }
        assert!((1..119).contains(&refused), "{refused}");
        let profiles = crate::everybody(&service, View::Full, at(99 * DAY)).await;
        let expected = crate::everybody(&unbounded, View::Full, at(99 * DAY)).await;
        assert_eq!(profiles, expected);
        assert_eq!(ended(service, &directory).await, there);
        assert_eq!(ended(unbounded, &other).await, there);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_refused_leaves_nothing_with_those_that_are_there() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    let most = bound(&service, 3);
    let known = of_account(reply("first", id(1), id(2)), "shop");
    score(&service, known).await.unwrap();
    let told = async |of: &ProfileId| {
        let query = reading(View::Full, None);
        service.profile(&tenant(), of, query).await.unwrap()
    };
    let people = [
        id(1),
        id(2),
        ProfileId::of_subject("account", "shop").unwrap(),
    ];
    let mut before = Vec::new();
    for person in &people {
        before.push(told(person).await);
    }
    let refused = [
        of_account(reply("second", id(3), id(2)), "shop"),
        of_account(reply("third", id(1), id(4)), "shop"),
        of_account(reply("fourth", id(1), id(2)), "other"),
    ];
    for event in &refused {
        assert_eq!(score(&service, event.clone()).await, Err(full(3)));
    }
    for (person, before) in people.iter().zip(before) {
        assert_eq!(told(person).await, before);
    }
    assert!(!is_there(&service, &id(3)).await);
    // With room they count once, as if they had never come before.
    most.store(6, Ordering::Relaxed);
    for event in refused {
        let applied = score(&service, event.clone()).await.unwrap();
        assert!(
            matches!(applied, EventOutcome::Applied { .. }),
            "{applied:?}"
        );
        let again = score(&service, event).await.unwrap();
        assert!(matches!(again, EventOutcome::Duplicate { .. }), "{again:?}");
    }
    assert_eq!(ended(service, &directory).await.len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_there_is_served_when_there_is_no_room() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    bound(&service, 3);
    let first = of_account(reply("first", id(1), id(2)), "shop");
    score(&service, first.clone()).await.unwrap();
    assert_eq!(score(&service, visit("new", id(3))).await, Err(full(3)));

    let second = of_account(reply("second", id(2), id(1)), "shop");
    for event in [first.clone(), second, visit("third", id(1))] {
        score(&service, event).await.unwrap();
    }
    let updated = service.update_profile(&tenant(), update(id(2)), None).await;
    assert_eq!(updated, Ok(None));
    let shop = ProfileId::of_subject("account", "shop").unwrap();
    let updated = service.update_profile(&tenant(), update(shop), None).await;
    assert_eq!(updated, Ok(None));
    let retracted = service.retract_event(&tenant(), first, None).await.unwrap();
    assert_eq!(retracted.outcome, RetractionOutcome::Retracted);
    assert!(is_there(&service, &id(1)).await);

    let updated = service.update_profile(&tenant(), update(id(3)), None).await;
    assert_eq!(updated, Err(full(3)));
    let (tenant, stranger) = (tenant(), id(3));
    let retracted = service.retract_event(&tenant, visit("none", id(3)), None);
    assert_eq!(retracted.await.map(drop), Err(full(3)));
    let all = service.check_selection(&tenant, Selection::default()).await;
    let released = service.release_events(&tenant, &stranger, all.unwrap(), None);
    let unknown = ServiceError::UnknownProfile(id(3).to_string());
    assert_eq!(released.await.map(drop), Err(unknown));
    let updates = vec![update(id(1)), update(id(4)), update(id(2))];
    let updated = service.update_profiles(&tenant, updates, None).await;
    assert_eq!(updated, Ok(vec![Ok(None), Err(full(3)), Ok(None)]));
    assert_eq!(ended(service, &directory).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_one_message_those_that_need_a_new_record_are_refused_and_no_others() {
    for model in [MODEL, PEOPLE_ALONE] {
        let directory = tempfile::tempdir().unwrap();
        let service = serve_model(Embedded::open(directory.path()).unwrap(), model).await;
        bound(&service, 3);
        score(&service, reply("first", id(1), id(2))).await.unwrap();
        // One person's events are mostly one write.
        let events = vec![
            visit("a", id(1)),
            reply("b", id(1), id(7)),
            visit("c", id(5)),
            reply("d", id(1), id(2)),
            reply("e", id(2), id(8)),
            visit("f", id(1)),
            visit("g", id(5)),
            reply("h", id(6), id(1)),
            visit("i", id(2)),
        ];
        let pending = service.submit_events(&tenant(), events, None).await;
        let results = pending.results().await;
        let is_taken = results.iter().map(|result| match result {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(*error, full(3));
                false
            }
        });
        // There is room for one, and it matters not whose.
        let taken: Vec<bool> = is_taken.collect();
        for of_known in [0, 3, 5, 8] {
            assert!(taken[of_known], "{taken:?}");
        }
        let there = ended(service, &directory).await;
        assert_eq!(there.len(), 3, "{there:?}");
        let has = |number: u64| there.contains(id(number).as_str());
        let expected = [
            (1, has(7)),
            (2, has(5)),
            (4, has(8)),
            (6, has(5)),
            (7, has(6)),
        ];
        for (position, is_there) in expected {
            assert_eq!(taken[position], is_there, "{position}: {taken:?} {there:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn room_for_what_could_not_be_written_is_given_back() {
    let directory = tempfile::tempdir().unwrap();
    let commits_left = Arc::new(AtomicUsize::new(usize::MAX));
    let store = Failing {
        commits_left: Arc::clone(&commits_left),
        ..Failing::well(Embedded::open(directory.path()).unwrap())
    };
    let service = world::serve(store).await;
    bound(&service, 3);
    score(&service, visit("first", id(0))).await.unwrap();
    commits_left.store(0, Ordering::SeqCst);
    for number in 1..20 {
        let failed = score(&service, visit(&number.to_string(), id(number))).await;
        let full_disk = StoreError::Unavailable("the disk is full".to_owned());
        assert_eq!(failed, Err(full_disk.into()));
    }
    commits_left.store(usize::MAX, Ordering::SeqCst);
    for number in 1..3 {
        score(&service, visit("again", id(number))).await.unwrap();
    }
    assert_eq!(score(&service, visit("again", id(3))).await, Err(full(3)));
    assert_eq!(ended(service, &directory).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_there_was_before_a_start_counts_and_nobody_is_lost_when_it_is_too_much() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    for number in 0..5 {
        score(&service, visit("first", id(number))).await.unwrap();
    }
    service.finish().await;
    drop(service);
    let service = open(&directory).await;
    let most = bound(&service, 2);
    for number in 0..5 {
        score(&service, visit("second", id(number))).await.unwrap();
    }
    assert_eq!(score(&service, visit("new", id(5))).await, Err(full(2)));
    most.store(6, Ordering::Relaxed);
    score(&service, visit("new", id(5))).await.unwrap();
    assert_eq!(score(&service, visit("new", id(6))).await, Err(full(6)));
    // Without a quota everybody is let in.
    most.store(0, Ordering::Relaxed);
    score(&service, visit("new", id(6))).await.unwrap();
    most.store(7, Ordering::Relaxed);
    assert_eq!(score(&service, visit("new", id(7))).await, Err(full(7)));
    assert_eq!(ended(service, &directory).await.len(), 7);
}
