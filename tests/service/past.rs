//! Lists for instants before now: what stood before the latest event that was counted is not kept,
//! and nobody is told that it was otherwise.

use bellwether::{
    scoring::{AttributeValue, Attributes, Event, IdHash, Profile, Ranked, Selection, Timestamp},
    service::{
        InfluencerQuery, Page, Paging, ProfileUpdate, SegmentQuery, SegmentTopicsQuery, Service,
        ServiceError, View,
    },
    store::{Store, embedded::Embedded},
};

use crate::world::{DAY, Dice, MODEL, SECOND, at, event, id, open, reading, serve_model, tenant};

/// Clocks may differ by so much.
const SKEW: i64 = 300 * SECOND;

/// A reply of one person to another, so many nanoseconds after the start.
fn reply(person: u64, offset: i64) -> Event {
    let length = AttributeValue::Number(50.0);
    Event {
        id: IdHash::of_event(&format!("{person}-{offset}")),
        profile_id: id(person),
        event_type: "reply".to_owned(),
        time: Some(at(offset)),
        text: "The price!".to_owned(),
        author_id: Some(id(100)),
        attributes: Attributes::from([("length".to_owned(), length)]),
        ..event(&mut Dice(1), 1)
    }
}

async fn count<S: Store>(service: &Service<S>, event: Event) {
    service.score_event(&tenant(), event, None).await.unwrap();
}

fn paging(as_of: Option<Timestamp>) -> Paging {
    Paging {
        as_of,
        page_size: 2,
        start: None,
    }
}

fn everyone(paging: Paging) -> SegmentQuery {
    SegmentQuery {
        segment: "everyone".to_owned(),
        condition: None,
        fraction: None,
        view: View::Full,
        paging,
    }
}

/// A page of everyone.
async fn page<S: Store>(
    service: &Service<S>,
    paging: Paging,
) -> Result<Page<(u64, Ranked)>, ServiceError> {
    let page = service.rank_segment(&tenant(), everyone(paging)).await;
    page.map(|page| page.members)
}

fn on_price(paging: Paging) -> InfluencerQuery {
    InfluencerQuery {
        topic: "price".to_owned(),
        stage: String::new(),
        paging,
    }
}

/// For which instant each list is answered, or why it is not: all say the same.
async fn answered<S: Store>(
    service: &Service<S>,
    as_of: Option<Timestamp>,
) -> Result<Timestamp, ServiceError> {
    let tenant = tenant();
    let segment = page(service, paging(as_of)).await;
    let influencers = service
        .top_influencers(&tenant, on_price(paging(as_of)))
        .await;
    let funnel = service.funnel(&tenant, as_of).await;
    let query = SegmentTopicsQuery {
        segment: "everyone".to_owned(),
        members: 10,
        as_of,
    };
    let topics = service.segment_topics(&tenant, query).await;
    let segment = segment.map(|page| page.as_of);
    assert_eq!(funnel.map(|funnel| funnel.as_of), segment);
    assert_eq!(influencers.map(|page| page.as_of), segment);
    assert_eq!(topics.map(|topics| topics.as_of), segment);
    segment
}

fn refused(as_of: Timestamp, earliest: Timestamp) -> Result<Timestamp, ServiceError> {
    Err(ServiceError::AsOfBeforeLatest { as_of, earliest })
}

#[tokio::test]
async fn nobody_stood_anywhere_before_their_first_event() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    let now = 100 * DAY;
    for person in 0..5 {
        count(&service, reply(person, now)).await;
    }
    for early in [10 * DAY, now - SKEW - 1] {
        let expected = refused(at(early), at(now));
        assert_eq!(answered(&service, Some(at(early))).await, expected);
    }
    // As far as clocks may differ, the later instant is meant.
    for near in [now - SKEW, now - 1, now] {
        assert_eq!(answered(&service, Some(at(near))).await, Ok(at(now)));
    }
    assert_eq!(answered(&service, None).await, Ok(at(now)));
    let later = at(now + 90 * DAY);
    assert_eq!(answered(&service, Some(later)).await, Ok(later));
}

#[tokio::test]
async fn an_archive_is_asked_from_its_last_event_on_until_a_later_one_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    for day in [3, 8, 5] {
        count(&service, reply(1, day * DAY)).await;
    }
    assert_eq!(answered(&service, None).await, Ok(at(100 * DAY)));
    for day in [8, 9, 99] {
        let instant = at(day * DAY);
        assert_eq!(answered(&service, Some(instant)).await, Ok(instant));
    }
    let early = at(7 * DAY);
    assert_eq!(
        answered(&service, Some(early)).await,
        refused(early, at(8 * DAY))
    );
    // What comes late, is stated, or is sent again is counted at no later instant.
    count(&service, reply(2, 4 * DAY)).await;
    count(&service, reply(1, 8 * DAY)).await;
    let update = ProfileUpdate {
        profile_id: id(1),
        attributes: Attributes::from([(
            "industry".to_owned(),
            AttributeValue::String("retail".into()),
        )]),
        removed: Vec::new(),
    };
    service
        .update_profile(&tenant(), update, None)
        .await
        .unwrap();
    assert_eq!(answered(&service, Some(at(8 * DAY))).await, Ok(at(8 * DAY)));
    count(&service, reply(3, 50 * DAY)).await;
    let refusal = refused(at(8 * DAY), at(50 * DAY));
    assert_eq!(answered(&service, Some(at(8 * DAY))).await, refusal);
    // After a restart too.
    service.finish().await;
    drop(service);
    let service = open(&directory).await;
    assert_eq!(answered(&service, Some(at(8 * DAY))).await, refusal);
    assert_eq!(
        answered(&service, Some(at(50 * DAY))).await,
        Ok(at(50 * DAY))
    );
}

