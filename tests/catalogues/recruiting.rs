//! `models/recruiting.toml`: who looks for another job and does not say so.

use serde_json::{Value, json};

use crate::world::{Action, World, assert_close, assert_explained, did, reasons, score, term};

async fn world() -> World {
    World::of("recruiting.toml").await
}

fn simply(who: &str, event_type: &str, day: f64) -> Action {
    did(who, event_type, day, Value::Null)
}

fn recommended(who: &str, day: f64) -> Action {
    simply(who, "recommendation_updated", day)
}

fn joined(who: &str, group: &str, day: f64) -> Action {
    did(who, "joined_group", day, json!({ "group": group }))
}

fn ended_position(who: &str, day: f64) -> Action {
    did(who, "position_ended", day, json!({ "is_last": true }))
}

/// The points of what somebody's signs would be without the rule of breadth.
async fn signs(world: &World, who: &str, day: f64) -> f64 {
    world.points(who, "signs", day).await
}

/// How many different signals there are, of three.
async fn breadth(world: &World, who: &str, day: f64) -> (usize, usize) {
    let profile = world.profile(who, day).await;
    let breadth = score(&profile, "openness").breadth.unwrap();
    (breadth.present, breadth.required)
}

/// Five visits a day, four hours apart: a change for whoever came every fourth day.
fn visits_much_more(who: &str, from_day: f64) -> Vec<Action> {
    let visits = 0..15;
    visits
        .map(|visit| simply(who, "visit", from_day + f64::from(visit) / 5.0))
        .collect()
}

/// A visit every fourth day, for eighty days.
fn visits_steadily(who: &str) -> Vec<Action> {
    (0..20)
        .map(|visit| simply(who, "visit", 4.0 * f64::from(visit)))
        .collect()
}

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
    world.sees(simply("bob", "visit", 60.0)).await;
    world.sees_all(visits_much_more("bob", 60.0)).await;
    assert!(world.ranked("went_quiet", 10.0).await.is_empty());
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
            .contains(&"invited_many".to_owned())
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

/// Somebody of a company who shows 25 points of signs on a day, and comes by after that.
async fn is_open(world: &mut World, who: &str, company: &str, day: f64) {
    world.states(who, json!({ "company": company })).await;
    world.sees(ended_position(who, day)).await;
    world.sees(simply(who, "jobs_page", day)).await;
    let matched = world.sees(simply(who, "visit", day)).await;
    assert_eq!(matched[..2], ["visited", "was_seen_to_be_open"]);
}

/// Whether colleagues give somebody who comes by on a day a sign.
async fn has_open_colleagues(world: &mut World, who: &str, company: &str, day: f64) -> bool {
    world.states(who, json!({ "company": company })).await;
    let matched = world.sees(simply(who, "visit", day)).await;
    matched.contains(&"colleagues_are_open".to_owned())
}

#[tokio::test]
async fn several_people_who_score_high_are_a_sign_for_their_colleagues_alone() {
    let mut world = world().await;
    is_open(&mut world, "ann", "Tea", 0.0).await;
    assert!(
        !has_open_colleagues(&mut world, "cid", "Tea", 0.0).await,
        "one is nobody"
    );
    is_open(&mut world, "bob", "Tea", 0.0).await;
    assert!(has_open_colleagues(&mut world, "cid", "Tea", 1.0).await);
    assert!(!has_open_colleagues(&mut world, "dan", "Coffee", 1.0).await);
    assert_eq!(world.sees(simply("eve", "visit", 1.0)).await, ["visited"]);
    let profile = world.profile("cid", 1.0).await;
    let colleagues = term(&profile, "openness", "colleagues_are_open");
    assert_close(colleagues.points, 8.0);
    // It rouses nobody by itself.
    assert_eq!(signs(&world, "cid", 1.0).await, 0.0);
    assert_eq!(world.points("cid", "openness", 1.0).await, 0.0);
    // Who was open weeks ago is open no more.
    assert!(!has_open_colleagues(&mut world, "fay", "Tea", 20.0).await);
}

#[tokio::test]
async fn a_large_company_of_quiet_people_is_no_sign() {
    let mut world = world().await;
    for number in 0..40 {
        let who = format!("colleague-{number}");
        world.states(&who, json!({ "company": "Tea" })).await;
        world.sees(joined(&who, "tea", 0.0)).await;
        world.sees(recommended(&who, 0.0)).await;
        assert_eq!(world.sees(simply(&who, "visit", 0.0)).await, ["visited"]);
    }
    assert!(!has_open_colleagues(&mut world, "ann", "Tea", 0.0).await);
    assert!(world.ranked("restless_companies", 0.0).await.is_empty());
}

