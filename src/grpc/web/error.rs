//! Errors as Connect tells them: a status of HTTP, and JSON with code, message and details.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE},
};
use pbjson_types::Any;
use serde::Serialize;
use serde_json::Value;
use tonic::{Code, Status, body::Body};

use crate::proto::transcoding::{detail_in_json, details_of, kind_of};

/// The names of codes in Connect, and the statuses of HTTP that they come with.
const fn told(code: Code) -> (&'static str, u16) {
    match code {
        // An error is never told with it.
        Code::Ok | Code::Unknown => ("unknown", 500),
        Code::Cancelled => ("canceled", 499),
        Code::InvalidArgument => ("invalid_argument", 400),
        Code::DeadlineExceeded => ("deadline_exceeded", 504),
        Code::NotFound => ("not_found", 404),
        Code::AlreadyExists => ("already_exists", 409),
        Code::PermissionDenied => ("permission_denied", 403),
        Code::ResourceExhausted => ("resource_exhausted", 429),
        Code::FailedPrecondition => ("failed_precondition", 400),
        Code::Aborted => ("aborted", 409),
        Code::OutOfRange => ("out_of_range", 400),
        Code::Unimplemented => ("unimplemented", 501),
        Code::Internal => ("internal", 500),
        Code::Unavailable => ("unavailable", 503),
        Code::DataLoss => ("data_loss", 500),
        Code::Unauthenticated => ("unauthenticated", 401),
    }
}

/// An error in JSON: its fields in the order in which people read them.
#[derive(Serialize)]
pub struct Told<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Detail>,
}

#[derive(Serialize)]
struct Detail {
    #[serde(rename = "type")]
    kind: String,
    value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    debug: Option<Value>,
}

impl<'a> Told<'a> {
    /// What became of a call that failed.
    pub fn new(status: &'a Status) -> Self {
        let details = details_of(status.details());
        Self {
            code: told(status.code()).0,
            message: status.message(),
            details: details.iter().map(Detail::new).collect(),
        }
    }

    /// As it is sent.
    pub fn text(&self) -> String {
        // There is nothing in it that JSON cannot hold.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Detail {
    fn new(detail: &Any) -> Self {
        Self {
            kind: kind_of(detail).to_owned(),
            value: STANDARD_NO_PAD.encode(&detail.value),
            debug: detail_in_json(detail),
        }
    }
}

/// An error that a unary call is answered with.
pub fn response(status: &Status) -> Response<Body> {
    let (_, http) = told(status.code());
    // Each of them is one.
    let http = StatusCode::from_u16(http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Refusal::new(http, status.clone()).into_response()
}

/// A request that never became a call, or a call that failed.
pub struct Refusal {
    http: StatusCode,
    status: Status,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub const fn new(http: StatusCode, status: Status) -> Self {
        Self {
            http,
            status,
            header: None,
        }
    }

    /// With a header.
    pub fn with(self, name: HeaderName, value: HeaderValue) -> Self {
        Self {
            header: Some((name, value)),
            ..self
        }
    }

    /// As a call in gRPC is told.
    pub fn into_status(self) -> Status {
        self.status
    }

    pub fn into_response(self) -> Response<Body> {
        let mut text = Told::new(&self.status).text();
        text.push('\n');
        let mut response = Response::new(());
        *response.status_mut() = self.http;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LENGTH, text.len().into());
        if self.http == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some((name, value)) = self.header {
            headers.insert(name, value);
        }
        response.map(|()| Body::new(http_body_util::Full::new(text.into())))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::status::bad_field;

    #[test]
    fn an_error_tells_code_message_and_details_that_programs_and_people_read() {
        let error = bad_field("profile_id", "is empty", "EMPTY");
        let error = json!(Told::new(&error));
        assert_eq!(error["code"], "invalid_argument");
        let details = error["details"].as_array().unwrap();
        let kinds: Vec<_> = details.iter().map(|detail| &detail["type"]).collect();
        assert!(
            kinds.iter().any(|kind| *kind == "google.rpc.BadRequest"),
            "{error}"
        );
        for detail in details {
            let value = detail["value"].as_str().unwrap();
            assert!(!STANDARD_NO_PAD.decode(value).unwrap().is_empty());
            assert!(detail["debug"].is_object(), "{error}");
        }
    }

    #[test]
    fn every_code_has_a_name_and_a_status() {
        for code in 1..=16 {
            let (name, http) = told(Code::from(code));
            assert!(StatusCode::from_u16(http).is_ok() && http >= 400);
            assert!(code == 2 || name != "unknown", "{code}");
        }
    }
}
