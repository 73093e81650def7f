//! Conditions that calls send: who is asked, in which order and within which budget, and that all
//! pages together have exactly those that the condition holds for.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicI64, Ordering},
};

use bellwether::{
    rollout::Models,
    scoring::{AttributeValue, Attributes, Ranked},
    service::{
        Fraction, Paging, ProfileUpdate, SegmentPage, SegmentQuery, Service, ServiceError, View,
    },
    store::embedded::Embedded,
    telemetry::Counters,
};
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::{runtime::Runtime, sync::OnceCell};

use crate::world::{DAY, SECOND, at, id, model, serve_model, settings, tenant};

const MODEL: &str = r#"
[scores.fit]
[[attributes]]
name = "stated"
value = 'profile.attributes.worth'
points = { fit = 1 }
[[stages]]
name = "known"
[[stages]]
name = "worthy"
min = { fit = 500 }
[[segments]]
name = "all"
rank_by = "fit"
"#;

/// So many people of whom number n is worth n, one in a hundred of whom live in the north, and one
/// in ten of whom says how old they are.
async fn people(service: &Service<Embedded>, count: u64) {
    let number = |number: u64| AttributeValue::Number(number as f64);
    let updates: Vec<ProfileUpdate> = (1..=count)
        .map(|person| {
            let region = if person % 100 == 7 { "north" } else { "south" };
            let mut attributes = Attributes::from([
                ("worth".to_owned(), number(person)),
                (
                    "region".to_owned(),
                    AttributeValue::String(region.to_owned()),
                ),
            ]);
            if person % 10 == 0 {
                attributes.insert("age".to_owned(), number(person % 90));
            }
            ProfileUpdate {
                profile_id: id(person),
                attributes,
                removed: Vec::new(),
            }
        })
        .collect();
    for batch in updates.chunks(1_000) {
        let tenant = tenant();
        let made = service.update_profiles(&tenant, batch.to_vec(), None);
        for result in made.await.unwrap() {
            result.unwrap();
        }
    }
}

async fn open(directory: &TempDir, count: u64) -> Service<Embedded> {
    let store = Embedded::open(directory.path()).unwrap();
    let service = serve_model(store, MODEL).await;
    people(&service, count).await;
    service
}

fn query(condition: &str, page_size: usize) -> SegmentQuery {
    SegmentQuery {
        segment: "all".to_owned(),
        condition: Some(condition.to_owned()),
        fraction: None,
        view: View::Basic,
        paging: Paging {
            as_of: Some(at(DAY)),
            page_size,
            start: None,
        },
    }
}

async fn page(service: &Service<Embedded>, query: &SegmentQuery) -> SegmentPage {
    let page = service.rank_segment(&tenant(), query.clone()).await;
    page.unwrap()
}

async fn all_pages(service: &Service<Embedded>, mut query: SegmentQuery) -> Vec<SegmentPage> {
    let mut pages = Vec::new();
    loop {
        let page = page(service, &query).await;
        query.paging.start = page.members.next.clone();
        pages.push(page);
        if query.paging.start.is_none() {
            return pages;
        }
    }
}

/// The worth of each member, which is who it is.
fn worths(pages: &[SegmentPage]) -> Vec<u64> {
    let members = pages.iter().flat_map(|page| &page.members.entries);
    members.map(|(_, member)| worth(member)).collect()
}

fn worth(member: &Ranked) -> u64 {
    member.points as u64
}

