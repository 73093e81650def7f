//! What people answer and talk about: content and brands.

use super::{said, simply, world};
use crate::world::did;

#[tokio::test]
async fn content_is_ranked_by_what_people_do_about_it() {
    let mut world = world().await;
    for (who, content) in [("ann", "post-1"), ("bob", "post-2"), ("cid", "post-2")] {
        let comment = simply(who, "comment", 0.0).through("our-page");
        world.sees(comment.about(content)).await;
    }
    let ranked = world.ranked("content_that_engages", 0.0).await;
    assert_eq!(ranked, ["post-2", "post-1"]);
    // What was engaging once is not for ever.
    for number in 0..3 {
        let late = simply(&format!("late-{number}"), "comment", 90.0).through("our-page");
        world.sees(late.about("post-1")).await;
    }
    let ranked = world.ranked("content_that_engages", 90.0).await;
    assert_eq!(ranked, ["post-1", "post-2"]);
}

#[tokio::test]
async fn brands_are_ranked_by_how_many_look_for_something_else_however_they_are_written() {
    let mut world = world().await;
    for (who, brand) in [("ann", "Acme"), ("bob", "ACME"), ("cid", "zenith")] {
        world.sees(said(who, brand, "so fed up with them")).await;
    }
    world
        .sees(did("dan", "post", 0.0, serde_json::json!({})))
        .await;
    let ranked = world.ranked("brands_people_leave", 0.0).await;
    assert_eq!(ranked, ["acme", "zenith"]);
}
