//! `GetFunnel`.

use tonic::Status;

use super::{
    fields::{instant, signed, tenant, timestamp},
    violations::Violations,
};
use crate::{
    proto::v1,
    scoring::{Tenant, Timestamp},
    service::Funnel,
};

/// Reads a `GetFunnel`.
pub fn get_funnel(request: &v1::GetFunnelRequest) -> Result<(Tenant, Option<Timestamp>), Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    let as_of = instant("as_of", request.as_of, &mut violations);
    violations.finish(tenant.map(|tenant| (tenant, as_of)))
}

/// The answer to a `GetFunnel`.
pub fn funnel(funnel: Funnel) -> v1::GetFunnelResponse {
    v1::GetFunnelResponse {
        stages: funnel
            .stages
            .into_iter()
            .map(|(stage, count)| v1::StageCount {
                stage,
                count: signed(count),
            })
            .collect(),
        unstaged_count: signed(funnel.unstaged),
        as_of: Some(timestamp(funnel.as_of)),
    }
}
