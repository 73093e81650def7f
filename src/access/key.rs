//! The secret of a key, and what is kept of it.

use std::fmt::{self, Write as _};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};

/// What secrets begin with, so that scanners of repositories find them.
const PREFIX: &str = "bellwether_";

/// Random bytes of a secret.
pub const SECRET_BYTES: usize = 32;

/// The secret of a key, as its owner sends it. It is shown once, and never kept.
pub struct Secret(String);

impl Secret {
    /// The secret of these random bytes.
    pub fn new(random: [u8; SECRET_BYTES]) -> Self {
        Self(PREFIX.to_owned() + &BASE64_URL_SAFE_NO_PAD.encode(random))
    }

    /// As it is sent.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What a keys file says of it, in hexadecimal.
    pub fn sha256(&self) -> String {
        let mut text = String::new();
        for byte in digest_of(&self.0) {
            // Writing to a text cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

/// A message without the secrets that somebody may have written where a name belongs.
pub(super) fn without_secrets(message: &str) -> String {
    let is_of_secret = |char: char| char.is_ascii_alphanumeric() || "_-".contains(char);
    let mut parts = message.split(PREFIX);
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(is_of_secret);
        let is_secret = part.len() - rest.len() >= SECRET_BYTES;
        told += PREFIX;
        told += if is_secret { "…" } else { "" };
        told += if is_secret { rest } else { part };
    }
    told
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

/// The SHA-256 of a secret.
pub fn digest_of(secret: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    bytes
}
