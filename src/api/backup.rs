//! `Backup`.

use bytes::Bytes;
use tonic::Status;

use super::{fields::tenant, violations::Violations};
use crate::{
    proto::v1::{self, backup_response::Message},
    scoring::Tenant,
    service::BackedUp,
};

/// Reads a `Backup`; no tenant when none was sent, which is not the default one here.
///
/// # Errors
/// `INVALID_ARGUMENT` with everything that is wrong.
pub fn backup(request: &v1::BackupRequest) -> Result<Option<Tenant>, Status> {
    let mut violations = Violations::default();
    let owner = match request.tenant.as_str() {
        "" => Some(None),
        name => tenant(name, &mut violations).map(Some),
    };
    violations.finish(owner)
}

/// A part of the file.
pub fn backup_part(part: &Bytes) -> v1::BackupResponse {
    v1::BackupResponse {
        message: Some(Message::Part(part.to_vec())),
    }
}

/// The last message.
pub fn backup_end(made: BackedUp) -> v1::BackupResponse {
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    v1::BackupResponse {
        message: Some(Message::End(v1::BackupEnd {
            tenants: signed(made.exported.tenants),
            profiles: signed(made.exported.profiles),
            bytes: signed(made.bytes),
        })),
    }
}
