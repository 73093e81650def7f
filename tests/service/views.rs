//! How much of a profile a write answers with.

use bellwether::{
    scoring::{Event, EventOutcome, IdHash, Profile},
    service::{ProfileUpdate, Service, View},
    store::{Store, embedded::Embedded},
};

use crate::{
    failing::Failing,
    world::{DAY, Dice, at, event, id, open, serve, tenant},
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
    let profile = service.profile(&tenant(), &id(person), view, None).await;
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
    let read = service.profile(&tenant(), &id(1), View::Full, None).await;
    assert!(read.is_err(), "a read says that it cannot");
}
