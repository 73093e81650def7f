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
    assert_eq!(
        heard(&mut world, joined("spring")).await,
        ["joined_campaign"]
    );
    world.sees(joined("spring")).await;
    assert_eq!(world.points("ann", "attention", 0.0).await, 5.0);
    world.sees(joined("autumn")).await;
    assert_eq!(world.points("ann", "attention", 0.0).await, 10.0);
    let contest = did("bob", "contest_entered", 0.0, json!({ "contest": "photo" }));
    assert_eq!(heard(&mut world, contest).await, ["entered_contest"]);
    assert_eq!(world.points("bob", "attention", 0.0).await, 4.0);
    assert_eq!(world.points("bob", "intent", 0.0).await, 1.0);
}

#[tokio::test]
async fn engagement_counts_on_our_own_pages_and_a_comment_more_than_a_like() {
    let mut world = world().await;
    let like = simply("ann", "like", 0.0);
    assert_eq!(
        heard(&mut world, like.through("our-page")).await,
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
        heard(&mut world, visit).await,
        ["visited_our_site", "saw_prices", "opened_page"]
    );
    assert_eq!(
        world.sees(simply("ann", "email_clicked", 0.0)).await,
        ["clicked_in_email", "opened_page"]
    );
    world
        .sees(said("ann", "acme", "training for a marathon"))
        .await;
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
    for day in [120.0, 240.0] {
        assert_eq!(
            world.ranked("fading_customers", day).await,
            ["reader", "silent"]
        );
    }
    assert!(world.ranked("fading_customers", 401.0).await.is_empty());
}

#[tokio::test]
async fn customers_fade_from_sixty_days_of_silence_to_a_year_whatever_they_did_before() {
    let mut world = world().await;
    world.sees(simply("light", "purchase", 0.0)).await;
    for day in -40..=0 {
        let day = f64::from(day);
        for event_type in ["purchase", "referral", "web_visit"] {
            world.sees(simply("heavy", event_type, day)).await;
        }
    }
    for (day, is_fading) in [
        (59.0, false),
        (61.0, true),
        (90.0, true),
        (200.0, true),
        (360.0, true),
        (361.0, false),
    ] {
        let fading = world.ranked("fading_customers", day).await;
        let expected: &[&str] = if is_fading { &["heavy", "light"] } else { &[] };
        assert_eq!(fading, expected, "{day}");
    }
    // Whoever comes back is silent no more; an older event changes nothing.
    world.sees(simply("light", "web_visit", 100.0)).await;
    world.sees(simply("heavy", "web_visit", -10.0)).await;
    assert_eq!(world.ranked("fading_customers", 120.0).await, ["heavy"]);
}

#[tokio::test]
async fn the_longer_a_customer_is_silent_the_likelier_they_leave() {
    let mut world = world().await;
    world.sees(simply("ann", "purchase", 0.0)).await;
    for (day, share) in [
        (75.0_f64, 0.2 - (0.12 * ((-2.5_f64).exp2() - 0.125) / 0.125)),
        (90.0, 0.2),
        (180.0, 0.35),
        (360.0, 0.6),
    ] {
        let fading = world.members("fading_customers", day).await;
        assert_eq!(fading.len(), 1, "{day}");
        assert_close(fading[0].points, (-day / 30.0).exp2());
        let probability = fading[0].probability.as_ref().unwrap();
        assert_eq!(probability.outcome, "cancels within 90 days");
        assert_close(probability.value, share);
    }
}
