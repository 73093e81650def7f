//! A profile as a line of JSON: what is exported and imported. Equal records are equal lines, and
//! every record that can be stored is read back from its line as it was.

use super::{
    bounds::corrupt,
    readable::{from_proto, to_proto},
};
use crate::{
    proto::{
        json::{Json, message},
        record::ExportedProfile,
    },
    scoring::{ProfileId, Record},
    store::StoreError,
};

/// Bytes of a line, more than any takes: a name stands once in a record as it is stored, and with
/// each of its counts in a line.
pub const MAX_LINE_BYTES: usize = 256 * super::MAX_RECORD_BYTES;

/// The line of a profile, without a line break.
pub fn to_line(profile_id: &ProfileId, record: &Record) -> Result<String, StoreError> {
    let exported = ExportedProfile {
        profile_id: profile_id.to_string(),
        record: Some(to_proto(record)),
    };
    // Through a value, so that the same record is always the same line.
    let value = serde_json::to_value(&exported);
    value.map(|value| value.to_string()).map_err(corrupt)
}

/// The profile of a line; [`StoreError::Corrupt`] when it is not one.
pub fn from_line(line: &str) -> Result<(ProfileId, Record), StoreError> {
    let exported: ExportedProfile = Json::parse(line)
        .and_then(|json| message("bellwether.record.v1.ExportedProfile", json))
        .map_err(|reason| StoreError::Corrupt(format!("not a profile: {reason}")))?;
    let profile_id = ProfileId::stored(&exported.profile_id).ok_or_else(|| {
        StoreError::Corrupt(format!("{:?} is no profile id", exported.profile_id))
    })?;
    let record = exported
        .record
        .ok_or_else(|| StoreError::Corrupt("the record is missing".to_owned()))?;
    Ok((profile_id, from_proto(record)?))
}
