//! People of one company, and companies.

use serde_json::json;

use super::{ended_position, joined, recommended, signs, simply, world};
use crate::world::{World, assert_close, term};

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
    matched.iter().any(|signal| signal == "colleagues_are_open")
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
        let id = member.profile.profile_id.name();
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
