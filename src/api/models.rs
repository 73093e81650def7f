//! Messages of `ModelService`.

use std::sync::Arc;

use tonic::Status;

use super::{
    fields::{instant, signed, small, tenant, timestamp},
    status_size::shortened,
    violations::Violations,
};
use crate::{
    limits::{DEFAULT_MOVERS, MAX_DIAGNOSTIC_BYTES, MAX_MOVERS},
    proto::v1,
    rollout::{Applied, ApplyOptions, ReadModel, TenantModels},
    scoring::{ActsOn, ComparisonReport, Model, ModelChange, Tenant},
    service::{Comparing, ModelComparison},
};

/// A model that is to be applied, to a tenant or to all, and how.
pub type ApplyQuery = (Option<Tenant>, Arc<Model>, ApplyOptions);

/// Reads an `ApplyModel`; no tenant when none was sent, which is not the default one here.
///
/// # Errors
/// `INVALID_ARGUMENT` with everything that is wrong, mistakes of models included.
pub fn apply_model(
    request: &v1::ApplyModelRequest,
    read: Option<ReadModel>,
) -> Result<ApplyQuery, Status> {
    let mut violations = Violations::default();
    let owner = match request.tenant.as_str() {
        "" => Some(None),
        name => tenant(name, &mut violations).map(Some),
    };
    let model = model("source", read, &mut violations);
    let options = ApplyOptions {
        expected_revision: revision(request.expected_revision, &mut violations),
        validate_only: request.validate_only,
    };
    let read = owner.zip(model);
    violations.finish(read.map(|(owner, model)| (owner, model, options)))
}

fn revision(sent: Option<i64>, violations: &mut Violations) -> Option<u64> {
    let sent = sent?;
    let read = u64::try_from(sent).ok();
    if read.is_none() {
        violations.add(
            "expected_revision",
            format_args!("is {sent}; send a revision that a call answered, or leave it out"),
        );
    }
    read
}

/// Reads a `GetModels`.
pub fn get_models(request: &v1::GetModelsRequest) -> Result<Tenant, Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    violations.finish(tenant)
}

/// Reads a `CompareModels`.
pub fn compare_models(
    request: &v1::CompareModelsRequest,
    (old, new): (Option<ReadModel>, Option<ReadModel>),
) -> Result<(Tenant, ModelComparison), Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    let old = match old {
        None => Some(None),
        old => model("old_source", old, &mut violations).map(Some),
    };
    let new = model("new_source", new, &mut violations);
    let movers = match usize::try_from(request.movers) {
        Ok(0) => Some(DEFAULT_MOVERS),
        Ok(movers) if movers <= MAX_MOVERS => Some(movers),
        _ => {
            violations.add(
                "movers",
                format_args!(
                    "is {}; send 1 to {MAX_MOVERS}, or leave it out",
                    request.movers
                ),
            );
            None
        }
    };
    let as_of = instant("as_of", request.as_of, &mut violations);
    let read = tenant.zip(old).zip(new).zip(movers);
    violations.finish(read.map(|(((tenant, old), new), movers)| {
        let comparison = ModelComparison {
            old,
            new,
            movers,
            as_of,
        };
        (tenant, comparison)
    }))
}

/// A model that was read; `None` when none was sent.
fn model(field: &str, read: Option<ReadModel>, violations: &mut Violations) -> Option<Arc<Model>> {
    match read {
        None => {
            violations.add(field, "is required; send the text of a model file");
            None
        }
        Some(Ok(model)) => Some(model),
        Some(Err(diagnostics)) => {
            for diagnostic in diagnostics {
                let shown = shortened(&diagnostic.to_string(), MAX_DIAGNOSTIC_BYTES);
                violations.add(field, format_args!("has a mistake at {shown}"));
            }
            None
        }
    }
}

/// What became of a model that was applied.
pub fn applied(model: &Model, applied: Applied) -> v1::ApplyModelResponse {
    let state = match applied.waiting_tenants {
        None => v1::ModelState::Unspecified,
        Some(0) => v1::ModelState::Active,
        Some(_) => v1::ModelState::Building,
    };
    let warnings = model.warnings().iter().map(|warning| v1::ModelWarning {
        line: small(warning.line),
        column: small(warning.column),
        message: warning.message.clone(),
    });
    v1::ApplyModelResponse {
        fingerprint: model.fingerprint().to_string(),
        revision: signed(applied.revision),
        changed: applied.is_new,
        state: state.into(),
        warnings: warnings.collect(),
    }
}

