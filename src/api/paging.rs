//! What all requests that are answered in pages have in common.

use tonic::Status;

use super::{
    page_token::{PageToken, QueryHash},
    seal::TokenSeal,
    status::foreign_token,
    violations::Violations,
};
use crate::{
    limits::{DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE},
    scoring::{Tenant, Timestamp},
    service::{PageStart, Paging},
};

/// A request for a page, read.
#[derive(Debug)]
pub struct Paged<Query> {
    /// Whose data.
    pub tenant: Tenant,
    /// What is asked for; where it starts comes from the token on later pages.
    pub query: Query,
    /// What the token of the next page is bound to.
    pub hash: QueryHash,
}

/// Which page a token asks for.
pub(super) fn paging(
    page_size: usize,
    token: Option<PageToken>,
    hash: QueryHash,
    as_of: Option<Timestamp>,
) -> Result<Paging, Status> {
    let Some(token) = token else {
        return Ok(Paging {
            as_of,
            page_size,
            start: None,
        });
    };
    if token.query != hash {
        return Err(foreign_token());
    }
    Ok(Paging {
        as_of,
        page_size,
        start: Some(token.start),
    })
}

pub(super) fn page_size(sent: i32, violations: &mut Violations) -> Option<usize> {
    let (most, usual) = (MAX_PAGE_SIZE, DEFAULT_PAGE_SIZE);
    size("page_size", sent, most, usual, violations)
}

/// How many entries to read: the usual number when the caller does not say, and as many as there
/// may be when more are asked for.
pub(super) fn size(
    field: &str,
    sent: i32,
    most: usize,
    usual: usize,
    violations: &mut Violations,
) -> Option<usize> {
    match usize::try_from(sent) {
        Ok(0) => Some(usual),
        Ok(size) => Some(size.min(most)),
        Err(_) => {
            let description = format_args!("is {sent}; send 1 to {most}, or 0 for {usual}");
            violations.add(field, description);
            None
        }
    }
}

pub(super) fn page_token(
    sent: &str,
    seal: &TokenSeal,
    violations: &mut Violations,
) -> Option<PageToken> {
    if sent.is_empty() {
        return None;
    }
    match PageToken::decode(sent, seal) {
        Ok(token) => Some(token),
        Err(malformed) => {
            violations.add("page_token", malformed);
            None
        }
    }
}

pub(super) fn next_page_token(
    next: Option<PageStart>,
    query: QueryHash,
    seal: &TokenSeal,
) -> String {
    next.map_or_else(String::new, |start| PageToken { query, start }.encode(seal))
}
