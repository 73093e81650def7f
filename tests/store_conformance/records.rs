//! Cases of records: versions, batches, scans, tenants.

use std::collections::BTreeMap;

use bellwether::scoring::{
    AttributeValue, ChangeCause, CountGroup, CountedValue, Credit, Effect, EffectKind,
    EffectMemory, EventMemory, HalfLife, HeldEvent, HeldMatch, IdHash, Incarnation, InfluenceCell,
    MatchedSignals, NamedCount, ProfileId, Record, RememberedEvent, SeenType, SignalCount,
    StageChange, Timestamp, Touch,
};
use bellwether::store::{Commit, Committed, RecordStore, Store};

use super::{
    Subject, begin, commit, commit_all, commit_one, fenced, id, load_one, new_tenant, new_version,
    record, rollout,
};

pub async fn an_unknown_profile_is_not_found(subject: impl Subject) {
    let loaded = subject.store().load(&new_tenant(), &[id("anna")]).await;
    assert_eq!(loaded, [Ok(None)]);
}

pub async fn what_was_committed_is_loaded(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let first = commit("anna", None, 1);
    let version = first.version;
    commit_all(&*store, &tenant, vec![first]).await;
    let stored = load_one(&*store, &tenant, "anna").await.unwrap();
    assert_eq!(stored.profile_id, id("anna"));
    assert_eq!(stored.version, version);
    assert_eq!(*stored.record, record(1));
}

pub async fn profiles_are_loaded_in_the_order_asked_for(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let commits = vec![commit("a", None, 1), commit("b", None, 2)];
    commit_all(&*store, &tenant, commits).await;
    let asked = [id("b"), id("missing"), id("a"), id("b")];
    let found: Vec<_> = store
        .load(&tenant, &asked)
        .await
        .into_iter()
        .map(|loaded| loaded.unwrap().map(|stored| stored.record.event_count))
        .collect();
    assert_eq!(found, [Some(2), None, Some(1), Some(2)]);
}

pub async fn a_commit_with_a_stale_version_changes_nothing(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let first = commit("anna", None, 1);
    let stale = first.version;
    let second = commit("anna", Some(stale), 2);
    let current = second.version;
    commit_all(&*store, &tenant, vec![first]).await;
    commit_all(&*store, &tenant, vec![second]).await;
    let result = commit_one(&*store, &tenant, commit("anna", Some(stale), 3)).await;
    assert_eq!(result, Ok(Committed::Conflict));
    let stored = load_one(&*store, &tenant, "anna").await.unwrap();
    assert_eq!((stored.version, &*stored.record), (current, &record(2)));
}

pub async fn creating_what_exists_is_a_conflict(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    commit_all(&*store, &tenant, vec![commit("anna", None, 1)]).await;
    let result = commit_one(&*store, &tenant, commit("anna", None, 2)).await;
    assert_eq!(result, Ok(Committed::Conflict));
    let stored = load_one(&*store, &tenant, "anna").await.unwrap();
    assert_eq!(*stored.record, record(1));
}

pub async fn updating_what_does_not_exist_is_a_conflict(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let update = commit("anna", Some(new_version()), 1);
    let result = commit_one(&*store, &tenant, update).await;
    assert_eq!(result, Ok(Committed::Conflict));
    assert_eq!(load_one(&*store, &tenant, "anna").await, None);
}

pub async fn a_commit_sent_again_finds_its_own_version(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let created = commit("anna", None, 1);
    let updated = commit("anna", Some(created.version), 2);
    for sent in [&created, &created, &updated, &updated] {
        let result = commit_one(&*store, &tenant, sent.clone()).await;
        assert_eq!(result, Ok(Committed::Written));
    }
    let stored = load_one(&*store, &tenant, "anna").await.unwrap();
    assert_eq!(
        (stored.version, &*stored.record),
        (updated.version, &record(2))
    );
}

pub async fn a_commit_sent_again_after_another_is_a_conflict(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let created = commit("anna", None, 1);
    let updated = commit("anna", Some(created.version), 2);
    commit_all(&*store, &tenant, vec![created.clone()]).await;
    commit_all(&*store, &tenant, vec![updated]).await;
    let result = commit_one(&*store, &tenant, created).await;
    assert_eq!(result, Ok(Committed::Conflict));
    let stored = load_one(&*store, &tenant, "anna").await.unwrap();
    assert_eq!(*stored.record, record(2));
}

