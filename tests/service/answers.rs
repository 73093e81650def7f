//! Shares of a segment over its pages, the topics of a segment, and recounts of what a model
//! with breadth and identity answers.

use std::collections::BTreeMap;

use bellwether::{
    scoring::{AttributeValue, Attributes, Event, IdHash},
    service::{
        Fraction, Paging, ProfileUpdate, SegmentPage, SegmentQuery, SegmentTopicsQuery, Service,
        ServiceError, View,
    },
    store::embedded::Embedded,
};
use futures_util::FutureExt as _;

use crate::{
    check_exactness, members,
    world::{DAY, Dice, MODEL, PEOPLE, at, event, id, open, reading, serve_model, stream, tenant},
};

/// What somebody does at `day`, an event of its own.
fn acted(person: u64, kind: &str, day: i64) -> Event {
    Event {
        id: IdHash::of_event(&format!("{person}-{kind}-{day}")),
        profile_id: id(person),
        event_type: kind.to_owned(),
        time: Some(at(day * DAY)),
        author_id: None,
        ..event(&mut Dice(1), 1)
    }
}

async fn act(service: &Service<Embedded>, person: u64, kind: &str, day: i64) {
    let event = acted(person, kind, day);
    service.score_event(&tenant(), event, None).await.unwrap();
}

fn query(segment: &str, fraction: Option<f64>, page_size: usize) -> SegmentQuery {
    SegmentQuery {
        segment: segment.to_owned(),
        condition: None,
        fraction: fraction.map(|fraction| Fraction::new(fraction).unwrap()),
        view: View::Basic,
        paging: Paging {
            as_of: Some(at(20 * DAY)),
            page_size,
            start: None,
        },
    }
}

fn names(page: &SegmentPage) -> Vec<String> {
    let members = page.members.entries.iter();
    members
        .map(|(_, member)| member.profile.profile_id.to_string())
        .collect()
}

/// All pages of a query, of sizes that change from page to page.
async fn all_pages(service: &Service<Embedded>, mut query: SegmentQuery) -> Vec<SegmentPage> {
    let mut pages = Vec::new();
    loop {
        let page = service.rank_segment(&tenant(), query.clone()).await;
        pages.push(page.unwrap());
        query.paging.start = pages[pages.len() - 1].members.next.clone();
        query.paging.page_size += 1;
        if query.paging.start.is_none() {
            return pages;
        }
    }
}

#[tokio::test]
async fn the_pages_of_a_share_add_up_to_it_whatever_their_sizes_and_however_many_are_equal() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    for person in 0..10 {
        act(&service, person, "visit", 10).await;
    }
    for person in [3, 5, 8] {
        act(&service, person, "visit", 11).await;
    }
    let whole = names(
        &service
            .rank_segment(&tenant(), query("everyone", None, 50))
            .await
            .unwrap(),
    );
    assert_eq!(whole.len(), 10);
    for (fraction, expected) in [
        (0.01, 1),
        (0.1, 1),
        (0.3, 3),
        (0.35, 4),
        (0.7, 7),
        (0.71, 8),
        (1.0, 10),
    ] {
        for page_size in 1..=11 {
            let pages = all_pages(&service, query("everyone", Some(fraction), page_size)).await;
            let read: Vec<String> = pages.iter().flat_map(names).collect();
            assert_eq!(
                read,
                whole[..expected],
                "{fraction} in pages of {page_size}"
            );
            assert!(pages.iter().all(|page| page.members.total == 10));
        }
    }
    // Whoever the condition takes out has a place in the share all the same.
    let filtered = SegmentQuery {
        condition: Some("stage == \"consideration\"".to_owned()),
        ..query("everyone", Some(0.5), 2)
    };
    let pages = all_pages(&service, filtered).await;
    assert_eq!(pages.len(), 1, "all of the share are asked for one page");
    assert_eq!(pages[0].members.entries.len(), 0);
    let of_share = SegmentQuery {
        condition: Some("stage == \"\"".to_owned()),
        ..query("everyone", Some(0.5), 2)
    };
    let pages = all_pages(&service, of_share).await;
    let read: Vec<String> = pages.iter().flat_map(names).collect();
    assert_eq!(read, whole[..5]);
    let empty = service
        .rank_segment(&tenant(), query("strangers", Some(0.5), 2))
        .await;
    let empty = empty.unwrap().members;
    assert_eq!((empty.total, empty.entries.len(), empty.next), (0, 0, None));
}

