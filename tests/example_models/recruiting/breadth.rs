//! No single sign is enough.

use super::{
    breadth, ended_position, joined, recommended, simply, visits_much_more, visits_steadily, world,
};
use crate::world::{Action, assert_close, reasons, score};

#[tokio::test]
async fn no_single_signal_suffices_however_strong() {
    let day = 85.0;
    let changed = |day: f64| ended_position("ann", day);
    let alone: [(&str, Vec<Action>); 9] = [
        (
            "was_recommended",
            (0..30).map(|_| recommended("ann", day)).collect(),
        ),
        (
            "uses_it_much_more",
            [visits_steadily("ann"), visits_much_more("ann", 80.0)].concat_deeds(),
        ),
        ("changed_last_position", vec![changed(70.0), changed(day)]),
        (
            "rewrote_description",
            (80..85)
                .map(|day| simply("ann", "description_changed", f64::from(day)))
                .collect(),
        ),
        ("changed_email", vec![simply("ann", "email_changed", day)]),
        (
            "invited_many",
            (0..60)
                .map(|_| simply("ann", "connection_invite", day))
                .collect(),
        ),
        (
            "opened_jobs_page",
            (75..85)
                .map(|day| simply("ann", "jobs_page", f64::from(day)))
                .collect(),
        ),
        (
            "joined_group",
            (0..40)
                .map(|group| joined("ann", &format!("group-{group}"), day))
                .collect(),
        ),
        (
            "began_to_post",
            vec![
                simply("ann", "visit", 80.0),
                simply("ann", "group_answer", day),
            ],
        ),
    ];
    for (signal, actions) in alone {
        let mut world = world().await;
        world.sees_all(actions).await;
        let profile = world.profile("ann", day).await;
        assert_eq!(reasons(&profile, "signs"), [signal]);
        assert!(score(&profile, "signs").points > 2.0, "{signal}");
        assert_eq!(score(&profile, "openness").points, 0.0, "{signal}");
        assert_eq!(breadth(&world, "ann", day).await, (1, 3), "{signal}");
        assert!(
            world.ranked("quiet_job_seekers", day).await.is_empty(),
            "{signal}"
        );
        assert_eq!(profile.stage.unwrap(), "settled", "{signal}");
    }
}

/// Several scripts as one.
trait Concat {
    fn concat_deeds(self) -> Vec<Action>;
}

impl<const N: usize> Concat for [Vec<Action>; N] {
    fn concat_deeds(self) -> Vec<Action> {
        self.into_iter().flatten().collect()
    }
}

#[tokio::test]
async fn two_different_signals_are_a_coincidence_and_three_are_a_pattern() {
    let mut world = world().await;
    world.sees(ended_position("ann", 0.0)).await;
    world.sees(simply("ann", "jobs_page", 0.0)).await;
    assert_eq!(world.points("ann", "openness", 0.0).await, 0.0);
    assert_eq!(breadth(&world, "ann", 0.0).await, (2, 3));
    world.sees(simply("ann", "email_changed", 0.0)).await;
    assert_eq!(
        world.points("ann", "openness", 0.0).await,
        15.0 + 10.0 + 10.0
    );
    assert_eq!(world.ranked("quiet_job_seekers", 0.0).await, ["ann"]);
    // All of them fade together: a pattern stays one, and weighs less.
    assert_close(world.points("ann", "openness", 30.0).await, 17.5);
    assert_eq!(breadth(&world, "ann", 300.0).await, (3, 3));
}

#[tokio::test]
async fn a_trace_of_a_third_signal_does_not_count_as_one() {
    let mut world = world().await;
    // 3 points of 60 days ago are a twentieth of 15: a day more is too little, a day less enough.
    for (who, day, present) in [("ann", 61.0, 2), ("bob", 59.0, 3)] {
        world.sees(joined(who, "tea", 0.0)).await;
        world.sees(ended_position(who, day)).await;
        world.sees(simply(who, "jobs_page", day)).await;
        assert_eq!(breadth(&world, who, day).await, (present, 3));
        assert_eq!(world.points(who, "openness", day).await > 0.0, present == 3);
    }
}