pub async fn each_commit_of_a_batch_has_its_own_result(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let known = commit("known", None, 1);
    let version = known.version;
    commit_all(&*store, &tenant, vec![known.clone()]).await;
    let mut batch = vec![
        commit("new", None, 2),
        known,
        commit("missing", Some(version), 3),
    ];
    batch.extend((0..200).map(|number| commit(&format!("many-{number:03}"), None, number)));
    let results = store.commit(&tenant, &rollout(), batch).await;
    assert_eq!(results.len(), 203);
    assert_eq!(results[0], Ok(Committed::Written));
    assert_eq!(results[1], Ok(Committed::Written));
    assert_eq!(results[2], Ok(Committed::Conflict));
    assert!(
        results[3..]
            .iter()
            .all(|result| *result == Ok(Committed::Written))
    );
    let last = load_one(&*store, &tenant, "many-199").await.unwrap();
    assert_eq!(*last.record, record(199));
    assert_eq!(load_one(&*store, &tenant, "missing").await, None);
}

pub async fn an_empty_batch_has_no_results(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    assert_eq!(store.commit(&tenant, &rollout(), Vec::new()).await, []);
    assert_eq!(store.load(&tenant, &[]).await, []);
}

pub async fn a_scan_gives_all_records_in_the_order_of_ids(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let mut names: Vec<String> = (0..57)
        .map(|number| format!("p{}", number * 37 % 57))
        .collect();
    let commits = names.iter().map(|name| commit(name, None, 1)).collect();
    commit_all(&*store, &tenant, commits).await;
    names.sort();
    for page_size in [1, 10, 57, 1_000] {
        let mut scanned: Vec<ProfileId> = Vec::new();
        loop {
            let page = store
                .scan(&tenant, scanned.last(), page_size)
                .await
                .unwrap();
            assert!(page.len() <= page_size);
            if page.is_empty() {
                break;
            }
            scanned.extend(page.into_iter().map(|stored| stored.profile_id));
        }
        let scanned: Vec<&str> = scanned.iter().map(ProfileId::as_str).collect();
        assert_eq!(scanned, names, "in pages of {page_size}");
    }
}

pub async fn all_records_are_sent_by_tenant_and_id(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    let longer = bellwether::scoring::Tenant::new(&format!("{tenant}-x")).unwrap();
    let mut expected = Vec::new();
    for (tenant, names) in [(&longer, &["bert", "anna"][..]), (&tenant, &["carl"])] {
        begin(&*store, tenant).await;
        let commits = names.iter().map(|name| commit(name, None, 1)).collect();
        commit_all(&*store, tenant, commits).await;
        expected.extend(
            names
                .iter()
                .map(|name| (tenant.clone(), (*name).to_owned())),
        );
    }
    expected.sort();
    for (of, expected) in [(None, &expected[..]), (Some(&longer), &expected[1..])] {
        let (batches, mut received) = tokio::sync::mpsc::channel::<Vec<_>>(1);
        let receive = async {
            let mut all = Vec::new();
            while let Some(batch) = received.recv().await {
                assert!(!batch.is_empty());
                all.extend(batch);
            }
            all
        };
        let (sent, all) = tokio::join!(store.send_all(of, batches), receive);
        sent.unwrap();
        // Other cases have tenants of their own there.
        let own = all.into_iter();
        let own = own.filter(|(other, _)| *other == tenant || *other == longer);
        let ids = own.map(|(tenant, stored)| {
            assert_eq!(*stored.record, record(1));
            (tenant, stored.profile_id.to_string())
        });
        assert_eq!(ids.collect::<Vec<_>>(), expected);
    }
}

