//! A call that stands in a URL, as the one that would have been sent.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use http::{Request, StatusCode};
use percent_encoding::percent_decode_str;
use tonic::{Status, body::Body};

use super::error::Refusal;

/// With or without the signs at the end that say how long it is.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a query says.
pub struct Query {
    pub is_json: bool,
    pub is_gzip: bool,
    pub message: Bytes,
}

impl Query {
    /// The query of a request.
    ///
    /// # Errors
    /// What it lacks.
    pub fn of(request: &Request<Body>) -> Result<Self, Refusal> {
        let bad = |what: &str| {
            let status = Status::invalid_argument(format!(
                "{what}; a query is connect=v1&encoding=json&message=..., percent-encoded"
            ));
            Refusal::new(StatusCode::BAD_REQUEST, status)
        };
        let (mut message, mut is_json, mut is_base64, mut is_gzip) = (None, None, false, false);
        let query = request.uri().query().unwrap_or_default();
        for (name, value) in pairs(query) {
            match (name.as_slice(), value.as_slice()) {
                (b"message", _) => message = Some(value),
                (b"encoding", b"json") => is_json = Some(true),
                (b"encoding", b"proto") => is_json = Some(false),
                (b"encoding", _) => {
                    let status = Status::unimplemented("encoding is json or proto");
                    return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, status));
                }
                (b"base64", said) => is_base64 = said == b"1",
                (b"connect", b"v1") | (b"compression", b"identity") => {}
                (b"connect", _) => return Err(bad("connect is v1")),
                (b"compression", b"gzip") => is_gzip = true,
                (b"compression", _) => {
                    let status = Status::unimplemented("compression is gzip or identity");
                    return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, status));
                }
                // As with fields of a message.
                _ => {}
            }
        }
        let message = message.ok_or_else(|| bad("message is missing"))?;
        let message = if is_base64 {
            let decoded = BASE64.decode(message);
            decoded.map_err(|_| bad("message is no base64 for URLs"))?
        } else {
            message
        };
        Ok(Self {
            is_json: is_json.ok_or_else(|| bad("encoding is missing"))?,
            is_gzip,
            message: message.into(),
        })
    }
}

/// Names and values of a query. They are bytes: a binary message need not be text.
fn pairs(query: &str) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).collect();
    query.split('&').map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    })
}