#[tokio::test]
async fn work_whose_caller_has_gone_before_it_began_is_not_done() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    // On this one thread nothing that is queued begins before somebody waits.
    let tenant = tenant();
    let abandoned = service.score_event(&tenant, acted(1, "visit", 1), None);
    assert!(abandoned.now_or_never().is_none());
    let basic = Some(View::Basic);
    let scored = service
        .score_event(&tenant, acted(1, "visit", 2), basic)
        .await;
    assert_eq!(scored.unwrap().profile.unwrap().event_count, 1);
}

#[tokio::test]
async fn a_share_that_is_more_than_is_left_of_the_segment_ends_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    for person in 0..6 {
        for day in 10..13 {
            act(&service, person, "visit", day).await;
        }
    }
    let mut query = query("leaving", Some(1.0), 2);
    let first = service
        .rank_segment(&tenant(), query.clone())
        .await
        .unwrap();
    assert_eq!(names(&first), ["person-0", "person-1"]);
    let start = first.members.next.unwrap();
    assert_eq!(start.left, Some(4));
    for person in 2..5 {
        for day in 13..15 {
            act(&service, person, "complaint", day).await;
        }
    }
    query.paging.start = Some(start);
    let second = service.rank_segment(&tenant(), query).await.unwrap();
    assert_eq!(
        (names(&second), second.members.next),
        (vec!["person-5".to_owned()], None)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_topics_of_a_segment_are_the_interests_of_its_highest_members() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory).await;
    let mut dice = Dice(9);
    let events: Vec<Event> = (0..400).map(|number| event(&mut dice, number)).collect();
    stream(&service, &events).await;
    let instant = at(20 * DAY);
    let (everyone, total) = members(&service, "everyone", 7, instant).await;
    assert!(everyone.len() > 5);
    for count in [1, 3, everyone.len(), 1_000] {
        let query = SegmentTopicsQuery {
            segment: "everyone".to_owned(),
            members: count,
            as_of: Some(instant),
        };
        let found = service.segment_topics(&tenant(), query).await.unwrap();
        let counted = count.min(everyone.len());
        assert_eq!((found.members, found.total), (counted, total));
        let mut expected: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
        for interest in everyone[..counted]
            .iter()
            .flat_map(|member| &member.interests)
        {
            let topic = expected.entry(&interest.topic).or_default();
            *topic = (topic.0 + interest.points, topic.1 + 1);
        }
        assert_eq!(found.topics.len(), expected.len());
        assert!(found.topics.is_sorted_by(|a, b| a.points >= b.points));
        for topic in &found.topics {
            let (points, members) = expected[topic.topic.as_str()];
            assert!((topic.points - points).abs() < 1e-9 * points, "{topic:?}");
            assert_eq!(topic.members, members);
        }
    }
    let unknown = SegmentTopicsQuery {
        segment: "nowhere".to_owned(),
        members: 5,
        as_of: None,
    };
    let refused = service
        .segment_topics(&tenant(), unknown)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, ServiceError::UnknownName { .. }),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_breadth_and_identity_every_answer_equals_a_recount_at_any_instant() {
    let source = MODEL
        .replace(
            "[scores.interest]\n",
            "[scores.interest]\nbreadth = 2\nbreadth_share = 0.3\n",
        )
        .replace(
            "name = \"strangers\"\n",
            "name = \"strangers\"\nmin_confidence = 0.5\n",
        )
        + r#"
[[identity]]
name = "says_where_they_work"
when = 'has(profile.attributes.industry)'
confidence = 0.4
[[identity]]
name = "bought"
when = 'seen("purchase")'
confidence = 0.3
"#;
    for seed in 1..=3 {
        let directory = tempfile::tempdir().unwrap();
        let store = Embedded::open(directory.path()).unwrap();
        let service = serve_model(store, &source).await;
        let mut dice = Dice(seed);
        for number in 0..PEOPLE {
            let industry = ["retail", "media", ""][dice.roll(3) as usize];
            let stated = (
                "industry".to_owned(),
                AttributeValue::String(industry.to_owned()),
            );
            let update = ProfileUpdate {
                profile_id: id(number),
                attributes: Attributes::from_iter((!industry.is_empty()).then_some(stated)),
                removed: Vec::new(),
            };
            service
                .update_profile(&tenant(), update, None)
                .await
                .unwrap();
        }
        let events: Vec<Event> = (0..600).map(|number| event(&mut dice, number)).collect();
        stream(&service, &events).await;
        for later in [0, 1, 5, 30] {
            check_exactness(&service, at((15 + later) * DAY)).await;
        }
        let (everyone, _) = members(&service, "everyone", 10, at(15 * DAY)).await;
        assert!(
            (1..PEOPLE as usize).contains(&everyone.len()),
            "some lack breadth, not all"
        );
        let (strangers, _) = members(&service, "strangers", 10, at(15 * DAY)).await;
        for stranger in &strangers {
            let confidence = stranger.identity_confidence.unwrap();
            assert_eq!(confidence, 0.58, "0.4 alone is not enough");
        }
        assert!(!strangers.is_empty(), "somebody is known well enough");
        service.finish().await;
    }
}

