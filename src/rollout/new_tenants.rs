//! Tenants that there never were before: who may make one, and how many there may be. Anybody
//! who may call can invent names, and each tenant takes room for ever.

use std::sync::{Mutex, PoisonError};

use tokio::{
    sync::{Mutex as AsyncMutex, MutexGuard},
    time::Instant,
};

use super::{Deployment, RolloutError};
use crate::{limits::TENANTS_COUNTED_FOR, scoring::Tenant, store::Store};

/// What is known of the room for new tenants.
#[derive(Debug, Default)]
pub(super) struct NewTenants {
    beginning: AsyncMutex<()>,
    /// When the store was last found to be full.
    full_since: Mutex<Option<Instant>>,
}

impl NewTenants {
    /// Lets one tenant begin at a time.
    pub(super) async fn begin(&self) -> MutexGuard<'_, ()> {
        self.beginning.lock().await
    }

    /// So that names without end do not have the store counted without end.
    fn was_full_just_now(&self) -> bool {
        let full = self.full_since.lock();
        let since = *full.unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() < TENANTS_COUNTED_FOR)
    }

    fn note_full(&self) {
        let full = self.full_since.lock();
        *full.unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

impl<S: Store> Deployment<S> {
    /// Refuses a tenant that the store does not know where callers make none. One with a model
    /// of its own is the operator's, and the default tenant is everybody's.
    pub(super) fn may_exist(&self, tenant: &Tenant) -> Result<(), RolloutError> {
        let is_made = self.latest.is_shared() && tenant.as_str() != Tenant::DEFAULT;
        if is_made && !self.settings.auto_create_tenants {
            return Err(RolloutError::TenantNotMade {
                tenant: tenant.to_string(),
            });
        }
        Ok(())
    }

    /// Refuses a tenant that is one too many.
    pub(super) async fn check_new_tenant(&self, tenant: &Tenant) -> Result<(), RolloutError> {
        self.may_exist(tenant)?;
        if !self.latest.is_shared() {
            return Ok(());
        }
        let most = self.settings.max_tenants;
        let too_many = || RolloutError::TooManyTenants {
            tenant: tenant.to_string(),
            most,
        };
        if self.new_tenants.was_full_just_now() {
            return Err(too_many());
        }
        // Another call may have begun with the same one.
        if self.store.rollout(tenant).await?.epoch > 0 {
            return Ok(());
        }
        if self.store.tenant_count().await? >= most {
            self.new_tenants.note_full();
            return Err(too_many());
        }
        Ok(())
    }
}
