//! Cases of ranks and totals: order, ranges, cursors, counts.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bellwether::scoring::{Record, Tenant, Timestamp};
use bellwether::store::{
    Commit, Committed, Cursor, RankCounts, RankPage, RankStore, Store, TopicTotals, Version,
};

use super::{
    GENERATION, Subject, added, all, begin, change, commit, commit_all, commit_one, fenced, id,
    key, new_tenant, range, ranked, walk,
};

pub async fn a_rank_that_nobody_holds_is_empty(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let page = store
        .page(&tenant, GENERATION, &all("interest"), None, 10)
        .await;
    assert_eq!(page, Ok(RankPage::default()));
    let count = store.count(&tenant, GENERATION, &[all("interest")]).await;
    assert_eq!(count.unwrap().counts, [0]);
}

pub async fn a_page_is_in_order_of_key_then_id(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let commits = vec![
        ranked("low", "r", -2.5),
        ranked("b", "r", 7.0),
        ranked("zero", "r", 0.0),
        ranked("a", "r", 7.0),
        ranked("á", "r", 7.0),
        ranked("B", "r", 7.0),
        ranked("high", "r", 1e12),
        ranked("tiny", "r", -1e12),
    ];
    commit_all(&*store, &tenant, commits).await;
    let page = store
        .page(&tenant, GENERATION, &all("r"), None, 100)
        .await
        .unwrap();
    let order: Vec<_> = page.entries.iter().map(|(_, id)| id.as_str()).collect();
    assert_eq!(order, ["high", "B", "a", "b", "á", "zero", "low", "tiny"]);
}

pub async fn pages_join_without_gap_or_repeat(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let commits: Vec<_> = (0..100)
        .map(|number| ranked(&format!("p{number:02}"), "r", f64::from(number % 7)))
        .collect();
    commit_all(&*store, &tenant, commits).await;
    let mut expected: Vec<_> = (0..100)
        .map(|number| (f64::from(number % 7), format!("p{number:02}")))
        .collect();
    expected.sort_by(|first, second| {
        let by_key = second.0.total_cmp(&first.0);
        by_key.then_with(|| first.1.cmp(&second.1))
    });
    for page_size in [1, 7, 99, 100, 1_000] {
        assert_eq!(
            walk(&*store, &tenant, &all("r"), page_size).await,
            expected,
            "in pages of {page_size}"
        );
    }
}

pub async fn pages_of_many_equal_keys_are_in_order_of_ids_whatever_their_size(
    subject: impl Subject,
) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    // Ids that begin alike, for more than one step of a comparison, and some that end sooner.
    let ids: Vec<String> = (0..300)
        .map(|number| format!("{}{number}", "0123456789abcde".repeat(number % 5)))
        .collect();
    let commits = ids.iter().enumerate();
    let value = |number: usize| {
        [7.0, 8.0, f64::NEG_INFINITY]
            [usize::from(number.is_multiple_of(50)) + usize::from(number.is_multiple_of(3))]
    };
    let commits = commits.map(|(number, id)| ranked(id, "r", value(number)));
    commit_all(&*store, &tenant, commits.collect()).await;
    let mut expected: Vec<_> = ids.into_iter().enumerate().collect();
    expected.sort_by(|(number, id), (other, other_id)| {
        let by_key = value(*other).total_cmp(&value(*number));
        by_key.then_with(|| id.cmp(other_id))
    });
    let expected: Vec<_> = expected.into_iter().map(|(_, id)| id).collect();
    for page_size in [1, 7, 64, 65, 200, 1_000] {
        let entries = walk(&*store, &tenant, &all("r"), page_size).await;
        let ids: Vec<_> = entries.into_iter().map(|(_, id)| id).collect();
        assert_eq!(ids, expected, "pages of {page_size}");
    }
}

pub async fn a_range_includes_its_start_and_excludes_its_end(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let commits = (0..10)
        .map(|number| ranked(&format!("p{number}"), "r", f64::from(number)))
        .collect();
    commit_all(&*store, &tenant, commits).await;
    let cases = [
        (range("r", 3.0, Some(6.0)), &["p5", "p4", "p3"][..]),
        (range("r", 2.5, Some(3.5)), &["p3"]),
        (range("r", 8.0, None), &["p9", "p8"]),
        (range("r", 4.0, Some(4.0)), &[]),
        (range("r", 6.0, Some(3.0)), &[]),
        (range("r", 9.5, None), &[]),
        (range("r", -5.0, Some(0.5)), &["p0"]),
    ];
    for (range, expected) in cases {
        let page = store
            .page(&tenant, GENERATION, &range, None, 100)
            .await
            .unwrap();
        let found: Vec<_> = page.entries.iter().map(|(_, id)| id.as_str()).collect();
        assert_eq!(found, expected, "{range:?}");
        assert_eq!(page.total, expected.len() as u64, "{range:?}");
        let count = store
            .count(&tenant, GENERATION, std::slice::from_ref(&range))
            .await;
        assert_eq!(count.unwrap().counts, [expected.len() as u64], "{range:?}");
    }
}

