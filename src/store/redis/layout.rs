//! Layouts: how many partitions each tenant has, as its rollout says. What is read by one is told
//! only when the tenant has not left it before it was read.

use std::{
    future::Future,
    sync::{PoisonError, RwLock},
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;

use super::{
    super::{Rollout, StoreError},
    Redis,
};
use crate::scoring::Tenant;

/// How long it is believed that no repartition of a tenant goes on. Servers look at their rollouts
/// more often, so that it costs nothing. From the beginning of a repartition, the copies
/// do not answer before this has passed everywhere.
pub const BELIEVED_FOR: Duration = Duration::from_secs(4);

/// How the records and ranks of a tenant are spread.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub partitions: u32,
    /// Whether there may be another number at any moment.
    is_moving: bool,
    /// When reading it began.
    seen: Instant,
}

impl Layout {
    fn may_be_left(&self) -> bool {
        self.is_moving || self.seen.elapsed() >= BELIEVED_FOR
    }
}

/// The layouts of the tenants that this process has heard of.
#[derive(Default)]
pub struct Layouts {
    tenants: RwLock<FxHashMap<Tenant, Layout>>,
}

impl Layouts {
    fn get(&self, tenant: &Tenant) -> Option<Layout> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.get(tenant).copied()
    }

    fn remember(&self, tenant: &Tenant, layout: Layout) {
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        match tenants.get_mut(tenant) {
            Some(known) if known.seen > layout.seen => {}
            Some(known) => *known = layout,
            None => {
                tenants.insert(tenant.clone(), layout);
            }
        }
    }
}

impl Redis {
    /// How many partitions a tenant of this rollout has.
    pub(super) fn partitions_by(&self, rollout: &Rollout) -> u32 {
        rollout.partitions.unwrap_or(self.partitions)
    }

    /// Remembers what a rollout says, the reading or writing of which began at an instant.
    pub(super) fn note_layout(&self, tenant: &Tenant, rollout: &Rollout, seen: Instant) -> Layout {
        let layout = Layout {
            partitions: self.partitions_by(rollout),
            is_moving: rollout.repartition.is_some(),
            seen,
        };
        // Anybody may ask for tenants that there are not.
        if rollout.epoch > 0 {
            self.layouts.remember(tenant, layout);
        }
        layout
    }

    /// How a tenant is spread, as far as is known here.
    pub(super) async fn layout(&self, tenant: &Tenant) -> Result<Layout, StoreError> {
        match self.layouts.get(tenant) {
            Some(layout) => Ok(layout),
            None => self.read_layout(tenant).await,
        }
    }

    /// Whether a tenant may have left a layout before something was read by it; then it is to be
    /// read again, by what is the layout now.
    async fn has_left(&self, tenant: &Tenant, layout: &mut Layout) -> Result<bool, StoreError> {
        if !layout.may_be_left() {
            return Ok(false);
        }
        let before = std::mem::replace(layout, self.read_layout(tenant).await?);
        Ok(before.partitions != layout.partitions)
    }

    /// Reads by the layout of a tenant. What `is_unanswered` is told as it is.
    pub(super) async fn read_by_layout<T, Reading>(
        &self,
        tenant: &Tenant,
        read: impl Fn(u32) -> Reading,
        is_unanswered: impl Fn(&T) -> bool,
    ) -> Result<T, StoreError>
    where
        Reading: Future<Output = T>,
    {
        let mut layout = self.layout(tenant).await?;
        loop {
            let found = read(layout.partitions).await;
            if is_unanswered(&found) || !self.has_left(tenant, &mut layout).await? {
                return Ok(found);
            }
        }
    }

    /// The same, where all of it is answered or nothing.
    pub(super) async fn by_layout<T, Reading>(
        &self,
        tenant: &Tenant,
        read: impl Fn(u32) -> Reading,
    ) -> Result<T, StoreError>
    where
        Reading: Future<Output = Result<T, StoreError>>,
    {
        let is_unanswered = |found: &Result<T, _>| matches!(found, Err(StoreError::Unavailable(_)));
        self.read_by_layout(tenant, read, is_unanswered).await?
    }

    async fn read_layout(&self, tenant: &Tenant) -> Result<Layout, StoreError> {
        let seen = Instant::now();
        let rollout = self.read_rollout(tenant).await?;
        Ok(self.note_layout(tenant, &rollout, seen))
    }
}
