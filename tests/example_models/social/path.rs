//! From a handle to a customer and an advocate.

use serde_json::json;

use super::{heard, said, simply, stage, world};
use crate::world::{assert_close, did, score};

#[tokio::test]
async fn a_handle_walks_the_path_from_awareness_to_decision_without_an_address() {
    let mut world = world().await;
    world.sees(simply("@handle", "like", 0.0)).await;
    assert_eq!(stage(&world, "@handle", 0.0).await, "awareness");
    world
        .sees(said("@handle", "acme", "training for the Oslo marathon"))
        .await;
    assert_eq!(stage(&world, "@handle", 0.0).await, "consideration");
    world
        .sees(said("@handle", "acme", "looking for shoes"))
        .await;
    world.sees(simply("@handle", "email_clicked", 0.0)).await;
    assert_eq!(stage(&world, "@handle", 0.0).await, "decision");
    assert_eq!(world.ranked("likely_buyers", 0.0).await, ["@handle"]);
    assert_eq!(
        world.ranked("missing_from_our_database", 0.0).await,
        ["@handle"]
    );
    let profile = world.profile("@handle", 0.0).await;
    assert!(profile.attributes.is_empty());
    assert_eq!(profile.identity_confidence, Some(0.0));
}

#[tokio::test]
async fn a_buyer_is_a_customer_and_an_advocate_by_what_they_do_for_us() {
    let mut world = world().await;
    world
        .sees(said(
            "ann",
            "acme",
            "switching from Acme, looking for shoes",
        ))
        .await;
    assert_eq!(world.ranked("likely_buyers", 0.0).await, ["ann"]);
    world.sees(simply("ann", "purchase", 0.0)).await;
    assert_eq!(stage(&world, "ann", 0.0).await, "customer");
    // What is bought is not bought again tomorrow.
    assert!(world.ranked("likely_buyers", 0.0).await.is_empty());
    assert_eq!(world.points("ann", "intent", 0.0).await, 0.0);
    let review = did("ann", "review", 0.0, json!({ "stars": 5 }));
    assert_eq!(heard(&mut world, review).await, ["recommended_us"]);
    assert_eq!(stage(&world, "ann", 0.0).await, "customer");
    world.sees(simply("ann", "referral", 0.0)).await;
    assert_eq!(world.points("ann", "advocacy", 0.0).await, 20.0);
    assert_eq!(stage(&world, "ann", 0.0).await, "advocate");
    assert_eq!(world.ranked("brand_advocates", 0.0).await, ["ann"]);
}

#[tokio::test]
async fn who_looks_again_after_a_purchase_is_as_likely_a_buyer_as_a_stranger() {
    let mut world = world().await;
    let mut searches = said("buyer", "acme", "switching from Acme, looking for shoes");
    for _ in 0..3 {
        world.sees(searches).await;
        world.sees(simply("buyer", "purchase", 0.0)).await;
        assert_eq!(world.points("buyer", "intent", 0.0).await, 0.0);
        assert_eq!(world.points("buyer", "intent", 9.0).await, 0.0);
        searches = said("buyer", "acme", "looking for a watch");
    }
    for who in ["buyer", "stranger"] {
        for (event_type, attributes) in [
            ("post", json!({ "brand": "acme" })),
            ("web_visit", json!({ "page": "prices" })),
        ] {
            let action = did(who, event_type, 10.0, attributes);
            world.sees(action.saying("looking for new shoes")).await;
        }
        assert_close(world.points(who, "intent", 10.0).await, 19.0);
    }
}

#[tokio::test]
async fn attention_without_a_purchase_makes_a_prospective_customer() {
    let mut world = world().await;
    for who in ["ann", "bob"] {
        world
            .sees(did(
                who,
                "campaign_joined",
                0.0,
                json!({ "campaign": "spring" }),
            ))
            .await;
    }
    world.sees(simply("bob", "purchase", 0.0)).await;
    world.sees(simply("cid", "email_opened", 0.0)).await;
    assert_eq!(world.ranked("prospective_customers", 0.0).await, ["ann"]);
    assert!(world.ranked("likely_buyers", 0.0).await.is_empty());
}

#[tokio::test]
async fn confidence_in_the_identity_bounds_who_is_addressed_by_name() {
    let mut world = world().await;
    let all = ["crm", "email_and_handle", "email", "unknown"];
    for (who, stated) in [
        ("crm", json!({ "crm_id": "7" })),
        (
            "email_and_handle",
            json!({ "email": "a@b.example", "handle_confirmed": true }),
        ),
        (
            "email",
            json!({ "email": "a@b.example", "handle_confirmed": false }),
        ),
        ("unknown", json!({ "name_and_city_match": true })),
    ] {
        world.states(who, stated).await;
        world
            .sees(said(who, "acme", "switching from Acme, looking for shoes"))
            .await;
    }
    let mut buyers = world.ranked("likely_buyers", 0.0).await;
    buyers.sort();
    let mut expected = all.to_vec();
    expected.sort_unstable();
    assert_eq!(buyers, expected, "scores ask for no name");
    for (who, confidence) in all.iter().zip([0.95, 0.8, 0.6, 0.2]) {
        let profile = world.profile(who, 0.0).await;
        assert_close(profile.identity_confidence.unwrap(), confidence);
        assert_eq!(score(&profile, "intent").points, 27.0);
    }
    let addressed = world.ranked("likely_buyers_to_address", 0.0).await;
    assert_eq!(addressed, ["crm", "email_and_handle"]);
}
