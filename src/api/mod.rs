//! What the messages of the API mean: between them and the plain data of the service. Requests are
//! checked whole: an answer names every field that is wrong, not only the first. `status` is the
//! one map from errors to what callers see.

mod attributes;
mod audit;
mod backup;
mod catalog;
mod events;
mod fields;
mod funnel;
mod influencers;
mod models;
pub mod page_token;
mod paging;
mod profiles;
mod quarantine;
mod redact;
mod retraction;
mod seal;
mod segments;
pub mod status;
mod status_denied;
mod status_details;
mod status_quota;
mod status_size;
mod subjects;
mod violations;

pub use audit::{audit, get_audit};
pub use backup::{backup, backup_end, backup_part};
pub use catalog::{catalog, get_catalog};
pub use events::{
    SUBJECTS_LEFT_OUT, UNDECLARED_KIND, UNMATCHED_TYPE, event, result_of_event, score_event,
    score_events, scored,
};
pub use fields::timestamp_of;
pub use funnel::{funnel, get_funnel};
pub use influencers::{influencer_page, influencer_query};
pub use models::{
    applied, apply_model, compare_models, compared, comparing, comparison_report, get_models,
    models,
};
pub use profiles::{
    batch_get_profiles, batch_update_profiles, batch_updated, get_profile, profile, profiles,
    update_profile, updated,
};
pub use quarantine::{quarantine_page, quarantine_query, release_events, released};
pub use redact::{Redact, redacted_status};
pub use retraction::{retract_event, retracted};
pub use seal::TokenSeal;
pub use segments::{segment_page, segment_query, segment_topics, segment_topics_query};
pub use status_denied::denied;
pub use status_quota::over_quota;
pub use subjects::{get_subject, subject, update_subject, updated_subject};
pub use violations::{EventPath, Shown};

#[cfg(test)]
mod corrections_tests;
#[cfg(test)]
mod pages_tests;
#[cfg(test)]
mod requests_tests;
#[cfg(test)]
mod responses_tests;
