//! Cases of models: rollouts, the fence, building ranks beside others, dropping.

use std::time::Duration;

use bellwether::{
    scoring::{Fingerprint, RankName, Tenant},
    store::{
        Commit, Committed, Coordination, IndexEntry, IndexGeneration, ModelStore, Publication,
        RankStore, RecordStore, Rollout, SavedModel, StoreError, Stored, TokenKey,
    },
};

use super::{
    GENERATION, Subject, added, all, change, commit, commit_all, commit_one, fenced, id, key,
    load_one, new_tenant, new_version, ranked, rollout, walk,
};

const NEXT_MODEL: Fingerprint = Fingerprint(2);
const NEXT: IndexGeneration = IndexGeneration {
    number: u64::MAX - 1,
    model: NEXT_MODEL,
};
const OTHER: IndexGeneration = IndexGeneration {
    number: 3,
    model: Fingerprint(3),
};

fn saved(fingerprint: Fingerprint) -> SavedModel {
    SavedModel {
        fingerprint,
        source: "[scores.intérêt]\nhalf_life = \"7d\"\n".to_owned(),
        ranks: vec![RankName::new("r"), RankName::new("s")],
    }
}

/// A model that no other case uses: models are kept once for all tenants.
fn new_model() -> SavedModel {
    saved(Fingerprint(u64::MAX / 2 + new_version().0))
}

pub async fn a_tenant_without_models_has_a_rollout_of_epoch_zero(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    assert_eq!(store.rollout(&tenant).await, Ok(Rollout::default()));
    let model = new_model().fingerprint;
    assert_eq!(store.model(model).await, Ok(None));
    let several = [tenant, new_tenant()];
    let rollouts = store.rollouts(&several).await;
    assert_eq!(rollouts, Ok(vec![Rollout::default(); 2]));
    assert_eq!(store.rollouts(&[]).await, Ok(Vec::new()));
}

pub async fn a_rollout_replaces_only_the_one_that_it_was_made_from(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let first = rollout();
    let second = first.propose(NEXT, 0);
    assert_eq!(store.set_rollout(&tenant, &first).await, Ok(true));
    assert_eq!(store.set_rollout(&tenant, &second).await, Ok(true));
    let other = first.propose(OTHER, 0);
    assert_eq!(store.set_rollout(&tenant, &other).await, Ok(false));
    assert_eq!(store.set_rollout(&tenant, &first).await, Ok(false));
    assert_eq!(store.rollout(&tenant).await, Ok(second.clone()));
    // However late it is: what it was made from is no longer the tenant's.
    let late = first.propose(OTHER, 1_000_000);
    assert_eq!(store.set_rollout(&tenant, &late).await, Ok(false));
    let third = second.promote(0);
    let later = third.forget_discarded(0);
    assert_eq!(store.set_rollout(&tenant, &later).await, Ok(false));
    assert_eq!(store.set_rollout(&tenant, &third).await, Ok(true));
    assert_eq!(store.set_rollout(&tenant, &later).await, Ok(true));
    assert_eq!(store.rollout(&tenant).await, Ok(later));
}

pub async fn a_rollout_set_again_is_still_the_tenants(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    for _ in 0..2 {
        assert_eq!(store.set_rollout(&tenant, &rollout()).await, Ok(true));
    }
    assert_eq!(store.rollout(&tenant).await, Ok(rollout()));
}

pub async fn a_saved_model_is_read_back(subject: impl Subject) {
    let store = subject.store();
    let model = new_model();
    for _ in 0..2 {
        store.save_model(&model).await.unwrap();
        let read = store.model(model.fingerprint).await;
        assert_eq!(read, Ok(Some(model.clone())));
    }
    assert_eq!(store.model(new_model().fingerprint).await, Ok(None));
}

pub async fn models_that_nobody_needs_are_forgotten_and_others_stay(subject: impl Subject) {
    let store = subject.store();
    let [needed, unneeded, latest] = [new_model(), new_model(), new_model()];
    for model in [&needed, &unneeded, &latest] {
        store.save_model(model).await.unwrap();
    }
    let scope = new_tenant().as_str().to_owned();
    let publication = Publication::following(None, latest.fingerprint, 5_000);
    let published = store.publish(&scope, &publication, &latest.source).await;
    assert_eq!(published, Ok(true));
    let kept = [needed.fingerprint];
    let long = Duration::from_secs(3_600);
    let left = store.forget_models(&kept, long).await.unwrap();
    assert!(left >= 1, "one was just saved");
    for model in [&needed, &unneeded, &latest] {
        let read = store.model(model.fingerprint).await;
        assert_eq!(read, Ok(Some(model.clone())));
    }
    if subject.is_shared() {
        // Other cases need what they have just saved.
        return;
    }
    assert_eq!(store.forget_models(&kept, Duration::ZERO).await, Ok(0));
    assert_eq!(store.model(unneeded.fingerprint).await, Ok(None));
    assert_eq!(store.model(needed.fingerprint).await, Ok(Some(needed)));
    let source = store.published_source(&scope).await;
    assert_eq!(source, Ok(Some(latest.source)));
}

