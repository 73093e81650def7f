//! What differs between two model files, and what each difference acts on: what has been
//! counted already, or only what comes after.

use crate::scoring::Name;

use std::{collections::BTreeMap, fmt::Write as _};

use toml::de::{DeTable, DeValue};

use super::{definition::Model, slot::Slot};

/// What a change of a model acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ActsOn {
    /// Everything that was ever counted, at the next read.
    History,
    /// Only what comes after: what was counted stays as it was counted.
    Afterwards,
    /// How counts fade: what was counted fades anew from each profile's last event on.
    HalfLife,
}

/// A difference between two model files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelChange {
    /// Such as `signals.visited.points.interest`, or `signals.visited` for the whole of it.
    pub place: String,
    /// As the old file writes it; empty when it is new.
    pub before: String,
    /// As the new file writes it; empty when it is gone.
    pub after: String,
    /// What it acts on.
    pub acts_on: ActsOn,
}

/// Sections of tables that each have a name, in the order in which changes are told.
const NAMED: [&str; 9] = [
    "scores",
    "signals",
    "attributes",
    "stages",
    "segments",
    "identity",
    "topics",
    "quarantine",
    "subjects",
];

/// What the files say by place: section, name of an entry or nothing, and key.
type Entries = BTreeMap<(String, String), BTreeMap<String, String>>;

/// Every difference between the files of two models, ordered by what they act on.
pub fn model_changes(old: &Model, new: &Model) -> Vec<ModelChange> {
    let (before, after) = (entries_of(&old.source), entries_of(&new.source));
    let mut changes = Vec::new();
    let all: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for place in all {
        let (section, name) = place;
        let whole = |entry: Option<&BTreeMap<String, String>>| entry.map(inline);
        let entries = (before.get(place), after.get(place));
        if let (Some(old_entry), Some(new_entry)) = entries {
            differences(old_entry, new_entry, |key, before, after| {
                let acts_on = of_key(section, name, key, before, (old, new));
                changes.push(change(&[section, name, key], before, after, acts_on));
            });
        } else if name.is_empty() {
            let entry = entries.0.or(entries.1);
            for (key, text) in entry.into_iter().flatten() {
                let (before, after) = match entries.0 {
                    Some(_) => (Some(text), None),
                    None => (None, Some(text)),
                };
                let acts_on = of_key(section, name, key, before, (old, new));
                changes.push(change(&[section, name, key], before, after, acts_on));
            }
        } else {
            let acts_on = of_entry(section, entries.1.is_some());
            let (before, after) = (whole(entries.0), whole(entries.1));
            let place = [section.as_str(), name];
            changes.push(change(&place, before.as_ref(), after.as_ref(), acts_on));
        }
    }
    changes.extend(order_of_stages(old, new));
    changes.sort_by(|one, other| {
        let rank = |change: &ModelChange| {
            let section = change.place.split('.').next().unwrap_or_default();
            let told = NAMED.iter().position(|named| *named == section);
            (change.acts_on, told.unwrap_or(NAMED.len()))
        };
        rank(one).cmp(&rank(other))
    });
    changes
}

fn change(
    place: &[&str],
    before: Option<&String>,
    after: Option<&String>,
    acts_on: ActsOn,
) -> ModelChange {
    let place: Vec<&str> = place
        .iter()
        .copied()
        .filter(|part| !part.is_empty())
        .collect();
    ModelChange {
        place: place.join("."),
        before: before.cloned().unwrap_or_default(),
        after: after.cloned().unwrap_or_default(),
        acts_on,
    }
}

/// What it acts on that something with a name is new or gone.
fn of_entry(section: &str, is_new: bool) -> ActsOn {
    match (section, is_new) {
        ("signals" | "topics" | "subjects", true) | ("quarantine", _) => ActsOn::Afterwards,
        _ => ActsOn::History,
    }
}

/// What a changed key acts on.
fn of_key(
    section: &str,
    name: &str,
    key: &str,
    before: Option<&String>,
    models: (&Model, &Model),
) -> ActsOn {
    let first = key.split('.').next().unwrap_or(key);
    match (section, first) {
        (_, "description") => ActsOn::History,
        ("scores" | "interests" | "influence", "half_life") => ActsOn::HalfLife,
        // Only who reaches the stage afterwards holds it.
        ("stages", "keep") => ActsOn::Afterwards,
        ("signals", "points") if before.is_none() => of_new_points(name, key, models),
        ("signals", "points")
        | ("scores" | "attributes" | "stages" | "segments" | "identity", _)
        | ("influence", "reach") => ActsOn::History,
        _ => ActsOn::Afterwards,
    }
}

