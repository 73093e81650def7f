//! Why a call of the service failed.

use std::time::Duration;

use crate::{
    rollout::RolloutError,
    scoring::{Diagnostic, InvalidAttributes, Model, ProfileId, Tenant, Timestamp},
    store::StoreError,
};

/// Why a call failed. Unless it is a [`StoreError::OutcomeUnknown`], nothing of the profile was
/// written; effects on others may be durable, and a retry finds them.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ServiceError {
    /// The profile has neither events nor attributes.
    #[error("there is no profile {0:?}")]
    UnknownProfile(String),
    /// No event has counted for the subject, and it states nothing.
    #[error("there is no {kind} {subject_id:?}")]
    UnknownSubject {
        /// Its kind.
        kind: String,
        /// Its id.
        subject_id: String,
    },
    /// The condition of the call cannot be asked.
    #[error("the condition has {} mistakes", .0.len())]
    Condition(Vec<Diagnostic>),
    /// The model declares no such name.
    #[error("there is no {kind} {name:?}; the model has: {}", known.join(", "))]
    UnknownName {
        /// `segment`, `stage`, `topic`, `quarantine rule` or `kind of subjects`.
        kind: &'static str,
        /// The name asked for.
        name: String,
        /// The names that the model declares.
        known: Vec<String>,
    },
    /// A profile cannot be computed for an instant before its last event.
    #[error("as_of lies before the last event of profile {profile_id:?}")]
    AsOfBeforeLastEvent {
        /// Whose.
        profile_id: String,
        /// The instant asked for.
        as_of: Timestamp,
        /// The earliest instant that can be asked for.
        last_event: Timestamp,
    },
    /// A list cannot be computed for an instant before the latest that was counted.
    #[error("as_of lies before the latest event that was counted")]
    AsOfBeforeLatest {
        /// The instant asked for.
        as_of: Timestamp,
        /// The earliest instant that can be asked for.
        earliest: Timestamp,
    },
    /// An event claims to come from the future.
    #[error("time is further ahead of the server's clock than the allowed {} s", allowed.as_secs())]
    TooFarAhead {
        /// How far ahead an event may be.
        allowed: Duration,
    },
    /// After the update the profile would state more than is allowed.
    #[error("what the profile would state after the update {0}")]
    Attributes(InvalidAttributes),
    /// The page before was by a model that does not answer any more.
    #[error("the model changed between two pages; start again from the first page")]
    ModelChanged,
    /// A page is asked for at another instant than the first one was.
    #[error("the pages before are of another instant")]
    AsOfChanged,
    /// The tenant has as many profiles as it may, and this would make one more.
    #[error(
        "tenant {:?} may have {most} profiles and has them, and this needs a new one, of the person or of an author or subject; nothing was counted, and those that are there take events still; raise profiles in its quota in the keys file for more",
        tenant.as_str()
    )]
    TooManyProfiles {
        /// Whose quota.
        tenant: Tenant,
        /// How many it may have.
        most: u64,
    },
    /// Other writers were faster, again and again.
    #[error("profile {0:?} has too many concurrent writers")]
    Contended(String),
    /// Too much is being done already.
    #[error("too many events are in flight")]
    Overloaded {
        /// When a retry is worth it.
        retry_after: Duration,
    },
    /// The models of the tenant do not allow it, or not now.
    #[error(transparent)]
    Rollout(RolloutError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<RolloutError> for ServiceError {
    fn from(error: RolloutError) -> Self {
        match error {
            RolloutError::Store(error) => Self::Store(error),
            error => Self::Rollout(error),
        }
    }
}

impl ServiceError {
    /// Nothing is stored under an id.
    pub(super) fn unknown(profile_id: &ProfileId) -> Self {
        match profile_id.subject() {
            Some((kind, subject_id)) => Self::UnknownSubject {
                kind: kind.to_owned(),
                subject_id: subject_id.to_owned(),
            },
            None => Self::UnknownProfile(profile_id.to_string()),
        }
    }
}

/// The model declares no such name of a kind of things.
pub(super) fn unknown<'a>(
    kind: &'static str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> ServiceError {
    ServiceError::UnknownName {
        kind,
        name: name.to_owned(),
        known: known.map(str::to_owned).collect(),
    }
}

/// Refuses subjects of a kind that the model does not declare.
pub(super) fn check_kind(model: &Model, profile_id: &ProfileId) -> Result<(), ServiceError> {
    match profile_id.subject() {
        Some((kind, _)) if model.subject_kind(kind).is_none() => Err(unknown(
            "kind of subjects",
            kind,
            model.subject_kind_names(),
        )),
        _ => Ok(()),
    }
}
