//! The file of an exported tenant, shared by `export` and `import`: a header, one profile
//! a line in ascending order of ids, and a closing line with their number, so that a
//! truncated file is noticed and every profile stands once.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::failure::Failure;
use crate::{
    scoring::Tenant,
    store::{StoreError, embedded::Embedded},
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
    /// The directory of the store. No server may run on it.
    #[arg(long, env = "BELLWETHER_STORE", value_name = "DIR")]
    store: PathBuf,
    /// The tenant.
    #[arg(long, default_value = Tenant::DEFAULT)]
    tenant: String,
}

impl Place {
    /// Opens the store, which no other process may use meanwhile.
    pub(super) fn open(&self) -> Result<Embedded, Failure> {
        Embedded::open(&self.store).map_err(|error| {
            Failure::new(format!(
                "cannot open the store in {}: {error}; export and import need it for \
                 themselves, so stop the server first",
                self.store.display()
            ))
        })
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

    /// The directory of the store.
    pub(super) fn directory(&self) -> &std::path::Path {
        &self.store
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(error.to_string())
    }
}
