//! Holds tenants to their quotas, on this server.

use std::{collections::HashMap, hash::Hash, num::NonZeroU32, time::Duration};

use governor::{
    InsufficientCapacity, Quota as Rate, RateLimiter,
    clock::{Clock as _, MonotonicClock},
    middleware::NoOpMiddleware,
    state::keyed::HashMapStateStore,
};

use crate::{access::Quotas, admission::TenantKey, scoring::Tenant};

/// A rate for each of some tenants.
type Limiter<K> = RateLimiter<
    K,
    HashMapStateStore<K>,
    MonotonicClock,
    NoOpMiddleware<<MonotonicClock as governor::clock::Clock>::Instant>,
>;

/// What is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounded {
    /// Calls, and messages of streams.
    Calls,
    /// Events, retractions and updates.
    Events,
}

impl Bounded {
    /// As messages call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Events => "events",
        }
    }
}

/// A tenant has asked for more than its quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// What of.
    pub bounded: Bounded,
    /// How many there may be in a second.
    pub per_second: NonZeroU32,
    /// When there is room; `None` for what never has, being more than that by itself.
    pub retry_after: Option<Duration>,
}

/// What is left of the quotas of tenants.
pub struct Limits {
    named: HashMap<Tenant, Pair<()>>,
    /// Those that nobody knows share one.
    others: Pair<TenantKey>,
}

struct Pair<K: Clone + Eq + Hash> {
    calls: Option<(NonZeroU32, Limiter<K>)>,
    events: Option<(NonZeroU32, Limiter<K>)>,
}

impl<K: Clone + Eq + Hash> Pair<K> {
    fn new(quota: crate::access::Quota) -> Self {
        let limiter = |per_second: Option<NonZeroU32>| {
            let per_second = per_second?;
            Some((
                per_second,
                RateLimiter::hashmap(Rate::per_second(per_second)),
            ))
        };
        Self {
            calls: limiter(quota.calls),
            events: limiter(quota.events),
        }
    }

    fn take(&self, key: &K, bounded: Bounded, count: NonZeroU32) -> Result<(), Exceeded> {
        let limiter = match bounded {
            Bounded::Calls => &self.calls,
            Bounded::Events => &self.events,
        };
        let Some((per_second, limiter)) = limiter else {
            return Ok(());
        };
        let retry_after = match limiter.check_key_n(key, count) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(not_until)) => Some(not_until.wait_time_from(limiter.clock().now())),
            Err(InsufficientCapacity(_)) => None,
        };
        Err(Exceeded {
            bounded,
            per_second: *per_second,
            retry_after,
        })
    }
}

impl Limits {
    /// With nothing taken yet.
    pub fn new(quotas: &Quotas) -> Self {
        let named = quotas.named.iter();
        Self {
            named: named
                .map(|(tenant, quota)| (tenant.clone(), Pair::new(*quota)))
                .collect(),
            others: Pair::new(quotas.others),
        }
    }

    /// Takes so many of a tenant's quota, all or none. `key` is what the tenant is known by.
    ///
    /// # Errors
    /// When so many are not left.
    pub fn take(
        &self,
        tenant: &Tenant,
        key: impl FnOnce() -> TenantKey,
        bounded: Bounded,
        count: usize,
    ) -> Result<(), Exceeded> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let Some(count) = NonZeroU32::new(count) else {
            return Ok(());
        };
        match self.named.get(tenant) {
            Some(pair) => pair.take(&(), bounded, count),
            None if self.others.calls.is_none() && self.others.events.is_none() => Ok(()),
            None => self.others.take(&key(), bounded, count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Quota;

    fn per_second(count: u32) -> Option<NonZeroU32> {
        NonZeroU32::new(count)
    }

    fn tenant(name: &str) -> Tenant {
        Tenant::new(name).unwrap()
    }

    #[test]
    fn a_tenant_has_its_own_quota_and_strangers_share_one() {
        let quotas = Quotas {
            named: [(tenant("free"), Quota::default())].into(),
            others: Quota {
                calls: per_second(2),
                ..Quota::default()
            },
        };
        let limits = Limits::new(&quotas);
        let take = |name: &str, is_known: bool| {
            let tenant = tenant(name);
            let key = || is_known.then(|| tenant.clone());
            limits.take(&tenant, key, Bounded::Calls, 1).is_ok()
        };
        assert!((0..100).all(|_| take("free", true)));
        assert!(take("a", true) && take("a", true) && !take("a", true));
        assert!(take("b", true), "another one has its own");
        assert!(take("x", false) && take("y", false) && !take("z", false));
    }

    #[test]
    fn more_than_a_second_has_never_fits_and_what_is_refused_takes_nothing() {
        let quota = Quota {
            events: per_second(10),
            ..Quota::default()
        };
        let quotas = Quotas {
            named: [(tenant("acme"), quota)].into(),
            others: Quota::default(),
        };
        let limits = Limits::new(&quotas);
        let acme = tenant("acme");
        let take = |count| limits.take(&acme, || None, Bounded::Events, count);
        assert_eq!(take(11).unwrap_err().retry_after, None);
        assert!(take(0).is_ok());
        assert!(take(8).is_ok());
        let refused = take(8).unwrap_err();
        let wait = refused.retry_after.unwrap();
        assert!(
            wait > Duration::from_millis(400) && wait < Duration::from_millis(700),
            "{wait:?}"
        );
        assert_eq!(
            (refused.bounded, refused.per_second.get()),
            (Bounded::Events, 10)
        );
        assert!(take(2).is_ok());
        let other = limits.take(&tenant("other"), || None, Bounded::Events, 1_000);
        assert!(other.is_ok());
    }
}
