//! How much of a profile a write answers with, batches of reads and updates, and those whom nobody
//! knows.

use bellwether::{
    rollout::Models,
    scoring::{AttributeValue, Event, EventOutcome, IdHash, Profile},
    service::{ProfileQuery, ProfileUpdate, Service, ServiceError, Settings, View},
    store::{Store, StoreError, embedded::Embedded},
};

use crate::{
    failing::Failing,
    world::{
        DAY, Dice, MODEL, at, event, id, model, open, open_as, reading, serve, settings, tenant,
    },
};

const FULL: Option<View> = Some(View::Full);

fn visited(person: u64, day: i64) -> Event {
    Event {
        id: IdHash::of_event(&format!("{person}-{day}")),
        profile_id: id(person),
        event_type: "visit".to_owned(),
        time: Some(at(day * DAY)),
        author_id: None,
        ..event(&mut Dice(1), 1)
    }
}

fn update(person: u64) -> ProfileUpdate {
    ProfileUpdate {
        profile_id: id(person),
        attributes: Default::default(),
        removed: Vec::new(),
    }
}

async fn read<S: Store>(service: &Service<S>, person: u64, view: View) -> Option<Profile> {
    let profile = service
        .profile(&tenant(), &id(person), reading(view, None))
        .await;
    Some(profile.unwrap())
}

fn percentile(profile: &Option<Profile>) -> Option<f64> {
    profile.as_ref()?.scores[1].percentile
}

#[tokio::test]
async fn a_write_answers_as_much_as_is_asked_for_and_what_a_read_would() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    let tenant = tenant();
    for person in 1..4 {
        let visit = visited(person, person as i64);
        let scored = service.score_event(&tenant, visit, None).await.unwrap();
        assert!(matches!(scored.outcome, EventOutcome::Applied { .. }));
        assert_eq!(scored.profile, None);
    }
    for (day, view) in (10..).zip([View::Basic, View::Full]) {
        let scored = service.score_event(&tenant, visited(1, day), Some(view));
        let profile = scored.await.unwrap().profile;
        assert_eq!(profile, read(&service, 1, view).await);
        let is_full = view == View::Full;
        assert_eq!(percentile(&profile).is_some(), is_full);
        let scores = profile.unwrap().scores;
        assert_eq!(scores[1].contributions.is_empty(), !is_full);
    }
    let retracted = service.retract_event(&tenant, visited(1, 11), FULL).await;
    let profile = retracted.unwrap().profile;
    assert!(percentile(&profile).is_some());
    assert_eq!(profile, read(&service, 1, View::Full).await);
    let retracted = service.retract_event(&tenant, visited(1, 10), None).await;
    assert_eq!(retracted.unwrap().profile, None);
    let updated = service.update_profile(&tenant, update(1), FULL).await;
    assert_eq!(updated.unwrap(), read(&service, 1, View::Full).await);
    let updated = service.update_profile(&tenant, update(1), None).await;
    assert_eq!(updated.unwrap(), None);
}

#[tokio::test]
async fn events_of_a_stream_are_answered_in_full_each_as_it_stands() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    let events: Vec<Event> = (1..6).map(|person| visited(person, 10)).collect();
    let pending = service.submit_events(&tenant(), events, FULL).await;
    for (person, scored) in (1..).zip(pending.results().await) {
        let profile = scored.unwrap().profile;
        assert_eq!(percentile(&profile), Some(100.0), "all have as many points");
        assert_eq!(profile, read(&service, person, View::Full).await);
    }
    let twice = vec![visited(1, 11), visited(1, 12)];
    let pending = service.submit_events(&tenant(), twice, FULL).await;
    let counts = pending.results().await.into_iter();
    let counts = counts.map(|scored| scored.unwrap().profile.unwrap().event_count);
    assert_eq!(counts.collect::<Vec<_>>(), [2, 3]);
}

