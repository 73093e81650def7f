//! Why the models of a tenant cannot be had or changed.

use std::time::Duration;

use crate::store::StoreError;

/// Why the models cannot be had or changed. Nothing of any profile was written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RolloutError {
    /// The tenant has no model.
    #[error(
        "there is no tenant {tenant:?}; a tenant has a model file of its own in the model directory"
    )]
    UnknownTenant {
        /// The name asked for.
        tenant: String,
    },
    /// The store does not know the tenant, and callers make none.
    #[error(
        "there is no tenant {tenant:?}, and a first event makes none here; correct the name, or have the operator import the tenant or set auto_create_tenants"
    )]
    TenantNotMade {
        /// The name asked for.
        tenant: String,
    },
    /// A first event would make a tenant too many.
    #[error(
        "there are {most} tenants already, so there is no room for tenant {tenant:?}; correct the name, or have the operator raise max_tenants"
    )]
    TooManyTenants {
        /// The name asked for.
        tenant: String,
        /// How many there may be.
        most: u64,
    },
    /// A model was applied to a tenant that shares its model with all others.
    #[error("all tenants share one model here; leave the tenant out to change it for all")]
    TenantShares,
    /// A model was applied to no tenant, where each has its own.
    #[error("each tenant has a model of its own here; name the tenant")]
    TenantMissing,
    /// Nobody can be answered before the tenant's first ranks are there.
    #[error(
        "the ranks of tenant {tenant:?} are being built, as after an import or a failover that lost a step"
    )]
    RanksBuilding {
        /// Whose.
        tenant: String,
    },
    /// Nobody may write for a moment, which takes longer than it should.
    #[error("tenant {tenant:?} comes to another number of partitions just now")]
    Repartitioning {
        /// Whose.
        tenant: String,
    },
    /// Another model became the latest since the caller looked.
    #[error("the latest model is of revision {revision}, not of the expected {expected}")]
    RevisionChanged {
        /// The revision that the caller expected.
        expected: u64,
        /// That of the latest model; 0 when there is none.
        revision: u64,
    },
    /// Others were faster at every attempt.
    #[error("the models of {0} change all the time")]
    ModelsChanging(String),
    /// Too many callers wait for their models to be read.
    #[error("too many models wait to be read")]
    TooManyReading {
        /// When a retry is worth it.
        retry_after: Duration,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
