//! `GetCatalog`.

use tonic::Status;

use super::{fields::tenant, violations::Violations};
use crate::{
    proto::v1,
    scoring::{CatalogEntry, Model, Tenant},
};

/// Reads a `GetCatalog`.
pub fn get_catalog(request: &v1::GetCatalogRequest) -> Result<Tenant, Status> {
    let mut violations = Violations::default();
    let tenant = tenant(&request.tenant, &mut violations);
    violations.finish(tenant)
}

/// The answer to a `GetCatalog`.
pub fn catalog(model: &Model) -> v1::GetCatalogResponse {
    let catalog = model.catalog().clone();
    let entries = |entries: Vec<CatalogEntry>| entries.into_iter().map(entry).collect();
    let signals = catalog.signals.into_iter();
    let segments = catalog.segments.into_iter();
    v1::GetCatalogResponse {
        fingerprint: model.fingerprint().to_string(),
        scores: entries(catalog.scores),
        signals: signals
            .map(|(signal, event_types)| v1::SignalEntry {
                name: signal.name,
                description: signal.description,
                event_types,
            })
            .collect(),
        attribute_rules: entries(catalog.rules),
        stages: entries(catalog.stages),
        segments: segments
            .map(|segment| v1::SegmentEntry {
                name: segment.entry.name,
                description: segment.entry.description,
                of: segment.of,
                rank_by: segment.rank_by,
            })
            .collect(),
        topics: entries(catalog.topics),
        subject_kinds: entries(catalog.subject_kinds),
        quarantine_rules: model.quarantine_names().map(str::to_owned).collect(),
    }
}

fn entry(entry: CatalogEntry) -> v1::CatalogEntry {
    v1::CatalogEntry {
        name: entry.name,
        description: entry.description,
    }
}
