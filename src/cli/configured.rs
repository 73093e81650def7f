//! The configuration of a command: its flags, and what the environment says. The one place
//! that reads the environment.

use std::env;

use crate::config::{Config, ConfigError, Flags, misspelt};

/// The configuration from flags, the environment, a file and the defaults.
pub(super) fn configured(flags: &Flags) -> Result<Config, ConfigError> {
    Config::load(flags, |name| env::var(name).ok())
}

/// What the environment says that is nearly a setting, with what is meant.
pub(super) fn slips() -> Vec<String> {
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut slips: Vec<String> = names.filter_map(|name| misspelt(&name)).collect();
    slips.sort_unstable();
    slips
}
