//! The file of an exported tenant, shared by `export` and `import`: a header, one profile
//! a line in ascending order of ids, and a closing line with their number, so that a
//! truncated file is noticed and every profile stands once.

use serde::{Deserialize, Serialize};

use super::{configured::configured, failure::Failure};
use crate::{
    config::{Config, Flags},
    scoring::Tenant,
    store::{Access, OpenStore, StoreError, StoreSettings},
};

/// The format of the file.
pub(super) const FORMAT: u32 = 1;
/// Profiles that are read from the store or written to it at once.
pub(super) const BATCH_PROFILES: usize = 500;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    /// [`FORMAT`].
    pub(super) format: u32,
    /// Whose data it was.
    pub(super) tenant: String,
}

/// The last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    /// How many profiles stand between the header and this line.
    pub(super) profiles: u64,
}

/// Which tenant of which store.
#[derive(Clone, Debug, clap::Args)]
pub struct Place {
    /// The directory of the store, which no server may use meanwhile, or the address of
    /// Redis; what else there is to say of Redis is set as for a server.
    #[arg(
        long,
        env = "BELLWETHER_STORE",
        hide_env_values = true,
        value_name = "STORE"
    )]
    store: String,
    /// The tenant.
    #[arg(long, default_value = Tenant::DEFAULT)]
    tenant: String,
}

impl Place {
    /// Opens the store.
    pub(super) async fn open(&self, access: Access) -> Result<OpenStore, Failure> {
        let settings = self.settings()?;
        settings.open(access).await.map_err(|error| match &settings {
            StoreSettings::Embedded(directory) if directory.is_dir() => {
                let hint = match error {
                    StoreError::Misconfigured(_) => {
                        "; export, import and recount need it for themselves, so stop the server first"
                    }
                    _ => "",
                };
                Failure::new(format!("cannot open the store in {settings}: {error}{hint}"))
            }
            _ => error.into(),
        })
    }

    /// Where the store is.
    pub(super) fn settings(&self) -> Result<StoreSettings, Failure> {
        Ok(self.config()?.store)
    }

    /// How many events a profile remembers, as servers on this store are configured.
    pub(super) fn remembered_events(&self) -> Result<usize, Failure> {
        Ok(self.config()?.remembered_events)
    }

    fn config(&self) -> Result<Config, Failure> {
        let flags = Flags {
            store: Some(self.store.clone()),
            ..Flags::default()
        };
        configured(&flags).map_err(|error| Failure::new(error.to_string()))
    }

    /// The tenant, when its name is well formed.
    pub(super) fn tenant(&self) -> Result<Tenant, Failure> {
        Tenant::new(&self.tenant).ok_or_else(|| {
            Failure::new(format!(
                "{:?} is no tenant: a name has 1 to 64 characters of a-z, 0-9, _ and -",
                self.tenant
            ))
        })
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(error.to_string())
    }
}
