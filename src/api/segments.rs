//! `RankSegment` and `GetSegmentTopics`.

use tonic::Status;

use super::{
    fields::{instant, required_name, signed, small, tenant, timestamp, view},
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
        limits::{MAX_NAME_BYTES, MAX_STAGES},
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
    if request.stages.len() > MAX_STAGES {
        violations.add(
            "stages",
            format_args!(
                "has {} entries; send at most {MAX_STAGES}",
                request.stages.len()
            ),
        );
    }
    for (index, stage) in request.stages.iter().take(MAX_STAGES).enumerate() {
        required_name(
            format_args!("stages[{index}]"),
            stage,
            MAX_NAME_BYTES,
            &mut violations,
        );
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
    let stages = request.stages.iter().map(String::as_str);
    let fraction_text = fraction.map(|_| request.fraction.to_string());
    let hash = match &fraction_text {
        None => {
            let parts = [request.segment.as_str(), shown].into_iter().chain(stages);
            QueryHash::new("RankSegment", &tenant, parts)
        }
        Some(fraction) => {
            let parts = [request.segment.as_str(), shown, fraction];
            QueryHash::new(
                "RankSegment of a share",
                &tenant,
                parts.into_iter().chain(stages),
            )
        }
    };
    let paging = paging(page_size, token, hash, as_of)?;
    let has_quota = paging.start.as_ref().map(|start| start.left.is_some());
    if has_quota.is_some_and(|has_quota| has_quota != fraction.is_some()) {
        return Err(foreign_token());
    }
    Ok(Paged {
        query: SegmentQuery {
            segment: request.segment,
            stages: request.stages,
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
    v1::RankSegmentResponse {
        next_page_token: next_page_token(page.next, query, seal),
        members: page.entries.into_iter().map(ranked).collect(),
        segment_size: signed(page.total),
        as_of: Some(timestamp(page.as_of)),
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
        topic: topic.topic,
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
