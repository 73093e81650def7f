//! Why a caller is refused.

use crate::scoring::{Tenant, Timestamp};

/// Why a caller is refused. It names keys and roles, never a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The call says not who makes it.
    NoCredentials,
    /// `authorization` is something else than a bearer token.
    Malformed,
    /// No key has this secret.
    UnknownKey,
    /// No entry names the certificate.
    UnknownCertificate,
    /// The token is signed by a key that its issuer does not list, as far as is known.
    UnknownTokenKey {
        /// The issuer.
        issuer: String,
    },
    /// The token cannot be trusted.
    BadToken {
        /// Why not.
        reason: String,
    },
    /// The key has expired.
    Expired {
        /// Whose.
        who: String,
        /// When.
        at: Timestamp,
    },
    /// The role does not have the call.
    Call {
        /// Who calls.
        who: String,
        /// Their role.
        role: String,
        /// The method.
        call: String,
    },
    /// The tenant is somebody else's.
    Tenant {
        /// Who calls.
        who: String,
        /// The tenant; `None` for what is for all of them.
        tenant: Option<Tenant>,
    },
    /// The role does not see what is asked for.
    Sight {
        /// Who calls.
        who: String,
        /// Their role.
        role: String,
        /// What it does not see, such as `segment "buyers"`.
        what: String,
    },
}
