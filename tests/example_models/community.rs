//! `models/community.toml`: leads of an online community, and who only looks.

use serde_json::{Value, json};

use crate::world::{Action, World, assert_close, assert_explained, did, reasons, score, term};

/// What a model is worth for one deed of somebody new.
async fn worth(world: &mut World, who: &str, action: Action) -> f64 {
    world.sees(action).await;
    world.points(who, "interest", 0.0).await
}

async fn world() -> World {
    World::of("community.toml").await
}

pub fn joined(who: &str, group: &str, access: &str) -> Action {
    let attributes = json!({ "group": group, "access": access });
    did(who, "joined_group", 0.0, attributes)
}

pub fn posted(who: &str, group: &str, access: &str) -> Action {
    let attributes = json!({ "group": group, "access": access });
    did(who, "group_post", 0.0, attributes)
}

fn viewed(who: &str, tags: &[&str]) -> Action {
    did(who, "page_view", 0.0, Value::Null).tagged(tags)
}

fn referred(who: &str, invited: &str) -> Action {
    did(who, "referral", 0.0, json!({ "invited": invited }))
}

fn connected(who: &str, other: &str) -> Action {
    did(who, "connected", 0.0, Value::Null).with(other)
}

#[tokio::test]
async fn every_tag_of_the_pages_viewed_is_counted_by_itself() {
    let mut world = world().await;
    for _ in 0..4 {
        let matched = world.sees(viewed("ann", &["pricing", "api", "api"])).await;
        assert_eq!(matched, ["viewed_tag"]);
    }
    world.sees(viewed("ann", &["pricing"])).await;
    let profile = world.profile("ann", 0.0).await;
    let viewed_tag = term(&profile, "interest", "viewed_tag");
    assert_close(viewed_tag.points, 0.05 * (5.0 + 4.0));
    let keys: Vec<(&str, f64)> = viewed_tag
        .keys
        .iter()
        .map(|key| (key.key.as_str(), key.count))
        .collect();
    assert_eq!(keys, [("pricing", 5.0), ("api", 4.0)]);
}

#[tokio::test]
async fn one_tag_read_for_ever_stops_counting_at_ten_pages() {
    let mut world = world().await;
    for _ in 0..30 {
        world.sees(viewed("ann", &["pricing"])).await;
    }
    assert_close(world.points("ann", "interest", 0.0).await, 0.5);
}

#[tokio::test]
async fn private_groups_weigh_more_than_semi_private_ones_and_these_more_than_public_ones() {
    let mut world = world().await;
    let public = worth(&mut world, "ann", joined("ann", "tea", "public")).await;
    let semi_private = worth(&mut world, "bob", joined("bob", "tea", "semi-private")).await;
    let private = worth(&mut world, "cid", joined("cid", "tea", "private")).await;
    assert_eq!([public, semi_private, private], [0.25, 4.0, 8.0]);
    let profile = world.profile("cid", 0.0).await;
    assert_eq!(reasons(&profile, "interest"), ["joined_private_group"]);
}

#[tokio::test]
async fn more_groups_are_more_points_and_the_same_group_is_not() {
    let mut world = world().await;
    world.sees(joined("ann", "tea", "private")).await;
    world.sees(joined("ann", "tea", "private")).await;
    assert_eq!(world.points("ann", "interest", 0.0).await, 8.0);
    world.sees(joined("ann", "coffee", "private")).await;
    assert_eq!(world.points("ann", "interest", 0.0).await, 16.0);
}

#[tokio::test]
async fn the_group_of_the_product_weighs_more_than_another_of_its_kind() {
    let mut world = world().await;
    let matched = world.sees(joined("ann", "product-beta", "private")).await;
    assert_eq!(matched, ["joined_private_group", "joined_product_group"]);
    assert_eq!(world.points("ann", "interest", 0.0).await, 8.0 + 6.0);
}

#[tokio::test]
async fn posts_weigh_by_how_often_and_by_the_kind_of_group() {
    let mut world = world().await;
    for (who, access, weight) in [
        ("ann", "public", 0.05),
        ("bob", "semi-private", 2.0),
        ("cid", "private", 4.0),
    ] {
        let signal = format!("posted_in_{}_group", access.replace('-', "_"));
        assert_eq!(world.sees(posted(who, "tea", access)).await, [signal]);
        assert_close(world.points(who, "interest", 0.0).await, weight);
        world.sees(posted(who, "tea", access)).await;
        assert_close(world.points(who, "interest", 0.0).await, 2.0 * weight);
        for _ in 0..10 {
            world.sees(posted(who, "tea", access)).await;
        }
        assert_close(world.points(who, "interest", 0.0).await, 5.0 * weight);
        world.sees(posted(who, "coffee", access)).await;
        assert_close(world.points(who, "interest", 0.0).await, 6.0 * weight);
    }
}

