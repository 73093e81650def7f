//! Who has done what, as others may ask later.

use futures_util::future::try_join_all;

use super::{Service, ServiceError};
pub use crate::store::{AuditObject, AuditedMethod};
use crate::{
    scoring::Tenant,
    store::{AuditEntry, AuditScope, Store, StoreError},
};

/// Who makes a call that is audited.
#[derive(Clone, Debug)]
pub struct AuditedCaller {
    /// As errors name them.
    pub principal: String,
    /// Whom the issuer of a token calls its bearer.
    pub subject: Option<String>,
    /// The name of their role.
    pub role: String,
}

/// An audit entry, and whether it is of all tenants.
#[derive(Clone, Debug)]
pub struct Audited {
    /// What was asked for.
    pub entry: AuditEntry,
    /// Whether it was for all tenants.
    pub is_for_all: bool,
}

impl<S: Store> Service<S> {
    /// Notes a call before its work begins, so that nothing is done that is not noted. The tenant
    /// must be known by then; `None` is what is for all of them.
    ///
    /// # Errors
    /// When it could not be noted. Nothing was done then.
    pub async fn note(
        &self,
        tenant: Option<&Tenant>,
        caller: AuditedCaller,
        method: AuditedMethod,
        object: AuditObject,
    ) -> Result<(), ServiceError> {
        let id = getrandom::u64().map_err(|error| {
            StoreError::Unavailable(format!("no randomness for an audit entry: {error}"))
        })?;
        let entry = AuditEntry {
            time: self.shell.now().nanos(),
            id,
            principal: caller.principal,
            subject: caller.subject,
            role: caller.role,
            method: method.name().to_owned(),
            object,
        };
        let scope = AuditScope {
            tenant: tenant.cloned(),
            method,
        };
        let noted = self.shell.store.add_audit_entry(&scope, &entry).await;
        noted.map_err(|error| match error {
            // The work that it was to come before was not begun.
            StoreError::OutcomeUnknown(reason) => StoreError::Unavailable(reason).into(),
            error => error.into(),
        })
    }

    /// The latest audit entries of a tenant and of all tenants, the last one first.
    pub async fn audit(&self, tenant: &Tenant, limit: usize) -> Result<Vec<Audited>, ServiceError> {
        // Whether anybody knows the tenant.
        self.model(tenant).await?;
        let store = &self.shell.store;
        let scopes = AuditedMethod::ALL.into_iter().flat_map(|method| {
            [Some(tenant.clone()), None].map(|tenant| AuditScope { tenant, method })
        });
        let found = scopes.map(async |scope| {
            let entries = store.audit_entries(&scope, limit).await?;
            let is_for_all = scope.tenant.is_none();
            let audited = entries
                .into_iter()
                .map(move |entry| Audited { entry, is_for_all });
            Ok::<_, StoreError>(audited)
        });
        let found = try_join_all(found).await?;
        let mut entries: Vec<Audited> = found.into_iter().flatten().collect();
        entries.sort_by(|one, other| {
            let place = |audited: &Audited| (audited.entry.time, audited.entry.id);
            place(other).cmp(&place(one))
        });
        entries.truncate(limit);
        Ok(entries)
    }
}
