//! The file that records are exported to and imported from, as lines of JSON.
//!
//! Of one tenant: a header, one profile a line in ascending order of ids, and a closing line with
//! their number. Of all: a header, the same for each tenant in ascending order of names, and a
//! closing line with the number of tenants. So a file that is cut off anywhere is noticed, and
//! everything stands once.

use serde::Deserialize;
use serde_json::json;

use super::{StoreError, Stored, codec};
use crate::scoring::{ProfileId, Record, Tenant};

/// The format of an export of one tenant.
const OF_ONE: u32 = 1;
/// The format of an export of all tenants.
const OF_ALL: u32 = 2;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    tenant: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndOfTenant {
    profiles: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndOfAll {
    tenants: u64,
}

/// What an export holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Tenants, also one without records.
    pub tenants: u64,
    /// Records of people and subjects.
    pub profiles: u64,
}

/// Writes an export.
#[derive(Debug)]
pub struct ExportWriter {
    is_of_all: bool,
    /// The tenant that is being written, and how many of its profiles were.
    current: Option<(Tenant, u64)>,
    written: Exported,
}

impl ExportWriter {
    /// Begins the export of a tenant, or of all.
    pub fn begin(tenant: Option<&Tenant>, text: &mut String) -> Self {
        let mut writer = Self {
            is_of_all: tenant.is_none(),
            current: None,
            written: Exported::default(),
        };
        match tenant {
            Some(tenant) => writer.begin_tenant(tenant, text),
            None => add_line(text, &json!({ "format": OF_ALL }).to_string()),
        }
        writer
    }

    /// Writes a record. They come by tenant and id.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it has no line.
    pub fn add(
        &mut self,
        tenant: &Tenant,
        stored: &Stored,
        text: &mut String,
    ) -> Result<(), StoreError> {
        let is_another = |(current, _): &(Tenant, u64)| current != tenant;
        if self.current.as_ref().is_none_or(is_another) {
            self.end_tenant(text);
            self.begin_tenant(tenant, text);
        }
        add_line(text, &codec::to_line(&stored.profile_id, &stored.record)?);
        if let Some((_, profiles)) = &mut self.current {
            *profiles += 1;
        }
        Ok(())
    }

    /// Ends the export.
    pub fn end(mut self, text: &mut String) -> Exported {
        self.end_tenant(text);
        if self.is_of_all {
            add_line(
                text,
                &json!({ "tenants": self.written.tenants }).to_string(),
            );
        }
        self.written
    }

    fn begin_tenant(&mut self, tenant: &Tenant, text: &mut String) {
        let header = json!({ "format": OF_ONE, "tenant": tenant.as_str() });
        add_line(text, &header.to_string());
        self.current = Some((tenant.clone(), 0));
    }

    fn end_tenant(&mut self, text: &mut String) {
        if let Some((_, profiles)) = self.current.take() {
            add_line(text, &json!({ "profiles": profiles }).to_string());
            self.written.tenants += 1;
            self.written.profiles += profiles;
        }
    }
}

fn add_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// Reads an export, line by line.
#[derive(Debug, Default)]
pub struct ExportReader {
    is_of_all: bool,
    place: Place,
    tenants: Vec<Tenant>,
    /// Of the tenant that is being read.
    profiles: u64,
    last: Option<ProfileId>,
}

/// What the next line may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Header,
    /// A profile, or the closing line of a tenant.
    InTenant,
    /// The header of a tenant, or the closing line of all.
    BetweenTenants,
    /// Nothing.
    End,
    /// Whatever: what came before says nothing about it.
    Lost,
}

impl ExportReader {
    /// Reads the next line: a profile when it is one, of the latest of [`Self::tenants`].
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn read(&mut self, line: &str) -> Result<Option<(ProfileId, Record)>, String> {
        let text = line.trim();
        if text.is_empty() {
            return Ok(None);
        }
        match self.place {
            Place::Header | Place::BetweenTenants => self.read_between(text).map(|()| None),
            Place::InTenant => self.read_in_tenant(text),
            Place::End => Err("something follows the closing line".to_owned()),
            Place::Lost => Ok(None),
        }
    }

