//! The one map from what can go wrong to what callers see: a code, a message, and details
//! that a program can act on. A code says what a retry may do; see `scoring.proto`.

use std::time::{Duration, UNIX_EPOCH};

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation};

pub use super::status_details::{RETRY_PUSHBACK, spread_out, with_reason};
use super::{
    Shown,
    status_details::{retry, with_info},
    status_quota::too_many_profiles,
    status_size::{listed, shortened},
};
use crate::{
    limits::{
        MAX_DIAGNOSTIC_BYTES, MAX_FIELD_VIOLATIONS, MAX_REPEATED_BYTES, RETRY_CONTENDED_AFTER,
        RETRY_UNAVAILABLE_AFTER,
    },
    proto::google::rpc,
    rollout::RolloutError,
    scoring::{Diagnostic, Timestamp},
    service::ServiceError,
    store::StoreError,
    telemetry::is_new,
};

/// The status of a failed call. `field` is the path of what an error may blame: the time of an
/// event, the attributes of an update.
pub fn of_service(error: &ServiceError, field: &str) -> Status {
    match error {
        ServiceError::UnknownProfile(profile_id) => with_reason(
            Code::NotFound,
            format!("there is no profile {}", Shown(profile_id)),
            "UNKNOWN_PROFILE",
            ErrorDetails::new(),
        ),
        ServiceError::UnknownSubject { kind, subject_id } => with_reason(
            Code::NotFound,
            format!("there is no {kind} {}", Shown(subject_id)),
            "UNKNOWN_SUBJECT",
            ErrorDetails::new(),
        ),
        ServiceError::Condition(mistakes) => bad_condition(mistakes),
        ServiceError::UnknownName { kind, name, known } => unknown_name(kind, name, known),
        ServiceError::AsOfBeforeLastEvent {
            profile_id,
            as_of,
            last_event,
        } => {
            let message = format!(
                "as_of {} lies before the last event of profile {}, at {}; ask for that instant or a later one",
                rfc3339(*as_of),
                Shown(profile_id),
                rfc3339(*last_event),
            );
            as_of_too_early(message, *last_event)
        }
        ServiceError::AsOfBeforeLatest { as_of, earliest } => {
            let (as_of, instant) = (rfc3339(*as_of), rfc3339(*earliest));
            let message = format!(
                "as_of {as_of} lies before the latest event that was counted, and what stood then is not kept; ask for {instant}, or leave as_of out for now"
            );
            as_of_too_early(message, *earliest)
        }
        ServiceError::AsOfChanged => foreign_token(),
        ServiceError::TooFarAhead { allowed } => bad_field(
            field,
            &format!(
                "is further ahead of the server's clock than the allowed {}; send the time of the event in UTC, or none",
                humantime::format_duration(*allowed)
            ),
            "TOO_FAR_AHEAD",
        ),
        ServiceError::Attributes(error) => bad_field(
            field,
            &format!("of the profile after the update: {error}; name some in remove_attributes"),
            "ATTRIBUTES_OUT_OF_BOUNDS",
        ),
        ServiceError::TooManyProfiles { tenant, most } => {
            too_many_profiles(error.to_string(), tenant, *most)
        }
        ServiceError::Contended(profile_id) => with_reason(
            Code::Aborted,
            format!(
                "too many concurrent writers of profile {}; nothing was written, send it again",
                Shown(profile_id)
            ),
            "CONTENDED",
            retry(RETRY_CONTENDED_AFTER),
        ),
        ServiceError::ModelChanged => model_changed(),
        ServiceError::Overloaded { retry_after } => overloaded(spread_out(*retry_after)),
        ServiceError::Rollout(error) => of_rollout(error),
        ServiceError::Store(error) => of_store(error),
    }
}

/// An instant of which nothing is known; `earliest` is the first one that is.
fn as_of_too_early(message: String, earliest: Timestamp) -> Status {
    let reason = "AS_OF_BEFORE_LAST_EVENT";
    let description = message.clone();
    let details = ErrorDetails::with_precondition_failure_violation(reason, "as_of", description);
    let known = [("earliest_as_of".to_owned(), rfc3339(earliest))].into();
    with_info(Code::FailedPrecondition, message, (reason, known), details)
}

