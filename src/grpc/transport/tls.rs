//! TLS of the connections that come in. Certificate, key and the authorities of callers are files,
//! which are read again while the server runs: a new connection gets what they say now, and those
//! that are open go on with what they began with.

use std::{
    convert::Infallible,
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use tokio_rustls::TlsAcceptor;
use xxhash_rust::xxh3::Xxh3Default;

use crate::{config::TlsFiles, limits::FILES_INTERVAL};

/// The protocols that are spoken behind TLS.
const PROTOCOLS: [&[u8]; 1] = [b"h2"];

/// Bytes of one of the files: a hundred certificates and more.
const MAX_BYTES: u64 = 1024 * 1024;

/// Why connections cannot be encrypted by these files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
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
pub struct Tls {
    files: TlsFiles,
    current: RwLock<Current>,
}

struct Current {
    acceptor: TlsAcceptor,
    /// Of what the files held.
    hash: u128,
}

/// What the files hold.
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_authorities: Option<Vec<u8>>,
}

impl Tls {
    /// Reads the files.
    pub async fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        let contents = Contents::read(files).await?;
        let current = Current::new(files, &contents)?;
        Ok(Self {
            files: files.clone(),
            current: RwLock::new(current),
        })
    }

    /// Whether callers must show a certificate.
    pub fn asks_callers(&self) -> bool {
        self.files.client_authorities.is_some()
    }

    /// What takes in the next connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.acceptor.clone()
    }

    /// Follows the files, for ever. What two looks have found alike is taken: what one has found may
    /// be in the middle of being written. What cannot be used is said once, and what was there
    /// before is kept.
    pub async fn follow(&self) -> Infallible {
        let (mut last, mut complaint) = (None, None);
        loop {
            tokio::time::sleep(FILES_INTERVAL).await;
            let found = Contents::read(&self.files).await;
            let look = found.as_ref().map(Contents::hash).map_err(Clone::clone);
            if last.replace(look.clone()) != Some(look) {
                continue;
            }
            let certificate = self.files.certificate.display();
            match found.and_then(|contents| self.take(&contents)) {
                Ok(is_new) => {
                    let was_wrong = complaint.take().is_some();
                    if is_new || was_wrong {
                        tracing::info!(%certificate, "the TLS files are used as they are now, for new connections");
                    }
                }
                Err(error) if complaint.as_ref() != Some(&error) => {
                    tracing::error!(%error, "the TLS files cannot be used; those of before are kept");
                    complaint = Some(error);
                }
                Err(_) => {}
            }
        }
    }

    /// Has new connections made by what the files hold. Whether it is new.
    fn take(&self, contents: &Contents) -> Result<bool, TlsError> {
        let is_known = {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            current.hash == contents.hash()
        };
        if is_known {
            return Ok(false);
        }
        let next = Current::new(&self.files, contents)?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = next;
        Ok(true)
    }
}

impl Contents {
    async fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let client_authorities = match &files.client_authorities {
            Some(path) => Some(read(path).await?),
            None => None,
        };
        Ok(Self {
            certificate: read(&files.certificate).await?,
            key: read(&files.key).await?,
            client_authorities,
        })
    }

    fn hash(&self) -> u128 {
        let mut hash = Xxh3Default::new();
        let authorities = self.client_authorities.as_deref().unwrap_or_default();
        for bytes in [&self.certificate[..], &self.key, authorities] {
            hash.update(&bytes.len().to_le_bytes());
            hash.update(bytes);
        }
        hash.digest128()
    }
}

impl Current {
    fn new(files: &TlsFiles, contents: &Contents) -> Result<Self, TlsError> {
        let chain = certificates(&files.certificate, &contents.certificate)?;
        let key = private_key(&files.key, &contents.key)?;
        let unusable = |error: rustls::Error| TlsError::Unusable {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
            reason: error.to_string(),
        };
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match (&files.client_authorities, &contents.client_authorities) {
            (Some(path), Some(bytes)) => {
                builder.with_client_cert_verifier(verifier(path, bytes, provider)?)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(unusable)?;
        if files.client_authorities.is_some() {
            // Whoever resumes a session is not asked for a certificate again, which may have expired.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Self {
            acceptor: Arc::new(config).into(),
            hash: contents.hash(),
        })
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

async fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |reason: String| TlsError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let failed = |error: io::Error| unreadable(error.to_string());
    let found = tokio::fs::metadata(path).await.map_err(failed)?;
    // One that is none, such as a pipe, may never end.
    if !found.is_file() || found.len() > MAX_BYTES {
        return Err(unreadable(format!(
            "it is no file of at most {MAX_BYTES} bytes"
        )));
    }
    tokio::fs::read(path).await.map_err(failed)
}
