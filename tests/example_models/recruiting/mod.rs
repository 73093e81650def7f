//! `models/recruiting.toml`: who looks for another job and does not say so.

mod breadth;
mod colleagues;
mod signs;
mod standing;

use serde_json::{Value, json};

use crate::world::{Action, World, did, score};

async fn world() -> World {
    World::of("recruiting.toml").await
}

fn simply(who: &str, event_type: &str, day: f64) -> Action {
    did(who, event_type, day, Value::Null)
}

fn recommended(who: &str, day: f64) -> Action {
    simply(who, "recommendation_updated", day)
}

fn joined(who: &str, group: &str, day: f64) -> Action {
    did(who, "joined_group", day, json!({ "group": group }))
}

fn ended_position(who: &str, day: f64) -> Action {
    did(who, "position_ended", day, json!({ "is_last": true }))
}

/// The points of what somebody's signs would be without the rule of breadth.
async fn signs(world: &World, who: &str, day: f64) -> f64 {
    world.points(who, "signs", day).await
}

/// How many different signals there are, of three.
async fn breadth(world: &World, who: &str, day: f64) -> (usize, usize) {
    let profile = world.profile(who, day).await;
    let breadth = score(&profile, "openness").breadth.unwrap();
    (breadth.present, breadth.required)
}

/// Five visits a day, four hours apart: a change for whoever came every fourth day.
fn visits_much_more(who: &str, from_day: f64) -> Vec<Action> {
    let visits = 0..15;
    visits
        .map(|visit| simply(who, "visit", from_day + f64::from(visit) / 5.0))
        .collect()
}

/// A visit every fourth day, for eighty days.
fn visits_steadily(who: &str) -> Vec<Action> {
    (0..20)
        .map(|visit| simply(who, "visit", 4.0 * f64::from(visit)))
        .collect()
}