pub async fn ids_may_be_in_any_script(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let longest = "é".repeat(128);
    let mut names = vec!["Zoë", "名前", "🦀 crab", "a{b}c", "a:b", " ", "*", &longest];
    let commits = (1..)
        .zip(&names)
        .map(|(number, name)| commit(name, None, number))
        .collect();
    commit_all(&*store, &tenant, commits).await;
    for (number, name) in (1..).zip(&names) {
        let stored = load_one(&*store, &tenant, name).await.unwrap();
        assert_eq!(*stored.record, record(number));
    }
    names.sort_unstable();
    let scanned: Vec<_> = store
        .scan(&tenant, None, 100)
        .await
        .unwrap()
        .into_iter()
        .map(|stored| stored.profile_id.to_string())
        .collect();
    assert_eq!(scanned, names);
}

pub async fn a_record_with_everything_survives(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let written = Commit {
        record: Some(full_record()),
        ..commit("anna", None, 0)
    };
    commit_all(&*store, &tenant, vec![written]).await;
    let stored = load_one(&*store, &tenant, "anna").await.unwrap();
    assert_eq!(*stored.record, full_record());
}

pub async fn tenants_are_apart(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    // One name is the beginning of the other.
    let longer = bellwether::scoring::Tenant::new(&format!("{tenant}-x")).unwrap();
    commit_all(&*store, &tenant, vec![commit("anna", None, 1)]).await;
    let commits = vec![commit("anna", None, 2), commit("bert", None, 3)];
    fenced(&*store, &longer).await;
    commit_all(&*store, &longer, commits).await;
    let count_of = async |tenant, name| {
        let stored = load_one(&*store, tenant, name).await;
        stored.map(|stored| stored.record.event_count)
    };
    assert_eq!(count_of(&tenant, "anna").await, Some(1));
    assert_eq!(count_of(&tenant, "bert").await, None);
    assert_eq!(count_of(&longer, "anna").await, Some(2));
    assert_eq!(store.scan(&tenant, None, 10).await.unwrap().len(), 1);
    assert_eq!(store.scan(&longer, None, 10).await.unwrap().len(), 2);
}

pub async fn every_tenant_with_a_record_is_listed(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let mut expected = vec![tenant.to_string()];
    for suffix in ["-", "-a", "0", "_"] {
        expected.push(format!("{tenant}{suffix}"));
    }
    for name in &expected {
        let tenant = bellwether::scoring::Tenant::new(name).unwrap();
        begin(&*store, &tenant).await;
        let commits = vec![commit("a", None, 1), commit("z", None, 2)];
        commit_all(&*store, &tenant, commits).await;
    }
    let mut listed: Vec<_> = store
        .tenants()
        .await
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .filter(|name| name.starts_with(tenant.as_str()))
        .collect();
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
}