#[tokio::test]
async fn somebody_is_one_of_the_open_people_however_often_and_not_their_own_colleague() {
    let mut world = world().await;
    is_open(&mut world, "ann", "Tea", 0.0).await;
    for hour in 1..30 {
        let matched = world
            .sees(simply("ann", "visit", f64::from(hour) / 24.0))
            .await;
        assert_eq!(matched, ["visited", "was_seen_to_be_open"]);
    }
    assert!(
        !has_open_colleagues(&mut world, "cid", "Tea", 1.3).await,
        "one person is one"
    );
    is_open(&mut world, "bob", "Tea", 1.3).await;
    // For each of the two the company has one more, for a third both.
    assert!(!has_open_colleagues(&mut world, "ann", "Tea", 1.4).await);
    assert!(!has_open_colleagues(&mut world, "bob", "Tea", 1.4).await);
    assert!(has_open_colleagues(&mut world, "cid", "Tea", 1.4).await);
    is_open(&mut world, "dan", "Tea", 1.4).await;
    assert!(has_open_colleagues(&mut world, "ann", "Tea", 1.5).await);
}

#[tokio::test]
async fn companies_are_ranked_by_how_many_of_their_people_are_open() {
    let mut world = world().await;
    for (who, company) in [("ann", "Tea"), ("bob", "Tea"), ("cid", "Coffee")] {
        is_open(&mut world, who, company, 0.0).await;
        world.sees(simply(who, "email_changed", 0.0)).await;
    }
    assert_eq!(world.ranked("restless_companies", 0.0).await, ["Tea"]);
    for who in ["dan", "eve", "fay"] {
        is_open(&mut world, who, "Coffee", 5.0).await;
    }
    let companies = world.members("restless_companies", 5.0).await;
    let companies = companies.iter().map(|member| {
        let id = member.profile.profile_id.account_id().unwrap();
        (id, member.points)
    });
    let companies: Vec<_> = companies.collect();
    let faded = 2_f64.powf(-5.0 / 30.0);
    for ((id, points), (expected, open)) in companies
        .iter()
        .zip([("Coffee", 3.0 + faded), ("Tea", 2.0 * faded)])
    {
        assert_eq!(*id, expected);
        assert_close(*points, open);
    }
    assert_eq!(companies.len(), 2);
}

#[tokio::test]
async fn stages_and_probability_follow_openness() {
    let mut world = world().await;
    let openness = async |world: &World| {
        let profile = world.profile("ann", 0.0).await;
        let openness = score(&profile, "openness").clone();
        (
            profile.stage.unwrap(),
            openness.points,
            openness.probability.unwrap().value,
        )
    };
    world.sees(ended_position("ann", 0.0)).await;
    assert_eq!(openness(&world).await, ("settled".to_owned(), 0.0, 0.02));
    world.sees(simply("ann", "jobs_page", 0.0)).await;
    world.sees(joined("ann", "tea", 0.0)).await;
    let (stage, points, probability) = openness(&world).await;
    assert_eq!((stage.as_str(), points), ("open", 28.0));
    assert_close(probability, 0.08 + (28.0 - 15.0) / 25.0 * (0.25 - 0.08));
    world.sees(simply("ann", "email_changed", 0.0)).await;
    world.sees(recommended("ann", 0.0)).await;
    let (stage, points, probability) = openness(&world).await;
    assert_eq!((stage.as_str(), points), ("looking", 44.0));
    assert_close(probability, 0.25 + (44.0 - 40.0) / 60.0 * (0.6 - 0.25));
}

#[tokio::test]
async fn everything_somebody_did_is_explained_with_its_weight_and_its_limit() {
    let mut world = world().await;
    let mut actions = visits_steadily("ann");
    actions.extend(visits_much_more("ann", 80.0));
    let day = 85.0;
    actions.extend((0..10).map(|_| simply("ann", "connection_invite", day)));
    actions.extend([
        recommended("ann", day),
        ended_position("ann", day),
        simply("ann", "description_changed", day),
        simply("ann", "email_changed", day),
        simply("ann", "jobs_page", day),
        joined("ann", "tea", day),
        simply("ann", "group_question", day),
    ]);
    world.sees_all(actions).await;
    let profile = world.profile("ann", day).await;
    let signs = [
        ("was_recommended", 6.0, Some(10.0)),
        ("uses_it_much_more", 12.0, Some(2.0)),
        ("changed_last_position", 15.0, Some(2.0)),
        ("rewrote_description", 8.0, Some(3.0)),
        ("changed_email", 10.0, Some(2.0)),
        ("invited_many", 10.0, Some(3.0)),
        ("opened_jobs_page", 10.0, Some(5.0)),
        ("joined_group", 3.0, Some(1.0)),
        ("began_to_post", 8.0, None),
    ];
    assert_explained(&profile, "signs", &signs);
    assert_explained(&profile, "openness", &signs);
    assert_explained(&profile, "use", &[("visited", 1.0, None)]);
}