#[tokio::test]
async fn posts_in_the_group_of_the_product_weigh_more_than_others_of_its_kind() {
    let mut world = world().await;
    for group in ["product-beta", "pricing"] {
        let matched = world.sees(posted("ann", group, "private")).await;
        assert_eq!(
            matched,
            ["posted_in_private_group", "posted_in_product_group"]
        );
    }
    assert_eq!(
        world.points("ann", "interest", 0.0).await,
        2.0 * (4.0 + 3.0)
    );
    for _ in 0..10 {
        world.sees(posted("bob", "pricing", "semi-private")).await;
    }
    assert_eq!(
        world.points("bob", "interest", 0.0).await,
        5.0 * (2.0 + 3.0)
    );
    let profile = world.profile("bob", 0.0).await;
    let product = term(&profile, "interest", "posted_in_product_group");
    assert_eq!(
        (product.points, product.keys[0].key.as_str()),
        (15.0, "pricing")
    );
}

#[tokio::test]
async fn each_of_sixty_four_groups_and_addresses_counts_once_however_often_they_come() {
    let mut world = world().await;
    for _ in 0..2 {
        for number in 0..64 {
            let group = format!("group-{number}");
            world.sees(joined("ann", &group, "private")).await;
            let invited = format!("friend-{number}@tea.example");
            world.sees(referred("ann", &invited)).await;
        }
    }
    assert_close(
        world.points("ann", "interest", 0.0).await,
        64.0 * (8.0 + 3.0),
    );
}

pub async fn with_staff() -> World {
    let world = world().await;
    for (who, role) in [
        ("maya", "product manager"),
        ("carl", "customer service"),
        ("fran", "finance"),
        ("gus", "gardener"),
    ] {
        let stated = json!({ "employee": true, "role": role });
        world.states(who, stated).await;
    }
    world.states("kim", json!({ "customer": true })).await;
    // The same title elsewhere is nothing to us.
    let stated = json!({ "employee": false, "role": "product manager" });
    world.states("otto", stated).await;
    world
}

#[tokio::test]
async fn a_product_manager_weighs_more_than_customer_service_which_weighs_as_much_as_finance() {
    let mut world = with_staff().await;
    let manager = worth(&mut world, "ann", connected("ann", "maya")).await;
    let service = worth(&mut world, "bob", connected("bob", "carl")).await;
    let finance = worth(&mut world, "cid", connected("cid", "fran")).await;
    assert_eq!([manager, service, finance], [12.0, 6.0, 6.0]);
    let profile = world.profile("ann", 0.0).await;
    let manager = term(&profile, "interest", "connected_with_product_manager");
    assert_eq!(manager.keys[0].key, "maya");
}

#[tokio::test]
async fn customers_count_apart_from_the_staff_and_strangers_do_not_count() {
    let mut world = with_staff().await;
    let matched = world.sees(connected("ann", "kim")).await;
    assert_eq!(matched, ["connected_with_customer"]);
    assert_eq!(world.points("ann", "interest", 0.0).await, 5.0);
    for stranger in ["gus", "otto", "nobody"] {
        let matched = world.sees(connected("ann", stranger)).await;
        assert!(matched.is_empty(), "{stranger}: {matched:?}");
    }
}

#[tokio::test]
async fn the_same_person_is_one_connection_however_often() {
    let mut world = with_staff().await;
    for _ in 0..3 {
        world.sees(connected("ann", "maya")).await;
    }
    assert_eq!(world.points("ann", "interest", 0.0).await, 12.0);
}

#[tokio::test]
async fn a_referral_of_a_colleague_weighs_more_than_one_of_a_friend() {
    let mut world = world().await;
    for who in ["ann", "bob"] {
        world
            .states(who, json!({ "email": format!("{who}@Tea.example") }))
            .await;
    }
    let matched = world.sees(referred("ann", "zoe@tea.EXAMPLE")).await;
    assert_eq!(matched, ["referred", "referred_a_colleague"]);
    assert_eq!(world.points("ann", "interest", 0.0).await, 12.0);
    assert_eq!(
        world.sees(referred("bob", "zoe@else.example")).await,
        ["referred"]
    );
    assert_eq!(world.points("bob", "interest", 0.0).await, 3.0);
    // The same address once, another one again.
    world.sees(referred("bob", "ZOE@else.example")).await;
    assert_eq!(world.points("bob", "interest", 0.0).await, 3.0);
    world.sees(referred("bob", "max@else.example")).await;
    assert_eq!(world.points("bob", "interest", 0.0).await, 6.0);
}

