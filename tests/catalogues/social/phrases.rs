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
async fn leaving_us_is_discontent_and_no_intent() {
    let mut world = world().await;
    let matched = heard(&mut world, said("ann", "ours", "I am switching from you")).await;
    assert_eq!(matched, ["switches_from_us"]);
    assert_eq!(world.points("ann", "discontent", 0.0).await, 15.0);
    assert_eq!(world.points("ann", "intent", 0.0).await, 0.0);
}