#[tokio::test]
async fn pages_are_short_or_empty_and_together_have_all_that_the_condition_holds_for() {
    let directory = tempfile::tempdir().unwrap();
    let count = 3_210;
    let service = open(&directory, count).await;
    let north = "profile.attributes.region == \"north\"";
    let expected: Vec<u64> = (1..=count).rev().filter(|n| n % 100 == 7).collect();
    for page_size in [1, 7, 50, 1_000] {
        let pages = all_pages(&service, query(north, page_size)).await;
        assert_eq!(worths(&pages), expected, "pages of {page_size}");
        let entries = pages.iter().flat_map(|page| &page.members.entries);
        for (rank, member) in entries {
            assert_eq!(*rank, count - worth(member) + 1, "the rank among all");
        }
        assert!(pages.iter().all(|page| page.members.total == count));
        assert!(pages.iter().all(|page| page.condition_failed == 0));
    }
    // One in a thousand and fewer: nobody is found within what one call may ask.
    let rare = "scores.fit < 8 && profile.attributes.region == \"north\"";
    let pages = all_pages(&service, query(rare, 10)).await;
    let found: Vec<usize> = pages
        .iter()
        .map(|page| page.members.entries.len())
        .collect();
    assert_eq!(found, [0, 0, 0, 1]);
    let by_stage = all_pages(&service, query("stage == \"known\"", 100)).await;
    assert_eq!(worths(&by_stage), (1..500).rev().collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_call_asks_twenty_for_each_entry_of_its_page_and_at_least_a_thousand() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory, 2_500).await;
    for (page_size, asked) in [(1, 1_000), (50, 1_000), (60, 1_200), (100, 2_000)] {
        let first = page(&service, &query("false", page_size)).await;
        assert!(first.members.entries.is_empty());
        let next = first.members.next.unwrap();
        assert_eq!(next.after.profile_id, id(2_500 - asked + 1));
    }
    let whole = page(&service, &query("false", 1_000)).await;
    assert_eq!(whole.members.next, None);
}

#[tokio::test]
async fn a_condition_that_fails_is_no_match_and_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory, 1_500).await;
    let pages = all_pages(&service, query("profile.attributes.age >= 0", 100)).await;
    let expected: Vec<u64> = (1..=1_500).rev().filter(|n| n % 10 == 0).collect();
    assert_eq!(worths(&pages), expected);
    let failed: u64 = pages.iter().map(|page| page.condition_failed).sum();
    assert_eq!(failed, 1_350);
    let careful = "has(profile.attributes.age) && profile.attributes.age >= 0";
    let pages = all_pages(&service, query(careful, 100)).await;
    assert_eq!(worths(&pages), expected);
    assert!(pages.iter().all(|page| page.condition_failed == 0));
}

#[tokio::test]
async fn a_share_is_one_of_the_segment_and_the_condition_takes_from_it() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory, 3_000).await;
    for page_size in [1, 3, 1_000] {
        let mut query = query("profile.attributes.region == \"north\"", page_size);
        query.fraction = Fraction::new(0.7);
        let pages = all_pages(&service, query).await;
        let expected: Vec<u64> = (901..=3_000).rev().filter(|n| n % 100 == 7).collect();
        assert_eq!(worths(&pages), expected);
        assert!(pages.iter().all(|page| page.members.total == 3_000));
    }
}

#[tokio::test]
async fn a_call_that_has_taken_its_time_goes_on_with_the_next_page() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(&directory, 40).await);
    // Each look at the clock finds it so much later.
    let step = Arc::new(AtomicI64::new(0));
    let now = AtomicI64::new(0);
    let clock = {
        let step = Arc::clone(&step);
        move || at(100 * DAY + now.fetch_add(step.load(Ordering::Relaxed), Ordering::Relaxed))
    };
    let service = Service::open(
        Embedded::open(directory.path()).unwrap(),
        Models::Shared(model(MODEL)),
        settings(),
        Arc::new(clock),
        Counters::disabled(),
    );
    let service = service.await.unwrap();
    for (millis, pages) in [(0, 1), (1, 4), (3, 10), (9, 20), (10, 40), (5_000, 40)] {
        step.store(millis * SECOND / 1_000, Ordering::Relaxed);
        let found = all_pages(&service, query("true", 100)).await;
        assert_eq!(found.len(), pages, "{millis} ms for each");
        assert_eq!(worths(&found), (1..=40).rev().collect::<Vec<u64>>());
    }
}

