//! Cases of subjects: records among those of people, under ids that begin with U+0001.

use bellwether::store::{Cursor, RankStore, RecordStore};

use super::{
    GENERATION, Subject, all, commit, commit_all, fenced, id, key, load_one, new_tenant, ranked,
    record, walk,
};

/// In the order of stored ids.
const IDS: [&str; 5] = ["\u{1}account:acme", "\u{1}brand:zoë", " ", "acme", "é"];

pub async fn subjects_and_people_of_one_name_are_apart(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let commits = vec![
        commit("acme", None, 1),
        commit("\u{1}account:acme", None, 2),
    ];
    commit_all(&*store, &tenant, commits).await;
    for (name, number) in [("acme", 1), ("\u{1}account:acme", 2)] {
        let stored = load_one(&*store, &tenant, name).await.unwrap();
        assert_eq!(stored.profile_id, id(name));
        assert_eq!(*stored.record, record(number));
    }
}

pub async fn a_scan_gives_subjects_in_the_order_of_ids(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let commits = IDS.iter().rev().map(|name| commit(name, None, 1)).collect();
    commit_all(&*store, &tenant, commits).await;
    for page_size in [1, 2, 100] {
        let mut scanned = Vec::new();
        loop {
            let after = scanned.last();
            let page = store.scan(&tenant, after, page_size).await.unwrap();
            if page.is_empty() {
                break;
            }
            scanned.extend(page.into_iter().map(|stored| stored.profile_id));
        }
        assert_eq!(scanned, IDS.map(id), "in pages of {page_size}");
    }
}

pub async fn ranks_hold_subjects_and_pages_go_on_after_one(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let commits = IDS.iter().map(|name| ranked(name, "r", 2.0)).collect();
    commit_all(&*store, &tenant, commits).await;
    let expected = IDS.map(|name| (2.0, name.to_owned()));
    for page_size in [1, 2, 100] {
        let found = walk(&*store, &tenant, &all("r"), page_size).await;
        assert_eq!(found, expected, "in pages of {page_size}");
    }
    let after = Cursor {
        key: key(2.0),
        profile_id: id("\u{1}brand:zoë"),
    };
    let (rank, after) = (all("r"), Some(&after));
    let page = store.page(&tenant, GENERATION, &rank, after, 10).await;
    assert_eq!(page.unwrap().preceding, 2);
}

pub async fn subjects_are_there_after_reopening(subject: impl Subject) {
    let tenant = new_tenant();
    let store = subject.store();
    fenced(&*store, &tenant).await;
    let commits = IDS.iter().map(|name| commit(name, None, 7)).collect();
    commit_all(&*store, &tenant, commits).await;
    drop(store);
    let subject = subject.reopen().await;
    for name in IDS {
        let stored = load_one(&*subject.store(), &tenant, name).await.unwrap();
        assert_eq!((stored.profile_id, &*stored.record), (id(name), &record(7)));
    }
}
