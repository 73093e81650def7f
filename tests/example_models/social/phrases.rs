//! What somebody writes.

use super::{heard, said, world};

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
    for text in [
        "overlooking fortune in shoes",
        "training, for once, for a race",
        "they switch",
    ] {
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
    for text in [
        "switching from Acme",
        "looking for shoes",
        "training for a marathon",
    ] {
        let mut world = world().await;
        world.sees(said("ann", "acme", text)).await;
        let intent = world.points("ann", "intent", 0.0).await;
        worth.push((intent, world.points("ann", "attention", 0.0).await));
    }
    assert_eq!(worth, [(15.0, 4.0), (12.0, 4.0), (6.0, 3.0)]);
}

#[tokio::test]
async fn leaving_us_is_discontent_and_no_intent() {
    let mut world = world().await;
    let matched = heard(&mut world, said("ann", "ours", "I am switching from you")).await;
    assert_eq!(matched, ["switches_from_us"]);
    assert_eq!(world.points("ann", "discontent", 0.0).await, 15.0);
    assert_eq!(world.points("ann", "intent", 0.0).await, 0.0);
}

/// Asserts what a text is taken for when it is about a brand.
async fn assert_heard(brand: &str, cases: &[(&str, &[&str])]) {
    let mut world = world().await;
    for (text, signals) in cases {
        let matched = heard(&mut world, said("ann", brand, text)).await;
        assert_eq!(matched, *signals, "{text}");
    }
}

#[tokio::test]
async fn who_does_not_look_for_anything_is_no_buyer() {
    assert_heard(
        "acme",
        &[
            ("I am not looking for running shoes", &[]),
            ("I'm no longer in the market for a watch", &[]),
            ("I wasn't really looking for shoes", &[]),
            ("never signed up for a marathon", &[]),
            ("I have stopped training for the marathon", &[]),
            ("I am not fed up with them", &[]),
            ("he isn't switching from Acme", &[]),
            (
                "Not today. I am looking for running shoes",
                &["looks_for_it"],
            ),
            ("looking for shoes, not boots", &["looks_for_it"]),
        ],
    )
    .await;
    assert_heard("ours", &[("I'd never be fed up with you", &[])]).await;
}

#[tokio::test]
async fn who_looks_for_something_of_another_market_is_no_buyer() {
    assert_heard(
        "acme",
        &[
            ("looking for followers", &[]),
            ("looking for followers of my page about running shoes", &[]),
            ("looking for a new job", &[]),
            ("can anyone recommend a dentist?", &[]),
            ("which one should I read?", &[]),
            ("training for a new job", &[]),
            ("signed up for the newsletter", &[]),
            ("preparing for my exams", &[]),
            ("fed up with my boss", &[]),
            ("switched from coffee to tea", &[]),
            ("moving away from Oslo", &[]),
            ("fed up with Acme", &["switches_from_a_competitor"]),
        ],
    )
    .await;
    assert_heard(
        "ours",
        &[
            ("fed up with my boss", &[]),
            ("fed up with your app", &["switches_from_us"]),
        ],
    )
    .await;
}

#[tokio::test]
async fn french_is_understood_with_and_without_its_accents() {
    assert_heard(
        "acme",
        &[
            ("Je cherche des chaussures", &["looks_for_it"]),
            ("A la recherche de nouvelles BASKETS", &["looks_for_it"]),
            ("où acheter cette montre ?", &["looks_for_it"]),
            ("ou acheter cette montre ?", &["looks_for_it"]),
            ("je prépare un semi-marathon", &["trains_for_something"]),
            ("deçu par Acme", &["switches_from_a_competitor"]),
            ("Je cherche pas de chaussures", &[]),
            (
                "J'ai arrete. Plus à la recherche de baskets",
                &["looks_for_it"],
            ),
            ("J'ai arrete : je cherche plus de chaussures", &[]),
            ("je cherche des abonnés", &[]),
        ],
    )
    .await;
    let mut world = world().await;
    for text in ["Beaucoup trop CHERE", "trop chère", "quel prix ?"] {
        world.sees(said("bea", "acme", text)).await;
    }
    let topics = world.profile("bea", 0.0).await.interests;
    assert_eq!(
        (topics[0].topic.as_str(), topics[0].points),
        ("prices", 3.0)
    );
}
