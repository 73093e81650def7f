//! What a keys file may say and hardly means: keys that end, and what is declared for nobody.

use std::collections::BTreeSet;

use super::{Keys, Tenants, key::without_secrets};
use crate::scoring::{Diagnostic, Tenant, Timestamp};

/// Days in which whoever looks after the keys has time to make another one.
const SOON_DAYS: i64 = 14;
const NANOS_PER_DAY: i64 = 24 * 60 * 60 * 1_000_000_000;

/// Line and column.
type Place = (usize, usize);

/// What a keys file declares, each with where it stands.
#[derive(Debug, Default)]
pub(super) struct Declared {
    pub roles: Vec<(String, Place)>,
    pub quotas: Vec<(Tenant, Place)>,
    pub endings: Vec<Ending>,
}

/// When a key or certificate is good no more.
#[derive(Debug)]
pub(super) struct Ending {
    pub who: String,
    pub at: Timestamp,
    pub place: Place,
}

impl Keys {
    /// Keys that have expired or soon do, roles that nobody has, and quotas of tenants for whom nobody
    /// may call, each with where it stands. No mistakes: a server does what the file says.
    pub fn warnings(&self, now: Timestamp) -> Vec<Diagnostic> {
        let ending = self.declared.endings.iter();
        let ending = ending.filter_map(|ending| Some((ending.place, ending.told(now)?)));
        let used = self.roles_in_use();
        let roles = self.declared.roles.iter();
        let roles = roles.filter(|(role, _)| !used.contains(role.as_str()));
        let roles = roles.map(|(role, place)| {
            let message = format!(
                "no key, certificate or issuer has the role {role:?}; give it to one, or take it out"
            );
            (*place, message)
        });
        let quotas = self.declared.quotas.iter();
        let quotas = quotas.filter(|(tenant, _)| !self.may_be_called_for(tenant));
        let quotas = quotas.map(|(tenant, place)| {
            let tenant = tenant.as_str();
            let message = format!(
                "nobody may call for the tenant {tenant:?}, so that its quota does nothing"
            );
            (*place, message)
        });
        let found = ending.chain(roles).chain(quotas);
        let warnings = found.map(|((line, column), message)| Diagnostic {
            line,
            column,
            message: without_secrets(&message),
        });
        warnings.collect()
    }

    fn principals(&self) -> impl Iterator<Item = &super::Principal> {
        let by_digest = self.by_digest.values().flatten();
        let by_digest = by_digest.map(|key| &*key.principal);
        by_digest.chain(self.by_certificate.values().map(|principal| &**principal))
    }

    fn roles_in_use(&self) -> BTreeSet<&str> {
        let of_principals = self.principals().map(|principal| &principal.role.name);
        let of_issuers = self.issuers().flat_map(|issuer| issuer.roles.keys());
        of_principals
            .chain(of_issuers)
            .map(String::as_str)
            .collect()
    }

    fn may_be_called_for(&self, tenant: &Tenant) -> bool {
        let of_principals = self.principals().map(|principal| &principal.tenants);
        let of_issuers = self.issuers().map(|issuer| &issuer.tenants);
        of_principals
            .chain(of_issuers)
            .any(|tenants| match tenants {
                Tenants::All => true,
                Tenants::Only(own) => own.contains(tenant),
            })
    }
}

impl Ending {
    fn told(&self, now: Timestamp) -> Option<String> {
        let who = &self.who;
        let left = self.at.nanos() - now.nanos();
        if left <= 0 {
            return Some(format!("{who} has expired; make another, or take it out"));
        }
        match left / NANOS_PER_DAY {
            0 => Some(format!("{who} expires within a day; make another")),
            days if days < SOON_DAYS => {
                let days = days + 1;
                Some(format!("{who} expires within {days} days; make another"))
            }
            _ => None,
        }
    }
}
