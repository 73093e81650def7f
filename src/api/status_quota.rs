//! What a tenant that has used up its quota is told.

use std::{collections::HashMap, num::NonZeroU32, time::Duration};

use tonic::{Code, Status};
use tonic_types::ErrorDetails;

use super::status_details::with_info;
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
    let known = of_quota(tenant, format!("{what}_per_second"), per_second.to_string());
    with_info(
        Code::ResourceExhausted,
        format!(
            "tenant {:?} may ask this server for {per_second} {what} a second; {advice}",
            tenant.as_str()
        ),
        ("QUOTA_EXCEEDED", known),
        details,
    )
}

/// A tenant has as many profiles as it may. Waiting makes no room for another one.
pub fn too_many_profiles(message: String, tenant: &Tenant, most: u64) -> Status {
    let known = of_quota(tenant, "profiles".to_owned(), most.to_string());
    with_info(
        Code::ResourceExhausted,
        message,
        ("TOO_MANY_PROFILES", known),
        ErrorDetails::new(),
    )
}

/// What programs are told of a quota that is used up.
fn of_quota(tenant: &Tenant, quota: String, limit: String) -> HashMap<String, String> {
    [
        ("tenant".to_owned(), tenant.to_string()),
        ("quota".to_owned(), quota),
        ("limit".to_owned(), limit),
    ]
    .into()
}
