//! The service against a plain recomputation: whatever happens to some people, every number
//! that the service says of them, at any instant and on either store, is a sum over
//! everything that happened, as `docs/model.md` defines it.
//!
//! A [`story`], out of [`making`], is told to the service and to [`plain`], which keeps all of
//! it and adds up naively. The [`table`] holds the model: each condition in the words of the
//! model file beside the Rust that says the same. [`reach`] tests that the stories get everywhere.
//!
//! What holds for everything in [`rows`], that is every table of a model, with every key and
//! every name that conditions see:
//!
//! - every number equals the recomputation, which follows in the order of arrival what the
//!   definitions make depend on it: limits, cooldowns, `once`, conditions on history, the keys
//!   that people and accounts keep, advances, and what a retraction leaves of any of these, of
//!   `keep = "latest"` and of the times of events;
//! - what is forgotten is too old; the same with few events in memory, without retractions, which
//!   take places in it that nobody is told of;
//! - what is sent again changes nothing, and what is sent together counts as what is sent one by one.
//!   Not here: `keep = "latest"`, and the keys of accounts, which follow the order in which an
//!   account hears of several people;
//! - counts go on when a model has other half-lives, into fading and out of it;
//! - first and last are the times of all that ever counted;
//! - an account counts what its people count.
//!
//! What holds for all that does not ask for order, at the service alone: the order of events
//! does not matter, what is taken back leaves what there would be without it, what is released
//! was never held. Not here: statements that change the account among events in another order,
//! because an event counts for the account of its arrival; releases, in another order.
//!
//! Not in any story, because too much would have to happen: a `value` above 1,000,000
//! (`tests/scoring/signals.rs`), keys of more than 128 bytes and more than 64 of them
//! (`tests/scoring/keys.rs`), more than 64 held events and the release of one by its id
//! (`tests/scoring/corrections.rs`), more than 32 touches (`tests/scoring/influence.rs`). Nor other
//! forms of the same: one text instead of a list (the models of `tests/scoring`). Nor changes of a model
//! other than of half-lives (`tests/scoring/comparing.rs`, `tests/service/models.rs`).
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod answers;
mod asked;
mod making;
mod plain;
mod properties;
mod reach;
#[path = "../redis_servers/mod.rs"]
mod redis_servers;
mod rows;
mod served;
mod stores;
mod story;
mod table;

/// Each property on each store, under its own name.
macro_rules! on_both_stores {
    ($($property:ident),+ $(,)?) => {
        mod embedded {
            $(#[test]
            fn $property() {
                crate::properties::$property::<crate::stores::OnDisk>();
            })+

            #[test]
            fn what_was_counted_goes_on_with_the_half_lives_of_another_model() {
                crate::properties::what_was_counted_goes_on_with_the_half_lives_of_another_model::<
                    crate::stores::OnDisk,
                >();
            }
        }
        mod redis {
            $(#[test]
            fn $property() {
                crate::properties::$property::<crate::stores::InRedis>();
            })+

            #[test]
            fn what_was_counted_goes_on_with_the_half_lives_of_another_model() {
                crate::properties::what_was_counted_goes_on_with_the_half_lives_of_another_model::<
                    crate::stores::InQuietRedis,
                >();
            }
        }
    };
}

on_both_stores!(
    every_number_equals_the_recomputation,
    what_is_forgotten_is_too_old_and_never_counts_twice,
    the_order_of_events_does_not_matter_to_what_does_not_ask_for_it,
    events_that_are_sent_again_change_nothing,
    what_is_taken_back_leaves_what_there_would_be_without_it,
    what_is_released_counts_as_if_it_had_never_been_held,
    an_account_counts_what_its_people_count,
    the_first_and_the_last_event_are_those_of_all_that_ever_counted,
);
