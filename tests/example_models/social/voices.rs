//! Who speaks for the brand, who against it, and who is heard.

use serde_json::json;

use super::{heard, said, simply, world};
use crate::world::{assert_close, did, term};

#[tokio::test]
async fn a_bad_review_recommends_nothing() {
    let mut world = world().await;
    let review = did("ann", "review", 0.0, json!({ "stars": 2 }));
    assert!(heard(&mut world, review).await.is_empty());
}

#[tokio::test]
async fn kind_words_count_by_how_kind_they_are_and_a_recommendation_more() {
    let mut world = world().await;
    let matched = heard(&mut world, said("ann", "ours", "nice").feeling(0.8)).await;
    assert_eq!(matched, ["praised_us"]);
    assert_close(world.points("ann", "advocacy", 0.0).await, 4.0);
    assert!(
        heard(&mut world, said("bob", "ours", "well").feeling(0.1))
            .await
            .is_empty()
    );
    assert!(
        heard(&mut world, said("bob", "acme", "nice").feeling(0.8))
            .await
            .is_empty()
    );
    // The caller gives the sentiment; nothing is guessed without it.
    assert!(
        heard(&mut world, said("bob", "ours", "wonderful"))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn customers_who_complain_may_leave_and_the_model_says_how_likely() {
    let mut world = world().await;
    for who in ["ann", "bob"] {
        world.sees(simply(who, "purchase", 0.0)).await;
    }
    let complaint = said("ann", "ours", "late again").feeling(-1.0);
    assert_eq!(heard(&mut world, complaint).await, ["complained"]);
    assert_eq!(world.points("ann", "discontent", 0.0).await, 8.0);
    let cancel = did("bob", "support_call", 0.0, json!({ "reason": "cancel" }));
    assert_eq!(heard(&mut world, cancel).await, ["asked_how_to_cancel"]);
    world
        .sees(said("bob", "ours", "switching from you").feeling(-0.5))
        .await;
    // Not yet a customer, so nobody to lose.
    world.sees(said("cid", "ours", "bad").feeling(-1.0)).await;
    let leaving = world.members("may_leave", 0.0).await;
    let logistic = |points: f64| 1.0 / (1.0 + (-0.12 * (points - 25.0)).exp());
    assert_eq!(leaving.len(), 2);
    for (member, (who, points)) in leaving.iter().zip([("bob", 39.0), ("ann", 8.0)]) {
        assert_eq!(member.profile.profile_id.as_str(), who);
        assert_close(member.points, points);
        let probability = member.probability.as_ref().unwrap();
        assert_eq!(probability.outcome, "cancels within 90 days");
        assert_close(probability.value, logistic(points));
    }
}

#[tokio::test]
async fn praise_takes_the_edge_off_a_complaint() {
    let mut world = world().await;
    world.sees(said("ann", "ours", "late").feeling(-1.0)).await;
    world
        .sees(said("ann", "ours", "thanks!").feeling(1.0))
        .await;
    assert_eq!(world.points("ann", "discontent", 0.0).await, 4.0);
    let profile = world.profile("ann", 0.0).await;
    assert_eq!(term(&profile, "discontent", "praised_us").points, -4.0);
    assert_eq!(term(&profile, "advocacy", "complained").points, -5.0);
}

#[tokio::test]
async fn influencers_are_heard_by_many() {
    let mut world = world().await;
    let shared = |who: &str, times: u32| did(who, "was_shared", 0.0, json!({ "times": times }));
    for (who, followers, times) in [("ann", 50_000, 10), ("bob", 0, 30), ("cid", 1_000_000, 0)] {
        world.states(who, json!({ "followers": followers })).await;
        world.sees(shared(who, times)).await;
    }
    // 10 * (1 + 5) stand above 30 * 1; whoever is never shared influences nobody.
    assert_eq!(world.ranked("influencers", 0.0).await, ["ann", "bob"]);
    assert_eq!(world.points("ann", "audience", 0.0).await, 6.0);
    assert_eq!(world.points("bob", "voice", 0.0).await, 30.0);
}
