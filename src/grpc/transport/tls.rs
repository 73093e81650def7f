//! TLS of the connections that come in. Certificate, key and the authorities of callers are files,
//! which are read again while the server runs: a new connection gets what they say now, and those
//! that are open go on with what they began with.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    config::TlsFiles,
    followed::{self, Files, Followed, Unreadable},
};

/// The protocols that are spoken behind TLS, the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Bytes of one of the files: a hundred certificates and more.
const MAX_BYTES: u64 = 1024 * 1024;

/// Why connections cannot be encrypted by these files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A file does not hold what it should.
    #[error("{} {lack}", path.display())]
    Lacks {
        /// Which file.
        path: PathBuf,
        /// What is missing or wrong.
        lack: String,
    },
    /// Certificate and key cannot be used together.
    #[error("the certificate in {} cannot be used with the key in {}: {reason}", certificate.display(), key.display())]
    Unusable {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// What new connections are encrypted by.
pub struct Tls(Followed<TlsFiles>);

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When connections cannot be encrypted by them.
    pub async fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        Ok(Self(Followed::load(files.clone()).await?))
    }

    /// Whether callers must show a certificate.
    pub fn asks_callers(&self) -> bool {
        self.0.files().client_authorities.is_some()
    }

    /// What takes in the next connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::clone(&self.0.current())
    }

    /// Follows the files, for ever.
    /// `refused` hears of each time that they cannot be used.
    pub async fn follow(&self, refused: impl Fn() + Send) -> Infallible {
        self.0.follow(refused).await
    }
}

impl Files for TlsFiles {
    type Made = TlsAcceptor;
    type Error = TlsError;

    const NAME: &'static str = "the TLS files";

    async fn read(&self) -> Result<Vec<Vec<u8>>, TlsError> {
        let mut contents = Vec::new();
        let paths = [&self.certificate, &self.key].into_iter();
        for path in paths.chain(&self.client_authorities) {
            contents.push(followed::read(path, MAX_BYTES).await?);
        }
        Ok(contents)
    }

    fn make(&self, contents: &[Vec<u8>]) -> Result<TlsAcceptor, TlsError> {
        let mut contents = contents.iter().map(Vec::as_slice);
        let chain = certificates(&self.certificate, contents.next().unwrap_or_default())?;
        let key = private_key(&self.key, contents.next().unwrap_or_default())?;
        let unusable = |error: rustls::Error| TlsError::Unusable {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            reason: error.to_string(),
        };
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match &self.client_authorities {
            Some(path) => {
                let bytes = contents.next().unwrap_or_default();
                builder.with_client_cert_verifier(verifier(path, bytes, provider)?)
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(unusable)?;
        if self.client_authorities.is_some() {
            // Whoever resumes a session is not asked for a certificate again, which may have expired.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Arc::new(config).into())
    }
}

/// Takes in callers whose certificate one of these authorities has signed, and nobody else.
fn verifier(
    path: &Path,
    bytes: &[u8],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let lacks = |lack: String| TlsError::Lacks {
        path: path.to_owned(),
        lack,
    };
    let mut authorities = RootCertStore::empty();
    for certificate in certificates(path, bytes)? {
        let added = authorities.add(certificate);
        added.map_err(|error| lacks(format!("holds no authority: {error}")))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider);
    let built = verifier.build();
    built.map_err(|error| lacks(format!("holds no authority: {error}")))
}

/// The certificates that a file holds, at least one.
pub fn certificates(path: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let lacks = |lack: &str| TlsError::Lacks {
        path: path.to_owned(),
        lack: lack.to_owned(),
    };
    let found = CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(lacks("holds no certificate in PEM")),
        Err(_) => Err(lacks("is damaged: a certificate in PEM cannot be read")),
    }
}

/// The private key that a file holds.
pub fn private_key(path: &Path, bytes: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(bytes).map_err(|_| TlsError::Lacks {
        path: path.to_owned(),
        // Without what it holds: that is the key.
        lack: "holds no private key in PEM".to_owned(),
    })
}

/// The names that a certificate is good for: hosts, and URIs such as those of SPIFFE. None of one that
/// cannot be read.
pub fn names_in(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else {
        return Vec::new();
    };
    let hosts = certificate.valid_dns_names();
    let names = hosts.chain(certificate.valid_uri_names());
    names.map(str::to_owned).collect()
}
