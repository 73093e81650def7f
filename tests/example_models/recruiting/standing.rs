//! Where somebody stands, and why.

use bellwether::scoring::Name;

use super::{
    ended_position, joined, recommended, simply, visits_much_more, visits_steadily, world,
};
use crate::world::{World, assert_close, assert_explained, score};

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
    assert_eq!(openness(&world).await, (Name::new("settled"), 0.0, 0.02));
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
