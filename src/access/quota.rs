//! How much each tenant may ask one server for, as a keys file says.

use std::{collections::BTreeMap, num::NonZeroU32};

use crate::scoring::Tenant;

/// What a tenant may ask for in a second; `None` for as much as there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Calls, and messages of streams.
    pub calls: Option<NonZeroU32>,
    /// Events, retractions and updates.
    pub events: Option<NonZeroU32>,
}

/// What tenants may ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Those that are named.
    pub named: BTreeMap<Tenant, Quota>,
    /// Each other one.
    pub others: Quota,
}
