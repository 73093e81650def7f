//! What a caller hears who is refused.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::ErrorDetails;

use super::{status::rfc3339, status_details::with_info};
use crate::{access::Denied, scoring::Tenant, telemetry::is_new};

/// A caller is refused. Nothing says the secret.
pub fn denied(denied: &Denied) -> Status {
    let say = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let unknown = HashMap::new;
    let (code, message, reason, known) = match denied {
        Denied::NoCredentials => (
            Code::Unauthenticated,
            "this server answers callers with a key; send metadata `authorization: Bearer SECRET`"
                .to_owned(),
            "NO_CREDENTIALS",
            unknown(),
        ),
        Denied::Malformed => (
            Code::Unauthenticated,
            "authorization must be sent once, as `Bearer SECRET`".to_owned(),
            "MALFORMED_CREDENTIALS",
            unknown(),
        ),
        Denied::UnknownKey => (
            Code::Unauthenticated,
            "no key has this secret; it may be misspelt, of another server, or taken back"
                .to_owned(),
            "UNKNOWN_KEY",
            unknown(),
        ),
        Denied::UnknownCertificate => (
            Code::Unauthenticated,
            "no entry of the keys file has a name of this certificate; send a key, or have one of them entered".to_owned(),
            "UNKNOWN_CERTIFICATE",
            unknown(),
        ),
        Denied::UnknownTokenKey { issuer } => (
            Code::Unauthenticated,
            format!("the token is signed by a key that issuer {issuer:?} does not list"),
            "UNKNOWN_TOKEN_KEY",
            [say("issuer", issuer)].into(),
        ),
        Denied::BadToken { reason } => (
            Code::Unauthenticated,
            format!("the token cannot be trusted: {reason}"),
            "BAD_TOKEN",
            unknown(),
        ),
        Denied::Expired { who, at } => (
            Code::Unauthenticated,
            format!("{who} has expired at {}; ask for another one", rfc3339(*at)),
            "EXPIRED",
            [say("principal", who)].into(),
        ),
        Denied::Call { who, role, call } => (
            Code::PermissionDenied,
            format!("{who} has role {role:?}, which may not call {call}"),
            "CALL_NOT_ALLOWED",
            [say("principal", who), say("role", role), say("call", call)].into(),
        ),
        Denied::Tenant { who, tenant } => {
            let tenant = tenant.as_ref().map(Tenant::as_str);
            let message = match tenant {
                Some(tenant @ Tenant::DEFAULT) => format!(
                    "{who} may not call for tenant {tenant:?}, which a call without a tenant is for"
                ),
                Some(tenant) => format!("{who} may not call for tenant {tenant:?}"),
                None => format!(
                    "{who} may call for tenants of its own alone, and this is for all of them"
                ),
            };
            let known = [say("principal", who), say("tenant", tenant.unwrap_or("*"))];
            (
                Code::PermissionDenied,
                message,
                "TENANT_NOT_ALLOWED",
                known.into(),
            )
        }
        Denied::Sight { who, role, what } => (
            Code::PermissionDenied,
            format!("{who} has role {role:?}, which does not see {what}"),
            "NOT_SEEN",
            [say("principal", who), say("role", role)].into(),
        ),
    };
    // By its reason alone: whoever calls cannot make up lines.
    let line = "a caller was refused";
    if is_new([line, reason, ""]) {
        let (who, role) = (known.get("principal"), known.get("role"));
        tracing::info!(reason, who, role, "{line}");
    }
    with_info(code, message, (reason, known), ErrorDetails::new())
}
