//! Signatures of tokens, checked by the cryptography that TLS has anyway.

use std::sync::Once;

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    crypto::{CryptoProvider, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind},
    signature::{self, Verifier},
};
use ring::{
    hmac,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
        RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
        RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
        UnparsedPublicKey, VerificationAlgorithm,
    },
};

/// Has tokens checked here. Called before each check, and does something once.
pub fn install() {
    static PROVIDER: CryptoProvider = CryptoProvider {
        signer_factory: |_, _| Err(unsupported()),
        verifier_factory: |algorithm, key| {
            let (algorithm, key) = (*algorithm, key.clone());
            Ok(Box::new(Check { algorithm, key }))
        },
        key_utils: KeyUtils {
            rsa_pub_components_from_private_key: |_| Err(unsupported()),
            rsa_pub_components_from_public_key: |_| Err(unsupported()),
            ec_pub_components_from_private_key: |_, _| Err(unsupported()),
            ed_pub_components_from_private_key: |_, _| Err(unsupported()),
            compute_digest: |_, _| Err(unsupported()),
        },
    };
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // Whoever was first in this process does as well.
        let _ = PROVIDER.install_default();
    });
}

fn unsupported() -> Error {
    ErrorKind::UnsupportedAlgorithm.into()
}

/// Checks signatures by a key.
struct Check {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl JwtVerifier for Check {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for Check {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let is_right = match self.algorithm {
            Algorithm::HS256 => self.has_mac(hmac::HMAC_SHA256, message, signature),
            Algorithm::HS384 => self.has_mac(hmac::HMAC_SHA384, message, signature),
            Algorithm::HS512 => self.has_mac(hmac::HMAC_SHA512, message, signature),
            Algorithm::RS256 => self.is_rsa(&RSA_PKCS1_2048_8192_SHA256, message, signature),
            Algorithm::RS384 => self.is_rsa(&RSA_PKCS1_2048_8192_SHA384, message, signature),
            Algorithm::RS512 => self.is_rsa(&RSA_PKCS1_2048_8192_SHA512, message, signature),
            Algorithm::PS256 => self.is_rsa(&RSA_PSS_2048_8192_SHA256, message, signature),
            Algorithm::PS384 => self.is_rsa(&RSA_PSS_2048_8192_SHA384, message, signature),
            Algorithm::PS512 => self.is_rsa(&RSA_PSS_2048_8192_SHA512, message, signature),
            Algorithm::ES256 => self.is_of(&ECDSA_P256_SHA256_FIXED, message, signature),
            Algorithm::ES384 => self.is_of(&ECDSA_P384_SHA384_FIXED, message, signature),
            Algorithm::EdDSA => self.is_of(&ED25519, message, signature),
            _ => false,
        };
        match is_right {
            true => Ok(()),
            false => Err(signature::Error::new()),
        }
    }
}

impl Check {
    fn has_mac(&self, algorithm: hmac::Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let key = self.key.try_get_as_bytes();
        let key = key.map(|secret| hmac::Key::new(algorithm, secret));
        key.is_ok_and(|key| hmac::verify(&key, message, signature).is_ok())
    }

    fn is_rsa(&self, algorithm: &'static RsaParameters, message: &[u8], signature: &[u8]) -> bool {
        match self.key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => RsaPublicKeyComponents { n, e }
                .verify(algorithm, message, signature)
                .is_ok(),
            DecodingKeyKind::SecretOrDer(_) => self.is_of(algorithm, message, signature),
        }
    }

    fn is_of(
        &self,
        algorithm: &'static dyn VerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let key = self.key.try_get_as_bytes();
        let key = key.map(|key| UnparsedPublicKey::new(algorithm, key));
        key.is_ok_and(|key| key.verify(message, signature).is_ok())
    }
}
