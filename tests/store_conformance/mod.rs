//! The conformance suite of stores. A store takes part by implementing [`Subject`] and one
//! line of `conformance_suite!`.

pub mod audit;
pub mod publications;
pub mod ranks;
pub mod record_counts;
pub mod records;
pub mod reopening;
pub mod rollouts;
pub mod sequences;
pub mod subjects;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bellwether::{
    scoring::{Fingerprint, KeyRange, ProfileId, RankChange, RankKey, RankName, Record, Tenant},
    store::{
        Commit, Committed, IndexGeneration, RankRange, Rollout, Store, StoreError, Stored,
        TotalsChange, Version,
    },
};

/// A store under test.
pub trait Subject: Sized + Send {
    type Store: Store;

    /// An empty store, or a shared one: cases use tenants of their own.
    fn open() -> impl Future<Output = Self> + Send;

    fn store(&self) -> Arc<Self::Store>;

    /// Whether several servers may use it at a time.
    fn is_shared(&self) -> bool {
        true
    }

    /// The same data after a restart of the store, or of what connects to it.
    fn reopen(self) -> impl Future<Output = Self> + Send;
}

/// Instantiates every case for one subject, each under its own name in a module.
macro_rules! conformance_suite {
    ($module:ident, $subject:ty) => {
        mod $module {
            use super::*;
            use crate::store_conformance::{
                audit, publications, ranks, record_counts, records, reopening, rollouts, sequences,
                subjects,
            };

            conformance_suite!(@cases $subject;
                records::an_unknown_profile_is_not_found
                records::what_was_committed_is_loaded
                records::profiles_are_loaded_in_the_order_asked_for
                records::a_commit_with_a_stale_version_changes_nothing
                records::creating_what_exists_is_a_conflict
                records::updating_what_does_not_exist_is_a_conflict
                records::a_commit_sent_again_finds_its_own_version
                records::a_commit_sent_again_after_another_is_a_conflict
                records::each_commit_of_a_batch_has_its_own_result
                records::an_empty_batch_has_no_results
                records::a_scan_gives_all_records_in_the_order_of_ids
                records::all_records_are_sent_by_tenant_and_id
                records::ids_may_be_in_any_script
                records::a_record_with_everything_survives
                records::tenants_are_apart
                records::every_tenant_with_a_record_is_listed
                records::concurrent_increments_are_all_counted
                record_counts::a_tenant_without_records_has_none
                record_counts::records_that_are_made_and_dropped_are_counted
                record_counts::a_commit_sent_again_and_a_conflict_are_not_counted
                record_counts::records_that_callers_make_side_by_side_are_all_counted
                record_counts::a_refused_commit_is_not_counted
                record_counts::the_count_is_there_after_reopening
                subjects::subjects_and_people_of_one_name_are_apart
                subjects::a_scan_gives_subjects_in_the_order_of_ids
                subjects::ranks_hold_subjects_and_pages_go_on_after_one
                subjects::subjects_are_there_after_reopening
                ranks::a_rank_that_nobody_holds_is_empty
                ranks::a_page_is_in_order_of_key_then_id
                ranks::pages_join_without_gap_or_repeat
                ranks::pages_of_many_equal_keys_are_in_order_of_ids_whatever_their_size
                ranks::a_range_includes_its_start_and_excludes_its_end
                ranks::profiles_without_points_come_last_and_are_counted
                ranks::a_page_says_what_precedes_it_and_the_total
                ranks::a_cursor_need_not_be_an_entry
                ranks::a_conflict_moves_no_rank
                ranks::a_commit_sent_again_moves_no_rank
                ranks::a_record_and_its_ranks_move_together
                ranks::counts_of_several_ranges_are_in_their_order
                ranks::a_moving_profile_is_counted_once
                ranks::totals_add_up
                ranks::ranks_of_tenants_are_apart
                ranks::the_latest_instant_that_was_counted_is_told_in_whole_seconds
                ranks::a_conflict_counts_nothing_and_a_commit_sent_again_nothing_more
                ranks::the_latest_instant_is_known_after_reopening
                reopening::everything_is_there_after_reopening
                reopening::a_rebuilt_index_gives_the_same_pages
                reopening::indexing_adds_nothing_that_is_there
                rollouts::a_tenant_without_models_has_a_rollout_of_epoch_zero
                rollouts::a_rollout_replaces_only_the_one_that_it_was_made_from
                rollouts::a_rollout_set_again_is_still_the_tenants
                rollouts::a_saved_model_is_read_back
                rollouts::models_that_nobody_needs_are_forgotten_and_others_stay
                rollouts::rollouts_of_many_tenants_are_read_in_their_order
                rollouts::a_commit_of_an_earlier_epoch_is_refused
                rollouts::a_commit_of_a_later_epoch_counts_from_then_on
                rollouts::an_generation_that_is_not_maintained_is_not_read
                rollouts::generations_of_a_rank_are_apart
                rollouts::indexing_leaves_out_what_was_written_since
                rollouts::indexing_a_generation_that_is_not_maintained_is_refused
                rollouts::what_was_indexed_is_remembered
                rollouts::dropped_ranks_are_gone_and_the_others_are_there
                rollouts::a_dropped_record_leaves_nothing
                rollouts::the_right_to_build_is_one_servers
                rollouts::servers_know_of_each_other
                rollouts::the_first_key_of_page_tokens_is_kept
                audit::a_scope_in_which_nothing_was_done_has_no_entries
                audit::entries_come_latest_first_and_are_of_their_scope_alone
                audit::an_entry_that_is_added_again_stands_once
                audit::the_entries_that_were_added_first_go_when_there_are_too_many
                audit::entries_are_there_after_reopening
                publications::a_scope_without_models_has_no_latest
                publications::a_publication_replaces_only_the_one_that_it_was_made_after
                publications::a_publication_sent_again_changes_nothing_that_followed_it
                publications::a_model_that_comes_back_has_a_later_revision
                publications::scopes_are_apart
                publications::the_latest_model_is_there_after_reopening
                sequences::any_sequence_of_operations_equals_a_plain_model
            );
        }
    };
    (@cases $subject:ty; $($group:ident :: $case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $group::$case(<$subject>::open().await).await;
            }
        )*
    };
}
pub(crate) use conformance_suite;

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A tenant that no other case uses, also not on a server that other runs share.
#[expect(clippy::disallowed_methods, reason = "the time makes the name unique")]
pub fn new_tenant() -> Tenant {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let since_1970 = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let process = std::process::id();
    Tenant::new(&format!("t{since_1970}-{process}-{number}")).unwrap()
}