#[tokio::test]
async fn of_whom_nothing_counts_only_the_points_are_told_that_everybody_starts_with() {
    let source = r#"
[scores.fit]
base = 1
[[stages]]
name = "awareness"
[[segments]]
name = "fitting"
rank_by = "fit"
[[quarantine]]
name = "robots"
when = 'event.type == "crawl"'
"#;
    let directory = tempfile::tempdir().unwrap();
    let store = Embedded::open(directory.path()).unwrap();
    let service = serve_model(store, source).await;
    let (counted, held, retracted) = (1, 2, 3);
    act(&service, counted, "visit", 10).await;
    act(&service, held, "crawl", 10).await;
    act(&service, retracted, "visit", 10).await;
    let visit = acted(retracted, "visit", 10);
    service.retract_event(&tenant(), visit, None).await.unwrap();

    let fit = async |person| {
        let at = Some(at(20 * DAY));
        let (tenant, id) = (tenant(), id(person));
        let profile = service.profile(&tenant, &id, reading(View::Full, at));
        let mut profile = profile.await.unwrap();
        (profile.scores.remove(0), profile)
    };
    let (score, profile) = fit(counted).await;
    assert_eq!((score.points, score.percentile), (1.0, Some(100.0)));
    assert_eq!(profile.stage.as_deref(), Some("awareness"));
    assert_eq!(profile.segments[0].segment, "fitting");
    assert_eq!(profile.segments[0].points, 1.0);
    for person in [held, retracted] {
        let (score, profile) = fit(person).await;
        assert_eq!((score.name.as_str(), score.base), ("fit", 1.0));
        assert_eq!((score.points, score.percentile), (1.0, None));
        assert_eq!((profile.stage, profile.segments), (None, vec![]));
    }
    let fitting = query("fitting", None, 50);
    let ranked = service.rank_segment(&tenant(), fitting).await.unwrap();
    assert_eq!(names(&ranked), ["person-1"]);
    let funnel = service.funnel(&tenant(), Some(at(20 * DAY))).await.unwrap();
    assert_eq!(funnel.stages[0], ("awareness".to_owned(), 1));
    assert_eq!(funnel.unstaged, 0);
}
