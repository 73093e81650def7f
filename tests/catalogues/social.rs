//! `models/social.toml`: the path to purchase, for people of whom only a handle is known.

use serde_json::{Value, json};

use crate::world::{
    Action, Term, World, assert_close, assert_explained, did, reasons, score, term,
};

async fn world() -> World {
    World::of("social.toml").await
}

fn simply(who: &str, event_type: &str, day: f64) -> Action {
    did(who, event_type, day, Value::Null)
}

/// Something said about a brand.
fn said(who: &str, brand: &str, text: &str) -> Action {
    did(who, "post", 0.0, json!({ "brand": brand })).saying(text)
}

async fn stage(world: &World, who: &str, day: f64) -> String {
    world.profile(who, day).await.stage.unwrap()
}

/// The signals of a post beside having written it.
async fn heard(world: &mut World, action: Action) -> Vec<String> {
    let mut matched = world.sees(action).await;
    matched.retain(|signal| signal != "wrote");
    matched
}

#[tokio::test]
async fn phrases_of_intent_are_found_as_whole_words_in_any_case() {
    let mut world = world().await;
    for (text, signal) in [
        ("I am Looking For shoes", "looks_for_it"),
        ("Can anyone recommend a watch?", "looks_for_it"),
        ("TRAINING FOR the marathon!", "trains_for_something"),
        ("Signed up for a 10k", "trains_for_something"),
        ("so Fed Up With them", "switches_from_a_competitor"),
        ("I am switching from Acme", "switches_from_a_competitor"),
    ] {
        assert_eq!(
            heard(&mut world, said("ann", "acme", text)).await,
            [signal],
            "{text}"
        );
    }
    for text in ["overlooking fortune", "training, for once", "a switch"] {
        assert!(
            heard(&mut world, said("ann", "acme", text))
                .await
                .is_empty(),
            "{text}"
        );
    }
}

#[tokio::test]
async fn leaving_a_competitor_weighs_most_then_looking_then_training() {
    let mut worth = Vec::new();
    for text in ["switching from", "looking for", "training for"] {
        let mut world = world().await;
        world.sees(said("ann", "acme", text)).await;
        let intent = world.points("ann", "intent", 0.0).await;
        worth.push((intent, world.points("ann", "attention", 0.0).await));
    }
    assert_eq!(worth, [(15.0, 4.0), (12.0, 4.0), (6.0, 3.0)]);
}

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
    ] {
        let now = world.points("ann", name, 0.0).await;
        assert!(now > 0.0, "{name}");
        assert_close(world.points("ann", name, half_life_days).await, now / 2.0);
    }
}

#[tokio::test]
async fn leaving_us_is_discontent_and_no_intent() {
    let mut world = world().await;
    let matched = heard(&mut world, said("ann", "ours", "I am switching from you")).await;
    assert_eq!(matched, ["switches_from_us"]);
    assert_eq!(world.points("ann", "discontent", 0.0).await, 15.0);
    assert_eq!(world.points("ann", "intent", 0.0).await, 0.0);
}

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

#[tokio::test]
async fn a_handle_walks_the_path_from_awareness_to_decision_without_an_address() {
    let mut world = world().await;
    world.sees(simply("@handle", "like", 0.0)).await;
    assert_eq!(stage(&world, "@handle", 0.0).await, "awareness");
    world
        .sees(said("@handle", "acme", "training for Oslo"))
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
    assert_eq!(world.sees(review).await, ["recommended_us"]);
    assert_eq!(stage(&world, "ann", 0.0).await, "customer");
    world.sees(simply("ann", "referral", 0.0)).await;
    assert_eq!(world.points("ann", "advocacy", 0.0).await, 20.0);
    assert_eq!(stage(&world, "ann", 0.0).await, "advocate");
    assert_eq!(world.ranked("brand_advocates", 0.0).await, ["ann"]);
}

#[tokio::test]
async fn a_bad_review_recommends_nothing() {
    let mut world = world().await;
    let review = did("ann", "review", 0.0, json!({ "stars": 2 }));
    assert!(world.sees(review).await.is_empty());
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
    assert_eq!(world.sees(cancel).await, ["asked_how_to_cancel"]);
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

#[tokio::test]
async fn everything_somebody_did_is_explained_with_its_weight_and_its_limit() {
    let mut world = world().await;
    world.states("ann", json!({ "followers": 20_000 })).await;
    let comment = |text: &str| simply("ann", "comment", 0.0).saying(text);
    let actions = [
        comment("looking for shoes, training for Oslo").through("our-page"),
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
    let expected: [(&str, &[Term<'_>]); 7] = [
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
                ("bought", -30.0, None),
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
        ("audience", &[("has_followers", 1.0, None)]),
    ];
    for (name, terms) in expected {
        assert_explained(&profile, name, terms);
    }
}