/// The status of a call that the models of a tenant do not allow, or not now.
fn of_rollout(error: &RolloutError) -> Status {
    match error {
        RolloutError::UnknownTenant { tenant } | RolloutError::TenantNotMade { tenant } => {
            let known = [("tenant".to_owned(), tenant.clone())].into();
            let (reason, details) = ("UNKNOWN_TENANT", ErrorDetails::new());
            with_info(Code::NotFound, error.to_string(), (reason, known), details)
        }
        RolloutError::TooManyTenants { .. } => with_reason(
            Code::ResourceExhausted,
            format!("{error}; nothing was written"),
            "TOO_MANY_TENANTS",
            ErrorDetails::new(),
        ),
        RolloutError::TenantShares => bad_field(
            "tenant",
            "has no model of its own: all tenants share one here; leave it out to change the model of all, which takes a key for all tenants where there are keys",
            "TENANT_SHARES_MODEL",
        ),
        RolloutError::TenantMissing => bad_field(
            "tenant",
            "is required: each tenant has a model of its own here; name the one whose model it is",
            "TENANT_REQUIRED",
        ),
        RolloutError::RevisionChanged { revision, .. } => {
            let (reason, message) = (
                "REVISION_CHANGED",
                format!("{error}; read it and decide anew"),
            );
            let (details, code) = (ErrorDetails::new(), Code::FailedPrecondition);
            let known = [("revision".to_owned(), revision.to_string())].into();
            with_info(code, message, (reason, known), details)
        }
        RolloutError::RanksBuilding { .. } => not_now(error, "RANKS_BUILDING"),
        RolloutError::ModelsChanging(_) => not_now(error, "MODELS_CHANGING"),
        RolloutError::Repartitioning { .. } => not_now(error, "REPARTITIONING"),
        RolloutError::TooManyReading { retry_after } => overloaded(spread_out(*retry_after)),
        RolloutError::Store(error) => of_store(error),
    }
}

/// Something passes by itself, and the message says what; nothing was written.
fn not_now(error: &RolloutError, reason: &str) -> Status {
    with_reason(
        Code::Unavailable,
        format!("{error}; nothing was written, try again"),
        reason,
        retry(RETRY_UNAVAILABLE_AFTER),
    )
}

fn of_store(error: &StoreError) -> Status {
    let unavailable;
    let (code, reason, advice, retry_after) = match error {
        StoreError::Unavailable(_) | StoreError::Lost(_) => {
            // Whoever waits must know for what: a failover passes, a full memory does not.
            unavailable = format!("{error}; nothing was written, try again");
            let reason = match error {
                StoreError::Lost(_) => "STORE_EMPTIED",
                _ => "STORE_UNAVAILABLE",
            };
            (
                Code::Unavailable,
                reason,
                unavailable.as_str(),
                Some(RETRY_UNAVAILABLE_AFTER),
            )
        }
        StoreError::Superseded => (
            Code::Unavailable,
            "MODELS_CHANGING",
            "the model is being changed; nothing was written, try again",
            Some(RETRY_UNAVAILABLE_AFTER),
        ),
        StoreError::OutcomeUnknown(_) => (
            Code::Unknown,
            "OUTCOME_UNKNOWN",
            "the store did not answer, so the write may or may not have happened; send the same event again, it never counts twice",
            None,
        ),
        StoreError::Corrupt(_) => (
            Code::DataLoss,
            "STORE_CORRUPT",
            "what is stored cannot be read; the server's log says more",
            None,
        ),
        StoreError::TooLarge(_) => (
            Code::FailedPrecondition,
            "RECORD_TOO_LARGE",
            "the profile has outgrown what the store keeps; nothing was written",
            None,
        ),
        StoreError::Misconfigured(_) => (
            Code::FailedPrecondition,
            "STORE_MISCONFIGURED",
            "the store cannot serve as it is set up; the server's log says more",
            None,
        ),
    };
    // The operator needs the cause; a caller could do nothing with it.
    let line = "the store failed";
    if is_new([line, "", reason]) {
        tracing::error!(%error, reason, "{line}");
    }
    let details = retry_after.map_or_else(ErrorDetails::new, retry);
    with_reason(code, advice.to_owned(), reason, details)
}

