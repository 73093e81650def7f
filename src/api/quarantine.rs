//! `ListQuarantine` and `ReleaseEvents`.

use tonic::Status;

use super::{
    fields::{
        identifier, label, profile_id, required_name, response_view, signed, small, tenant,
        timestamp,
    },
    page_token::QueryHash,
    paging::{Paged, next_page_token, page_size, page_token, paging},
    profiles::profile,
    seal::TokenSeal,
    violations::Violations,
};
use crate::{
    proto::v1,
    scoring::{HeldEvent, IdHash, ProfileId, Selection, Tenant, limits::MAX_NAME_BYTES},
    service::{QuarantinePage, QuarantineQuery, Released, View},
};

/// Reads a `ListQuarantine`.
pub fn quarantine_query(
    seal: &TokenSeal,
    request: v1::ListQuarantineRequest,
) -> Result<Paged<QuarantineQuery>, Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    required_name("rule", &request.rule, MAX_NAME_BYTES, &mut violations);
    let page_size = page_size(request.page_size, &mut violations);
    let token = page_token(&request.page_token, seal, &mut violations);
    let (tenant, page_size) = violations.finish(tenant.zip(page_size))?;

    let hash = QueryHash::new("ListQuarantine", &tenant, [request.rule.as_str()]);
    Ok(Paged {
        query: QuarantineQuery {
            rule: request.rule,
            paging: paging(page_size, token, hash, None)?,
        },
        tenant,
        hash,
    })
}

/// The answer to a `ListQuarantine`.
pub fn quarantine_page(
    seal: &TokenSeal,
    page: QuarantinePage,
    query: QueryHash,
) -> v1::ListQuarantineResponse {
    let profiles = page
        .entries
        .into_iter()
        .map(|entry| v1::QuarantinedProfile {
            profile_id: entry.profile_id.name().to_owned(),
            events: entry.events.into_iter().map(held_event).collect(),
        });
    v1::ListQuarantineResponse {
        profiles: profiles.collect(),
        next_page_token: next_page_token(page.next, query, seal),
        total_size: signed(page.total),
    }
}

pub(super) fn held_event(held: HeldEvent) -> v1::HeldEvent {
    let signals = held
        .matches
        .into_iter()
        .map(|matched| matched.signal.into());
    v1::HeldEvent {
        time: Some(timestamp(held.time)),
        r#type: held.event_type.into(),
        matched_signals: signals.collect(),
    }
}

/// Whose events to release, which of them, and how much of the profile to answer with.
pub type ReleaseQuery = (Tenant, ProfileId, Selection, Option<View>);

/// Reads a `ReleaseEvents`.
pub fn release_events(request: v1::ReleaseEventsRequest) -> Result<ReleaseQuery, Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    let profile_id = profile_id("profile_id", &request.profile_id, &mut violations);
    label("rule", &request.rule, MAX_NAME_BYTES, &mut violations);
    if !request.event_id.is_empty() {
        identifier("event_id", &request.event_id, &mut violations);
    }
    let selection = Selection {
        event: (!request.event_id.is_empty()).then(|| IdHash::of_event(&request.event_id)),
        rule: (!request.rule.is_empty()).then_some(request.rule),
    };
    let view = response_view(request.response_view, &mut violations);
    let read = tenant.zip(profile_id);
    violations.finish(read.map(|(tenant, profile_id)| (tenant, profile_id, selection, view)))
}

/// The answer to a `ReleaseEvents`.
pub fn released(released: Released) -> v1::ReleaseEventsResponse {
    v1::ReleaseEventsResponse {
        profile: released.profile.map(profile),
        released_count: small(released.outcome),
    }
}
