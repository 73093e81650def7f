//! `RankSegment` and `GetSegmentTopics`.

use tonic::Status;

use super::{
    fields::{instant, required_name, signed, small, tenant, timestamp, too_long, view},
    page_token::QueryHash,
    paging::{Paged, next_page_token, page_size, page_token, paging, size},
    profiles::{probability, profile},
    seal::TokenSeal,
    status::foreign_token,
    subjects::subject,
    violations::Violations,
};
use crate::{
    limits::{DEFAULT_TOPIC_MEMBERS, MAX_TOPIC_MEMBERS},
    proto::v1,
    scoring::{
        Ranked, Tenant,
        limits::{MAX_CONDITION_BYTES, MAX_NAME_BYTES},
    },
    service::{Fraction, SegmentPage, SegmentQuery, SegmentTopics, SegmentTopicsQuery, View},
};

/// Reads a `RankSegment`.
///
/// # Errors
/// `INVALID_ARGUMENT` with everything that is wrong.
pub fn segment_query(
    seal: &TokenSeal,
    request: v1::RankSegmentRequest,
) -> Result<Paged<SegmentQuery>, Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    required_name("segment", &request.segment, MAX_NAME_BYTES, &mut violations);
    let page_size = page_size(request.page_size, &mut violations);
    let token = page_token(&request.page_token, seal, &mut violations);
    let condition = (!request.condition.is_empty()).then_some(request.condition);
    if let Some(text) = condition
        .as_ref()
        .filter(|text| text.len() > MAX_CONDITION_BYTES)
    {
        too_long("condition", text, MAX_CONDITION_BYTES, &mut violations);
    }
    let view = view(request.view, &mut violations);
    let as_of = instant("as_of", request.as_of, &mut violations);
    let fraction = fraction(request.fraction, &mut violations);
    let read = tenant.zip(page_size).zip(view);
    let ((tenant, page_size), view) = violations.finish(read)?;

    let shown = match view {
        View::Basic => "basic",
        View::Full => "full",
    };
    let fraction_text = fraction.map_or_else(String::new, |_| request.fraction.to_string());
    let asked = condition.as_deref().unwrap_or_default();
    let parts = [request.segment.as_str(), shown, &fraction_text, asked];
    let hash = QueryHash::new("RankSegment", &tenant, parts);
    let paging = paging(page_size, token, hash, as_of)?;
    let has_quota = paging.start.as_ref().map(|start| start.left.is_some());
    if has_quota.is_some_and(|has_quota| has_quota != fraction.is_some()) {
        return Err(foreign_token());
    }
    Ok(Paged {
        query: SegmentQuery {
            segment: request.segment,
            condition,
            fraction,
            view,
            paging,
        },
        tenant,
        hash,
    })
}

/// Reads a `GetSegmentTopics`.
///
/// # Errors
/// `INVALID_ARGUMENT` with everything that is wrong.
pub fn segment_topics_query(
    request: v1::GetSegmentTopicsRequest,
) -> Result<(Tenant, SegmentTopicsQuery), Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    required_name("segment", &request.segment, MAX_NAME_BYTES, &mut violations);
    let (most, usual) = (MAX_TOPIC_MEMBERS, DEFAULT_TOPIC_MEMBERS);
    let members = size("members", request.members, most, usual, &mut violations);
    let as_of = instant("as_of", request.as_of, &mut violations);
    let (tenant, members) = violations.finish(tenant.zip(members))?;
    let query = SegmentTopicsQuery {
        segment: request.segment,
        members,
        as_of,
    };
    Ok((tenant, query))
}

/// The highest share of a list; `None` for all of it.
pub(super) fn fraction(fraction: f64, violations: &mut Violations) -> Option<Fraction> {
    if fraction == 0.0 {
        return None;
    }
    let read = Fraction::new(fraction);
    if read.is_none() {
        violations.add(
            "fraction",
            format_args!("is {fraction}; send a number above 0 and at most 1, or 0 for all"),
        );
    }
    read
}

/// The answer to a `RankSegment`.
pub fn segment_page(
    seal: &TokenSeal,
    page: SegmentPage,
    query: QueryHash,
) -> v1::RankSegmentResponse {
    let members = page.members;
    v1::RankSegmentResponse {
        as_of: Some(timestamp(members.as_of)),
        condition_failed_count: signed(page.condition_failed),
        next_page_token: next_page_token(members.next, query, seal),
        segment_size: signed(members.total),
        members: members.entries.into_iter().map(ranked).collect(),
    }
}

pub(super) fn ranked((rank, member): (u64, Ranked)) -> v1::SegmentMember {
    let (probability, outcome) = probability(member.probability);
    use v1::segment_member::Member;
    v1::SegmentMember {
        rank: signed(rank),
        member: Some(match member.profile.profile_id.is_person() {
            true => Member::Profile(profile(member.profile)),
            false => Member::Subject(subject(member.profile)),
        }),
        points: member.points,
        probability,
        outcome,
    }
}

/// The answer to a `GetSegmentTopics`.
pub fn segment_topics(found: SegmentTopics) -> v1::GetSegmentTopicsResponse {
    let topics = found.topics.into_iter().map(|topic| v1::SegmentTopic {
        topic: topic.topic.into(),
        points: topic.points,
        members: small(topic.members),
    });
    v1::GetSegmentTopicsResponse {
        topics: topics.collect(),
        members: small(found.members),
        segment_size: signed(found.total),
        as_of: Some(timestamp(found.as_of)),
    }
}