pub async fn profiles_without_points_come_last_and_are_counted(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let none = f64::NEG_INFINITY;
    let commits = vec![
        ranked("nobody", "r", none),
        ranked("somebody", "r", -1e300),
        ranked("another", "r", none),
    ];
    commit_all(&*store, &tenant, commits).await;
    let entries = walk(&*store, &tenant, &all("r"), 1).await;
    let order: Vec<_> = entries.iter().map(|(_, id)| id.as_str()).collect();
    assert_eq!(order, ["somebody", "another", "nobody"]);
    let ranges = [
        all("r"),
        range("r", none, Some(0.0)),
        range("r", none, Some(-1e300)),
        range("r", f64::MIN, None),
        range("r", none, Some(none)),
    ];
    let counts = store.count(&tenant, GENERATION, &ranges).await;
    assert_eq!(counts.unwrap().counts, [3, 3, 2, 1, 0]);
}

pub async fn a_page_says_what_precedes_it_and_the_total(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let commits = (0..10)
        .map(|number| ranked(&format!("p{number}"), "r", f64::from(number)))
        .collect();
    commit_all(&*store, &tenant, commits).await;
    let range = range("r", 2.0, Some(8.0));
    let cursor = Cursor {
        key: key(6.0),
        profile_id: id("p6"),
    };
    let page = store
        .page(&tenant, GENERATION, &range, Some(&cursor), 3)
        .await
        .unwrap();
    assert_eq!(page.preceding, 2);
    assert_eq!(page.total, 6);
    let found: Vec<_> = page.entries.iter().map(|(_, id)| id.as_str()).collect();
    assert_eq!(found, ["p5", "p4", "p3"]);
    let none = store
        .page(&tenant, GENERATION, &range, Some(&cursor), 0)
        .await
        .unwrap();
    assert_eq!((none.preceding, none.total), (2, 6));
    assert!(none.entries.is_empty());
}

pub async fn a_cursor_need_not_be_an_entry(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let commits = (0..6)
        .map(|number| ranked(&format!("p{number}"), "r", f64::from(number)))
        .collect();
    commit_all(&*store, &tenant, commits).await;
    let range = range("r", 1.0, Some(5.0));
    let cases = [
        (9.0, "x", 0, &["p4", "p3", "p2", "p1"][..]),
        (5.0, "p5", 0, &["p4", "p3", "p2", "p1"]),
        (3.0, "p", 1, &["p3", "p2", "p1"]),
        (3.0, "p3x", 2, &["p2", "p1"]),
        (2.5, "x", 2, &["p2", "p1"]),
        (0.0, "p0", 4, &[]),
        (f64::NEG_INFINITY, "x", 4, &[]),
    ];
    for (cursor_key, profile, preceding, expected) in cases {
        let cursor = Cursor {
            key: key(cursor_key),
            profile_id: id(profile),
        };
        let page = store
            .page(&tenant, GENERATION, &range, Some(&cursor), 9)
            .await
            .unwrap();
        let found: Vec<_> = page.entries.iter().map(|(_, id)| id.as_str()).collect();
        assert_eq!(found, expected, "after {cursor:?}");
        assert_eq!((page.preceding, page.total), (preceding, 4), "{cursor:?}");
    }
}

pub async fn a_conflict_moves_no_rank(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    commit_all(&*store, &tenant, vec![ranked("anna", "r", 1.0)]).await;
    let refused = Commit {
        ranks: vec![(GENERATION, vec![change("r", Some(1.0), Some(2.0))])],
        totals: vec![added("topic", 1, 1)],
        ..commit("anna", None, 2)
    };
    let result = commit_one(&*store, &tenant, refused).await;
    assert_eq!(result, Ok(Committed::Conflict));
    let entries = walk(&*store, &tenant, &all("r"), 10).await;
    assert_eq!(entries, [(1.0, "anna".to_owned())]);
    let totals = store.totals(&tenant, &["topic".to_owned()]).await;
    assert_eq!(totals, Ok(vec![TopicTotals::default()]));
}

pub async fn a_commit_sent_again_moves_no_rank(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let created = Commit {
        totals: vec![added("topic", 1, 10)],
        ..ranked("anna", "r", 1.0)
    };
    commit_all(&*store, &tenant, vec![created.clone()]).await;
    commit_all(&*store, &tenant, vec![created]).await;
    let entries = walk(&*store, &tenant, &all("r"), 10).await;
    assert_eq!(entries, [(1.0, "anna".to_owned())]);
    let totals = store.totals(&tenant, &["topic".to_owned()]).await.unwrap();
    assert_eq!((totals[0].touches, totals[0].advance_millionths), (1, 10));
}

