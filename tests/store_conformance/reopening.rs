//! Cases of what stays: reopening, and rebuilding the index from the records.

use bellwether::scoring::{InfluenceCell, RankName, Record, Tenant};
use bellwether::store::{Commit, IndexEntry, RecordStore, Store, Stored, TopicTotals};

use super::{
    GENERATION, Subject, added, all, begin, commit, commit_all, fenced, id, key, load_one,
    new_tenant, ranked, records::full_record, walk,
};

pub async fn everything_is_there_after_reopening(subject: impl Subject) {
    let tenant = new_tenant();
    let full = Commit {
        record: Some(full_record()),
        ..commit("full", None, 0)
    };
    let first = commit("anna", None, 1);
    let second = commit("anna", Some(first.version), 2);
    let versions = (full.version, second.version);
    let store = subject.store();
    begin(&*store, &tenant).await;
    commit_all(&*store, &tenant, vec![full, first]).await;
    commit_all(&*store, &tenant, vec![second]).await;
    drop(store);
    let subject = subject.reopen().await;
    let store = subject.store();
    let full = load_one(&*store, &tenant, "full").await.unwrap();
    let anna = load_one(&*store, &tenant, "anna").await.unwrap();
    assert_eq!((full.version, anna.version), versions);
    assert_eq!(*full.record, full_record());
    assert_eq!(anna.record.event_count, 2);
    let scanned = store.scan(&tenant, None, 10).await.unwrap();
    assert_eq!(scanned, [anna, full]);
    assert!(store.tenants().await.unwrap().contains(&tenant));
}

pub async fn a_rebuilt_index_gives_the_same_pages(subject: impl Subject) {
    let tenant = new_tenant();
    let store = subject.store();
    fenced(&*store, &tenant).await;
    commit_all(&*store, &tenant, sample()).await;
    let before = picture(&*store, &tenant).await;
    assert_eq!(before.0.len(), 20);
    drop(store);
    let subject = subject.reopen().await;
    let store = subject.store();
    index_everything(&*store, &tenant).await;
    assert_eq!(picture(&*store, &tenant).await, before);
}

pub async fn indexing_adds_nothing_that_is_there(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    commit_all(&*store, &tenant, sample()).await;
    let before = picture(&*store, &tenant).await;
    index_everything(&*store, &tenant).await;
    assert_eq!(picture(&*store, &tenant).await, before);
}

/// Profiles whose keys and totals follow from their records, as a model's would.
fn sample() -> Vec<Commit> {
    (0..20)
        .map(|number| {
            let profile = format!("p{number:02}");
            Commit {
                record: Some(with_touches(number)),
                totals: vec![added("topic", number, 0)],
                ..ranked(&profile, "r", rank_key(number))
            }
        })
        .collect()
}

/// A record whose touches are in the totals.
fn with_touches(number: u64) -> Record {
    Record {
        influence: vec![InfluenceCell {
            topic: "topic".into(),
            stage: String::new().into(),
            credit: 1.0,
            touches: number,
            advance_millionths: 0,
        }],
        ..super::record(number)
    }
}

fn rank_key(event_count: u64) -> f64 {
    match event_count % 5 {
        0 => f64::NEG_INFINITY,
        rest => rest as f64,
    }
}

async fn index_everything(store: &impl Store, tenant: &Tenant) {
    let mut last = None;
    loop {
        let page = store.scan(tenant, last.as_ref(), 7).await.unwrap();
        let Some(stored) = page.last() else { return };
        last = Some(id(stored.profile_id.as_str()));
        let entries = page.iter().map(index_entry).collect();
        store.index(tenant, GENERATION, entries).await.unwrap();
    }
}

fn index_entry(stored: &Stored) -> IndexEntry {
    let event_count = stored.record.event_count;
    IndexEntry {
        profile_id: stored.profile_id.clone(),
        version: stored.version,
        ranks: vec![(RankName::new("r"), key(rank_key(event_count)))],
    }
}

async fn picture(store: &impl Store, tenant: &Tenant) -> (Vec<(f64, String)>, Vec<TopicTotals>) {
    let entries = walk(store, tenant, &all("r"), 6).await;
    let totals = store.totals(tenant, &["topic".to_owned()]).await.unwrap();
    (entries, totals)
}
