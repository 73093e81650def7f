//! The service against a plain recomputation: whatever happens to some people, every number
//! that the service says of them, at any instant and on either store, is a sum over
//! everything that happened, as `docs/model.md` defines it.
//!
//! A [`story`] is told to the service, and to [`plain`], which keeps all of it and adds up
//! naively. The [`table`] holds the model: each condition in the words of the model file
//! beside the Rust that says the same.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod answers;
mod plain;
mod properties;
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