#[tokio::test]
async fn a_list_and_a_profile_of_one_instant_agree_to_the_nanosecond() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    let last = 10 * DAY + SECOND / 3;
    count(&service, reply(1, last)).await;
    let second = at(10 * DAY + SECOND);
    assert_eq!(answered(&service, Some(at(last))).await, Ok(second));
    let page = page(&service, paging(Some(at(last)))).await.unwrap();
    let (_, member) = &page.entries[0];
    let query = reading(View::Full, Some(page.as_of));
    let profile = service.profile(&tenant(), &id(1), query).await.unwrap();
    assert_eq!(member.profile, profile);
    let own = reading(View::Basic, Some(at(last)));
    assert!(service.profile(&tenant(), &id(1), own).await.is_ok());
}

#[tokio::test]
async fn pages_go_on_at_the_instant_of_the_first_whatever_is_counted_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    for person in 1..=5 {
        count(&service, reply(person, 8 * DAY - person as i64 * SECOND)).await;
    }
    // Answered for the 8th day less a second, and asked for a little before.
    let (last, asked) = (at(8 * DAY - SECOND), at(8 * DAY - 3 * SECOND));
    let first = page(&service, paging(Some(asked))).await.unwrap();
    assert_eq!(first.as_of, last);
    assert_eq!(first.entries[0].1.profile.as_of, last);
    // Who comes to stand in front is not met again, and the others stand where they stood.
    count(&service, reply(1, 90 * DAY)).await;
    assert_eq!(
        answered(&service, Some(last)).await,
        refused(last, at(90 * DAY))
    );
    let mut names: Vec<String> = Vec::new();
    let mut read = first;
    loop {
        // The percentiles of all pages are told, by the formula of the ranks.
        for (_, member) in &read.entries {
            assert!(member.profile.scores[0].percentile.is_some(), "{member:?}");
        }
        let members = read.entries.iter();
        names.extend(members.map(|(_, member)| member.profile.profile_id.to_string()));
        let Some(start) = read.next.clone() else {
            break;
        };
        for as_of in [None, Some(asked), Some(last)] {
            let paging = Paging {
                start: Some(start.clone()),
                ..paging(as_of)
            };
            read = page(&service, paging).await.unwrap();
            assert_eq!(read.as_of, last);
        }
        for other in [at(8 * DAY - 2 * SKEW), at(8 * DAY), at(90 * DAY)] {
            let paging = Paging {
                start: Some(start.clone()),
                ..paging(Some(other))
            };
            let error = page(&service, paging).await.unwrap_err();
            assert_eq!(error, ServiceError::AsOfChanged);
        }
    }
    assert_eq!(
        names,
        ["person-1", "person-2", "person-3", "person-4", "person-5"]
    );
}

#[tokio::test]
async fn what_is_held_counts_at_its_instant_when_it_is_released() {
    let source = MODEL.to_owned()
        + r#"
[[quarantine]]
name = "robots"
when = 'event.channel == "robot"'
"#;
    let directory = tempfile::tempdir().unwrap();
    let store = Embedded::open(directory.path()).unwrap();
    let service = serve_model(store, &source).await;
    count(&service, reply(1, 8 * DAY)).await;
    let held = Event {
        channel: "robot".to_owned(),
        ..reply(2, 20 * DAY)
    };
    count(&service, held).await;
    assert_eq!(answered(&service, Some(at(8 * DAY))).await, Ok(at(8 * DAY)));
    let all = Selection::default();
    let all = service.check_selection(&tenant(), all).await.unwrap();
    let released = service.release_events(&tenant(), &id(2), all, None).await;
    assert_eq!(released.unwrap().outcome, 1);
    let refusal = refused(at(8 * DAY), at(20 * DAY));
    assert_eq!(answered(&service, Some(at(8 * DAY))).await, refusal);
}

#[tokio::test]
async fn a_percentile_is_told_only_where_the_others_are_known() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    count(&service, reply(1, 8 * DAY)).await;
    count(&service, reply(2, 20 * DAY)).await;
    let percentile = async |offset: i64| {
        let query = reading(View::Full, Some(at(offset)));
        let profile = service.profile(&tenant(), &id(1), query).await;
        let Profile { scores, .. } = profile.unwrap();
        assert!(scores[0].points > 0.0);
        scores[0].percentile
    };
    assert_eq!(percentile(8 * DAY).await, None);
    assert_eq!(percentile(20 * DAY - SKEW - 1).await, None);
    assert_eq!(percentile(20 * DAY - SKEW).await, Some(50.0));
    assert_eq!(percentile(30 * DAY).await, Some(50.0));
}
