//! The configuration file: flat TOML, unknown keys refused.

use std::{collections::BTreeMap, fs, io::Read as _, ops::Range, path::Path};

use toml::de::{DeTable, DeValue};

use super::{ConfigError, cannot_read};
use crate::{limits::MAX_CONFIG_BYTES, scoring::suggestion};

/// What a value may be beside a text in quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing else: a number would be a name that nobody means.
    Text,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Boolean,
}

/// Values as text by key, each with where it stands.
#[derive(Debug, Default)]
pub struct File {
    values: BTreeMap<String, (String, String)>,
    /// Entries that are not settings, each with where it stands.
    pub errors: Vec<String>,
}

impl File {
    /// Reads the file at `path`, which may have these keys and no others.
    ///
    /// # Errors
    /// When it cannot be read or is no TOML.
    pub fn read(path: &Path, known: &[(&str, Kind)]) -> Result<Self, ConfigError> {
        let mut text = String::new();
        fs::File::open(path)
            .and_then(|file| file.take(MAX_CONFIG_BYTES).read_to_string(&mut text))
            .map_err(|error| cannot_read(path, &error))?;
        let name = path.display();
        let table = DeTable::parse(&text).map_err(|error| {
            let line = line_of(&text, error.span());
            ConfigError(vec![format!("{name}:{line}: {}", error.message())])
        })?;
        let mut values = BTreeMap::new();
        let mut errors = Vec::new();
        for (key, value) in table.get_ref() {
            let line = line_of(&text, Some(key.span()));
            let origin = format!("{name}:{line}: {}", key.get_ref());
            let Some((_, kind)) = known.iter().find(|(known, _)| known == key.get_ref()) else {
                let hint = suggestion(key.get_ref(), known.iter().map(|(name, _)| *name));
                errors.push(format!("{origin}: is no setting; {hint}"));
                continue;
            };
            match text_of(value.get_ref(), *kind) {
                Ok(value) => {
                    values.insert(key.get_ref().to_string(), (value, origin));
                }
                Err(error) => errors.push(format!("{origin}: {error}")),
            }
        }
        Ok(Self { values, errors })
    }

    /// The value of a key, and where it stands.
    pub fn get(&self, key: &str) -> Option<(&str, &str)> {
        let (text, origin) = self.values.get(key)?;
        Some((text, origin))
    }
}

fn text_of(value: &DeValue<'_>, kind: Kind) -> Result<String, String> {
    match (value, kind) {
        (DeValue::String(text), _) => Ok(text.to_string()),
        (DeValue::Integer(number), Kind::Number) => {
            Ok(i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| number.as_str().to_owned(), |number| number.to_string()))
        }
        (DeValue::Boolean(boolean), Kind::Boolean) => Ok(boolean.to_string()),
        _ => {
            let found = value.type_str();
            let article = if found.starts_with(['a', 'i']) {
                "an"
            } else {
                "a"
            };
            let meant = match kind {
                Kind::Text => "a text in quotes",
                Kind::Number => "a whole number",
                Kind::Boolean => "true or false",
            };
            Err(format!("is {article} {found}; write {meant}"))
        }
    }
}

fn line_of(text: &str, span: Option<Range<usize>>) -> usize {
    let start = span.map_or(0, |span| span.start.min(text.len()));
    1 + text.as_bytes()[..start]
        .iter()
        .filter(|&&byte| byte == b'\n')
        .count()
}
