//! Each of the signs by itself.

use serde_json::json;

use super::{joined, recommended, signs, simply, visits_much_more, visits_steadily, world};
use crate::world::{assert_close, did, reasons, term};

#[tokio::test]
async fn more_recommendations_are_more_points_up_to_ten() {
    let mut world = world().await;
    for number in 1..=12_u32 {
        assert_eq!(
            world.sees(recommended("ann", 0.0)).await,
            ["was_recommended"]
        );
        assert_close(
            signs(&world, "ann", 0.0).await,
            6.0 * f64::from(number.min(10)),
        );
    }
    let profile = world.profile("ann", 0.0).await;
    let term = term(&profile, "signs", "was_recommended");
    assert!(term.capped_count > 0.0);
    assert_eq!(term.limit, Some(10.0));
}

#[tokio::test]
async fn recommendations_of_lately_weigh_more_than_those_of_long_ago() {
    let mut world = world().await;
    world.sees(recommended("ann", 0.0)).await;
    world.sees(recommended("bob", 60.0)).await;
    assert_close(signs(&world, "ann", 60.0).await, 1.5);
    assert_close(signs(&world, "bob", 60.0).await, 6.0);
}

#[tokio::test]
async fn a_dramatic_change_of_habit_shows_and_a_steady_habit_does_not() {
    let mut world = world().await;
    for action in visits_steadily("ann") {
        assert_eq!(world.sees(action).await, ["visited"]);
    }
    let mut changes = 0;
    for action in visits_much_more("ann", 80.0) {
        changes += usize::from(world.sees(action).await.len() > 1);
    }
    assert_eq!(changes, 1, "once a week");
    assert_close(
        term(
            &world.profile("ann", 83.0).await,
            "signs",
            "uses_it_much_more",
        )
        .weight,
        12.0,
    );
    // Somebody who always came as often has not changed.
    for visit in 0..200 {
        let action = simply("bob", "visit", f64::from(visit) / 5.0);
        assert_eq!(world.sees(action).await, ["visited"], "{visit}");
    }
    assert_eq!(signs(&world, "bob", 40.0).await, 0.0);
}

#[tokio::test]
async fn who_came_often_and_has_almost_stopped_is_found_by_a_range() {
    let mut world = world().await;
    world.sees_all(visits_much_more("ann", 0.0)).await;
    assert!(world.ranked("went_quiet", 10.0).await.is_empty());
    world.sees(simply("bob", "visit", 60.0)).await;
    world.sees_all(visits_much_more("bob", 60.0)).await;
    assert_eq!(world.ranked("went_quiet", 63.0).await, ["ann"]);
    assert_eq!(world.ranked("went_quiet", 123.0).await, ["bob"]);
}

#[tokio::test]
async fn a_last_position_that_was_changed_or_ended_counts_and_another_does_not() {
    let mut world = world().await;
    let position = |who: &str, event_type: &str, is_last: bool| {
        did(who, event_type, 0.0, json!({ "is_last": is_last }))
    };
    for (who, event_type) in [("ann", "position_changed"), ("bob", "position_ended")] {
        let matched = world.sees(position(who, event_type, true)).await;
        assert_eq!(matched, ["changed_last_position"]);
        assert_eq!(signs(&world, who, 0.0).await, 15.0);
        assert!(
            world
                .sees(position("cid", event_type, false))
                .await
                .is_empty()
        );
    }
}

#[tokio::test]
async fn a_rewritten_description_counts_once_a_day() {
    let mut world = world().await;
    for hour in [0.0, 1.0, 2.0] {
        world
            .sees(simply("ann", "description_changed", hour / 24.0))
            .await;
    }
    let profile = world.profile("ann", 2.0 / 24.0).await;
    assert_eq!(term(&profile, "signs", "rewrote_description").weight, 8.0);
    let matched = world.sees(simply("ann", "description_changed", 1.5)).await;
    assert_eq!(matched, ["rewrote_description"]);
    let points = signs(&world, "ann", 1.5).await;
    assert!(points > 15.0 && points < 16.0, "{points}");
}

#[tokio::test]
async fn another_email_address_counts() {
    let mut world = world().await;
    assert_eq!(
        world.sees(simply("ann", "email_changed", 0.0)).await,
        ["changed_email"]
    );
    assert_eq!(signs(&world, "ann", 0.0).await, 10.0);
}

#[tokio::test]
async fn a_large_number_of_invitations_in_a_week_counts_and_a_few_do_not() {
    let mut world = world().await;
    let mut invite = async |who: &str, day: f64| {
        world
            .sees(simply(who, "connection_invite", day))
            .await
            .iter()
            .any(|signal| signal == "invited_many")
    };
    let mut found = Vec::new();
    for number in 1..=20 {
        if invite("ann", f64::from(number) / 100.0).await {
            found.push(number);
        }
    }
    assert_eq!(found, [10], "the tenth, and no more within the week");
    for week in 0..20 {
        assert!(!invite("bob", 7.0 * f64::from(week)).await, "one a week");
    }
    let profile = world.profile("ann", 0.2).await;
    assert_close(term(&profile, "signs", "invited_many").weight, 10.0);
    assert_eq!(reasons(&profile, "signs"), ["invited_many"]);
}

#[tokio::test]
async fn the_jobs_page_counts_once_a_day() {
    let mut world = world().await;
    assert_eq!(
        world.sees(simply("ann", "jobs_page", 0.0)).await,
        ["opened_jobs_page"]
    );
    assert!(world.sees(simply("ann", "jobs_page", 0.5)).await.is_empty());
    assert_eq!(signs(&world, "ann", 0.0 + 0.5).await.round(), 10.0);
    assert_eq!(
        world.sees(simply("ann", "jobs_page", 1.5)).await,
        ["opened_jobs_page"]
    );
}

#[tokio::test]
async fn more_groups_are_more_points_and_the_same_group_is_not() {
    let mut world = world().await;
    for (group, points) in [("tea", 3.0), ("tea", 3.0), ("coffee", 6.0), ("milk", 9.0)] {
        world.sees(joined("ann", group, 0.0)).await;
        assert_eq!(signs(&world, "ann", 0.0).await, points);
    }
    let profile = world.profile("ann", 0.0).await;
    assert_eq!(term(&profile, "signs", "joined_group").keys.len(), 3);
}

#[tokio::test]
async fn who_never_posted_before_began_and_who_always_did_has_not() {
    let mut world = world().await;
    world.sees(simply("ann", "visit", 0.0)).await;
    assert_eq!(
        world.sees(simply("ann", "group_question", 30.0)).await,
        ["began_to_post"]
    );
    assert_eq!(signs(&world, "ann", 30.0).await, 8.0);
    assert!(
        world
            .sees(simply("ann", "group_answer", 31.0))
            .await
            .is_empty()
    );
    // Whoever came with a post had no habit of silence.
    world.sees(simply("bob", "group_question", 0.0)).await;
    world.sees(simply("bob", "visit", 1.0)).await;
    assert!(
        world
            .sees(simply("bob", "group_answer", 30.0))
            .await
            .is_empty()
    );
}