pub async fn rollouts_of_many_tenants_are_read_in_their_order(subject: impl Subject) {
    let store = subject.store();
    let before = store.tenant_count().await.unwrap();
    let tenants: Vec<Tenant> = (0..40).map(|_| new_tenant()).collect();
    let mut expected = Vec::new();
    for (number, tenant) in tenants.iter().enumerate() {
        let rollout = match number % 3 {
            0 => Rollout::default(),
            _ => Rollout::begin(GENERATION, number as u64),
        };
        if rollout.epoch > 0 {
            assert_eq!(store.set_rollout(tenant, &rollout).await, Ok(true));
            store.fence(tenant, &rollout).await.unwrap();
        }
        expected.push(rollout);
    }
    assert_eq!(store.rollouts(&tenants).await, Ok(expected.clone()));
    let begun = expected.iter().filter(|rollout| rollout.epoch > 0).count() as u64;
    assert!(store.tenant_count().await.unwrap() >= before + begun);
    let losses = store.have_losses(&tenants).await.unwrap();
    for (has_loss, rollout) in losses.iter().zip(&expected) {
        assert!(!has_loss || rollout.epoch == 0, "{rollout:?}");
    }
}

pub async fn a_commit_of_an_earlier_epoch_is_refused(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    commit_all(&*store, &tenant, vec![ranked("anna", "r", 1.0)]).await;
    let next = rollout().propose(NEXT, 0);
    store.fence(&tenant, &next).await.unwrap();
    let late = vec![ranked("ben", "r", 2.0), ranked("cleo", "r", 3.0)];
    let refused = store.commit(&tenant, &rollout(), late).await;
    assert_eq!(refused, vec![Err(StoreError::Superseded); 2]);
    assert_eq!(load_one(&*store, &tenant, "ben").await, None);
    assert_eq!(walk(&*store, &tenant, &all("r"), 9).await.len(), 1);
    // A fence of an earlier epoch does not lower it.
    let lowered = store.fence(&tenant, &rollout()).await;
    assert_eq!(lowered, Err(StoreError::Superseded));
    let late = vec![ranked("ben", "r", 2.0)];
    let refused = store.commit(&tenant, &rollout(), late).await;
    assert_eq!(refused, [Err(StoreError::Superseded)]);
    let current = vec![ranked("ben", "r", 2.0)];
    let written = store.commit(&tenant, &next, current).await;
    assert_eq!(written, [Ok(Committed::Written)]);
}

pub async fn a_commit_of_a_later_epoch_counts_from_then_on(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let first = commit("anna", None, 1);
    let second = commit("anna", Some(first.version), 2);
    let third = commit("anna", Some(second.version), 3);
    commit_all(&*store, &tenant, vec![first]).await;
    let next = rollout().propose(NEXT, 0);
    let written = store.commit(&tenant, &next, vec![second.clone()]).await;
    assert_eq!(written, [Ok(Committed::Written)]);
    let refused = store.commit(&tenant, &rollout(), vec![third]).await;
    assert_eq!(refused, [Err(StoreError::Superseded)]);
    let stored = load_one(&*store, &tenant, "anna").await.unwrap();
    assert_eq!(stored.version, second.version);
}

pub async fn an_generation_that_is_not_maintained_is_not_read(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    commit_all(&*store, &tenant, vec![ranked("anna", "r", 1.0)]).await;
    let proposed = rollout().propose(NEXT, 0);
    store.fence(&tenant, &proposed).await.unwrap();
    assert_eq!(walk(&*store, &tenant, &all("r"), 9).await.len(), 1);
    let promoted = proposed.promote(0);
    store.fence(&tenant, &promoted).await.unwrap();
    let page = store.page(&tenant, GENERATION, &all("r"), None, 9).await;
    assert_eq!(page, Err(StoreError::Superseded));
    let count = store.count(&tenant, GENERATION, &[all("r")]).await;
    assert_eq!(count, Err(StoreError::Superseded));
    let active = promoted.active.unwrap();
    let page = store.page(&tenant, active, &all("r"), None, 9).await;
    assert_eq!(page.unwrap().total, 0);
}

