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
            let rule = world.holds(did("ann", event_type, 1.0, agent)).await;
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
    for number in 0..30 {
        let rule = world.holds(visit("robot", f64::from(number) / 10.0)).await;
        held.extend(rule);
    }
    assert_eq!(held, ["impossible_speed"; 20], "ten have counted before");
    for number in 0..100 {
        let page = visit("reader", 10.0 * f64::from(number));
        assert_eq!(world.holds(page).await, None, "{number}");
    }
    // A scanner opens all the links of a letter at once.
    let click = || did("scanner", "email_clicked", 1.0, Value::Null);
    for number in 0..12 {
        let rule = world.holds(click()).await;
        assert_eq!(rule.is_some(), number >= 10, "{number}");
    }
    let held = world.quarantined("impossible_speed").await;
    let expected = [("robot", 20), ("scanner", 2)];
    assert_eq!(held, expected.map(|(who, count)| (who.to_owned(), count)));
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