#[tokio::test]
async fn a_durable_write_is_answered_though_its_percentiles_cannot_be_counted() {
    let directory = tempfile::tempdir().unwrap();
    let service = serve(Failing {
        refuses_counts: true,
        ..Failing::well(Embedded::open(directory.path()).unwrap())
    })
    .await;
    let scored = service.score_event(&tenant(), visited(1, 10), FULL).await;
    let profile = scored.unwrap().profile;
    assert_eq!(percentile(&profile), None);
    assert!(!profile.unwrap().scores[1].contributions.is_empty());
    let read = service
        .profile(&tenant(), &id(1), reading(View::Full, None))
        .await;
    assert!(read.is_err(), "a read says that it cannot");
}

#[tokio::test]
async fn updates_of_a_batch_are_made_in_order_and_fail_alone() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    let setting = |person, name: &str, value: f64| ProfileUpdate {
        attributes: [(name.to_owned(), AttributeValue::Number(value))].into(),
        ..update(person)
    };
    let full = ProfileUpdate {
        attributes: (0..64)
            .map(|number| (format!("a{number}"), AttributeValue::Number(0.0)))
            .collect(),
        ..update(2)
    };
    let forgetting = ProfileUpdate {
        removed: vec!["rank".to_owned()],
        ..update(1)
    };
    let updates = vec![
        setting(1, "age", 1.0),
        full,
        setting(2, "one_too_many", 1.0),
        setting(1, "rank", 2.0),
        forgetting,
        setting(1, "age", 3.0),
    ];
    let basic = Some(View::Basic);
    let made = service.update_profiles(&tenant(), updates, basic).await;
    let stated: Vec<_> = made.unwrap().into_iter().map(stated).collect();
    let age = |age: f64| Some(vec![("age".to_owned(), AttributeValue::Number(age))]);
    assert_eq!((&stated[0], &stated[4]), (&age(1.0), &age(1.0)));
    assert_eq!(stated[1].as_ref().unwrap().len(), 64);
    assert_eq!(stated[2], None, "it has 64 already");
    assert_eq!(stated[3].as_ref().unwrap().len(), 2);
    assert_eq!(stated[5], age(3.0));
}

#[tokio::test]
async fn who_states_nothing_any_more_is_known_and_stands_nowhere() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    let stating = ProfileUpdate {
        attributes: [("age".to_owned(), AttributeValue::Number(1.0))].into(),
        ..update(1)
    };
    let forgetting = ProfileUpdate {
        removed: vec!["age".to_owned()],
        ..update(1)
    };
    let saying_nothing = update(2);
    for update in [stating, forgetting, saying_nothing] {
        let tenant = tenant();
        let answered = service.update_profile(&tenant, update, Some(View::Basic));
        assert!(answered.await.unwrap().unwrap().exists);
    }
    for person in [1, 2] {
        let (tenant, person) = (tenant(), id(person));
        let read = service.profile(&tenant, &person, reading(View::Basic, None));
        let profile = read.await.unwrap();
        assert!(
            profile.exists && profile.attributes.is_empty(),
            "{profile:?}"
        );
        assert_eq!((profile.stage, profile.event_count), (None, 0));
    }
    let funnel = service.funnel(&tenant(), None).await.unwrap();
    let counted: u64 = funnel.stages.iter().map(|(_, count)| count).sum();
    assert_eq!(
        counted + funnel.unstaged,
        0,
        "nobody who states nothing is a prospect"
    );
    let (tenant, unknown) = (tenant(), id(3));
    let stranger = service.profile(&tenant, &unknown, reading(View::Basic, None));
    assert!(stranger.await.is_err());
}

/// What a profile states after an update, unless it failed.
fn stated(updated: Result<Option<Profile>, ServiceError>) -> Option<Vec<(String, AttributeValue)>> {
    let profile = updated.ok()?.unwrap();
    Some(profile.attributes.into_iter().collect())
}

#[tokio::test]
async fn a_batch_larger_than_all_that_may_be_in_flight_goes_alone_and_gives_its_room_back() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings {
        max_events_in_flight: 8,
        ..settings()
    };
    let store = Embedded::open(directory.path()).unwrap();
    let models = Models::Shared(model(MODEL));
    let service = open_as(store, models, settings).await.unwrap();
    let tenant = tenant();
    for _ in 0..3 {
        let updates: Vec<_> = (0..100).map(update).collect();
        let both = tokio::join!(
            service.update_profiles(&tenant, updates.clone(), None),
            service.update_profiles(&tenant, updates, None),
        );
        for made in [both.0, both.1] {
            let made = made.unwrap();
            assert_eq!(made.len(), 100);
            assert!(made.iter().all(|updated| *updated == Ok(None)));
        }
    }
}

