//! A key for each tenant, in a file as servers are given one.

use std::{collections::BTreeMap, fs};

use bellwether::access::{SECRET_BYTES, Secret};
use tempfile::NamedTempFile;

/// The keys of some tenants, and their file.
pub struct Keys {
    secrets: BTreeMap<String, Secret>,
    file: NamedTempFile,
}

impl Keys {
    /// A key for each of these tenants.
    pub fn new<'a>(tenants: impl Iterator<Item = &'a str>) -> Self {
        // Nobody is kept out by them: they need only differ.
        let secrets: BTreeMap<String, Secret> = (0..)
            .zip(tenants)
            .map(|(number, tenant)| (tenant.to_owned(), Secret::new([number; SECRET_BYTES])))
            .collect();
        let entries = secrets.iter().map(|(tenant, secret)| {
            format!(
                "[[keys]]\nname = \"{tenant}\"\nsha256 = \"{}\"\ntenants = [\"{tenant}\"]\nrole = \"writer\"\n",
                secret.sha256()
            )
        });
        let file = NamedTempFile::new().unwrap();
        fs::write(file.path(), entries.collect::<String>()).unwrap();
        Self { secrets, file }
    }

    /// The key of a tenant.
    pub fn of(&self, tenant: &str) -> &Secret {
        &self.secrets[tenant]
    }

    /// What a server is told.
    pub fn setting(&self) -> String {
        format!("BELLWETHER_KEYS={}", self.file.path().display())
    }
}