/// The models of a tenant.
pub fn models(models: &TenantModels) -> v1::GetModelsResponse {
    let message = |model: &Model| v1::Model {
        fingerprint: model.fingerprint().to_string(),
        source: model.source().to_owned(),
    };
    let total = models.active.as_ref().map_or(0, |active| active.indexed);
    let candidate = models.candidate.as_ref().map(|candidate| {
        let model = Some(message(&candidate.model));
        v1::CandidateModel {
            model,
            indexed_profiles: signed(candidate.indexed),
            total_profiles: signed(total),
        }
    });
    v1::GetModelsResponse {
        latest: Some(message(&models.latest)),
        revision: signed(models.revision),
        active: models.active.as_ref().map(|active| message(&active.model)),
        candidate,
        waiting_tenants: signed(models.waiting_tenants),
    }
}

/// How far a comparison is.
pub fn comparing(progress: Comparing) -> v1::CompareModelsResponse {
    let progress = v1::ComparisonProgress {
        evaluated_profiles: signed(progress.evaluated),
        total_profiles: signed(progress.total),
    };
    v1::CompareModelsResponse {
        message: Some(v1::compare_models_response::Message::Progress(progress)),
    }
}

/// What a comparison came to, as the end of its stream.
pub fn compared(report: ComparisonReport) -> v1::CompareModelsResponse {
    let report = comparison_report(report);
    v1::CompareModelsResponse {
        message: Some(v1::compare_models_response::Message::Report(report)),
    }
}

/// What a comparison came to.
pub fn comparison_report(report: ComparisonReport) -> v1::ComparisonReport {
    let scores = report.scores.into_iter().map(|score| {
        let movers = score.movers.into_iter().map(|mover| v1::ScoreMover {
            profile_id: mover.profile_id.to_string(),
            before: mover.before,
            after: mover.after,
        });
        v1::ScoreComparison {
            score: score.score.into(),
            rising: signed(score.rising),
            falling: signed(score.falling),
            movers: movers.collect(),
        }
    });
    let flows = report.flows.into_iter().map(|flow| v1::StageFlow {
        from_stage: flow.from.unwrap_or_default().into(),
        to_stage: flow.to.unwrap_or_default().into(),
        profiles: signed(flow.profiles),
    });
    let segments = report.segments.into_iter();
    let segments = segments.map(|segment| v1::SegmentComparison {
        segment: segment.segment.into(),
        before: signed(segment.before),
        after: signed(segment.after),
        entering: signed(segment.entering),
        leaving: signed(segment.leaving),
    });
    v1::ComparisonReport {
        as_of: Some(timestamp(report.at)),
        profiles: signed(report.profiles),
        scores: scores.collect(),
        flows: flows.collect(),
        segments: segments.collect(),
        changes: report.changes.into_iter().map(change).collect(),
    }
}

fn change(change: ModelChange) -> v1::ModelChange {
    let acts_on = match change.acts_on {
        ActsOn::History => v1::ActsOn::History,
        ActsOn::Afterwards => v1::ActsOn::Afterwards,
        ActsOn::HalfLife => v1::ActsOn::HalfLife,
    };
    v1::ModelChange {
        place: change.place,
        before: change.before,
        after: change.after,
        acts_on: acts_on.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_STATUS_BYTES;

    #[test]
    fn a_model_full_of_mistakes_is_refused_within_what_clients_take() {
        let line = |number| format!("\"{}{number}\" = 1\n", "語".repeat(60));
        let source: String = (0..100).map(line).collect();
        let read = Model::parse(&source).map(Arc::new);
        let request = v1::ApplyModelRequest::default();
        let status = apply_model(&request, Some(read)).unwrap_err();
        let mut headers = http::HeaderMap::new();
        status.add_header(&mut headers).unwrap();
        let sent: usize = headers.values().map(http::HeaderValue::len).sum();
        assert!(sent <= MAX_STATUS_BYTES, "{sent} bytes");
        let message = status.message();
        assert!(
            message.contains("語") && message.ends_with(" more)"),
            "{message}"
        );
    }
}
