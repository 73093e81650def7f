//! How much each tenant may ask one server for, and have, as a keys file says.

use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroU64},
};

use crate::scoring::Tenant;

/// What a tenant may ask for in a second, and have; `None` for as much as there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Calls, and messages of streams.
    pub calls: Option<NonZeroU32>,
    /// Events, retractions and updates.
    pub events: Option<NonZeroU32>,
    /// How many profiles it may have, on all servers together: every record counts.
    pub profiles: Option<NonZeroU64>,
}

/// What tenants may ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Those that are named.
    pub named: BTreeMap<Tenant, Quota>,
    /// Each other one.
    pub others: Quota,
}

impl Quotas {
    /// How many profiles a tenant may have.
    pub fn profiles(&self, tenant: &Tenant) -> Option<NonZeroU64> {
        self.named.get(tenant).unwrap_or(&self.others).profiles
    }
}