pub async fn generations_of_a_rank_are_apart(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let both = rollout().propose(NEXT, 0);
    let candidate = both.candidate.unwrap();
    store.fence(&tenant, &both).await.unwrap();
    let moves = |value| vec![change("r", None, Some(value))];
    let commits = vec![Commit {
        ranks: vec![(GENERATION, moves(1.0)), (candidate, moves(7.0))],
        ..commit("anna", None, 1)
    }];
    let written = store.commit(&tenant, &both, commits).await;
    assert_eq!(written, [Ok(Committed::Written)]);
    for (generation, value) in [(GENERATION, 1.0), (candidate, 7.0)] {
        let page = store.page(&tenant, generation, &all("r"), None, 9).await;
        assert_eq!(page.unwrap().entries, [(key(value), id("anna"))]);
    }
}

fn entry(stored: &Stored, value: f64) -> IndexEntry {
    IndexEntry {
        profile_id: stored.profile_id.clone(),
        version: stored.version,
        ranks: vec![(RankName::new("r"), key(value))],
    }
}

pub async fn indexing_leaves_out_what_was_written_since(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let commits = ["anna", "ben", "cleo"].map(|name| ranked(name, "r", 1.0));
    commit_all(&*store, &tenant, commits.to_vec()).await;
    let both = rollout().propose(NEXT, 0);
    let candidate = both.candidate.unwrap();
    store.fence(&tenant, &both).await.unwrap();
    let scanned = store.scan(&tenant, None, 9).await.unwrap();
    // Written since, by somebody who maintains both.
    let ben = Commit {
        ranks: vec![(candidate, vec![change("r", Some(4.0), Some(5.0))])],
        ..commit("ben", Some(scanned[1].version), 2)
    };
    let cleo = Commit {
        record: None,
        ranks: vec![
            (GENERATION, vec![change("r", Some(1.0), None)]),
            (candidate, vec![change("r", Some(4.0), None)]),
        ],
        ..commit("cleo", Some(scanned[2].version), 0)
    };
    let written = store.commit(&tenant, &both, vec![ben, cleo]).await;
    assert_eq!(written, vec![Ok(Committed::Written); 2]);
    for _ in 0..2 {
        let entries = scanned.iter().map(|stored| entry(stored, 4.0)).collect();
        store.index(&tenant, candidate, entries).await.unwrap();
        let page = store.page(&tenant, candidate, &all("r"), None, 9).await;
        let expected = [(key(5.0), id("ben")), (key(4.0), id("anna"))];
        assert_eq!(page.unwrap().entries, expected);
    }
}

pub async fn indexing_a_generation_that_is_not_maintained_is_refused(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    commit_all(&*store, &tenant, vec![ranked("anna", "r", 1.0)]).await;
    let abandoned = rollout().propose(NEXT, 0);
    let replaced = abandoned.propose(OTHER, 0);
    store.fence(&tenant, &replaced).await.unwrap();
    let scanned = store.scan(&tenant, None, 9).await.unwrap();
    let entries = vec![entry(&scanned[0], 1.0)];
    let generation = abandoned.candidate.unwrap();
    let refused = store.index(&tenant, generation, entries).await;
    assert_eq!(refused, Err(StoreError::Superseded));
}

pub async fn what_was_indexed_is_remembered(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let commits = ["anna", "ben"].map(|name| ranked(name, "r", 1.0));
    commit_all(&*store, &tenant, commits.to_vec()).await;
    let both = rollout().propose(NEXT, 0);
    let candidate = both.candidate.unwrap();
    store.fence(&tenant, &both).await.unwrap();
    assert_eq!(store.indexed_to(&tenant, candidate).await, Ok(None));
    let scanned = store.scan(&tenant, None, 9).await.unwrap();
    for stored in &scanned {
        let entries = vec![entry(stored, 1.0)];
        store.index(&tenant, candidate, entries).await.unwrap();
        let last = store.indexed_to(&tenant, candidate).await;
        assert_eq!(last, Ok(Some(stored.profile_id.clone())));
    }
    let later = IndexGeneration {
        number: candidate.number + 1,
        ..candidate
    };
    assert_eq!(store.indexed_to(&tenant, later).await, Ok(None));
}

