//! Which instants lists are answered for. What stood at an instant before the latest that was
//! counted is not kept: somebody who moved since would be ranked by what came later.

use std::future::Future;

use super::{Service, ServiceError};
use crate::{
    limits::RETRY_UNAVAILABLE_AFTER,
    scoring::Timestamp,
    store::{Store, StoreError},
};

/// How often a list is read anew because something was counted meanwhile, at a later instant.
const MAX_ATTEMPTS: usize = 8;

/// The instant that a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The later of now and the latest that was counted.
    Now,
    /// One that the caller names.
    At(Timestamp),
    /// That of the first page, whatever was counted since.
    AsBefore(Timestamp),
}

impl Asked {
    /// The one that a caller names, if any.
    pub(super) fn of(as_of: Option<Timestamp>) -> Self {
        as_of.map_or(Self::Now, Self::At)
    }
}

impl<S: Store> Service<S> {
    /// Reads a list for an instant that is known, and says for which. `read` reads it for one, and
    /// says the latest that was counted in what it read.
    pub(super) async fn read_at<T, Reading>(
        &self,
        asked: Asked,
        read: impl Fn(Timestamp) -> Reading,
    ) -> Result<(Timestamp, T), ServiceError>
    where
        Reading: Future<Output = Result<(T, Timestamp), StoreError>>,
    {
        let mut at = match asked {
            // What is counted now is known to have been by the end of the second.
            Asked::Now => self.shell.now().up_to_second(),
            Asked::At(as_of) | Asked::AsBefore(as_of) => as_of,
        };
        for _ in 0..MAX_ATTEMPTS {
            let (answer, latest) = read(at).await?;
            if latest <= at || matches!(asked, Asked::AsBefore(_)) {
                return Ok((at, answer));
            }
            if let Asked::At(as_of) = asked
                && !self.shell.is_within_skew(as_of, latest)
            {
                return Err(ServiceError::AsOfBeforeLatest {
                    as_of,
                    earliest: latest,
                });
            }
            at = latest;
        }
        Err(ServiceError::Overloaded {
            retry_after: RETRY_UNAVAILABLE_AFTER,
        })
    }
}
