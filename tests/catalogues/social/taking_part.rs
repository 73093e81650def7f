//! What somebody does beside writing, and what is left of it.

use serde_json::json;

use super::{heard, said, simply, world};
use crate::world::{assert_close, did, reasons};

#[tokio::test]
async fn campaigns_and_contests_count_once_each() {
    let mut world = world().await;
    let joined = |campaign: &str| {
        did(
            "ann",
            "campaign_joined",
            0.0,
            json!({ "campaign": campaign }),
        )
    };
    assert_eq!(world.sees(joined("spring")).await, ["joined_campaign"]);
    world.sees(joined("spring")).await;
    assert_eq!(world.points("ann", "attention", 0.0).await, 5.0);
    world.sees(joined("autumn")).await;
    assert_eq!(world.points("ann", "attention", 0.0).await, 10.0);
    let contest = did("bob", "contest_entered", 0.0, json!({ "contest": "photo" }));
    assert_eq!(world.sees(contest).await, ["entered_contest"]);
    assert_eq!(world.points("bob", "attention", 0.0).await, 4.0);
    assert_eq!(world.points("bob", "intent", 0.0).await, 1.0);
}

#[tokio::test]
async fn engagement_counts_on_our_own_pages_and_a_comment_more_than_a_like() {
    let mut world = world().await;
    let like = simply("ann", "like", 0.0);
    assert_eq!(
        world.sees(like.through("our-page")).await,
        ["liked_our_page"]
    );
    let comment = simply("bob", "comment", 0.0);
    let matched = heard(&mut world, comment.through("our-page")).await;
    assert_eq!(matched, ["commented_on_our_page"]);
    assert_eq!(world.points("ann", "attention", 0.0).await, 1.0);
    assert_eq!(world.points("bob", "attention", 0.0).await, 2.0);
    assert!(
        world
            .sees(simply("cid", "like", 0.0).through("elsewhere"))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn visits_and_email_stand_beside_what_is_said() {
    let mut world = world().await;
    let visit = did("ann", "web_visit", 0.0, json!({ "page": "prices" }));
    assert_eq!(
        world.sees(visit).await,
        ["visited_our_site", "saw_prices", "opened_page"]
    );
    assert_eq!(
        world.sees(simply("ann", "email_clicked", 0.0)).await,
        ["clicked_in_email", "opened_page"]
    );
    world.sees(said("ann", "acme", "training for Oslo")).await;
    assert_eq!(
        world.points("ann", "intent", 0.0).await,
        2.0 + 5.0 + 3.0 + 6.0
    );
    let profile = world.profile("ann", 0.0).await;
    assert_eq!(
        reasons(&profile, "intent"),
        [
            "trains_for_something",
            "visited_our_site",
            "saw_prices",
            "clicked_in_email"
        ]
    );
}

#[tokio::test]
async fn silence_in_email_is_not_disinterest() {
    let mut world = world().await;
    for who in ["reader", "silent"] {
        world.sees(simply(who, "purchase", 0.0)).await;
        for day in [0.0, 20.0, 40.0] {
            world
                .sees(simply(who, "comment", day).through("our-page"))
                .await;
        }
    }
    for day in 0..5 {
        world
            .sees(simply("reader", "email_opened", f64::from(day)))
            .await;
        // A letter that stays unopened counts for nothing.
        let unopened = simply("silent", "email_unopened", f64::from(day));
        assert!(world.sees(unopened).await.is_empty());
    }
    for day in [40.0, 90.0, 200.0] {
        let presence = world.points("silent", "presence", day).await;
        assert_eq!(presence, world.points("reader", "presence", day).await);
        let fading = world.ranked("fading_customers", day).await;
        assert_eq!(
            fading.contains(&"silent".to_owned()),
            fading.contains(&"reader".to_owned())
        );
        assert!(world.ranked("may_leave", day).await.is_empty());
    }
    assert!(world.ranked("fading_customers", 40.0).await.is_empty());
    assert_eq!(
        world.ranked("fading_customers", 120.0).await,
        ["reader", "silent"]
    );
    assert!(world.ranked("fading_customers", 300.0).await.is_empty());
}

#[tokio::test]
async fn the_less_is_left_of_taking_part_the_likelier_a_customer_leaves() {
    let mut world = world().await;
    world.sees(simply("ann", "purchase", 0.0)).await;
    // 5 points of presence, of which half is gone after 30 days each.
    for (day, share) in [
        (60.0, 0.08 + (2.0 - 1.25) * (0.2 - 0.08)),
        (90.0, 0.2 + (1.0 - 0.625) / 0.75 * (0.35 - 0.2)),
        (120.0, 0.2 + (1.0 - 0.3125) / 0.75 * (0.35 - 0.2)),
    ] {
        let fading = world.members("fading_customers", day).await;
        assert_eq!(fading.len(), 1, "{day}");
        let probability = fading[0].probability.as_ref().unwrap();
        assert_eq!(probability.outcome, "cancels within 90 days");
        assert_close(probability.value, share);
    }
}
