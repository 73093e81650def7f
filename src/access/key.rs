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