fn unknown_name(kind: &str, name: &str, known: &[String]) -> Status {
    let known = match known {
        [] => "none".to_owned(),
        known => listed(known, MAX_REPEATED_BYTES),
    };
    with_reason(
        Code::NotFound,
        format!("there is no {kind} {}; the model has {known}", Shown(name)),
        &format!("UNKNOWN_{}", kind.to_ascii_uppercase().replace(' ', "_")),
        ErrorDetails::new(),
    )
}

/// Too much is in flight; nothing was done.
pub fn overloaded(retry_after: Duration) -> Status {
    with_reason(
        Code::Unavailable,
        "the server has too much in flight; nothing was written, try again".to_owned(),
        "OVERLOADED",
        ErrorDetails::with_retry_info(Some(retry_after)),
    )
}

/// The server is about to stop and does not take what it has not answered.
pub fn draining() -> Status {
    with_reason(
        Code::Unavailable,
        "the server is stopping; requests without an answer were not taken, send them again to another one".to_owned(),
        "DRAINING",
        retry(RETRY_UNAVAILABLE_AFTER),
    )
}

/// The deadline of a call has passed.
pub fn deadline_exceeded() -> Status {
    with_reason(
        Code::DeadlineExceeded,
        "the deadline has passed; a write may or may not have happened, send the same event again, it never counts twice".to_owned(),
        "DEADLINE_EXCEEDED",
        ErrorDetails::new(),
    )
}

/// A backup has taken as long as one may.
pub fn backup_too_long(most: Duration) -> Status {
    with_reason(
        Code::DeadlineExceeded,
        format!(
            "the backup has taken {}, which is as long as one may, and is not whole; read it faster, or \
             stop the server and use `bellwether export`",
            humantime::format_duration(most)
        ),
        "BACKUP_TOO_LONG",
        ErrorDetails::new(),
    )
}

/// The reader of an answer took nothing of it for too long.
pub fn stalled_reader() -> Status {
    with_reason(
        Code::Aborted,
        "the answer was not read for too long and is given up; what was sent before it holds, read answers as they come".to_owned(),
        "ANSWER_NOT_READ",
        ErrorDetails::new(),
    )
}

/// The sender of a stream left a message unfinished for too long, or sent none at all.
pub fn stalled_sender() -> Status {
    with_reason(
        Code::DeadlineExceeded,
        "the first message, or the rest of a message, did not come in time; open a stream when there is something to send".to_owned(),
        "MESSAGE_NOT_SENT",
        ErrorDetails::new(),
    )
}

/// The service answered something that cannot be.
pub fn inconsistent() -> Status {
    with_reason(
        Code::Internal,
        "the service did not answer everything".to_owned(),
        "INCONSISTENT",
        ErrorDetails::new(),
    )
}

/// One field is wrong.
pub fn bad_field(field: &str, description: &str, reason: &str) -> Status {
    with_reason(
        Code::InvalidArgument,
        format!("{field} {description}"),
        reason,
        ErrorDetails::with_bad_request_violation(field, description),
    )
}

/// A page token of another query.
pub fn foreign_token() -> Status {
    bad_field(
        "page_token",
        "is of another query; send it with everything else as in the request before",
        "FOREIGN_PAGE_TOKEN",
    )
}

/// A condition that cannot be asked, with the place of each mistake in its text.
fn bad_condition(mistakes: &[Diagnostic]) -> Status {
    let descriptions = mistakes.iter().map(|mistake| {
        let (line, column) = (mistake.line, mistake.column);
        let description = format!("at {line}:{column} {}", mistake.message);
        shortened(&description, MAX_DIAGNOSTIC_BYTES)
    });
    let descriptions: Vec<String> = descriptions.take(MAX_FIELD_VIOLATIONS).collect();
    let first = descriptions.first().map_or("", String::as_str);
    let message = match mistakes.len() {
        0 | 1 => format!("condition {first}"),
        count => format!("condition {first} (and {} more)", count - 1),
    };
    let fields = descriptions.iter();
    let violations = fields.map(|text| FieldViolation::new("condition", text.as_str()));
    let details = ErrorDetails::with_bad_request(violations.collect::<Vec<_>>());
    with_reason(Code::InvalidArgument, message, "INVALID_CONDITION", details)
}

/// A page token of a model that is no longer active.
pub fn model_changed() -> Status {
    let message = "the model changed since page_token was made; start from the first page";
    with_reason(
        Code::FailedPrecondition,
        message.to_owned(),
        "MODEL_CHANGED",
        ErrorDetails::with_precondition_failure_violation("MODEL_CHANGED", "page_token", message),
    )
}

