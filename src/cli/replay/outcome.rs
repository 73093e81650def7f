//! What the server said of one event of a replay.

use tonic::Status;

use super::summary::Summary;
use crate::{
    api::UNMATCHED_TYPE,
    cli::failure::status_of,
    proto::v1::{EventOutcome, ScoreEventsResult, score_events_result},
};

/// What the server said of one event.
pub(super) enum Outcome {
    /// It was taken; which of the counters it belongs to, and whether nothing looks at its type.
    Counted(fn(&mut Summary) -> &mut u64, bool),
    Refused(Status),
    Unintelligible,
}

pub(super) fn outcome(result: ScoreEventsResult) -> Outcome {
    let response = match result.result {
        Some(score_events_result::Result::Response(response)) => response,
        Some(score_events_result::Result::Error(error)) => {
            return Outcome::Refused(status_of(&error));
        }
        None => return Outcome::Unintelligible,
    };
    let counter: fn(&mut Summary) -> &mut u64 = match response.outcome() {
        EventOutcome::Applied => |summary| &mut summary.applied,
        EventOutcome::Duplicate => |summary| &mut summary.duplicate,
        EventOutcome::Ignored => |summary| &mut summary.too_old,
        EventOutcome::Quarantined => |summary| &mut summary.quarantined,
        EventOutcome::Unspecified => return Outcome::Unintelligible,
    };
    let mut warnings = response.warnings.iter();
    Outcome::Counted(
        counter,
        warnings.any(|warning| warning.code == UNMATCHED_TYPE),
    )
}
