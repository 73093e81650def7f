//! Seals page tokens: they carry rank keys, which tell points. What is sealed is neither read nor
//! made without the key, and equal tokens are equal texts.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};

use crate::store::TokenKey;

/// Seals page tokens with the key that all servers on a store share.
#[derive(Debug)]
pub struct TokenSeal {
    key: LessSafeKey,
    /// Makes the nonce of a token from what it says, so that no nonce is used for two of them.
    nonces: hmac::Key,
}

impl TokenSeal {
    /// Seals with a key; `None` never, as the key has the right length.
    pub fn new(key: &TokenKey) -> Option<Self> {
        let derive = |use_of: &str| {
            let secret = hmac::Key::new(hmac::HMAC_SHA256, key.bytes());
            hmac::sign(&secret, use_of.as_bytes())
        };
        let sealing = UnboundKey::new(&CHACHA20_POLY1305, derive("seal").as_ref()).ok()?;
        Some(Self {
            key: LessSafeKey::new(sealing),
            nonces: hmac::Key::new(hmac::HMAC_SHA256, derive("nonce").as_ref()),
        })
    }

    /// Seals with a key of these bytes.
    #[cfg(test)]
    pub(super) fn of_bytes(bytes: [u8; 32]) -> Self {
        Self::new(&TokenKey::from_bytes(bytes)).unwrap()
    }

    /// The sealed form, safe in URLs.
    pub fn seal(&self, mut token: Vec<u8>) -> String {
        let tag = hmac::sign(&self.nonces, &token);
        let Some(nonce) = tag.as_ref().first_chunk::<NONCE_LEN>() else {
            return String::new();
        };
        let sealed = self.key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(*nonce),
            Aad::empty(),
            &mut token,
        );
        match sealed {
            Ok(()) => URL_SAFE_NO_PAD.encode([nonce.as_slice(), &token].concat()),
            Err(_) => String::new(),
        }
    }

    /// What was sealed; `None` for what was not sealed with this key.
    pub(super) fn open(&self, text: &str) -> Option<Vec<u8>> {
        let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let token = self.key.open_in_place(nonce, Aad::empty(), sealed).ok()?;
        Some(token.to_vec())
    }
}
