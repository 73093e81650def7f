//! A simulator: several services on one store whose network loses, delays and repeats
//! messages, in a time of its own, from one seed. After each run every event counts once, for its
//! person and for its account, or not at all when it was taken back, and everything that the store
//! keeps equals a recount.
//!
//! Where clients do one thing after the other, an event is acknowledged before it is taken back, or
//! is taken back before it is sent. Where nothing depends on order, events and their retractions race,
//! and some events are sent once and taken back whatever has become of them.
//!
//! `SIMULATION_SEED=123 cargo test --test simulation` runs one seed again, with
//! `SIMULATION_TRACE=1` and `-- --nocapture` step by step; `SIMULATION_RUNS=100000` runs more;
//! `SIMULATION_FAILOVERS=1` also has failovers lose what was last set for a tenant, which a few
//! seeds in a thousand do not survive without a restart.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod clients;
mod crowd;
mod dice;
mod differences;
mod network;
mod people;
mod recount;
mod run;
mod servers;
mod state;
mod store;

use people::Plan;
use run::run;
use state::Flaw;

/// Runs of each of the two halves, unless the environment says otherwise.
const RUNS: u64 = 1_000;

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
    )
}

fn check(seed: u64) {
    let report = run(seed, None);
    assert!(
        report.violations.is_empty(),
        "seed {seed}: {}\nreplay: SIMULATION_SEED={seed} cargo test --test simulation",
        report.violations.join("\n  "),
    );
}

fn check_half(half: u64) {
    match setting("SIMULATION_SEED") {
        Some(seed) if seed % 2 == half => check(seed),
        Some(_) => {}
        None => {
            let runs = setting("SIMULATION_RUNS").map_or(RUNS, |runs| runs / 2);
            (0..runs).for_each(|number| check(2 * number + half));
        }
    }
}

#[test]
fn everything_counts_once_with_even_seeds() {
    check_half(0);
}

#[test]
fn everything_counts_once_with_odd_seeds() {
    check_half(1);
}

#[test]
fn a_seed_is_the_same_run_every_time() {
    for seed in 0..20 {
        assert_eq!(run(seed, None), run(seed, None), "seed {seed}");
    }
}

/// Seeds within which a flaw must show.
const PATIENCE: u64 = 400;

fn found_out(flaw: Flaw) {
    let found = (0..PATIENCE).find_map(|seed| {
        let report = run(seed, Some(flaw));
        (!report.violations.is_empty()).then_some((seed, report))
    });
    let (seed, report) = found.unwrap_or_else(|| panic!("{flaw:?} is not found out"));
    println!(
        "{flaw:?} is found out by seed {seed}: {}",
        report.violations[0]
    );
}

#[test]
fn a_store_that_takes_commits_of_earlier_epochs_is_found_out() {
    found_out(Flaw::TakesOldEpochs);
}

#[test]
fn a_store_that_serves_ranks_nobody_maintains_is_found_out() {
    found_out(Flaw::ServesOldGenerations);
}

#[test]
fn a_store_that_compares_no_versions_is_found_out() {
    found_out(Flaw::ComparesNoVersions);
}

#[test]
fn a_store_that_adds_totals_again_is_found_out() {
    found_out(Flaw::RepeatsTotals);
}

#[test]
fn a_store_that_indexes_records_written_since_is_found_out() {
    found_out(Flaw::IndexesOldVersions);
}

#[test]
fn a_store_that_skips_moves_to_the_same_key_is_found_out() {
    found_out(Flaw::SkipsEqualKeys);
}

#[test]
fn a_store_that_fences_one_partition_only_is_found_out() {
    found_out(Flaw::FencesOnePartition);
}

#[test]
fn a_store_that_acknowledges_what_it_has_not_written_is_found_out() {
    found_out(Flaw::AcknowledgesUnwritten);
}

#[test]
fn a_store_that_writes_credits_after_their_cause_is_found_out() {
    found_out(Flaw::DefersCredits);
}

#[test]
fn a_store_that_tears_records_and_ranks_apart_is_found_out() {
    found_out(Flaw::TearsCommits);
}

#[test]
fn a_store_that_sets_any_rollout_is_found_out() {
    found_out(Flaw::ReplacesRollouts);
}

#[test]
fn a_store_that_indexes_ranks_nobody_maintains_is_found_out() {
    found_out(Flaw::IndexesOldGenerations);
}

#[test]
fn a_store_that_forgets_what_was_published_is_found_out() {
    found_out(Flaw::ForgetsRevisions);
}

#[test]
fn a_store_that_forgets_which_stages_people_keep_is_found_out() {
    found_out(Flaw::ForgetsKeptStages);
}

#[test]
fn some_people_stand_at_a_stage_only_because_they_keep_it() {
    let keeping = |later_nanos| {
        let plans = (0..200).map(Plan::new);
        let keeping = plans.filter(|plan| recount::somebody_keeps(plan, later_nanos));
        keeping.count()
    };
    // With their last event, which they may have needed it for, and a day later.
    let (at_once, later) = (keeping(0), keeping(86_400_000_000_000));
    assert!(at_once > 0 && later > 20, "{at_once} and {later}");
}

#[test]
fn a_store_that_notes_no_instants_is_found_out() {
    found_out(Flaw::ForgetsInstants);
}

#[test]
fn a_store_that_serves_copies_of_any_version_is_found_out() {
    found_out(Flaw::ServesCopies);
}
