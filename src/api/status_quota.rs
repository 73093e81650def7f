//! What a tenant that has used up its quota is told.

use std::{num::NonZeroU32, time::Duration};

use tonic::{Code, Status};
use tonic_types::ErrorDetails;

use super::status::with_info;
use crate::scoring::Tenant;

/// A tenant has asked for more in a second than it may; nothing was done.
pub fn over_quota(
    tenant: &Tenant,
    what: &str,
    per_second: NonZeroU32,
    retry_after: Option<Duration>,
) -> Status {
    let (advice, details) = match retry_after {
        Some(_) => (
            "nothing was written, try again later",
            ErrorDetails::with_retry_info(retry_after),
        ),
        None => (
            "this is more by itself, send fewer at a time",
            ErrorDetails::new(),
        ),
    };
    let known = [
        ("tenant".to_owned(), tenant.as_str().to_owned()),
        ("quota".to_owned(), format!("{what}_per_second")),
        ("limit".to_owned(), per_second.to_string()),
    ];
    with_info(
        Code::ResourceExhausted,
        format!(
            "tenant {:?} may ask this server for {per_second} {what} a second; {advice}",
            tenant.as_str()
        ),
        ("QUOTA_EXCEEDED", known.into()),
        details,
    )
}

/// A profile more than a tenant may have.
pub(super) fn too_many_profiles(most: u64) -> Status {
    let known = [
        ("quota".to_owned(), "profiles".to_owned()),
        ("limit".to_owned(), most.to_string()),
    ];
    with_info(
        Code::ResourceExhausted,
        format!(
            "the tenant may have {most} profiles, and has them; nothing was written; those that there are take events still, have the operator raise the quota for more"
        ),
        ("QUOTA_EXCEEDED", known.into()),
        ErrorDetails::new(),
    )
}
