//! `models/social.toml`: the path to purchase, for people of whom only a handle is known.

mod path;
mod phrases;
mod scores;
mod subjects;
mod taking_part;
mod voices;

use bellwether::scoring::Name;
use serde_json::{Value, json};

use crate::world::{Action, World, did};

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

async fn stage(world: &World, who: &str, day: f64) -> Name {
    world.profile(who, day).await.stage.unwrap()
}

/// The signals of an action beside having written something and having taken part.
async fn heard(world: &mut World, action: Action) -> Vec<Name> {
    let mut matched = world.sees(action).await;
    matched.retain(|signal| !["wrote", "took_part"].contains(&signal.as_str()));
    matched
}
