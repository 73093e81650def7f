//! `models/lifecycle.toml`: the same event is worth more or less by its context.

use bellwether::scoring::Name;
use serde_json::{Value, json};

use crate::world::{World, assert_close, did, reasons, score, term};

async fn world() -> World {
    World::of("lifecycle.toml").await
}

/// The points of asking for an offer, for somebody who states this, and what explains them.
async fn asked(stated: Value) -> (f64, Vec<Name>) {
    let mut world = world().await;
    world.states("ann", stated).await;
    world
        .sees(did(
            "ann",
            "offer_request",
            0.0,
            json!({ "product": "boiler" }),
        ))
        .await;
    let profile = world.profile("ann", 0.0).await;
    (
        world.points("ann", "readiness", 0.0).await,
        reasons(&profile, "readiness"),
    )
}

/// Asserts that a context is explained and makes the event worth this much.
async fn assert_worth(stated: Value, context: &str, expected: f64) {
    let (points, reasons) = asked(stated).await;
    assert_close(points, expected);
    assert_eq!(reasons, ["asked_for_offer", context]);
}

#[tokio::test]
async fn without_a_context_an_event_is_worth_what_it_is() {
    let (points, reasons) = asked(json!({ "income": "middle", "industry": "retail" })).await;
    assert_eq!(
        (points, reasons.as_slice()),
        (10.0, [Name::new("asked_for_offer")].as_slice())
    );
}

#[tokio::test]
async fn the_industry_changes_what_an_event_is_worth() {
    let buying = "asked_from_buying_industry";
    assert_worth(json!({ "industry": "healthcare" }), buying, 15.0).await;
    assert_worth(json!({ "industry": "banking" }), buying, 15.0).await;
    assert_worth(
        json!({ "industry": "education" }),
        "asked_from_slow_industry",
        7.0,
    )
    .await;
}

#[tokio::test]
async fn the_local_economy_changes_what_an_event_is_worth_by_how_it_does() {
    assert_worth(
        json!({ "local_growth": 4 }),
        "asked_where_economy_grows",
        12.0,
    )
    .await;
    assert_worth(
        json!({ "local_growth": 40 }),
        "asked_where_economy_grows",
        15.0,
    )
    .await;
    assert_worth(
        json!({ "local_growth": -4 }),
        "asked_where_economy_shrinks",
        8.0,
    )
    .await;
    assert_worth(
        json!({ "local_growth": -40 }),
        "asked_where_economy_shrinks",
        6.0,
    )
    .await;
}

#[tokio::test]
async fn the_income_bracket_changes_what_an_event_is_worth() {
    assert_worth(json!({ "income": "high" }), "asked_with_high_income", 14.0).await;
    assert_worth(json!({ "income": "low" }), "asked_with_low_income", 8.0).await;
}

#[tokio::test]
async fn what_somebody_needs_changes_what_an_event_is_worth() {
    assert_worth(
        json!({ "needs": ["boiler", "roof"] }),
        "asked_for_what_is_needed",
        16.0,
    )
    .await;
    assert_eq!(asked(json!({ "needs": ["roof"] })).await.0, 10.0);
}

#[tokio::test]
async fn contexts_add_up_and_each_is_named() {
    let stated =
        json!({ "industry": "banking", "local_growth": 2, "income": "high", "needs": ["boiler"] });
    let (points, reasons) = asked(stated).await;
    assert_close(points, 10.0 + 5.0 + 1.0 + 4.0 + 6.0);
    assert_eq!(reasons.len(), 5);
}

#[tokio::test]
async fn asking_makes_nobody_less_ready_in_the_worst_of_contexts() {
    let stated = json!({ "industry": "education", "local_growth": -40, "income": "low" });
    let (points, reasons) = asked(stated).await;
    assert_close(points, 10.0 - 3.0 - 4.0 - 2.0);
    assert_eq!(reasons.len(), 4);
}

#[tokio::test]
async fn who_bought_before_asks_for_more_and_after_three_purchases_for_no_more_than_that() {
    for (purchases, expected) in [(0, 0.0), (1, 1.0), (2, 2.0), (3, 3.0), (5, 3.0)] {
        let mut world = world().await;
        for _ in 0..purchases {
            world.sees(did("ann", "purchase", 0.0, Value::Null)).await;
        }
        let matched = world
            .sees(did("ann", "offer_request", 0.0, Value::Null))
            .await;
        assert_eq!(
            matched
                .iter()
                .any(|signal| signal == "asked_again_as_customer"),
            purchases > 0
        );
        if purchases > 0 {
            let profile = world.profile("ann", 0.0).await;
            let again = term(&profile, "readiness", "asked_again_as_customer");
            assert_close(again.count, expected);
            assert_eq!(again.weight, 3.0);
        }
    }
}