#[tokio::test]
async fn addresses_of_one_mail_provider_are_no_colleagues() {
    let mut world = world().await;
    world
        .states("ann", json!({ "email": "ann@gmail.com" }))
        .await;
    assert_eq!(
        world.sees(referred("ann", "zoe@gmail.com")).await,
        ["referred"]
    );
    // Nor is anybody of those who have stated no address.
    assert_eq!(world.sees(referred("bob", "nowhere")).await, ["referred"]);
}

#[tokio::test]
async fn a_complete_profile_is_worth_more_than_an_empty_one() {
    let world = world().await;
    world
        .states("ann", json!({ "name": "Ann", "photo": "", "phone": null, "email": "a@b.example", "city": "Oslo" }))
        .await;
    let profile = world.profile("ann", 0.0).await;
    let completed = term(&profile, "fit", "completed_profile");
    assert_close(completed.count, 2.0 / 6.0);
    assert_close(score(&profile, "fit").points, 1.0 + 0.3 * 2.0 / 6.0);
    world
        .states(
            "ann",
            json!({ "photo": "a.png", "company": "Tea", "industry": "retail", "phone": "1" }),
        )
        .await;
    assert_close(world.points("ann", "fit", 0.0).await, 1.3);
}

#[tokio::test]
async fn the_number_of_connections_counts_up_to_two_hundred() {
    let world = world().await;
    for (connections, points) in [(0.0, 1.0), (50.0, 1.05), (200.0, 1.2), (9_000.0, 1.2)] {
        world
            .states("ann", json!({ "connections": connections }))
            .await;
        assert_close(world.points("ann", "fit", 0.0).await, points);
    }
    let profile = world.profile("ann", 0.0).await;
    assert_eq!(reasons(&profile, "fit"), ["is_connected"]);
}

#[tokio::test]
async fn visits_count_by_the_month_and_half_as_much_a_month_later() {
    let mut world = world().await;
    for day in 0..4 {
        let day = f64::from(day) / 30.0;
        let matched = world.sees(did("ann", "visit", day, Value::Null)).await;
        assert_eq!(matched, ["visited"]);
        // Ten minutes later it is still the same visit.
        let again = did("ann", "visit", day + 10.0 / 1440.0, Value::Null);
        assert!(world.sees(again).await.is_empty());
    }
    let then = world.points("ann", "interest", 1.0).await;
    assert!(then > 0.95 && then < 1.0, "{then}");
    assert_close(world.points("ann", "interest", 31.0).await, then / 2.0);
    for visit in 0..40 {
        let day = 1.0 + f64::from(visit) / 24.0;
        world.sees(did("ann", "visit", day, Value::Null)).await;
    }
    let many = world.points("ann", "interest", 1.0 + 39.0 / 24.0).await;
    assert!(many <= 3.0 && many > 2.9, "{many}");
}

#[tokio::test]
async fn the_time_on_the_site_is_that_of_the_last_visit() {
    let mut world = world().await;
    let ended = |day, minutes| did("ann", "visit_ended", day, json!({ "minutes": minutes }));
    assert_eq!(world.sees(ended(0.0, 50.0)).await, ["stayed"]);
    assert_close(world.points("ann", "interest", 0.0).await, 1.0);
    world.sees(ended(2.0, 5.0)).await;
    let profile = world.profile("ann", 2.0).await;
    assert_close(term(&profile, "interest", "stayed").count, 5.0);
    // What comes in late is of an earlier visit.
    world.sees(ended(1.0, 40.0)).await;
    assert_close(world.points("ann", "interest", 2.0).await, 0.1);
    world.sees(ended(3.0, 600.0)).await;
    assert_close(world.points("ann", "interest", 3.0).await, 1.2);
}

#[tokio::test]
async fn forwards_to_a_friend_count_up_to_five() {
    let mut world = world().await;
    for number in 1..=7_u32 {
        let matched = world.sees(did("ann", "forward", 0.0, Value::Null)).await;
        assert_eq!(matched, ["forwarded_to_a_friend"]);
        let points = world.points("ann", "interest", 0.0).await;
        assert_close(points, 4.0 * f64::from(number.min(5)));
    }
}