pub async fn dropped_ranks_are_gone_and_the_others_are_there(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let both = rollout().propose(NEXT, 0);
    let candidate = both.candidate.unwrap();
    store.fence(&tenant, &both).await.unwrap();
    let moves = vec![change("r", None, Some(1.0)), change("s", None, Some(2.0))];
    let commits = vec![Commit {
        ranks: vec![(GENERATION, moves.clone()), (candidate, moves)],
        ..commit("anna", None, 1)
    }];
    store.commit(&tenant, &both, commits).await;
    let names = ["r", "s"].map(RankName::new);
    store.drop_ranks(&tenant, GENERATION, &names).await.unwrap();
    store.drop_ranks(&tenant, GENERATION, &names).await.unwrap();
    for (generation, total) in [(GENERATION, 0), (candidate, 1)] {
        let counts = store
            .count(&tenant, generation, &[all("r"), all("s")])
            .await;
        assert_eq!(counts.unwrap().counts, [total; 2]);
    }
}

pub async fn a_dropped_record_leaves_nothing(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let written = ranked("anna", "r", 1.0);
    let other = ranked("ben", "r", 0.0);
    let dropping = Commit {
        record: None,
        ranks: vec![(GENERATION, vec![change("r", Some(1.0), None)])],
        ..commit("anna", Some(written.version), 0)
    };
    let stale = Commit {
        expected: Some(new_version()),
        version: new_version(),
        ..dropping.clone()
    };
    commit_all(&*store, &tenant, vec![written, other]).await;
    let conflict = commit_one(&*store, &tenant, stale).await;
    assert_eq!(conflict, Ok(Committed::Conflict));
    for _ in 0..2 {
        commit_all(&*store, &tenant, vec![dropping.clone()]).await;
        assert_eq!(load_one(&*store, &tenant, "anna").await, None);
        let page = walk(&*store, &tenant, &all("r"), 9).await;
        assert_eq!(page, [(0.0, "ben".to_owned())]);
        let scanned = store.scan(&tenant, None, 9).await.unwrap();
        assert_eq!(scanned.len(), 1);
    }
    let again = Commit {
        totals: vec![added("topic", 1, 0)],
        ..ranked("anna", "r", 3.0)
    };
    commit_all(&*store, &tenant, vec![again]).await;
    assert_eq!(walk(&*store, &tenant, &all("r"), 9).await.len(), 2);
}

pub async fn the_right_to_build_is_one_servers(subject: impl Subject) {
    let (store, tenant) = (subject.store(), new_tenant());
    fenced(&*store, &tenant).await;
    let (first, second) = (new_version().0, new_version().0);
    let long = Duration::from_secs(60);
    assert_eq!(store.lease(&tenant, first, long).await, Ok(true));
    assert_eq!(store.lease(&tenant, first, long).await, Ok(true));
    let other = store.lease(&tenant, second, long).await.unwrap();
    // One process has an embedded store for itself.
    assert_eq!(other, !subject.is_shared());
    let elsewhere = store.lease(&new_tenant(), second, long).await;
    assert_eq!(elsewhere, Ok(true));
}

pub async fn servers_know_of_each_other(subject: impl Subject) {
    let store = subject.store();
    let (first, second) = (new_version().0, new_version().0);
    let long = Duration::from_secs(60);
    let alone = store.announce(first, long).await.unwrap();
    let others = store.announce(second, long).await.unwrap();
    if subject.is_shared() {
        // Other cases may announce servers of their own.
        assert!(others > alone || others >= 1, "{alone} and then {others}");
        let again = store.announce(first, long).await.unwrap();
        assert!(again >= 1, "{again}");
        let gone = Duration::from_millis(1);
        store.announce(first, gone).await.unwrap();
        store.announce(second, gone).await.unwrap();
    } else {
        assert_eq!((alone, others), (0, 0));
    }
}

pub async fn the_first_key_of_page_tokens_is_kept(subject: impl Subject) {
    let store = subject.store();
    let proposed = || TokenKey::random().unwrap();
    let (one, other) = (proposed(), proposed());
    let (first, same) = tokio::join!(store.token_key(&one), store.token_key(&other));
    assert_eq!(first, same);
    let first = first.unwrap();
    assert_eq!(store.token_key(&proposed()).await, Ok(first.clone()));
    drop(store);
    let subject = subject.reopen().await;
    let again = subject.store().token_key(&proposed()).await;
    assert_eq!(again, Ok(first));
}
