//! Keys of the records: `tenant NUL profile_id`. Neither
//! name may hold a NUL, so no tenant's keys run into another's, and keys of one tenant
//! are in the order of profile ids.

use std::ops::Bound;

use super::super::StoreError;
use crate::scoring::{ProfileId, Tenant};

const SEPARATOR: u8 = 0;

/// Some keys that follow each other.
pub type KeyBounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// The key of a profile.
pub fn key(tenant: &Tenant, profile_id: &ProfileId) -> Vec<u8> {
    let (tenant, profile_id) = (tenant.as_str().as_bytes(), profile_id.as_str().as_bytes());
    let mut key = Vec::with_capacity(tenant.len() + 1 + profile_id.len());
    key.extend_from_slice(tenant);
    key.push(SEPARATOR);
    key.extend_from_slice(profile_id);
    key
}

/// The keys of a tenant after the given profile.
pub fn range_after(tenant: &Tenant, after: Option<&ProfileId>) -> KeyBounds {
    let mut prefix = tenant.as_str().as_bytes().to_vec();
    prefix.push(SEPARATOR);
    let start = match after {
        Some(profile_id) => Bound::Excluded(key(tenant, profile_id)),
        None => Bound::Included(prefix),
    };
    (start, Bound::Excluded(end_of(tenant)))
}

/// The keys of a tenant, or of all.
pub fn range_of(tenant: Option<&Tenant>) -> KeyBounds {
    tenant.map_or((Bound::Unbounded, Bound::Unbounded), |tenant| {
        range_after(tenant, None)
    })
}

/// The least key beyond all keys of a tenant.
pub fn end_of(tenant: &Tenant) -> Vec<u8> {
    let mut end = tenant.as_str().as_bytes().to_vec();
    end.push(SEPARATOR + 1);
    end
}

/// The tenant and the profile of a key.
pub fn parse_key(key: &[u8]) -> Result<(Tenant, ProfileId), StoreError> {
    parse(key).ok_or_else(|| StoreError::Corrupt("a key is not that of a profile".to_owned()))
}

fn parse(key: &[u8]) -> Option<(Tenant, ProfileId)> {
    let (tenant, profile_id) = std::str::from_utf8(key)
        .ok()?
        .split_once(char::from(SEPARATOR))?;
    if tenant.is_empty() {
        return None;
    }
    Some((Tenant::new(tenant)?, ProfileId::stored(profile_id)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(tenant: &str, profile_id: &str) -> (Tenant, ProfileId) {
        (
            Tenant::new(tenant).unwrap(),
            ProfileId::new(profile_id).unwrap(),
        )
    }

    #[test]
    fn a_key_gives_back_its_names() {
        let (tenant, profile_id) = names("shop-1", "Zoë 🦀");
        let key = key(&tenant, &profile_id);
        assert_eq!(parse_key(&key), Ok((tenant, profile_id)));
    }

    #[test]
    fn keys_of_a_tenant_lie_apart_from_those_of_a_longer_name() {
        let (short, profile_id) = names("a", "~");
        let (long, other_id) = names("a-b", "!");
        let (Bound::Included(start), Bound::Excluded(end)) = range_after(&short, None) else {
            panic!("a range from the first key to the end of the tenant");
        };
        let inside = key(&short, &profile_id);
        let outside = key(&long, &other_id);
        assert!(start <= inside && inside < end);
        assert!(!(start <= outside && outside < end));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for bytes in [
            &b""[..],
            b"tenant",
            b"\0id",
            b"tenant\0",
            b"Tenant\0id",
            b"a\0\xff",
        ] {
            assert!(matches!(parse_key(bytes), Err(StoreError::Corrupt(_))));
        }
    }
}
