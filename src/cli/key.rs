//! `bellwether key`: keys of callers, made and checked where nobody listens.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use pbjson_types::Timestamp;

use super::{check, failure::Failure, instant, output};
use crate::{
    access::{Keys, KeysError, NamedFile, SECRET_BYTES, Secret, files_named, read_keys},
    scoring::parse_duration,
};

/// Makes keys of callers, and checks the file of them.
#[derive(Clone, Debug, clap::Args)]
pub struct Key {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    New(New),
    Check(Check),
}

/// Makes a key: prints its secret, once, and on standard error the entry of the keys file, which does
/// not hold it.
#[derive(Clone, Debug, clap::Args)]
struct New {
    /// How it is called in messages and logs; made of tenant and role unless given.
    #[arg(long)]
    name: Option<String>,
    /// A tenant that it is for; may be given again, and "*" is all of them.
    #[arg(long = "tenant", required = true)]
    tenants: Vec<String>,
    /// What it may: admin, writer, reader, sales, community_manager, legal, product_marketing, or a role
    /// of the keys file, which is looked for where --keys names one.
    #[arg(long)]
    role: String,
    /// How long it is good for, such as 90d; for ever unless given.
    #[arg(long, value_name = "DURATION")]
    expires_in: Option<String>,
    /// Add the entry to this keys file, which is made if it is not there, instead of printing it.
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Print secret and entry as JSON.
    #[arg(long)]
    json: bool,
}

/// Checks a keys file, as a server reads it.
///
/// Prints each mistake as FILE:LINE:COLUMN: MESSAGE, or what is in the file. Warnings are no mistakes:
/// of keys that have expired or do so within 14 days, of roles that nobody has and quotas of tenants for
/// whom nobody may call, and with --model of names of scores, segments and topics in roles that the
/// models do not have.
#[derive(Clone, Debug, clap::Args)]
struct Check {
    /// The keys file.
    file: PathBuf,
    /// The model file that the server has, or the directory with one <tenant>.toml for each tenant.
    #[arg(long, value_name = "FILE|DIRECTORY")]
    model: Option<PathBuf>,
}

impl Key {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::New(new) => new.run(),
            Command::Check(check) => check.run(),
        }
    }
}

impl Check {
    fn run(self) -> Result<(), Failure> {
        let name = self.file.display();
        let text = std::fs::read_to_string(&self.file);
        let text = text.map_err(|error| Failure::io(&name, &error))?;
        let models = match &self.model {
            Some(path) => check::load_all(path)?,
            None => Vec::new(),
        };
        let keys = match read(&self.file, &text) {
            Ok(keys) => keys,
            Err(KeysError(mistakes)) => {
                output::print(&(mistakes.join("\n") + "\n"))?;
                return Err(check::failed(mistakes.len()));
            }
        };
        let mut found = keys.warnings(instant::now());
        if self.model.is_some() {
            found.extend(keys.unknown_names(&models));
        }
        found.sort_by_key(|warning| (warning.line, warning.column));
        let warnings = found.iter();
        let warnings = warnings.map(|warning| check::warning(&self.file, warning));
        let mut report: String = warnings.collect();
        report += &format!("{name}: {}\n", summary(&keys));
        output::print(&report)
    }
}

/// What a good keys file has, in one line.
fn summary(keys: &Keys) -> String {
    let counts = [
        (keys.count_of_secrets(), "key"),
        (keys.count_of_certificates(), "certificate"),
        (keys.issuers().count(), "issuer"),
    ];
    let parts = counts.map(|(count, noun)| check::plural(count, noun));
    format!("good: {}", parts.join(", "))
}

impl New {
    fn run(self) -> Result<(), Failure> {
        let mut random = [0; SECRET_BYTES];
        getrandom::fill(&mut random)
            .map_err(|error| Failure::new(format!("no randomness for a secret: {error}")))?;
        let secret = Secret::new(random);
        let entry = self.entry(&secret, &self.role)?;
        let place = match &self.keys {
            None => {
                // Roles of a file are not known here, so that the entry is read without its role.
                must_be_good(Path::new("the entry"), &self.entry(&secret, "reader")?)?;
                None
            }
            Some(path) => {
                add(path, &entry)?;
                Some(path.display().to_string())
            }
        };
        if self.json {
            let answer = serde_json::json!({
                "secret": secret.expose(),
                "sha256": secret.sha256(),
                "entry": entry,
                "keys": place,
            });
            return output::print(&format!("{answer}\n"));
        }
        // The secret alone, so that it can be sent to a file.
        output::print(&format!("{}\n", secret.expose()))?;
        match place {
            Some(path) => output::note!(
                "This is the secret of the key. It is shown once; {path} holds its SHA-256 alone."
            ),
            None => output::note!(
                "This is the secret of the key. It is shown once. Add this to the keys file, which \
                 holds its SHA-256 alone:\n\n{entry}"
            ),
        }
        Ok(())
    }

