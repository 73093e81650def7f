//! Who calls.

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
};

use super::{Denied, Names, Permission, Role, Sight};
use crate::scoring::{Tenant, Timestamp};

/// Somebody who may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// As it is named to callers and in logs, such as `key "crm"`.
    pub name: String,
    /// For whom.
    pub tenants: Tenants,
    /// What.
    pub role: Arc<Role>,
    /// From when on no more.
    pub expires: Option<Timestamp>,
    /// Whom its issuer calls the bearer of a token.
    pub subject: Option<String>,
}

/// Tenants that somebody may call for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tenants {
    /// Every one, and what is for all of them together.
    All,
    /// These alone.
    Only(BTreeSet<Tenant>),
}

impl Principal {
    /// Whoever calls a server that asks nobody who they are.
    pub fn anonymous() -> Arc<Self> {
        static ANONYMOUS: LazyLock<Arc<Principal>> = LazyLock::new(|| {
            let permissions = Permission::ALL.iter().map(|(_, permission)| *permission);
            let role = Role {
                name: "admin".to_owned(),
                permissions: permissions.collect(),
                calls: BTreeSet::new(),
                sight: Sight {
                    scores: Names::All,
                    attributes: Names::All,
                    segments: Names::All,
                    topics: Names::All,
                    derived: true,
                },
            };
            Arc::new(Principal {
                name: "an anonymous caller".to_owned(),
                tenants: Tenants::All,
                role: Arc::new(role),
                expires: None,
                subject: None,
            })
        });
        Arc::clone(&ANONYMOUS)
    }

    /// Refuses a call that the role does not have.
    ///
    /// # Errors
    /// [`Denied::Call`].
    pub fn check_call(&self, method: &str) -> Result<(), Denied> {
        if self.role.may(method) {
            return Ok(());
        }
        Err(Denied::Call {
            who: self.name.clone(),
            role: self.role.name.clone(),
            call: method.to_owned(),
        })
    }

    /// Refuses a tenant that is somebody else's; `None` is what is for all of them.
    ///
    /// # Errors
    /// [`Denied::Tenant`].
    pub fn check_tenant(&self, tenant: Option<&Tenant>) -> Result<(), Denied> {
        let may = match (&self.tenants, tenant) {
            (Tenants::All, _) => true,
            (Tenants::Only(own), Some(tenant)) => own.contains(tenant),
            (Tenants::Only(_), None) => false,
        };
        if may {
            return Ok(());
        }
        Err(Denied::Tenant {
            who: self.name.clone(),
            tenant: tenant.cloned(),
        })
    }

    /// Refuses who has expired.
    ///
    /// # Errors
    /// [`Denied::Expired`].
    pub fn check_expiry(&self, now: Timestamp) -> Result<(), Denied> {
        match self.expires {
            Some(expires) if expires <= now => Err(Denied::Expired {
                who: self.name.clone(),
                at: expires,
            }),
            _ => Ok(()),
        }
    }
}
