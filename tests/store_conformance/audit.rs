//! Cases of the audit: who has done what, of each scope the latest.

use bellwether::store::{
    AUDIT_ENTRIES, AuditEntry, AuditObject, AuditScope, AuditStore as _, AuditedMethod,
};
use futures_util::future::join_all;

use super::{Subject, new_tenant};

/// A scope that no other case uses.
fn new_scope() -> AuditScope {
    AuditScope {
        tenant: Some(new_tenant()),
        method: AuditedMethod::RetractEvent,
    }
}

/// An entry of so many seconds after an instant.
fn entry(second: usize) -> AuditEntry {
    AuditEntry {
        time: i64::try_from(second).unwrap() * 1_000_000_000 + 1_700_000_000_000_000_000,
        id: 7,
        principal: "key \"crm — Zoë\"".to_owned(),
        subject: Some("ann".to_owned()),
        role: "legal".to_owned(),
        method: "RetractEvent".to_owned(),
        object: AuditObject {
            event_id: format!("event-{second}"),
            ..AuditObject::default()
        },
    }
}

pub async fn a_scope_in_which_nothing_was_done_has_no_entries(subject: impl Subject) {
    let entries = subject.store().audit_entries(&new_scope(), 10).await;
    assert_eq!(entries, Ok(Vec::new()));
}

pub async fn entries_come_latest_first_and_are_of_their_scope_alone(subject: impl Subject) {
    let (store, scope) = (subject.store(), new_scope());
    // Whatever their clocks say: who was noted last is first.
    for second in [2, 1, 3] {
        let added = store.add_audit_entry(&scope, &entry(second)).await;
        assert_eq!(added, Ok(()));
    }
    let other_method = AuditScope {
        method: AuditedMethod::ReleaseEvents,
        ..scope.clone()
    };
    let for_all = AuditScope {
        tenant: None,
        ..scope.clone()
    };
    for other in [new_scope(), other_method, for_all] {
        store.add_audit_entry(&other, &entry(9)).await.unwrap();
        let entries = store.audit_entries(&other, 1).await;
        assert_eq!(entries, Ok(vec![entry(9)]));
    }
    let entries = store.audit_entries(&scope, 10).await;
    assert_eq!(entries, Ok(vec![entry(3), entry(1), entry(2)]));
    let entries = store.audit_entries(&scope, 2).await;
    assert_eq!(entries, Ok(vec![entry(3), entry(1)]));
    assert_eq!(store.audit_entries(&scope, 0).await, Ok(Vec::new()));
}

pub async fn an_entry_that_is_added_again_stands_once(subject: impl Subject) {
    let (store, scope) = (subject.store(), new_scope());
    let same = entry(1);
    let another = AuditEntry { id: 8, ..entry(1) };
    for entry in [&same, &another, &same] {
        store.add_audit_entry(&scope, entry).await.unwrap();
    }
    let entries = store.audit_entries(&scope, 10).await;
    assert_eq!(entries, Ok(vec![another, same]));
}

pub async fn the_entries_that_were_added_first_go_when_there_are_too_many(subject: impl Subject) {
    let (store, scope) = (subject.store(), new_scope());
    // All of one server whose clock is ahead.
    let ahead = (1_000..1_000 + AUDIT_ENTRIES + 10).map(|second| {
        let (store, scope) = (store.clone(), scope.clone());
        async move { store.add_audit_entry(&scope, &entry(second)).await }
    });
    assert!(join_all(ahead).await.iter().all(Result::is_ok));
    // Another one's clock is right, so that its entry would be the oldest.
    let late = store.add_audit_entry(&scope, &entry(0)).await;
    assert_eq!(late, Ok(()));
    let entries = store.audit_entries(&scope, 2 * AUDIT_ENTRIES).await;
    let entries = entries.unwrap();
    assert_eq!(entries.len(), AUDIT_ENTRIES);
    assert_eq!(entries[0], entry(0), "nothing is noted and lost at once");
}

pub async fn entries_are_there_after_reopening(subject: impl Subject) {
    let scope = new_scope();
    for second in [1, 2] {
        let (store, entry) = (subject.store(), entry(second));
        store.add_audit_entry(&scope, &entry).await.unwrap();
    }
    let subject = subject.reopen().await;
    let store = subject.store();
    store.add_audit_entry(&scope, &entry(3)).await.unwrap();
    let entries = store.audit_entries(&scope, 10).await;
    assert_eq!(entries, Ok(vec![entry(3), entry(2), entry(1)]));
}
