//! `GetAudit`.

use tonic::Status;

use super::{
    fields::{tenant, timestamp},
    violations::Violations,
};
use crate::{
    limits::DEFAULT_AUDIT_ENTRIES,
    proto::v1,
    scoring::Tenant,
    service::Audited,
    store::{AUDIT_ENTRIES, AuditObject},
};

/// Reads a `GetAudit`: whose entries, and how many.
///
/// # Errors
/// `INVALID_ARGUMENT` with everything that is wrong.
pub fn get_audit(request: &v1::GetAuditRequest) -> Result<(Tenant, usize), Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    let limit = match usize::try_from(request.limit) {
        Ok(0) => Some(DEFAULT_AUDIT_ENTRIES),
        Ok(limit) if limit <= AUDIT_ENTRIES => Some(limit),
        _ => {
            let limit = request.limit;
            violations.add(
                "limit",
                format_args!("is {limit}; send 1 to {AUDIT_ENTRIES}, or leave it out"),
            );
            None
        }
    };
    violations.finish(tenant.zip(limit))
}

/// The answer to a `GetAudit`. Who is not for all tenants does not hear whom the issuer of a token
/// calls the bearer that did something for all of them.
pub fn audit(entries: Vec<Audited>, is_for_all_tenants: bool) -> v1::GetAuditResponse {
    let entries = entries.into_iter().map(|audited| {
        let Audited { entry, is_for_all } = audited;
        let time = Some(timestamp(entry.at()));
        let subject = entry.subject;
        let subject = subject.filter(|_| is_for_all_tenants || !is_for_all);
        let AuditObject {
            fingerprint,
            event_id,
            rule,
        } = entry.object;
        v1::AuditEntry {
            time,
            principal: entry.principal,
            subject: subject.unwrap_or_default(),
            role: entry.role,
            method: entry.method,
            all_tenants: is_for_all,
            fingerprint,
            event_id,
            rule,
        }
    });
    v1::GetAuditResponse {
        entries: entries.collect(),
    }
}
