//! Which model is the latest of a scope: what servers were last started with, or were last
//! told to apply. Rollouts follow it.

use crate::scoring::Fingerprint;

/// A model that became the latest of a scope. A scope is a tenant that has a model of its
/// own, or `""` for all tenants that share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publication {
    /// When it became the latest, in milliseconds since 1970, but later than the one before.
    pub revision: u64,
    /// The revision of the publication that it may replace; 0 for the first of a scope.
    pub after: u64,
    /// The model.
    pub model: Fingerprint,
}

impl Publication {
    /// Makes a model the latest after the one that is.
    pub fn following(latest: Option<Self>, model: Fingerprint, at_millis: u64) -> Self {
        let after = latest.map_or(0, |latest| latest.revision);
        Self {
            // By the time, so that it is later than one that a failover has lost.
            revision: at_millis.max(after + 1),
            after,
            model,
        }
    }

    /// The same once more, after what a failover has brought back.
    pub fn again_after(self, latest: Option<Self>) -> Self {
        Self {
            after: latest.map_or(0, |latest| latest.revision),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_follow_the_time_and_never_stand_still() {
        let first = Publication::following(None, Fingerprint(1), 5_000);
        assert_eq!((first.revision, first.after), (5_000, 0));
        let later = Publication::following(Some(first), Fingerprint(2), 7_000);
        assert_eq!((later.revision, later.after), (7_000, 5_000));
        let behind = Publication::following(Some(later), Fingerprint(1), 6_000);
        assert_eq!((behind.revision, behind.after), (7_001, 7_000));
    }
}