/// What callers see of a message that could not be read. The decoder blames the server
/// (`INTERNAL`) for bytes that are no message, such as invalid UTF-8 or nesting without
/// end, and says `OUT_OF_RANGE` where gRPC elsewhere says `RESOURCE_EXHAUSTED`. Every status
/// of our own carries details, and stays as it is.
pub fn of_decoder(status: Status) -> Status {
    match status.code() {
        _ if !status.details().is_empty() => status,
        Code::Internal => with_reason(
            Code::InvalidArgument,
            format!("the message cannot be read: {}", status.message()),
            "MALFORMED_MESSAGE",
            ErrorDetails::new(),
        ),
        Code::OutOfRange | Code::ResourceExhausted => with_reason(
            Code::ResourceExhausted,
            format!(
                "the message is too large, send smaller ones: {}",
                status.message()
            ),
            "MESSAGE_TOO_LARGE",
            ErrorDetails::new(),
        ),
        _ => status,
    }
}

/// The status as a message, details and all, for one event of a stream.
pub fn to_message(status: &Status) -> rpc::Status {
    rpc::Status::decode(status.details())
        .ok()
        .filter(|message| message.code != 0)
        .unwrap_or_else(|| rpc::Status {
            code: status.code().into(),
            message: status.message().to_owned(),
            details: Vec::new(),
        })
}

