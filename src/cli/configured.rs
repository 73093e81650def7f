//! The configuration of a command: its flags, and what the environment says. The one place
//! that reads the environment.

use std::env;

use crate::config::{Config, ConfigError, Flags};

/// The configuration from flags, the environment, a file and the defaults.
pub(super) fn configured(flags: &Flags) -> Result<Config, ConfigError> {
    Config::load(flags, |name| env::var(name).ok())
}
