//! Opens the store that is configured: the one place that knows every kind of store.

use std::{fmt, path::PathBuf};

use super::{
    StoreError,
    embedded::Embedded,
    redis::{Redis, RedisSettings},
};

/// Where records and ranks are.
#[derive(Clone, Debug)]
pub enum StoreSettings {
    /// In a directory of this machine, for this process alone.
    Embedded(PathBuf),
    /// In Redis, for any number of servers.
    Redis(RedisSettings),
}

impl fmt::Display for StoreSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(directory) => directory.display().fmt(formatter),
            Self::Redis(settings) => settings.address.fmt(formatter),
        }
    }
}

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read what is there, and to change nothing.
    Read,
    /// To change what is there.
    Write,
    /// To write it, and to make it where there is none.
    Create,
}

/// A store that was opened.
pub enum OpenStore {
    /// In a directory of this machine.
    Embedded(Embedded),
    /// In Redis.
    Redis(Redis),
}

impl StoreSettings {
    /// Opens the store.
    pub async fn open(&self, access: Access) -> Result<OpenStore, StoreError> {
        match self {
            // Opening creates what is missing, which would hide a typing error.
            Self::Embedded(directory) if access == Access::Write && !directory.is_dir() => {
                let directory = directory.display();
                let missing = format!("there is no store in {directory}");
                Err(StoreError::Misconfigured(missing))
            }
            Self::Embedded(directory) => {
                let opened = match access {
                    Access::Read => Embedded::open_to_read(directory),
                    Access::Write | Access::Create => Embedded::open(directory),
                };
                Ok(OpenStore::Embedded(opened?))
            }
            Self::Redis(settings) => {
                let opened = match access {
                    Access::Create => Redis::open(settings).await,
                    Access::Read | Access::Write => Redis::open_existing(settings).await,
                };
                Ok(OpenStore::Redis(opened?))
            }
        }
    }
}