    fn entry(&self, secret: &Secret, role: &str) -> Result<String, Failure> {
        let name = self.name.clone().unwrap_or_else(|| {
            // So that two keys for one purpose, of which one takes the place of the other, differ.
            let mark = &secret.sha256()[..8];
            let tenant = self.tenants.first().map_or("", String::as_str);
            let tenant = if tenant == "*" { "all" } else { tenant };
            let (tenant, role) = (shortened(tenant), shortened(&self.role));
            format!("{tenant}-{role}-{mark}")
        });
        let tenants: Vec<String> = self.tenants.iter().map(|tenant| quoted(tenant)).collect();
        let mut entry = format!(
            "[[keys]]\nname = {}\nsha256 = \"{}\"\ntenants = [{}]\nrole = {}\n",
            quoted(&name),
            secret.sha256(),
            tenants.join(", "),
            quoted(role),
        );
        if let Some(text) = &self.expires_in {
            let period = parse_duration(text).ok_or_else(|| {
                Failure::new(format!(
                    "--expires-in {text}: write a number and a unit, such as 90d"
                ))
            })?;
            let seconds = i64::try_from(period.as_secs()).unwrap_or(i64::MAX);
            let expires = Timestamp {
                seconds: instant::now_seconds().saturating_add(seconds),
                nanos: 0,
            };
            entry += &format!("expires = {}\n", instant::format(Some(&expires)));
        }
        Ok(entry)
    }
}

/// So that a name made of two of them is no longer than a name may be.
fn shortened(text: &str) -> &str {
    let end = text.char_indices().nth(24);
    &text[..end.map_or(text.len(), |(end, _)| end)]
}

fn quoted(text: &str) -> String {
    // A basic string of TOML is one of JSON, but for control characters that no name has.
    serde_json::Value::from(text).to_string()
}

/// Reads a keys file at a path, with the files that it names.
fn read(path: &Path, text: &str) -> Result<Keys, KeysError> {
    let beside = path.parent().unwrap_or_else(|| Path::new(""));
    let named = files_named(text).into_iter().map(|name| {
        let path = beside.join(name);
        std::fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))
    });
    let named: Vec<NamedFile> = named.collect();
    read_keys(&path.display().to_string(), text, &named)
}

fn must_be_good(path: &Path, text: &str) -> Result<(), Failure> {
    let read = read(path, text).map(drop);
    read.map_err(|error| Failure::new(error.to_string()))
}

/// Adds an entry to a file, which a server may read at any moment: it finds the old text or the new.
fn add(path: &Path, entry: &str) -> Result<(), Failure> {
    // What a link leads to is changed, not the link.
    let resolved = std::fs::canonicalize(path);
    let path = resolved.as_deref().unwrap_or(path);
    let failed = |what: &str, error: std::io::Error| {
        Failure::new(format!("cannot {what} {}: {error}", path.display()))
    };
    let mut text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed("read", error)),
    };
    let found = text.clone();
    if !text.is_empty() {
        text.push_str(if text.ends_with('\n') { "\n" } else { "\n\n" });
    }
    text += entry;
    must_be_good(path, &text)?;
    let directory = path.parent().filter(|parent| *parent != Path::new(""));
    let directory = directory.unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory)
        .map_err(|error| failed("write beside", error))?;
    if let Ok(old) = std::fs::metadata(path) {
        let kept = file.as_file().set_permissions(old.permissions());
        kept.map_err(|error| failed("keep the permissions of", error))?;
    }
    file.write_all(text.as_bytes())
        .and_then(|()| file.as_file().sync_all())
        .map_err(|error| failed("write", error))?;
    // Two at once would each leave out what the other has added.
    if std::fs::read_to_string(path).unwrap_or_default() != found {
        return Err(Failure::new(format!(
            "{} has changed meanwhile; run it again",
            path.display()
        )));
    }
    file.persist(path)
        .map_err(|error| failed("replace", error.error))?;
    Ok(())
}
