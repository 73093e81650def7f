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