#[tokio::test]
async fn gated_downloads_count_and_a_webinar_more_than_a_white_paper() {
    let mut world = world().await;
    let download = |kind: &str| {
        did(
            "ann",
            "download",
            0.0,
            json!({ "kind": kind, "title": "Tea" }),
        )
    };
    assert_eq!(
        world.sees(download("white paper")).await,
        ["downloaded_white_paper"]
    );
    world.sees(download("white paper")).await;
    assert_eq!(world.points("ann", "interest", 0.0).await, 10.0);
    assert!(world.sees(download("wallpaper")).await.is_empty());
    let webinar = did("bob", "webinar", 0.0, json!({ "title": "Tea" }));
    assert_eq!(worth(&mut world, "bob", webinar).await, 14.0);
}

#[tokio::test]
async fn everything_somebody_did_is_explained_with_its_weight_and_its_limit() {
    let mut world = with_staff().await;
    let stated = json!({ "email": "ann@tea.example", "connections": 20 });
    world.states("ann", stated).await;
    let mut actions = vec![
        viewed("ann", &["pricing"]),
        referred("ann", "zoe@tea.example"),
        did("ann", "visit", 0.0, Value::Null),
        did("ann", "visit_ended", 0.0, json!({ "minutes": 5 })),
        did("ann", "forward", 0.0, Value::Null),
        did("ann", "webinar", 0.0, json!({ "title": "Tea" })),
        did(
            "ann",
            "download",
            0.0,
            json!({ "kind": "white paper", "title": "Tea" }),
        ),
    ];
    for access in ["public", "semi-private", "private"] {
        actions.push(joined("ann", "product-beta", access));
        actions.push(posted("ann", "product-beta", access));
    }
    actions.extend(["maya", "carl", "fran", "kim"].map(|other| connected("ann", other)));
    world.sees_all(actions).await;
    let profile = world.profile("ann", 0.0).await;
    let once = Some(1.0);
    let interest = [
        ("viewed_tag", 0.05, Some(10.0)),
        ("joined_public_group", 0.25, once),
        ("joined_semi_private_group", 4.0, once),
        ("joined_private_group", 8.0, once),
        ("joined_product_group", 6.0, once),
        ("posted_in_public_group", 0.05, Some(5.0)),
        ("posted_in_semi_private_group", 2.0, Some(5.0)),
        ("posted_in_private_group", 4.0, Some(5.0)),
        ("posted_in_product_group", 3.0, Some(5.0)),
        ("connected_with_product_manager", 12.0, once),
        ("connected_with_customer_service", 6.0, once),
        ("connected_with_finance", 6.0, once),
        ("connected_with_customer", 5.0, once),
        ("referred", 3.0, once),
        ("referred_a_colleague", 9.0, once),
        ("visited", 0.25, Some(12.0)),
        ("stayed", 0.02, Some(60.0)),
        ("forwarded_to_a_friend", 4.0, Some(5.0)),
        ("downloaded_white_paper", 10.0, once),
        ("attended_webinar", 14.0, once),
    ];
    assert_explained(&profile, "interest", &interest);
    let fit = [
        ("completed_profile", 0.3, None),
        ("is_connected", 0.2, None),
    ];
    assert_explained(&profile, "fit", &fit);
}

#[tokio::test]
async fn interest_alone_leads_from_awareness_to_decision() {
    let mut world = world().await;
    let webinar = |title: &str| did("ann", "webinar", 0.0, json!({ "title": title }));
    for (title, stage) in [
        ("one", "awareness"),
        ("two", "consideration"),
        ("three", "decision"),
    ] {
        world.sees(webinar(title)).await;
        assert_eq!(world.profile("ann", 0.0).await.stage.unwrap(), stage);
    }
    // 42 points are somebody who shops, and half of them somebody who did.
    assert_eq!(world.ranked("shoppers", 0.0).await, ["ann"]);
    assert!(world.ranked("shoppers", 30.0).await.is_empty());
}

#[tokio::test]
async fn who_bought_is_no_lead_any_more() {
    let mut world = world().await;
    world.sees(joined("ann", "tea", "private")).await;
    assert_eq!(world.ranked("leads", 0.0).await, ["ann"]);
    world.sees(did("ann", "purchase", 1.0, Value::Null)).await;
    assert!(world.ranked("leads", 1.0).await.is_empty());
    assert_eq!(world.profile("ann", 1.0).await.stage.unwrap(), "customer");
}

#[tokio::test]
async fn buyers_missing_from_our_database_are_those_without_an_id_of_it() {
    let mut world = world().await;
    world.states("ann", json!({ "crm_id": "7" })).await;
    for who in ["ann", "bob"] {
        for group in ["product-beta", "pricing", "other"] {
            world.sees(joined(who, group, "private")).await;
        }
    }
    assert_eq!(world.ranked("shoppers", 0.0).await, ["ann", "bob"]);
    assert_eq!(
        world.ranked("missing_from_our_database", 0.0).await,
        ["bob"]
    );
}
