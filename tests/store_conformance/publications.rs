//! Cases of publications: which model is the latest of a scope.

use bellwether::{
    scoring::Fingerprint,
    store::{ModelStore, Publication, Store},
};

use super::{Subject, new_tenant};

const FIRST: Fingerprint = Fingerprint(u64::MAX);
const SECOND: Fingerprint = Fingerprint(2);
const SOURCE: &str = "[scores.intérêt]\nhalf_life = \"7d\"\n";

/// A scope that no other case uses.
fn new_scope() -> String {
    new_tenant().as_str().to_owned()
}

async fn latest(store: &impl Store, scope: &str) -> Option<Publication> {
    let found = store.publications(&[scope.to_owned()]).await.unwrap();
    assert_eq!(found.len(), 1);
    found[0]
}

pub async fn a_scope_without_models_has_no_latest(subject: impl Subject) {
    let (store, scope) = (subject.store(), new_scope());
    assert_eq!(latest(&*store, &scope).await, None);
    assert_eq!(store.published_source(&scope).await, Ok(None));
    assert_eq!(store.revision(&scope, FIRST).await, Ok(None));
    assert_eq!(store.publications(&[]).await, Ok(Vec::new()));
}

pub async fn a_publication_replaces_only_the_one_that_it_was_made_after(subject: impl Subject) {
    let (store, scope) = (subject.store(), new_scope());
    let first = Publication::following(None, FIRST, 5_000);
    let second = Publication::following(Some(first), SECOND, 6_000);
    assert_eq!(store.publish(&scope, &second, "2").await, Ok(false));
    assert_eq!(store.publish(&scope, &first, SOURCE).await, Ok(true));
    assert_eq!(latest(&*store, &scope).await, Some(first));
    let source = store.published_source(&scope).await;
    assert_eq!(source, Ok(Some(SOURCE.to_owned())));
    assert_eq!(store.publish(&scope, &second, "2").await, Ok(true));
    // However late it is: what it was made after is no longer the latest.
    let late = Publication::following(Some(first), FIRST, 9_000);
    assert_eq!(store.publish(&scope, &late, SOURCE).await, Ok(false));
    assert_eq!(latest(&*store, &scope).await, Some(second));
    let source = store.published_source(&scope).await;
    assert_eq!(source, Ok(Some("2".to_owned())));
}

pub async fn a_publication_sent_again_changes_nothing_that_followed_it(subject: impl Subject) {
    let (store, scope) = (subject.store(), new_scope());
    let first = Publication::following(None, FIRST, 5_000);
    for _ in 0..2 {
        assert_eq!(store.publish(&scope, &first, SOURCE).await, Ok(true));
    }
    let second = Publication::following(Some(first), SECOND, 6_000);
    assert_eq!(store.publish(&scope, &second, "2").await, Ok(true));
    assert_eq!(store.publish(&scope, &first, SOURCE).await, Ok(false));
    assert_eq!(latest(&*store, &scope).await, Some(second));
}

pub async fn a_model_that_comes_back_has_a_later_revision(subject: impl Subject) {
    let (store, scope) = (subject.store(), new_scope());
    let first = Publication::following(None, FIRST, 5_000);
    let second = Publication::following(Some(first), SECOND, 5_000);
    let back = Publication::following(Some(second), FIRST, 5_000);
    let all = [
        (first, FIRST, SOURCE),
        (second, SECOND, "2"),
        (back, FIRST, SOURCE),
    ];
    for (publication, model, source) in all {
        assert_eq!(store.publish(&scope, &publication, source).await, Ok(true));
        let revision = store.revision(&scope, model).await;
        assert_eq!(revision, Ok(Some(publication.revision)));
    }
    assert_eq!(store.revision(&scope, SECOND).await, Ok(Some(5_001)));
    assert_eq!(store.revision(&scope, FIRST).await, Ok(Some(5_002)));
}

pub async fn scopes_are_apart(subject: impl Subject) {
    let (store, scope, other) = (subject.store(), new_scope(), new_scope());
    let first = Publication::following(None, FIRST, 5_000);
    let second = Publication::following(None, SECOND, 6_000);
    assert_eq!(store.publish(&scope, &first, SOURCE).await, Ok(true));
    assert_eq!(store.publish(&other, &second, "2").await, Ok(true));
    let scopes = [other.clone(), new_scope(), scope.clone()];
    let found = store.publications(&scopes).await;
    assert_eq!(found, Ok(vec![Some(second), None, Some(first)]));
    assert_eq!(store.revision(&other, FIRST).await, Ok(None));
}

pub async fn the_latest_model_is_there_after_reopening(subject: impl Subject) {
    let scope = new_scope();
    let first = Publication::following(None, FIRST, 5_000);
    let second = Publication::following(Some(first), SECOND, 6_000);
    let store = subject.store();
    assert_eq!(store.publish(&scope, &first, SOURCE).await, Ok(true));
    assert_eq!(store.publish(&scope, &second, "2").await, Ok(true));
    drop(store);
    let subject = subject.reopen().await;
    let store = subject.store();
    assert_eq!(latest(&*store, &scope).await, Some(second));
    let source = store.published_source(&scope).await;
    assert_eq!(source, Ok(Some("2".to_owned())));
    assert_eq!(store.revision(&scope, FIRST).await, Ok(Some(5_000)));
}