    /// The tenants that the file holds, as far as it was read.
    pub fn tenants(&self) -> &[Tenant] {
        &self.tenants
    }

    /// Whether it is an export of all tenants, however many there were.
    pub const fn is_of_all(&self) -> bool {
        self.is_of_all
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When it is cut off.
    pub fn end(&self) -> Result<(), String> {
        match self.place {
            Place::End | Place::Lost => Ok(()),
            Place::Header => Err("the file is empty: it has not even a header".to_owned()),
            Place::InTenant | Place::BetweenTenants => Err(format!(
                "the file is cut off: its last line, which counts the {}, is missing",
                if self.is_of_all {
                    "tenants"
                } else {
                    "profiles"
                }
            )),
        }
    }

    fn read_between(&mut self, text: &str) -> Result<(), String> {
        let is_first = std::mem::replace(&mut self.place, Place::Lost) == Place::Header;
        if !is_first && let Ok(EndOfAll { tenants }) = serde_json::from_str(text) {
            self.place = Place::End;
            return match self.tenants.len() as u64 {
                read if read == tenants => Ok(()),
                read => Err(format!(
                    "the closing line counts {tenants} tenants, and {read} came before it"
                )),
            };
        }
        let header: Header = serde_json::from_str(text)
            .map_err(|error| format!("not the header of an export: {error}"))?;
        match (header.format, header.tenant) {
            (OF_ONE, Some(name)) => self.begin_tenant(&name),
            (OF_ALL, None) if is_first => {
                self.is_of_all = true;
                self.place = Place::BetweenTenants;
                Ok(())
            }
            (OF_ONE, None) => {
                Err("not the header of an export: it names no tenant".to_owned())
            }
            (OF_ALL, _) => Err(
                "not the header of a tenant: format 2 stands once, in the first line, without a tenant"
                    .to_owned(),
            ),
            (other, _) => Err(format!(
                "the export has format {other}; this version reads formats {OF_ONE} and {OF_ALL}"
            )),
        }
    }

    fn begin_tenant(&mut self, name: &str) -> Result<(), String> {
        let tenant = Tenant::new(name).filter(|_| !name.is_empty());
        let tenant = tenant.ok_or_else(|| format!("{name:?} is no name of a tenant"))?;
        if self.tenants.last().is_some_and(|last| *last >= tenant) {
            return Err(format!(
                "tenant {tenant} is out of order: an export holds each tenant once, in ascending \
                 order of names"
            ));
        }
        self.tenants.push(tenant);
        self.place = Place::InTenant;
        (self.profiles, self.last) = (0, None);
        Ok(())
    }

    fn read_in_tenant(&mut self, text: &str) -> Result<Option<(ProfileId, Record)>, String> {
        if let Ok(EndOfTenant { profiles }) = serde_json::from_str(text) {
            self.place = if self.is_of_all {
                Place::BetweenTenants
            } else {
                Place::End
            };
            return if profiles == self.profiles {
                Ok(None)
            } else {
                Err(format!(
                    "the closing line counts {profiles} profiles, and {} came before it",
                    self.profiles
                ))
            };
        }
        self.profiles += 1;
        let (profile_id, record) = codec::from_line(text).map_err(|error| match error {
            StoreError::Corrupt(reason) => reason,
            other => other.to_string(),
        })?;
        if self.last.as_ref().is_some_and(|last| *last >= profile_id) {
            return Err(format!(
                "profile {profile_id} is out of order: an export holds each profile once, in \
                 ascending order of ids"
            ));
        }
        self.last = Some(profile_id.clone());
        Ok(Some((profile_id, record)))
    }
}

#[cfg(test)]
#[path = "export_tests.rs"]
mod tests;