pub(super) fn rfc3339(instant: Timestamp) -> String {
    let since_epoch = Duration::from_nanos(instant.nanos().unsigned_abs());
    humantime::format_rfc3339_nanos(UNIX_EPOCH + since_epoch).to_string()
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::*;
    use crate::scoring::InvalidAttributes;
    use crate::{api::status_details::ERROR_DOMAIN, scoring::Tenant};

    fn reason(status: &Status) -> String {
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.domain, ERROR_DOMAIN);
        info.reason
    }

    #[test]
    fn every_failure_has_its_code_and_reason_and_says_when_to_retry() {
        let instant = Timestamp::from_nanos(1_500_000_000).unwrap();
        let cause = || "10.0.0.1 refused".to_owned();
        let failures = [
            (
                RolloutError::UnknownTenant { tenant: "x".into() }.into(),
                Code::NotFound,
                "UNKNOWN_TENANT",
                false,
            ),
            (
                RolloutError::TenantNotMade { tenant: "x".into() }.into(),
                Code::NotFound,
                "UNKNOWN_TENANT",
                false,
            ),
            (
                RolloutError::TooManyTenants {
                    tenant: "x".into(),
                    most: 7,
                }
                .into(),
                Code::ResourceExhausted,
                "TOO_MANY_TENANTS",
                false,
            ),
            (
                RolloutError::RevisionChanged {
                    expected: 5,
                    revision: 6,
                }
                .into(),
                Code::FailedPrecondition,
                "REVISION_CHANGED",
                false,
            ),
            (
                RolloutError::TenantShares.into(),
                Code::InvalidArgument,
                "TENANT_SHARES_MODEL",
                false,
            ),
            (
                RolloutError::TenantMissing.into(),
                Code::InvalidArgument,
                "TENANT_REQUIRED",
                false,
            ),
            (
                ServiceError::UnknownProfile("x".into()),
                Code::NotFound,
                "UNKNOWN_PROFILE",
                false,
            ),
            (
                ServiceError::AsOfBeforeLastEvent {
                    profile_id: "x".into(),
                    as_of: Timestamp::EPOCH,
                    last_event: instant,
                },
                Code::FailedPrecondition,
                "AS_OF_BEFORE_LAST_EVENT",
                false,
            ),
            (
                ServiceError::TooFarAhead {
                    allowed: Duration::from_secs(300),
                },
                Code::InvalidArgument,
                "TOO_FAR_AHEAD",
                false,
            ),
            (
                ServiceError::Attributes(InvalidAttributes::TooDeep),
                Code::InvalidArgument,
                "ATTRIBUTES_OUT_OF_BOUNDS",
                false,
            ),
            (
                ServiceError::TooManyProfiles {
                    tenant: Tenant::new("acme").unwrap(),
                    most: 3,
                },
                Code::ResourceExhausted,
                "TOO_MANY_PROFILES",
                false,
            ),
            (
                ServiceError::Contended("x".into()),
                Code::Aborted,
                "CONTENDED",
                true,
            ),
            (
                ServiceError::ModelChanged,
                Code::FailedPrecondition,
                "MODEL_CHANGED",
                false,
            ),
            (
                ServiceError::AsOfBeforeLatest {
                    as_of: Timestamp::EPOCH,
                    earliest: instant,
                },
                Code::FailedPrecondition,
                "AS_OF_BEFORE_LAST_EVENT",
                false,
            ),
            (
                ServiceError::AsOfChanged,
                Code::InvalidArgument,
                "FOREIGN_PAGE_TOKEN",
                false,
            ),
            (
                RolloutError::RanksBuilding { tenant: "x".into() }.into(),
                Code::Unavailable,
                "RANKS_BUILDING",
                true,
            ),
            (
                RolloutError::Repartitioning { tenant: "x".into() }.into(),
                Code::Unavailable,
                "REPARTITIONING",
                true,
            ),
            (
                RolloutError::ModelsChanging("tenant x".into()).into(),
                Code::Unavailable,
                "MODELS_CHANGING",
                true,
            ),
            (
                StoreError::Superseded.into(),
                Code::Unavailable,
                "MODELS_CHANGING",
                true,
            ),
            (
                RolloutError::TooManyReading {
                    retry_after: Duration::from_millis(70),
                }
                .into(),
                Code::Unavailable,
                "OVERLOADED",
                true,
            ),
            (
                ServiceError::Overloaded {
                    retry_after: Duration::from_millis(70),
                },
                Code::Unavailable,
                "OVERLOADED",
                true,
            ),
            (
                StoreError::Unavailable(cause()).into(),
                Code::Unavailable,
                "STORE_UNAVAILABLE",
                true,
            ),
            (
                StoreError::Lost(cause()).into(),
                Code::Unavailable,
                "STORE_EMPTIED",
                true,
            ),
            (
                StoreError::OutcomeUnknown(cause()).into(),
                Code::Unknown,
                "OUTCOME_UNKNOWN",
                false,
            ),
            (
                StoreError::Corrupt(cause()).into(),
                Code::DataLoss,
                "STORE_CORRUPT",
                false,
            ),
            (
                StoreError::TooLarge(cause()).into(),
                Code::FailedPrecondition,
                "RECORD_TOO_LARGE",
                false,
            ),
            (
                StoreError::Misconfigured(cause()).into(),
                Code::FailedPrecondition,
                "STORE_MISCONFIGURED",
                false,
            ),
        ];
        for (error, code, expected_reason, retried) in failures {
            let status = of_service(&error, "event.time");
            assert_eq!(status.code(), code, "{error}");
            assert_eq!(reason(&status), expected_reason);
            assert_eq!(
                status.get_details_retry_info().is_some(),
                retried,
                "{error}"
            );
            let pushback = status.metadata().get(RETRY_PUSHBACK);
            assert_eq!(pushback.is_some(), retried, "{error}");
            // Whoever may come back is told what it waits for; else the cause is for the operator.
            let tells = matches!(
                error,
                ServiceError::Store(StoreError::Unavailable(_) | StoreError::Lost(_))
            );
            assert_eq!(status.message().contains("10.0.0.1"), tells, "{status}");
        }
    }

    #[test]
    fn who_is_turned_away_together_does_not_come_back_together() {
        let errors: [ServiceError; 4] = [
            StoreError::Unavailable("gone".to_owned()).into(),
            RolloutError::ModelsChanging("tenant x".into()).into(),
            ServiceError::Contended("ann".to_owned()),
            ServiceError::Overloaded {
                retry_after: RETRY_UNAVAILABLE_AFTER,
            },
        ];
        for error in errors {
            let told: Vec<Duration> = (0..100)
                .map(|_| {
                    let info = of_service(&error, "").get_details_retry_info().unwrap();
                    info.retry_delay.unwrap()
                })
                .collect();
            let distinct: std::collections::HashSet<_> = told.iter().collect();
            assert!(distinct.len() > 90, "{error}");
            let (first, last) = (told.iter().min().unwrap(), told.iter().max().unwrap());
            assert!(
                *last > *first * 2 && *last < *first * 4,
                "{error}: {first:?} {last:?}"
            );
        }
    }

    #[test]
    fn a_changed_revision_is_told_to_programs() {
        let error = RolloutError::RevisionChanged {
            expected: 5,
            revision: 6,
        };
        let status = of_service(&error.into(), "");
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.metadata["revision"], "6");
        assert!(status.message().contains("not of the expected 5"));
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones_within_bounds() {
        let error = ServiceError::UnknownName {
            kind: "segment",
            name: "x\n".repeat(500),
            known: (0..120).map(|number| format!("segment_{number}")).collect(),
        };
        let status = of_service(&error, "");
        assert_eq!(reason(&status), "UNKNOWN_SEGMENT");
        let (listed, more) = status.message().split_once(" and ").unwrap();
        let listed = listed.matches("segment_").count();
        assert!(listed > 50, "{status}");
        assert_eq!(more, format!("{} more", 120 - listed));
        assert!(status.message().len() < 1_200, "{}", status.message());
    }

    #[test]
    fn an_unknown_name_among_many_long_ones_is_told_within_what_clients_take() {
        let error = ServiceError::UnknownName {
            kind: "topic",
            name: "x".to_owned(),
            known: vec!["ü".repeat(128); 64],
        };
        let status = of_service(&error, "");
        let mut headers = http::HeaderMap::new();
        status.add_header(&mut headers).unwrap();
        let sent: usize = headers.values().map(http::HeaderValue::len).sum();
        assert!(sent <= crate::limits::MAX_STATUS_BYTES, "{sent} bytes");
        assert!(status.message().ends_with("and 63 more"), "{status}");
    }

    #[test]
    fn an_event_too_far_ahead_is_blamed_on_its_own_field() {
        let error = ServiceError::TooFarAhead {
            allowed: Duration::from_secs(300),
        };
        let status = of_service(&error, "events[3].time");
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, "events[3].time");
        assert!(violations[0].description.contains("5m"));
    }

    #[test]
    fn as_of_before_the_last_event_says_which_instant_would_do() {
        let instant = Timestamp::from_nanos(1_500_000_000).unwrap();
        let of_a_profile = ServiceError::AsOfBeforeLastEvent {
            profile_id: "ann".into(),
            as_of: Timestamp::EPOCH,
            last_event: instant,
        };
        let of_a_list = ServiceError::AsOfBeforeLatest {
            as_of: Timestamp::EPOCH,
            earliest: instant,
        };
        for error in [of_a_profile, of_a_list] {
            let status = of_service(&error, "");
            let text = "1970-01-01T00:00:01.500000000Z";
            assert!(status.message().contains(text), "{status}");
            let failure = status.get_details_precondition_failure().unwrap();
            assert_eq!(failure.violations[0].subject, "as_of");
            let info = status.get_details_error_info().unwrap();
            assert_eq!(info.metadata["earliest_as_of"], text);
        }
    }

    #[test]
    fn an_unknown_tenant_is_named() {
        for error in [
            RolloutError::UnknownTenant { tenant: "x".into() },
            RolloutError::TenantNotMade { tenant: "x".into() },
        ] {
            let status = of_service(&error.into(), "");
            let info = status.get_details_error_info().unwrap();
            assert_eq!(info.metadata["tenant"], "x");
        }
    }

    #[test]
    fn a_status_of_one_event_keeps_its_details() {
        let status = bad_field("event.type", "is required", "INVALID");
        let message = to_message(&status);
        assert_eq!(message.code, i32::from(Code::InvalidArgument));
        assert_eq!(message.message, "event.type is required");
        assert_eq!(message.details.len(), 2);

        let plain = to_message(&Status::aborted("no details"));
        assert_eq!((plain.code, plain.message.as_str()), (10, "no details"));
    }

    #[test]
    fn a_message_that_cannot_be_read_is_the_callers_mistake() {
        let unreadable = of_decoder(Status::internal("invalid string value"));
        assert_eq!(unreadable.code(), Code::InvalidArgument);
        let too_large = of_decoder(Status::out_of_range("found 9 bytes"));
        assert_eq!(too_large.code(), Code::ResourceExhausted);
        assert_eq!(reason(&too_large), "MESSAGE_TOO_LARGE");
        let again = of_decoder(too_large.clone());
        assert_eq!(again.message(), too_large.message());
    }
}
