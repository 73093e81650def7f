//! Which store a command opens, shared by those that work on one without a server.

use super::{configured::configured, failure::Failure};
use crate::{
    config::{Config, Flags},
    scoring::Tenant,
    store::{Access, OpenStore, StoreError, StoreSettings},
};

/// Profiles that are written to the store at once.
pub(super) const BATCH_PROFILES: usize = 500;

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
    /// The tenant; `default` unless given, and for an import every tenant of the file.
    #[arg(long)]
    tenant: Option<String>,
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

    /// The tenant, the default one unless another is named.
    pub(super) fn tenant(&self) -> Result<Tenant, Failure> {
        let name = self.tenant.as_deref().unwrap_or(Tenant::DEFAULT);
        tenant_named(name)
    }

    /// The tenant that is named, if one is.
    pub(super) fn named_tenant(&self) -> Result<Option<Tenant>, Failure> {
        self.tenant.as_deref().map(tenant_named).transpose()
    }
}

fn tenant_named(name: &str) -> Result<Tenant, Failure> {
    Tenant::new(name).ok_or_else(|| {
        Failure::new(format!(
            "{name:?} is no tenant: a name has 1 to 64 characters of a-z, 0-9, _ and -"
        ))
    })
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(error.to_string())
    }
}