#[tokio::test]
async fn nobody_keeps_the_others_of_a_batch_from_being_read() {
    let directory = tempfile::tempdir().unwrap();
    let service = serve(Failing {
        damaged: vec![id(4)],
        ..Failing::well(Embedded::open(directory.path()).unwrap())
    })
    .await;
    for person in 1..4 {
        let visit = visited(person, 10 * person as i64);
        service.score_event(&tenant(), visit, None).await.unwrap();
    }
    let (tenant, at) = (tenant(), Some(at(20 * DAY)));
    let people = [1, 9, 2, 3, 4, 1].map(id);
    for view in [View::Basic, View::Full] {
        let read = service
            .profiles(&tenant, &people, reading(view, at))
            .await
            .unwrap();
        let known = [0, 2, 5].map(|index| read[index].clone().unwrap());
        for (person, profile) in [1, 2, 1].into_iter().zip(known) {
            let alone = service
                .profile(&tenant, &id(person), reading(view, at))
                .await;
            assert_eq!(alone, Ok(profile));
        }
        let failed = [1, 3, 4].map(|index| read[index].clone().unwrap_err());
        let unknown = ServiceError::UnknownProfile("person-9".to_owned());
        assert_eq!(failed[0], unknown);
        assert!(matches!(
            failed[1],
            ServiceError::AsOfBeforeLastEvent { .. }
        ));
        let is_damaged =
            |error: &ServiceError| matches!(error, ServiceError::Store(StoreError::Corrupt(_)));
        assert!(is_damaged(&failed[2]));
        let read = service
            .profiles(&tenant, &people[4..5], reading(view, at))
            .await;
        assert!(
            is_damaged(&read.unwrap_err()),
            "there is nothing else to say"
        );
    }
}

#[tokio::test]
async fn of_an_unknown_person_may_be_told_what_everybody_starts_with_and_nothing_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    for person in 1..3 {
        let visit = visited(person, 10);
        service.score_event(&tenant(), visit, None).await.unwrap();
    }
    let retracted = service.retract_event(&tenant(), visited(2, 10), None).await;
    retracted.unwrap();
    let people = [1, 2, 3].map(id);
    for view in [View::Basic, View::Full] {
        let query = ProfileQuery {
            or_default: true,
            ..reading(view, Some(at(50 * DAY)))
        };
        let read = service.profiles(&tenant(), &people, query).await.unwrap();
        let read: Vec<Profile> = read.into_iter().map(Result::unwrap).collect();
        let [known, left, stranger] = <[Profile; 3]>::try_from(read).unwrap();
        assert!(known.exists && left.exists && !stranger.exists);
        assert_eq!(stranger.profile_id, id(3));
        assert_eq!(stranger.as_of, at(50 * DAY));
        // Nothing has counted of the other one either.
        assert_eq!(stranger.scores, left.scores);
        assert_eq!(stranger.scores[2].points, 1.0, "where everybody starts");
        assert_eq!(stranger.stage_explanation, left.stage_explanation);
        assert_eq!((stranger.stage, stranger.segments), (None, Vec::new()));
        assert_eq!(
            known,
            service.profile(&tenant(), &id(1), query).await.unwrap()
        );
        let now = ProfileQuery {
            as_of: None,
            ..query
        };
        let stranger = service.profile(&tenant(), &id(3), now).await.unwrap();
        assert_eq!(stranger.as_of, at(100 * DAY));
    }
    let read = service
        .profile(&tenant(), &id(3), reading(View::Basic, None))
        .await;
    let unknown = ServiceError::UnknownProfile("person-3".to_owned());
    assert_eq!(read, Err(unknown));
    let funnel = service.funnel(&tenant(), None).await.unwrap();
    let everybody: u64 = funnel.stages.iter().map(|(_, people)| people).sum();
    assert_eq!(everybody + funnel.unstaged, 1);
}