pub async fn a_record_and_its_ranks_move_together(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let created = Commit {
        ranks: vec![(
            GENERATION,
            vec![change("a", None, Some(1.0)), change("b", None, Some(5.0))],
        )],
        ..commit("anna", None, 1)
    };
    let moved = Commit {
        ranks: vec![(
            GENERATION,
            vec![
                change("a", Some(1.0), Some(2.0)),
                change("b", Some(5.0), None),
                change("c", None, Some(f64::NEG_INFINITY)),
            ],
        )],
        ..commit("anna", Some(created.version), 2)
    };
    commit_all(&*store, &tenant, vec![created]).await;
    commit_all(&*store, &tenant, vec![moved]).await;
    let anna = |value: f64| vec![(value, "anna".to_owned())];
    assert_eq!(walk(&*store, &tenant, &all("a"), 10).await, anna(2.0));
    assert_eq!(walk(&*store, &tenant, &all("b"), 10).await, []);
    let last = walk(&*store, &tenant, &all("c"), 10).await;
    assert_eq!(last, anna(f64::NEG_INFINITY));
    let stored = super::load_one(&*store, &tenant, "anna").await.unwrap();
    assert_eq!(stored.record.event_count, 2);
}

pub async fn counts_of_several_ranges_are_in_their_order(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let commits = vec![
        ranked("a", "r", 1.0),
        ranked("b", "r", 2.0),
        ranked("c", "s", 3.0),
    ];
    commit_all(&*store, &tenant, commits).await;
    let ranges = [
        all("s"),
        range("r", 2.0, None),
        all("unknown"),
        all("r"),
        all("s"),
    ];
    let counts = store.count(&tenant, GENERATION, &ranges).await;
    assert_eq!(counts.unwrap().counts, [1, 1, 0, 2, 1]);
    let none = store.count(&tenant, GENERATION, &[]).await;
    assert_eq!(none, Ok(RankCounts::default()));
}

/// One profile moves between two ranks and within one: it must stand in one place at
/// every moment.
pub async fn a_moving_profile_is_counted_once(subject: impl Subject) {
    const MOVES: u64 = 200;
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let created = ranked("mover", "left", 1.0);
    let mut version = created.version;
    commit_all(&*store, &tenant, vec![created]).await;
    let moving = Arc::new(AtomicBool::new(true));
    let watcher = {
        let (store, tenant, moving) = (store.clone(), tenant.clone(), moving.clone());
        tokio::spawn(async move { watch(&*store, &tenant, &moving).await })
    };
    for number in 0..MOVES {
        let (from, to, line) = match number % 4 {
            0 => ("left", "right", 1.0),
            2 => ("right", "left", 2.0),
            _ => ("", "", 0.0),
        };
        let ranks = match number % 4 {
            0 | 2 => vec![change(from, Some(line), None), change(to, None, Some(line))],
            1 => vec![change("right", Some(1.0), Some(2.0))],
            _ => vec![change("left", Some(2.0), Some(1.0))],
        };
        let moved = Commit {
            ranks: vec![(GENERATION, ranks)],
            ..commit("mover", Some(version), number)
        };
        version = moved.version;
        commit_all(&*store, &tenant, vec![moved]).await;
    }
    moving.store(false, Ordering::Release);
    assert!(watcher.await.unwrap() > 0);
}

async fn watch(store: &impl Store, tenant: &Tenant, moving: &AtomicBool) -> u64 {
    let ranges = ["left", "right"].map(|rank| {
        let low = range(rank, f64::NEG_INFINITY, Some(1.5));
        [low, range(rank, 1.5, None)]
    });
    let mut looks = 0;
    while moving.load(Ordering::Acquire) {
        let counts = store
            .count(tenant, GENERATION, ranges.as_flattened())
            .await
            .unwrap()
            .counts;
        assert_eq!(counts.iter().sum::<u64>(), 1, "{counts:?}");
        looks += 1;
        tokio::task::yield_now().await;
    }
    looks
}

pub async fn totals_add_up(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let first = Commit {
        totals: vec![added("a", 1, 250_000), added("b", 1, 0)],
        ..commit("anna", None, 1)
    };
    let again = Commit {
        totals: vec![added("a", 2, 500_000)],
        ..commit("anna", Some(first.version), 2)
    };
    let other = Commit {
        totals: vec![added("a", 0, 250_000)],
        ..commit("bert", None, 1)
    };
    commit_all(&*store, &tenant, vec![first, other]).await;
    commit_all(&*store, &tenant, vec![again]).await;
    let topics = ["b", "unknown", "a"].map(str::to_owned);
    let totals = store.totals(&tenant, &topics).await.unwrap();
    let totals: Vec<_> = totals
        .iter()
        .map(|totals| (totals.touches, totals.advance_millionths))
        .collect();
    assert_eq!(totals, [(1, 0), (0, 0), (3, 1_000_000)]);
}

