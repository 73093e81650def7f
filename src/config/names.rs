//! What settings are called on the command line and in the environment.

use std::{collections::BTreeMap, path::PathBuf};

use super::{SETTINGS, Setting};
use crate::scoring::nearest;

/// What the command line says; it wins over everything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--store`.
    pub store: Option<String>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--admin-listen`.
    pub admin_listen: Option<String>,
    /// `--model`.
    pub model: Option<String>,
    /// All others, by key.
    pub others: BTreeMap<&'static str, String>,
}

impl Flags {
    /// Notes what a flag says of a setting.
    pub fn set(&mut self, setting: &Setting, value: String) {
        match setting.key {
            "store" => self.store = Some(value),
            "listen" => self.listen = Some(value),
            "admin_listen" => self.admin_listen = Some(value),
            "model" => self.model = Some(value),
            key => drop(self.others.insert(key, value)),
        }
    }

    /// What a flag says of a setting.
    pub(super) fn get(&self, key: &str) -> Option<&String> {
        match key {
            "store" => self.store.as_ref(),
            "listen" => self.listen.as_ref(),
            "admin_listen" => self.admin_listen.as_ref(),
            "model" => self.model.as_ref(),
            _ => self.others.get(key),
        }
    }
}

/// What `--help` says of the settings together.
pub const HELP: &str = "\
Each setting is taken from its flag, else from the environment, else from the TOML file of
--config or BELLWETHER_CONFIG, where its name has underscores (max_skew = \"5m\"), else it has
its default. Durations are a number and a unit: 500ms, 30s, 5m, 12h, 7d, 2w.";

/// Names in the environment that are not settings of the file.
const OTHER_VARIABLES: [&str; 6] = [
    "config",
    "server",
    "ca",
    "client_cert",
    "client_key",
    "token",
];

/// The name of a setting in the environment.
pub(super) fn variable_of(key: &str) -> String {
    format!("BELLWETHER_{}", key.to_ascii_uppercase())
}

/// What is meant by a name in the environment that is nearly that of a setting.
pub fn misspelt(name: &str) -> Option<String> {
    let upper = name.to_ascii_uppercase();
    // Far from everything else, and never compared with names of other programs.
    if !upper.starts_with("BEL") {
        return None;
    }
    let keys = SETTINGS.iter().map(|setting| setting.key);
    let known = keys.chain(OTHER_VARIABLES).map(variable_of);
    let known: Vec<String> = known.collect();
    if known.iter().any(|known| known == name) {
        return None;
    }
    let known = known.iter().map(String::as_str);
    let meant = nearest(&upper, known, &variable_of(""))?;
    Some(format!(
        "the environment has {name}, which is no setting and has no effect; did you mean {meant}?"
    ))
}
