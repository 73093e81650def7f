//! What counting an event reads of others.

use bellwether::{
    scoring::{AttributeValue, Event, EventOutcome, IdHash, Name, ProfileId},
    service::{ProfileUpdate, Service},
    store::embedded::Embedded,
};

use crate::world::{Dice, SECOND, at, event, id, open, tenant};

fn meeting(second: i64, of: ProfileId, author: Option<u64>, account: &str) -> Event {
    Event {
        id: IdHash::of_event(&format!("meeting {second}")),
        profile_id: of,
        event_type: "meeting".to_owned(),
        time: Some(at(second * SECOND)),
        author_id: author.map(id),
        subjects: Vec::from_iter(ProfileId::of_subject("account", account)),
        ..event(&mut Dice(1), 1)
    }
}

async fn matched(service: &Service<Embedded>, event: Event) -> Vec<Name> {
    match service
        .score_event(&tenant(), event, None)
        .await
        .unwrap()
        .outcome
    {
        EventOutcome::Applied {
            matched_signals, ..
        } => matched_signals,
        outcome => panic!("{outcome:?}"),
    }
}

#[tokio::test]
async fn an_event_reads_what_its_author_states_and_what_its_account_scores() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    let manager = ProfileUpdate {
        profile_id: id(7),
        attributes: [(
            "role".to_owned(),
            AttributeValue::String("manager".to_owned()),
        )]
        .into(),
        removed: Vec::new(),
    };
    service
        .update_profile(&tenant(), manager, None)
        .await
        .unwrap();
    let visit = Event {
        event_type: "visit".to_owned(),
        ..meeting(0, id(50), None, "shop")
    };
    service.score_event(&tenant(), visit, None).await.unwrap();

    let author = "met_a_manager";
    let account = "met_with_a_warm_account";
    let ann = id(1);
    let cases: [(Option<u64>, &str, &[&str]); 5] = [
        (Some(7), "shop", &[author, account]),
        (Some(8), "shop", &[account]),
        (Some(7), "other", &[author]),
        (None, "", &[]),
        (Some(7), "shop", &[author, account]),
    ];
    for (second, (by, of, expected)) in cases.into_iter().enumerate() {
        let event = meeting(second as i64, ann.clone(), by, of);
        assert_eq!(matched(&service, event).await, expected, "{by:?} {of}");
    }
    // Whoever meets themselves is an author as well.
    let own = meeting(99, id(7), Some(7), "");
    assert_eq!(matched(&service, own).await, [author]);
}

#[tokio::test]
async fn events_of_one_message_read_what_those_before_them_did_to_the_account() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    let visit = |second, person| Event {
        event_type: "visit".to_owned(),
        ..meeting(second, id(person), None, "shop")
    };
    let events = vec![
        meeting(0, id(1), None, "shop"),
        visit(1, 50),
        meeting(2, id(2), None, "shop"),
    ];
    let pending = service.submit_events(&tenant(), events, None).await;
    let answers = pending.results().await;
    let matched = answers
        .into_iter()
        .map(|answer| match answer.unwrap().outcome {
            EventOutcome::Applied {
                matched_signals, ..
            } => matched_signals.len(),
            outcome => panic!("{outcome:?}"),
        });
    assert_eq!(
        matched.skip(2).collect::<Vec<_>>(),
        [1],
        "warm by the visit"
    );
    // Nobody of the account had come before the first.
    let first = meeting(3, id(3), None, "other");
    assert!(self::matched(&service, first).await.is_empty());
}

#[tokio::test]
async fn requests_that_are_taken_in_one_after_the_other_read_each_other_in_that_order() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    let mut pending = Vec::new();
    for pair in 0..100 {
        let account = format!("account-{pair}");
        let second = 10 * pair as i64;
        let visit = Event {
            event_type: "visit".to_owned(),
            ..meeting(second, id(1_000 + pair), None, &account)
        };
        for event in [
            meeting(second + 1, id(2_000 + pair), None, &account),
            visit,
            meeting(second + 2, id(3_000 + pair), None, &account),
        ] {
            pending.push(service.submit_events(&tenant(), vec![event], None).await);
        }
    }
    let mut matched = Vec::new();
    for scores in pending {
        match scores.results().await.remove(0).unwrap().outcome {
            EventOutcome::Applied {
                matched_signals, ..
            } => matched.push(matched_signals.len()),
            outcome => panic!("{outcome:?}"),
        }
    }
    assert_eq!(matched, [0, 1, 1].repeat(100), "cold, a visit, warm");
}

#[tokio::test]
async fn events_of_one_message_read_nothing_that_came_after_them() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    let visit = Event {
        event_type: "visit".to_owned(),
        ..meeting(1, id(50), None, "shop")
    };
    let events = vec![
        meeting(0, id(1), None, "shop"),
        visit,
        meeting(2, id(1), None, "shop"),
    ];
    let answers = service
        .submit_events(&tenant(), events, None)
        .await
        .results()
        .await;
    let matched: Vec<usize> = answers
        .into_iter()
        .map(|answer| match answer.unwrap().outcome {
            EventOutcome::Applied {
                matched_signals, ..
            } => matched_signals.len(),
            outcome => panic!("{outcome:?}"),
        })
        .collect();
    assert_eq!(matched, [0, 1, 1]);
}