pub async fn ranks_of_tenants_are_apart(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let longer = Tenant::new(&format!("{tenant}-x")).unwrap();
    let commits = vec![Commit {
        totals: vec![added("topic", 1, 1)],
        version: Version(1),
        ..ranked("anna", "r", 1.0)
    }];
    fenced(&*store, &longer).await;
    commit_all(&*store, &longer, commits).await;
    assert_eq!(walk(&*store, &tenant, &all("r"), 10).await, []);
    assert_eq!(walk(&*store, &longer, &all("r"), 10).await.len(), 1);
    let totals = store.totals(&tenant, &["topic".to_owned()]).await;
    assert_eq!(totals, Ok(vec![TopicTotals::default()]));
}

/// A record whose last event, or credit as an author, was so many milliseconds after 1970.
fn counted(profile: &str, expected: Option<Version>, event: i64, credit: i64) -> Commit {
    let millis = |millis: i64| Timestamp::from_nanos(1_000_000 * millis).unwrap();
    Commit {
        record: Some(Record {
            last_event_time: millis(event),
            influence_time: millis(credit),
            ..super::record(1)
        }),
        ..commit(profile, expected, 1)
    }
}

/// The latest instant that was counted, in milliseconds, as pages and counts say it.
async fn latest(store: &impl Store, tenant: &Tenant) -> i64 {
    let page = store.page(tenant, GENERATION, &all("r"), None, 10).await;
    let latest = page.unwrap().latest_counted;
    for ranges in [&[][..], &[all("r"), all("s")]] {
        let counts = store.count(tenant, GENERATION, ranges).await.unwrap();
        assert_eq!(counts.latest_counted, latest, "{ranges:?}");
    }
    latest.nanos() / 1_000_000
}

pub async fn the_latest_instant_that_was_counted_is_told_in_whole_seconds(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    assert_eq!(latest(&*store, &tenant).await, 0);
    let first = counted("anna", None, 5_000, 0);
    let mut version = first.version;
    commit_all(&*store, &tenant, vec![first]).await;
    assert_eq!(latest(&*store, &tenant).await, 5_000);
    // Whichever partition they are in. One that is later, one that is late, and credits.
    let others = [
        ("ben", 5_001, 0, 6_000),
        ("cid", 4_000, 0, 6_000),
        ("dan", 6_000, 0, 6_000),
        ("eve", 0, 7_999, 8_000),
        ("fay", 2_000_000_000_001, 9, 2_000_000_001_000),
    ];
    for (profile, event, credit, expected) in others {
        commit_all(
            &*store,
            &tenant,
            vec![counted(profile, None, event, credit)],
        )
        .await;
        assert_eq!(latest(&*store, &tenant).await, expected, "{profile}");
    }
    // What is stated later is counted at no later instant.
    for event in [5_000, 6_000] {
        let again = counted("anna", Some(version), event, 0);
        version = again.version;
        commit_all(&*store, &tenant, vec![again]).await;
    }
    assert_eq!(latest(&*store, &tenant).await, 2_000_000_001_000);
    let other = new_tenant();
    fenced(&*store, &other).await;
    assert_eq!(latest(&*store, &other).await, 0);
}

pub async fn a_conflict_counts_nothing_and_a_commit_sent_again_nothing_more(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let first = counted("anna", None, 5_000, 0);
    commit_all(
        &*store,
        &tenant,
        vec![first.clone(), counted("ben", None, 3_000, 0)],
    )
    .await;
    commit_all(&*store, &tenant, vec![first]).await;
    assert_eq!(latest(&*store, &tenant).await, 5_000);
    let refused = counted("anna", None, 9_000, 0);
    let result = commit_one(&*store, &tenant, refused).await;
    assert_eq!(result, Ok(Committed::Conflict));
    assert_eq!(latest(&*store, &tenant).await, 5_000);
}

pub async fn the_latest_instant_is_known_after_reopening(subject: impl Subject) {
    let tenant = new_tenant();
    let store = subject.store();
    begin(&*store, &tenant).await;
    let commits = vec![
        counted("anna", None, 1_500, 0),
        counted("ben", None, 0, 2_500),
    ];
    commit_all(&*store, &tenant, commits).await;
    drop(store);
    let subject = subject.reopen().await;
    let store = subject.store();
    fenced(&*store, &tenant).await;
    assert_eq!(latest(&*store, &tenant).await, 3_000);
}
