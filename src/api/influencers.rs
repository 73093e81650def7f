//! `TopInfluencers`.

use tonic::Status;

use super::{
    fields::{instant, label, required_name, signed, tenant, timestamp},
    page_token::QueryHash,
    paging::{Paged, next_page_token, page_size, page_token, paging},
    profiles::profile,
    seal::TokenSeal,
    violations::Violations,
};
use crate::{
    proto::v1,
    scoring::{
        Influencer,
        limits::{MAX_NAME_BYTES, MAX_TAG_BYTES},
    },
    service::{InfluencerPage, InfluencerQuery},
};

/// Reads a `TopInfluencers`.
///
/// # Errors
/// `INVALID_ARGUMENT` with everything that is wrong.
pub fn influencer_query(
    seal: &TokenSeal,
    request: v1::TopInfluencersRequest,
) -> Result<Paged<InfluencerQuery>, Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    required_name("topic", &request.topic, MAX_TAG_BYTES, &mut violations);
    label("stage", &request.stage, MAX_NAME_BYTES, &mut violations);
    let page_size = page_size(request.page_size, &mut violations);
    let token = page_token(&request.page_token, seal, &mut violations);
    let as_of = instant("as_of", request.as_of, &mut violations);
    let (tenant, page_size) = violations.finish(tenant.zip(page_size))?;

    let parts = [request.topic.as_str(), request.stage.as_str()];
    let hash = QueryHash::new("TopInfluencers", &tenant, parts);
    Ok(Paged {
        query: InfluencerQuery {
            topic: request.topic,
            stage: request.stage,
            paging: paging(page_size, token, hash, as_of)?,
        },
        tenant,
        hash,
    })
}

/// The answer to a `TopInfluencers`.
pub fn influencer_page(
    seal: &TokenSeal,
    page: InfluencerPage,
    query: QueryHash,
) -> v1::TopInfluencersResponse {
    v1::TopInfluencersResponse {
        next_page_token: next_page_token(page.next, query, seal),
        influencers: page.entries.into_iter().map(influencer).collect(),
        as_of: Some(timestamp(page.as_of)),
    }
}

pub(super) fn influencer(influencer: Influencer) -> v1::Influencer {
    v1::Influencer {
        profile: Some(profile(influencer.profile)),
        influence: influencer.influence,
        reach: influencer.reach,
        touches: signed(influencer.touches),
        advances: influencer.advances,
        influence_probability: influencer.influence_probability,
    }
}