pub async fn concurrent_increments_are_all_counted(subject: impl Subject) {
    const TASKS: u64 = 8;
    const INCREMENTS: u64 = 25;
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (store, tenant) = (store.clone(), tenant.clone());
            tokio::spawn(async move {
                for _ in 0..INCREMENTS {
                    increment(&*store, &tenant).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let stored = load_one(&*store, &tenant, "hot").await.unwrap();
    assert_eq!(stored.record.event_count, TASKS * INCREMENTS);
}

async fn increment(store: &impl Store, tenant: &bellwether::scoring::Tenant) {
    loop {
        let stored = load_one(store, tenant, "hot").await;
        let (expected, number) = match stored {
            Some(stored) => (Some(stored.version), stored.record.event_count),
            None => (None, 0),
        };
        let result = commit_one(store, tenant, commit("hot", expected, number + 1)).await;
        if result.unwrap() == Committed::Written {
            return;
        }
    }
}

/// A record in which every field says something.
pub fn full_record() -> Record {
    let time = |nanos| Timestamp::from_nanos(nanos).unwrap();
    let named = |name: &str, value| NamedCount {
        name: name.into(),
        value,
    };
    let count = |signal: &str, value, keys: &[NamedCount]| SignalCount {
        signal: signal.into(),
        value,
        keys: keys.to_vec(),
        capped: 0.75,
    };
    let seen = |name: &str, count| SeenType {
        name: name.into(),
        count,
    };
    let event = |nanos, id| RememberedEvent::new(time(nanos), IdHash(id), "visit");
    Record {
        attributes: BTreeMap::from([
            (
                "crm_ids".to_owned(),
                AttributeValue::List(vec![AttributeValue::Null]),
            ),
            ("seats".to_owned(), AttributeValue::Number(0.1)),
            (
                "tags".to_owned(),
                AttributeValue::List(vec![
                    AttributeValue::Bool(true),
                    AttributeValue::String("größe".to_owned()),
                    AttributeValue::Map(BTreeMap::from([(
                        "deep".to_owned(),
                        AttributeValue::Number(-1e300),
                    )])),
                ]),
            ),
        ]),
        incarnation: Incarnation(u64::MAX),
        was_stated: true,
        has_forgotten_caused: true,
        counted_values: vec![CountedValue {
            event: (time(5), IdHash(9)),
            signal: "settled".into(),
            value: 0.25,
        }],
        event_count: u64::MAX,
        first_seen_time: time(1),
        last_event_time: time(i64::MAX),
        counts: vec![
            CountGroup {
                half_life: None,
                counts: vec![count("bought", 1e29, &[])],
            },
            CountGroup {
                half_life: HalfLife::from_nanos(60_000_000_000),
                counts: vec![
                    count(
                        "joined",
                        0.5,
                        &[named("größe", 1.0 / 3.0), named("klein", 2.0)],
                    ),
                    count("visited", 5e-324, &[]),
                ],
            },
        ],
        last_counted: BTreeMap::from([("joined".into(), time(7))]),
        counted_keys: BTreeMap::from([(
            "opened".into(),
            BTreeMap::from([(IdHash(3), time(6)), (IdHash(u64::MAX), time(8))]),
        )]),
        seen_types: vec![seen("reply", 1), seen("visit", u32::MAX)],
        interests: vec![named("coverage", 0.25)],
        quarantine: vec![HeldEvent {
            rule: "robots".into(),
            id: IdHash(12),
            known_by: time(8),
            time: time(9),
            event_type: "visit".into(),
            matches: vec![HeldMatch {
                signal: "visited".into(),
                value: 0.5,
                keys: vec!["größe".into()],
            }],
            topics: vec!["coverage".into()],
            author_id: Some(id("Zoë")),
            subjects: Vec::from_iter(ProfileId::of_subject("account", "acme")),
            origin: Some(id("zoe@example.com")),
        }],
        memory: EventMemory {
            remembered: vec![event(5, 9), event(6, 0), event(6, u64::MAX)],
            horizon: Some((time(4), IdHash(3))),
            origins: [((time(6), IdHash(0)), id("zoe@example.com"))].into(),
            subjects: [(
                ProfileId::of_subject("account", "acme").unwrap(),
                vec![(time(5), IdHash(9)), (time(6), IdHash(u64::MAX))],
            )]
            .into(),
        },
        effects: EffectMemory {
            remembered: vec![(time(9), IdHash(8)), (time(2), IdHash(1))],
            horizon: Some((time(4), IdHash(6))),
        },
        caused: vec![Effect::Credit(Credit {
            id: IdHash(5),
            kind: EffectKind::Revert,
            author_id: id("Zoë"),
            time: time(3),
            topics: vec!["coverage".into()],
            stage: "customer".into(),
            credit: -2.0,
            touches: -1,
            advance_millionths: 0,
        })],
        touches: vec![Touch {
            event: IdHash(77),
            time: time(3),
            author_id: id("Zoë"),
            topics: vec!["coverage".into()],
            stage: String::new().into(),
            credit: 2.0,
            origin: Some(id("zoe@example.com")),
        }],
        stage_changes: vec![StageChange {
            from_stage: None,
            to_stage: Some("customer".into()),
            time: time(6),
            cause: ChangeCause::Write(Some((time(6), IdHash(0)))),
        }],
        matched: vec![MatchedSignals {
            event: (time(5), IdHash(9)),
            signals: vec!["visited".into()],
        }],
        kept_stages: BTreeMap::from([("interest".into(), "customer".into())]),
        reached_stages: vec!["customer".into(), "awareness".into()],
        influence_time: time(11),
        influence: vec![InfluenceCell {
            topic: "coverage".into(),
            stage: "customer".into(),
            credit: 2.5,
            touches: 3,
            advance_millionths: 333_333,
        }],
    }
}
