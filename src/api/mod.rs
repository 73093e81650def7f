//! What the messages of the API mean: between them and the plain data of the service. Requests are
//! checked whole: an answer names every field that is wrong, not only the first. `status` is the
//! one map from errors to what callers see.

mod attributes;
mod corrections;
mod models;
pub mod page_token;
mod pages;
mod requests;
mod responses;
pub mod status;
mod status_size;
mod violations;

pub use corrections::{
    quarantine_page, quarantine_query, release_events, released, retract_event, retracted,
};
pub use models::{
    applied, apply_model, compare_models, compared, comparing, comparison_report, get_models,
    models,
};
pub use pages::{influencer_query, segment_query, segment_topics_query};
pub use requests::{
    batch_get_profiles, event, get_funnel, get_profile, score_event, score_events, timestamp_of,
    update_profile,
};
pub use responses::{
    UNMATCHED_TYPE, funnel, influencer_page, profile, profiles, result_of_event, scored,
    segment_page, segment_topics,
};
pub use violations::{EventPath, Shown};