#[tokio::test]
async fn a_call_that_has_read_much_goes_on_with_the_next_page() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory, 500).await;
    let long = AttributeValue::String("x".repeat(15_000));
    let updates = (1..=500).map(|person| ProfileUpdate {
        profile_id: id(person),
        attributes: Attributes::from([("story".to_owned(), long.clone())]),
        removed: Vec::new(),
    });
    let tenant = tenant();
    let made = service.update_profiles(&tenant, updates.collect(), None);
    assert!(made.await.unwrap().iter().all(Result::is_ok));
    let pages = all_pages(&service, query("profile.attributes.worth > 0", 1_000)).await;
    assert_eq!(worths(&pages), (1..=500).rev().collect::<Vec<u64>>());
    // 4 MiB are 277 of these.
    assert_eq!(pages.len(), 2);
    assert!((270..=280).contains(&pages[0].members.entries.len()));
}

#[tokio::test]
async fn a_mistake_in_a_condition_is_told_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory, 1).await;
    let tenant = tenant();
    let asked = service.rank_segment(&tenant, query("scores.fitt > 1", 10));
    match asked.await {
        Err(ServiceError::Condition(mistakes)) => {
            assert_eq!(mistakes.len(), 1);
            assert!(mistakes[0].message.contains("did you mean \"fit\"?"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn four_calls_with_a_condition_are_in_work_some_wait_and_more_are_turned_away() {
    let directory = tempfile::tempdir().unwrap();
    let service = open(&directory, 1).await;
    let mut waiting = Vec::new();
    let mut in_work = Vec::new();
    for _ in 0..4 {
        in_work.push(service.condition_turn().await.unwrap());
    }
    for _ in 0..64 {
        let mut turn = Box::pin(service.condition_turn());
        assert!(futures_util::poll!(&mut turn).is_pending());
        waiting.push(turn);
    }
    for _ in 0..2 {
        let turned_away = service.condition_turn().await;
        assert!(matches!(turned_away, Err(ServiceError::Overloaded { .. })));
    }
    // The first in line comes next, and leaves room for one more to wait.
    drop(in_work.pop());
    let next = waiting.remove(0).await.unwrap();
    let mut last = Box::pin(service.condition_turn());
    assert!(futures_util::poll!(&mut last).is_pending());
    // Who leaves the line leaves no gap.
    drop((waiting, in_work, next));
    last.await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn a_condition_finds_whom_a_look_at_everybody_finds(
        residue in 0_u64..10,
        divisor in 1_u64..400,
        page_sizes in prop::collection::vec(1_usize..200, 1..4),
        fraction in prop::option::of(0.01_f64..1.0),
    ) {
        let (runtime, directory, service) = shared();
        runtime.block_on(async {
            let service = service.get_or_init(|| open(directory, 2_400)).await;
            let condition = format!(
                "double(profile.attributes.worth) % {divisor} == {}.0",
                residue % divisor,
            );
            let mut query = query(&condition, page_sizes[0]);
            query.fraction = fraction.and_then(Fraction::new);
            let mut pages = Vec::new();
            for size in page_sizes.iter().cycle() {
                query.paging.page_size = *size;
                let page = page(service, &query).await;
                assert!(page.members.entries.len() <= *size);
                query.paging.start = page.members.next.clone();
                pages.push(page);
                if query.paging.start.is_none() {
                    break;
                }
            }
            let most = fraction.map_or(2_400, |fraction| (fraction * 2_400.0).ceil() as usize);
            let everybody = (1..=2_400_u64).rev().take(most);
            let expected: Vec<u64> = everybody
                .filter(|worth| worth % divisor == residue % divisor)
                .collect();
            assert_eq!(worths(&pages), expected, "{condition}");
        });
    }
}

type Shared = (Runtime, TempDir, OnceCell<Service<Embedded>>);

/// One world for all cases: they only ask.
fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        (runtime, tempfile::tempdir().unwrap(), OnceCell::new())
    })
}
