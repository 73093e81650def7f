//! Cases of how many records a tenant has.

use std::sync::Arc;

use bellwether::{
    scoring::Tenant,
    store::{Commit, Committed, Coordination as _, Store, Version},
};

use super::{
    Subject, begin, commit, commit_all, commit_one, fenced, new_tenant, new_version, rollout,
};

async fn count(store: &impl Store, tenant: &Tenant) -> u64 {
    store.record_count(tenant).await.unwrap()
}

fn dropped(profile: &str, expected: Version) -> Commit {
    Commit {
        record: None,
        ..commit(profile, Some(expected), 0)
    }
}

pub async fn a_tenant_without_records_has_none(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    assert_eq!(count(&*store, &tenant).await, 0);
    fenced(&*store, &tenant).await;
    assert_eq!(count(&*store, &tenant).await, 0);
}

pub async fn records_that_are_made_and_dropped_are_counted(subject: impl Subject) {
    let (store, tenant, other) = (subject.store(), new_tenant(), new_tenant());
    fenced(&*store, &tenant).await;
    fenced(&*store, &other).await;
    let names: Vec<String> = (0..40).map(|number| format!("p{number}")).collect();
    let made: Vec<Commit> = names.iter().map(|name| commit(name, None, 1)).collect();
    let versions: Vec<Version> = made.iter().map(|commit| commit.version).collect();
    commit_all(&*store, &tenant, made).await;
    // A subject takes a record as a person does.
    commit_all(&*store, &tenant, vec![commit("\u{1}brand:acme", None, 1)]).await;
    commit_all(&*store, &other, vec![commit("p0", None, 1)]).await;
    assert_eq!(count(&*store, &tenant).await, 41);

    let changed = names.iter().zip(&versions).take(10);
    let changed = changed.map(|(name, version)| commit(name, Some(*version), 2));
    commit_all(&*store, &tenant, changed.collect()).await;
    assert_eq!(count(&*store, &tenant).await, 41);

    let gone = names.iter().zip(&versions).skip(10).take(20);
    let gone = gone.map(|(name, version)| dropped(name, *version));
    commit_all(&*store, &tenant, gone.collect()).await;
    assert_eq!(count(&*store, &tenant).await, 21);

    commit_all(&*store, &tenant, vec![commit("p20", None, 3)]).await;
    assert_eq!(count(&*store, &tenant).await, 22);
    assert_eq!(count(&*store, &other).await, 1);
}

pub async fn a_commit_sent_again_and_a_conflict_are_not_counted(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let made = commit("anna", None, 1);
    for _ in 0..3 {
        commit_all(&*store, &tenant, vec![made.clone()]).await;
        assert_eq!(count(&*store, &tenant).await, 1);
    }
    let unknown = new_version();
    for conflicting in [commit("anna", None, 2), dropped("anna", unknown)] {
        let result = commit_one(&*store, &tenant, conflicting).await;
        assert_eq!(result, Ok(Committed::Conflict));
    }
    assert_eq!(count(&*store, &tenant).await, 1);
    let gone = dropped("anna", made.version);
    for _ in 0..3 {
        commit_all(&*store, &tenant, vec![gone.clone()]).await;
        assert_eq!(count(&*store, &tenant).await, 0);
    }
    // Nobody has been dropped already.
    commit_all(&*store, &tenant, vec![dropped("ben", unknown)]).await;
    assert_eq!(count(&*store, &tenant).await, 0);
}

pub async fn records_that_callers_make_side_by_side_are_all_counted(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    // Each person is made by two, of whom one is too late, and every other person is dropped.
    let callers = (0..60_u64).map(|number| {
        let (store, tenant) = (Arc::clone(&store), tenant.clone());
        tokio::spawn(async move {
            let name = format!("p{}", number / 2);
            let made = commit(&name, None, number);
            let version = made.version;
            let result = commit_one(&*store, &tenant, made).await;
            let is_made = result == Ok(Committed::Written);
            if is_made && number / 2 % 2 == 0 {
                commit_all(&*store, &tenant, vec![dropped(&name, version)]).await;
            }
            is_made
        })
    });
    let callers: Vec<_> = callers.collect();
    let (mut made, mut odd) = (0, 0);
    for (number, caller) in callers.into_iter().enumerate() {
        if caller.await.unwrap() {
            made += 1;
            odd += u64::from(number / 2 % 2 == 1);
        }
    }
    assert!(made >= 30, "{made}");
    assert_eq!(odd, 15);
    assert_eq!(count(&*store, &tenant).await, 15);
}

pub async fn a_refused_commit_is_not_counted(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let later = rollout().establish(1);
    assert_eq!(store.fence(&tenant, &later).await, Ok(()));
    let result = commit_one(&*store, &tenant, commit("anna", None, 1)).await;
    assert!(result.is_err(), "{result:?}");
    assert_eq!(count(&*store, &tenant).await, 0);
}

pub async fn the_count_is_there_after_reopening(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    begin(&*store, &tenant).await;
    let made: Vec<Commit> = (0..20)
        .map(|number| commit(&format!("p{number}"), None, 1))
        .collect();
    let gone = dropped("p3", made[3].version);
    commit_all(&*store, &tenant, made).await;
    commit_all(&*store, &tenant, vec![gone]).await;
    drop(store);
    let subject = subject.reopen().await;
    let store = subject.store();
    assert_eq!(count(&*store, &tenant).await, 19);
    // Also when somebody writes before anybody asks.
    drop(store);
    let subject = subject.reopen().await;
    let store = subject.store();
    fenced(&*store, &tenant).await;
    commit_all(&*store, &tenant, vec![commit("p3", None, 1)]).await;
    assert_eq!(count(&*store, &tenant).await, 20);
}
