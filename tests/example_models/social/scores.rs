//! Every score: how it fades, and what explains it.

use serde_json::json;

use super::{said, simply, stage, world};
use crate::world::{Term, assert_close, assert_explained, did};

#[tokio::test]
async fn every_score_fades_at_its_own_pace() {
    let mut world = world().await;
    let actions = [
        said("ann", "acme", "looking for shoes"),
        said("ann", "ours", "bad").feeling(-1.0),
        simply("ann", "referral", 0.0),
        simply("ann", "referral", 0.0),
        simply("ann", "like", 0.0).through("our-page"),
        did("ann", "was_shared", 0.0, json!({ "times": 9 })),
    ];
    world.sees_all(actions).await;
    for (name, half_life_days) in [
        ("intent", 14.0),
        ("attention", 45.0),
        ("advocacy", 60.0),
        ("voice", 30.0),
        ("discontent", 21.0),
        ("presence", 30.0),
        ("recency", 30.0),
    ] {
        let now = world.points("ann", name, 0.0).await;
        assert!(now > 0.0, "{name}");
        assert_close(world.points("ann", name, half_life_days).await, now / 2.0);
    }
}

#[tokio::test]
async fn everything_somebody_did_is_explained_with_its_weight_and_its_limit() {
    let mut world = world().await;
    world.states("ann", json!({ "followers": 20_000 })).await;
    let comment = |text: &str| simply("ann", "comment", 0.0).saying(text);
    let actions = [
        comment("looking for shoes, training for a race").through("our-page"),
        said("ann", "acme", "switching from Acme"),
        said("ann", "ours", "switching from you").feeling(-0.5),
        said("ann", "ours", "nice").feeling(0.5),
        did("ann", "campaign_joined", 0.0, json!({ "campaign": "c" })),
        did("ann", "contest_entered", 0.0, json!({ "contest": "c" })),
        simply("ann", "like", 0.0).through("our-page"),
        did("ann", "web_visit", 0.0, json!({ "page": "prices" })),
        did("ann", "web_visit", 0.0, json!({ "page": "cancel" })),
        simply("ann", "email_clicked", 0.0),
        simply("ann", "email_opened", 0.0),
        simply("ann", "referral", 0.0),
        did("ann", "was_shared", 0.0, json!({ "times": 3 })),
        simply("ann", "purchase", 0.0),
    ];
    world.sees_all(actions).await;
    let profile = world.profile("ann", 0.0).await;
    let expected: [(&str, &[Term<'_>]); 8] = [
        (
            "intent",
            &[
                ("looks_for_it", 12.0, None),
                ("trains_for_something", 6.0, None),
                ("switches_from_a_competitor", 15.0, None),
                ("joined_campaign", 3.0, Some(1.0)),
                ("entered_contest", 1.0, Some(1.0)),
                ("visited_our_site", 2.0, Some(10.0)),
                ("saw_prices", 5.0, Some(5.0)),
                ("clicked_in_email", 3.0, Some(5.0)),
                ("intent_was_settled", -1.0, None),
            ],
        ),
        (
            "attention",
            &[
                ("looks_for_it", 4.0, None),
                ("trains_for_something", 3.0, None),
                ("switches_from_a_competitor", 4.0, None),
                ("joined_campaign", 5.0, Some(1.0)),
                ("entered_contest", 4.0, Some(1.0)),
                ("liked_our_page", 1.0, Some(10.0)),
                ("commented_on_our_page", 2.0, Some(10.0)),
                ("visited_our_site", 1.0, Some(10.0)),
                ("clicked_in_email", 1.0, Some(5.0)),
                ("opened_email", 0.5, Some(5.0)),
            ],
        ),
        (
            "advocacy",
            &[
                ("switches_from_us", -10.0, None),
                ("recommended_us", 10.0, None),
                ("praised_us", 5.0, Some(8.0)),
                ("complained", -5.0, None),
            ],
        ),
        (
            "voice",
            &[("was_shared", 1.0, Some(100.0)), ("wrote", 0.2, Some(20.0))],
        ),
        (
            "discontent",
            &[
                ("switches_from_us", 15.0, None),
                ("praised_us", -4.0, Some(8.0)),
                ("complained", 8.0, None),
                ("asked_how_to_cancel", 20.0, None),
            ],
        ),
        (
            "presence",
            &[
                ("joined_campaign", 2.0, Some(1.0)),
                ("entered_contest", 2.0, Some(1.0)),
                ("liked_our_page", 1.0, Some(10.0)),
                ("commented_on_our_page", 2.0, Some(10.0)),
                ("visited_our_site", 1.0, Some(10.0)),
                ("recommended_us", 2.0, None),
                ("praised_us", 1.0, Some(8.0)),
                ("bought", 5.0, None),
            ],
        ),
        ("recency", &[("took_part", 1.0, None)]),
        ("audience", &[("has_followers", 1.0, None)]),
    ];
    for (name, terms) in expected {
        assert_explained(&profile, name, terms);
    }
}

#[tokio::test]
async fn a_purchase_that_is_taken_back_gives_the_intent_back_that_it_settled() {
    let mut world = world().await;
    let looks = |who: &str| said(who, "", "I am looking for running shoes");
    for who in ["ann", "bob"] {
        world.sees(looks(who)).await;
    }
    let purchase = world.sees_mistake(simply("ann", "purchase", 1.0)).await;
    assert_eq!(world.points("ann", "intent", 1.0).await, 0.0);
    world.takes_back(purchase).await;
    let (ann, bob) = (
        world.points("ann", "intent", 1.0).await,
        world.points("bob", "intent", 1.0).await,
    );
    assert!(bob > 11.0 && (ann - bob).abs() < 1e-9, "{ann} and {bob}");
    assert_eq!(stage(&world, "ann", 1.0).await, "consideration");
}
