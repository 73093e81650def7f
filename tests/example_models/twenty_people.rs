//! `models/community.toml` on twenty people: ten who just look, and ten who shop.

use serde_json::{Value, json};

use crate::{
    community::{joined, posted, with_staff},
    world::{Action, World, did, reasons, score},
};

/// Ten who just look: a great deal of it, each in another way.
async fn ten_browsers(world: &mut World) -> Vec<String> {
    let mut names = Vec::new();
    for number in 0..10_u32 {
        let who = format!("browser-{number}");
        // Some have the best of profiles, and know everybody.
        if number % 2 == 0 {
            let stated = json!({ "name": who, "photo": "p", "company": "c", "industry": "i", "email": "b@c.example", "phone": "1", "connections": 500 });
            world.states(&who, stated).await;
        }
        for group in 0..number {
            let group = format!("group-{group}");
            world.sees(joined(&who, &group, "public")).await;
            for _ in 0..number {
                world.sees(posted(&who, &group, "public")).await;
            }
        }
        for day in 0..20 + number {
            let day = f64::from(day);
            world.sees(did(&who, "visit", day, Value::Null)).await;
            for tag in 0..1 + number {
                let view = did(&who, "page_view", day, Value::Null);
                let tag = format!("tag-{tag}");
                world.sees(view.tagged(&[&tag, "news"])).await;
            }
            let minutes = json!({ "minutes": 10 * number });
            world.sees(did(&who, "visit_ended", day, minutes)).await;
        }
        names.push(who);
    }
    names
}

/// Ten who shop, each in another way, all of them seldom here.
async fn ten_shoppers(world: &mut World) -> Vec<String> {
    let on = |who: &str, event_type: &str, attributes| did(who, event_type, 20.0, attributes);
    let paper = |who: &str| {
        on(
            who,
            "download",
            json!({ "kind": "white paper", "title": "Prices" }),
        )
    };
    let webinar = |who: &str| on(who, "webinar", json!({ "title": "Live" }));
    let private = |who: &str| {
        on(
            who,
            "joined_group",
            json!({ "group": "product-beta", "access": "private" }),
        )
    };
    let semi = |who: &str| {
        on(
            who,
            "joined_group",
            json!({ "group": "users", "access": "semi-private" }),
        )
    };
    let asks = |who: &str| {
        on(
            who,
            "group_post",
            json!({ "group": "product-beta", "access": "private" }),
        )
    };
    let meets = |who: &str, other: &str| on(who, "connected", Value::Null).with(other);
    let invites = |who: &str| on(who, "referral", json!({ "invited": "boss@tea.example" }));
    let forwards = |who: &str| on(who, "forward", Value::Null);
    let names: Vec<String> = (0..10).map(|number| format!("shopper-{number}")).collect();
    for who in &names {
        world
            .states(who, json!({ "email": format!("{who}@tea.example") }))
            .await;
        world.sees(on(who, "visit", Value::Null)).await;
    }
    let scripts: [Vec<Action>; 10] = [
        vec![paper(&names[0]), webinar(&names[0]), private(&names[0])],
        vec![
            meets(&names[1], "maya"),
            private(&names[1]),
            asks(&names[1]),
            asks(&names[1]),
        ],
        vec![
            meets(&names[2], "maya"),
            meets(&names[2], "fran"),
            paper(&names[2]),
            forwards(&names[2]),
        ],
        vec![invites(&names[3]), private(&names[3]), forwards(&names[3])],
        vec![
            webinar(&names[4]),
            meets(&names[4], "carl"),
            meets(&names[4], "fran"),
            semi(&names[4]),
        ],
        vec![
            private(&names[5]),
            asks(&names[5]),
            asks(&names[5]),
            asks(&names[5]),
            asks(&names[5]),
        ],
        vec![
            invites(&names[6]),
            paper(&names[6]),
            semi(&names[6]),
            forwards(&names[6]),
        ],
        vec![
            meets(&names[7], "kim"),
            meets(&names[7], "maya"),
            invites(&names[7]),
        ],
        vec![webinar(&names[8]), private(&names[8]), asks(&names[8])],
        vec![
            paper(&names[9]),
            webinar(&names[9]),
            meets(&names[9], "carl"),
        ],
    ];
    for script in scripts {
        world.sees_all(script).await;
    }
    names
}

/// What only looking gives points for.
const LOOKING: [&str; 5] = [
    "viewed_tag",
    "joined_public_group",
    "posted_in_public_group",
    "visited",
    "stayed",
];

#[tokio::test]
async fn every_shopper_ranks_above_every_browser_and_the_explanation_says_why() {
    let mut world = with_staff().await;
    let shoppers = ten_shoppers(&mut world).await;
    let mut shopping = world.ranked("shoppers", 20.0).await;
    shopping.sort();
    assert_eq!(shopping, shoppers);
    let browsers = ten_browsers(&mut world).await;
    let shopping = world.ranked("shoppers", 28.0).await;
    assert!(shopping.iter().all(|who| shoppers.contains(who)));
    for day in [30.0, 300.0] {
        let ranked = world.ranked("leads", day).await;
        assert_eq!(ranked.len(), 20, "{ranked:?}");
        for who in &ranked[..10] {
            assert!(
                shoppers.contains(who),
                "{who} is among the first ten: {ranked:?}"
            );
        }
    }
    for who in &shoppers {
        let profile = world.profile(who, 30.0).await;
        let interest = score(&profile, "interest");
        let heaviest = &interest
            .contributions
            .iter()
            .max_by(|one, other| one.points.total_cmp(&other.points))
            .unwrap();
        assert!(
            !LOOKING.contains(&heaviest.name.as_str()),
            "{who}: {heaviest:?}"
        );
    }
    for who in &browsers {
        let profile = world.profile(who, 30.0).await;
        for reason in reasons(&profile, "interest") {
            assert!(LOOKING.contains(&reason.as_str()), "{who}: {reason}");
        }
    }
}
