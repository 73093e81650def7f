//! Cases of the audit: who has done what, of each scope the latest.

use bellwether::store::{AUDIT_ENTRIES, AuditEntry, AuditObject, AuditStore as _};
use futures_util::future::join_all;

use super::{Subject, new_tenant};

/// An entry of a second since 1970.
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
    let (store, scope) = (subject.store(), new_tenant());
    let entries = store.audit_entries(scope.as_str(), 10).await;
    assert_eq!(entries, Ok(Vec::new()));
}

pub async fn entries_come_latest_first_and_are_of_their_scope_alone(subject: impl Subject) {
    let (store, scope, other) = (subject.store(), new_tenant(), new_tenant());
    for second in [2, 1, 3] {
        let added = store.add_audit_entry(scope.as_str(), &entry(second)).await;
        assert_eq!(added, Ok(()));
    }
    let longer = format!("{}-longer", scope.as_str());
    for other in [other.as_str(), &longer] {
        store.add_audit_entry(other, &entry(9)).await.unwrap();
    }
    let entries = store.audit_entries(scope.as_str(), 10).await;
    assert_eq!(entries, Ok(vec![entry(3), entry(2), entry(1)]));
    let entries = store.audit_entries(scope.as_str(), 2).await;
    assert_eq!(entries, Ok(vec![entry(3), entry(2)]));
    let entries = store.audit_entries(scope.as_str(), 0).await;
    assert_eq!(entries, Ok(Vec::new()));
}

pub async fn an_entry_that_is_added_again_stands_once(subject: impl Subject) {
    let (store, scope) = (subject.store(), new_tenant());
    let same = entry(1);
    let another = AuditEntry { id: 8, ..entry(1) };
    for entry in [&same, &another, &same] {
        store.add_audit_entry(scope.as_str(), entry).await.unwrap();
    }
    let entries = store.audit_entries(scope.as_str(), 10).await.unwrap();
    assert_eq!(entries.len(), 2);
    assert!(entries.contains(&same) && entries.contains(&another));
}

pub async fn the_oldest_entries_go_when_there_are_too_many(subject: impl Subject) {
    let (store, scope) = (subject.store(), new_tenant());
    let all = 3..AUDIT_ENTRIES + 10;
    let added = all.clone().map(|second| {
        let (store, scope) = (store.clone(), scope.clone());
        async move { store.add_audit_entry(scope.as_str(), &entry(second)).await }
    });
    assert!(join_all(added).await.iter().all(Result::is_ok));
    // A clock that was set back: it is older than every one that is kept.
    let late = store.add_audit_entry(scope.as_str(), &entry(0)).await;
    assert_eq!(late, Ok(()));
    let entries = store.audit_entries(scope.as_str(), 2 * AUDIT_ENTRIES).await;
    let latest: Vec<AuditEntry> = all.rev().take(AUDIT_ENTRIES).map(entry).collect();
    assert_eq!(entries.unwrap(), latest);
}

pub async fn entries_are_there_after_reopening(subject: impl Subject) {
    let scope = new_tenant();
    for second in [1, 2] {
        let (store, entry) = (subject.store(), entry(second));
        store.add_audit_entry(scope.as_str(), &entry).await.unwrap();
    }
    let subject = subject.reopen().await;
    let store = subject.store();
    store
        .add_audit_entry(scope.as_str(), &entry(3))
        .await
        .unwrap();
    let entries = store.audit_entries(scope.as_str(), 10).await;
    assert_eq!(entries, Ok(vec![entry(3), entry(2), entry(1)]));
}
