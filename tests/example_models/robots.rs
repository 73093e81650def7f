//! `models/social.toml`: scanners and robots, whose events are kept apart.

use serde_json::{Value, json};

use crate::world::{Action, World, did};

async fn world() -> World {
    World::of("social.toml").await
}

/// A day after the start, and some seconds.
fn after(seconds: f64) -> f64 {
    1.0 + seconds / 86_400.0
}

fn visit(who: &str, seconds: f64) -> Action {
    let attributes = json!({ "page": "prices" });
    did(who, "web_visit", after(seconds), attributes)
}

#[tokio::test]
async fn whoever_is_judged_a_robot_by_the_caller_is_held_whatever_they_do() {
    let mut world = world().await;
    for event_type in ["web_visit", "post", "like", "purchase"] {
        let action = |verdict: Value| did("ann", event_type, 1.0, json!({ "verdict": verdict }));
        let rule = world.holds(action(json!("robot"))).await;
        assert_eq!(rule.as_deref(), Some("judged_a_robot"), "{event_type}");
        assert_eq!(world.holds(action(json!("human"))).await, None);
        assert_eq!(world.holds(action(Value::Null)).await, None);
    }
}

#[tokio::test]
async fn robots_are_known_by_their_user_agent_and_browsers_are_not_held() {
    let mut world = world().await;
    let mut day = 1.0;
    for (user_agent, is_held) in [
        ("Mozilla/5.0 (compatible; Googlebot/2.1)", true),
        ("Slackbot-LinkExpanding 1.0", true),
        ("SkypeUriPreview Preview/0.5", true),
        ("Mail-Scanner/3", true),
        ("Mozilla/5.0 (X11) HeadlessChrome/120.0", true),
        ("Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0", false),
        ("Mozilla/5.0 (iPhone) Safari/604.1", false),
        ("", false),
    ] {
        for event_type in ["web_visit", "email_opened", "email_clicked"] {
            let agent = json!({ "user_agent": user_agent });
            day += 1.0;
            let rule = world.holds(did("ann", event_type, day, agent)).await;
            let expected = is_held.then_some("robots_by_user_agent");
            assert_eq!(rule.as_deref(), expected, "{event_type} by {user_agent}");
        }
    }
    // What somebody writes about robots is written by somebody.
    let post = did("ann", "post", 1.0, json!({ "user_agent": "bot" }));
    assert_eq!(world.holds(post).await, None);
}

#[tokio::test]
async fn nobody_opens_ten_pages_within_seconds_and_a_reader_who_takes_their_time_passes() {
    let mut world = world().await;
    let mut held = Vec::new();
    for number in 0..12 {
        let page = visit("robot", 0.6 * f64::from(number));
        held.push(world.holds(page).await);
    }
    let rule = Some("impossible_speed".to_owned());
    assert_eq!(held[..10], [const { None }; 10], "ten have counted before");
    assert_eq!(held[10..], [rule.clone(), rule]);
    for number in 0..100 {
        let page = visit("reader", 10.0 * f64::from(number));
        assert_eq!(world.holds(page).await, None, "{number}");
    }
}

#[tokio::test]
async fn a_scanner_that_opens_every_link_at_once_comes_no_further_than_awareness() {
    let mut world = world().await;
    for number in 0..12 {
        let seconds = 0.15 * f64::from(number);
        let click = |who: &str| did(who, "email_clicked", after(seconds), Value::Null);
        // With a site that counts its visits, and without.
        let is_held = world.holds(click("clicks")).await.is_some();
        assert_eq!(is_held, number >= 3 && (number - 2) % 4 != 0, "{number}");
        world.holds(click("visits")).await;
        let page = json!({ "page": "news" });
        let opened = did("visits", "web_visit", after(seconds + 0.05), page);
        world.holds(opened).await;
    }
    for who in ["clicks", "visits"] {
        let profile = world.profile(who, after(5.0)).await;
        assert_eq!(profile.stage.as_deref(), Some("awareness"), "{who}");
    }
    // Somebody who opens links, each with its page, one after the other.
    for number in 0..4 {
        let seconds = 3.0 * f64::from(number);
        let click = did("reader", "email_clicked", after(seconds), Value::Null);
        assert_eq!(world.holds(click).await, None);
        assert_eq!(world.holds(visit("reader", seconds + 0.3)).await, None);
    }
    let reader = world.profile("reader", after(60.0)).await;
    assert_eq!(reader.stage.as_deref(), Some("consideration"));
}

#[tokio::test]
async fn what_is_held_counts_for_nothing_until_it_is_released_and_then_as_if_it_never_had_been() {
    let mut world = world().await;
    let action = |who: &str, day: f64, verdict: &str| {
        let attributes = json!({ "page": "prices", "brand": "acme", "verdict": verdict });
        did(who, "post", day, attributes).saying("switching from Acme, looking for shoes")
    };
    for day in [1.0, 2.0] {
        let rule = world.holds(action("ann", day, "robot")).await;
        assert_eq!(rule.as_deref(), Some("judged_a_robot"));
        world.sees(action("bob", day, "human")).await;
    }
    let held = world.profile("ann", 5.0).await;
    assert_eq!(held.event_count, 0);
    assert_eq!(held.stage, None, "a stranger stands nowhere");
    assert!(
        held.scores
            .iter()
            .all(|score| score.contributions.is_empty())
    );
    assert_eq!(world.ranked("likely_buyers", 5.0).await, ["bob"]);
    let listed = world.quarantined("judged_a_robot").await;
    assert_eq!(listed, [("ann".to_owned(), 2)]);

    assert_eq!(world.releases("ann", "impossible_speed").await, 0);
    assert_eq!(world.releases("ann", "judged_a_robot").await, 2);
    assert!(world.quarantined("judged_a_robot").await.is_empty());
    assert_eq!(world.ranked("likely_buyers", 5.0).await, ["ann", "bob"]);
    let (ann, bob) = (
        world.profile("ann", 5.0).await,
        world.profile("bob", 5.0).await,
    );
    assert_eq!((ann.scores, ann.stage), (bob.scores, bob.stage));
    assert_eq!(world.releases("ann", "judged_a_robot").await, 0);
}