pub fn new_version() -> Version {
    Version(NEXT.fetch_add(1, Ordering::Relaxed))
}

pub fn id(text: &str) -> ProfileId {
    ProfileId::stored(text).unwrap()
}

pub fn key(value: f64) -> RankKey {
    RankKey::new(value).unwrap()
}

/// A record that differs from others by a number.
pub fn record(number: u64) -> Record {
    Record {
        event_count: number,
        ..Record::default()
    }
}

/// A move within a rank.
pub fn change(rank: &str, old: Option<f64>, new: Option<f64>) -> RankChange {
    RankChange {
        rank: RankName::new(rank),
        old: old.map(key),
        new: new.map(key),
    }
}

pub fn added(topic: &str, touches: u64, advance_millionths: u64) -> TotalsChange {
    TotalsChange::adding((topic.into(), touches as i64, advance_millionths as i64))
}

/// The generation that cases write and read.
pub const GENERATION: IndexGeneration = IndexGeneration {
    number: 1,
    model: Fingerprint(1),
};

/// The rollout of a tenant's first model.
pub fn rollout() -> Rollout {
    Rollout::begin(GENERATION, 0)
}

/// A range of a rank from a key to a key.
pub fn range(rank: &str, from: f64, below: Option<f64>) -> RankRange {
    RankRange {
        rank: RankName::new(rank),
        keys: KeyRange {
            from: key(from),
            below: below.map(key),
        },
    }
}

/// A whole rank.
pub fn all(rank: &str) -> RankRange {
    RankRange {
        rank: RankName::new(rank),
        keys: KeyRange::ALL,
    }
}

/// A write of `record(number)`.
pub fn commit(profile: &str, expected: Option<Version>, number: u64) -> Commit {
    Commit {
        profile_id: id(profile),
        expected,
        version: new_version(),
        record: Some(record(number)),
        ranks: Vec::new(),
        totals: Vec::new(),
    }
}

/// A new profile with a key in one rank.
pub fn ranked(profile: &str, rank: &str, value: f64) -> Commit {
    Commit {
        ranks: vec![(GENERATION, vec![change(rank, None, Some(value))])],
        ..commit(profile, None, 1)
    }
}

/// Makes a tenant known with the models that commits are made for, as a server does before
/// its first one.
pub async fn begin(store: &impl Store, tenant: &Tenant) {
    assert_eq!(store.set_rollout(tenant, &rollout()).await, Ok(true));
    fenced(store, tenant).await;
}

/// Raises the fences that commits are made behind.
pub async fn fenced(store: &impl Store, tenant: &Tenant) {
    assert_eq!(store.fence(tenant, &rollout()).await, Ok(()));
}

/// Commits one write.
pub async fn commit_one(
    store: &impl Store,
    tenant: &Tenant,
    commit: Commit,
) -> Result<Committed, StoreError> {
    let mut results = store.commit(tenant, &rollout(), vec![commit]).await;
    assert_eq!(results.len(), 1);
    results.remove(0)
}

/// Commits writes that all succeed.
pub async fn commit_all(store: &impl Store, tenant: &Tenant, commits: Vec<Commit>) {
    let expected = vec![Ok(Committed::Written); commits.len()];
    assert_eq!(store.commit(tenant, &rollout(), commits).await, expected);
}

/// Loads one record.
pub async fn load_one(store: &impl Store, tenant: &Tenant, profile: &str) -> Option<Stored> {
    let mut loaded = store.load(tenant, &[id(profile)]).await;
    assert_eq!(loaded.len(), 1);
    loaded.remove(0).unwrap()
}

/// The profiles of a range, all pages of `page_size` joined.
pub async fn walk(
    store: &impl Store,
    tenant: &Tenant,
    range: &RankRange,
    page_size: usize,
) -> Vec<(f64, String)> {
    let mut entries = Vec::new();
    let mut cursor = None;
    loop {
        let page = store
            .page(tenant, GENERATION, range, cursor.as_ref(), page_size)
            .await
            .unwrap();
        assert_eq!(page.preceding, entries.len() as u64);
        let Some((key, profile_id)) = page.entries.last() else {
            assert_eq!(page.total, entries.len() as u64);
            return entries;
        };
        cursor = Some(bellwether::store::Cursor {
            key: *key,
            profile_id: profile_id.clone(),
        });
        entries.extend(
            page.entries
                .iter()
                .map(|(key, profile_id)| (key.value(), profile_id.to_string())),
        );
    }
}