#[tokio::test]
async fn who_asks_again_after_a_purchase_is_as_ready_as_a_stranger_and_a_customer_besides() {
    let mut world = world().await;
    let asks = |who: &str| did(who, "offer_request", 0.0, Value::Null);
    world.sees(asks("ann")).await;
    for _ in 0..2 {
        world.sees(did("ann", "purchase", 0.0, Value::Null)).await;
        assert_eq!(world.points("ann", "readiness", 0.0).await, 0.0);
    }
    for (who, expected) in [("ann", 10.0 + 2.0 * 3.0), ("bob", 10.0)] {
        world.sees(asks(who)).await;
        assert_close(world.points(who, "readiness", 0.0).await, expected);
    }
}

#[tokio::test]
async fn a_purchase_that_is_taken_back_gives_the_readiness_back_that_it_settled() {
    let mut world = world().await;
    let asks = |who: &str, day: f64| did(who, "offer_request", day, Value::Null);
    for who in ["ann", "bob"] {
        world.sees_all([asks(who, 0.0), asks(who, 0.0)]).await;
    }
    let purchase = did("ann", "purchase", 1.0, Value::Null);
    let purchase = world.sees_mistake(purchase).await;
    assert_eq!(world.points("ann", "readiness", 1.0).await, 0.0);
    for who in ["ann", "bob"] {
        world.sees(did(who, "visit", 3.0, Value::Null)).await;
    }
    world.takes_back(purchase).await;
    let (ann, bob) = (
        world.profile("ann", 3.0).await,
        world.profile("bob", 3.0).await,
    );
    assert_close(
        score(&ann, "readiness").points,
        score(&bob, "readiness").points,
    );
    assert_eq!(
        (ann.stage.as_deref(), bob.stage.as_deref()),
        (Some("consideration"), Some("decision")),
        "a retraction leaves what min reaches"
    );
    let terms = |name: &str| {
        let terms = score(&ann, "readiness").contributions.iter();
        terms.filter(|term| term.name == name).count()
    };
    assert_eq!(terms("readiness_was_settled"), 0);
}

#[tokio::test]
async fn a_purchase_that_settled_nothing_takes_nothing_of_another_back() {
    let mut world = world().await;
    let asks = |day: f64| did("ann", "offer_request", day, Value::Null);
    let buys = |day: f64| did("ann", "purchase", day, Value::Null);
    // Nothing to settle yet; ten points; nothing again.
    let idle = world.sees_mistake(buys(0.0)).await;
    world.sees_all([asks(0.0), buys(0.0), asks(0.0)]).await;
    let before = world.profile("ann", 0.0).await;
    let settled = term(&before, "readiness", "readiness_was_settled").count;
    world.takes_back(idle).await;
    let after = world.profile("ann", 0.0).await;
    assert_close(
        term(&after, "readiness", "readiness_was_settled").count,
        settled,
    );
}

#[tokio::test]
async fn a_purchase_of_a_year_ago_counts_half_for_the_next() {
    let mut world = world().await;
    world.sees(did("ann", "purchase", 0.0, Value::Null)).await;
    world
        .sees(did("ann", "offer_request", 365.0, Value::Null))
        .await;
    let profile = world.profile("ann", 365.0).await;
    assert_close(
        term(&profile, "readiness", "asked_again_as_customer").count,
        0.5,
    );
}

#[tokio::test]
async fn readiness_is_half_of_it_three_weeks_later() {
    let mut world = world().await;
    world
        .sees(did("ann", "offer_request", 0.0, Value::Null))
        .await;
    assert_close(world.points("ann", "readiness", 21.0).await, 5.0);
}

#[tokio::test]
async fn who_asked_twice_is_ready_and_no_more_the_day_after() {
    let mut world = world().await;
    for _ in 0..2 {
        world
            .sees(did("ann", "offer_request", 0.0, Value::Null))
            .await;
    }
    assert_eq!(world.ranked("ready", 0.0).await, ["ann"]);
    assert!(world.ranked("ready", 1.0).await.is_empty());
}

#[tokio::test]
async fn the_same_recommendation_weighs_less_at_awareness_than_at_decision() {
    let mut worth = Vec::new();
    // Nobody asked; one asked for an offer; one asked twice.
    for (requests, stage) in [(0, "awareness"), (1, "consideration"), (2, "decision")] {
        let mut world = world().await;
        world.states("ann", json!({ "income": "middle" })).await;
        for _ in 0..requests {
            world
                .sees(did("ann", "offer_request", 0.0, Value::Null))
                .await;
        }
        assert_eq!(world.profile("ann", 0.0).await.stage.unwrap(), stage);
        let matched = world
            .sees(did("ann", "recommendation", 0.0, Value::Null))
            .await;
        assert_eq!(matched, ["was_recommended_to"]);
        let profile = world.profile("ann", 0.0).await;
        worth.push(term(&profile, "readiness", "was_recommended_to").points);
    }
    assert_eq!(worth, [3.0, 6.0, 12.0]);
}