/// A signal gives points to another score: with the half-life of that score its matches were
/// counted before or not.
fn of_new_points(signal: &str, key: &str, (old, new): (&Model, &Model)) -> ActsOn {
    let score = key.rsplit('.').next().unwrap_or(key);
    let half_life = new
        .scores
        .iter()
        .find(|known| known.name == score)
        .and_then(|score| score.half_life);
    let slot = Slot {
        half_life,
        signal: signal.into(),
    };
    let is_free = |slot: &&Slot| slot.signal == signal && !new.slots.contains(slot);
    if old.slots.contains(&slot) {
        ActsOn::History
    } else if old.slots.iter().any(|slot| is_free(&slot)) {
        ActsOn::HalfLife
    } else {
        ActsOn::Afterwards
    }
}

/// The stages that both have, when they are in another order.
fn order_of_stages(old: &Model, new: &Model) -> Option<ModelChange> {
    let common = |of: &Model, other: &Model| -> Vec<Name> {
        let names = of.stages.iter().map(|stage| &stage.name);
        let has = |name: &&Name| other.stages.iter().any(|stage| stage.name == **name);
        names.filter(has).cloned().collect()
    };
    let (before, after) = (common(old, new), common(new, old));
    (before != after).then(|| ModelChange {
        place: "stages".to_owned(),
        before: before.join(", "),
        after: after.join(", "),
        acts_on: ActsOn::History,
    })
}

fn differences<'a>(
    old: &'a BTreeMap<String, String>,
    new: &'a BTreeMap<String, String>,
    mut note: impl FnMut(&str, Option<&'a String>, Option<&'a String>),
) {
    let keys: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
    for key in keys {
        let (before, after) = (old.get(key), new.get(key));
        if before != after && !is_same_number(before, after) {
            note(key, before, after);
        }
    }
}

/// Whether both are a number, and the same one: `3` and `3.0`.
fn is_same_number(one: Option<&String>, other: Option<&String>) -> bool {
    let number = |text: Option<&String>| text?.parse::<f64>().ok();
    number(one).is_some() && number(one) == number(other)
}

/// What a checked file says.
fn entries_of(source: &str) -> Entries {
    let mut entries_of = Entries::new();
    let Ok(root) = DeTable::parse(source) else {
        return entries_of;
    };
    for (section, value) in root.get_ref() {
        let section = section.get_ref().as_ref();
        match value.get_ref() {
            DeValue::Table(tables) if NAMED.contains(&section) => {
                for (name, table) in tables {
                    let name = name.get_ref().to_string();
                    let entry = entries_of.entry((section.to_owned(), name)).or_default();
                    flatten("", table.get_ref(), entry);
                }
            }
            DeValue::Array(tables) if NAMED.contains(&section) => {
                for table in tables.iter() {
                    let mut entry = BTreeMap::new();
                    flatten("", table.get_ref(), &mut entry);
                    let name = entry.remove("name").unwrap_or_default();
                    let name = name.trim_matches('"').to_owned();
                    entries_of.insert((section.to_owned(), name), entry);
                }
            }
            other => {
                let entry = entries_of.entry((section.to_owned(), String::new()));
                flatten("", other, entry.or_default());
            }
        }
    }
    entries_of
}

/// The leaves of a table by their paths.
fn flatten(path: &str, value: &DeValue<'_>, leaves: &mut BTreeMap<String, String>) {
    match value {
        DeValue::Table(table) => {
            for (key, value) in table {
                let key = key.get_ref();
                let path = if path.is_empty() {
                    key.to_string()
                } else {
                    format!("{path}.{key}")
                };
                flatten(&path, value.get_ref(), leaves);
            }
        }
        value => {
            leaves.insert(path.to_owned(), text(value));
        }
    }
}

/// A value as a file would have it.
fn text(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(boolean) => boolean.to_string(),
        DeValue::Datetime(datetime) => datetime.to_string(),
        DeValue::Array(values) => {
            let values: Vec<String> = values.iter().map(|value| text(value.get_ref())).collect();
            format!("[{}]", values.join(", "))
        }
        DeValue::Table(table) => {
            let mut leaves = BTreeMap::new();
            for (key, value) in table {
                leaves.insert(key.get_ref().to_string(), text(value.get_ref()));
            }
            inline(&leaves)
        }
    }
}

/// Keys and values in one line.
fn inline(entry: &BTreeMap<String, String>) -> String {
    let mut line = String::from("{ ");
    for (position, (key, value)) in entry.iter().enumerate() {
        let separator = if position > 0 { ", " } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(line, "{separator}{key} = {value}");
    }
    line + " }"
}
