//! What is made of files that may change while the server runs: they are read again every few seconds,
//! and what is made of them anew takes the place of what was there. Whoever has the old one goes on with
//! it.

use std::{
    convert::Infallible,
    fmt::Display,
    future::Future,
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use xxhash_rust::xxh3::Xxh3Default;

use crate::limits::FILES_INTERVAL;

/// Files, and what is made of them.
pub trait Files: Send + Sync {
    /// What is made.
    type Made: Send + Sync;
    /// Why it cannot be.
    type Error: Clone + PartialEq + Display + Send;

    /// What the log calls them, such as `the TLS files`.
    const NAME: &'static str;

    /// Reads them, each as it is.
    fn read(&self) -> impl Future<Output = Result<Vec<Vec<u8>>, Self::Error>> + Send;

    /// Makes of them what is wanted.
    ///
    /// # Errors
    /// When they do not say it.
    fn make(&self, contents: &[Vec<u8>]) -> Result<Self::Made, Self::Error>;
}

/// What files are followed for.
pub struct Followed<F: Files> {
    files: F,
    current: RwLock<Current<F::Made>>,
}

struct Current<T> {
    made: Arc<T>,
    /// Of what the files held.
    hash: u128,
}

impl<F: Files> Followed<F> {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// When they cannot be read, or do not say what is wanted.
    pub async fn load(files: F) -> Result<Self, F::Error> {
        let contents = files.read().await?;
        let made = Arc::new(files.make(&contents)?);
        let hash = hash_of(&contents);
        Ok(Self {
            files,
            current: RwLock::new(Current { made, hash }),
        })
    }

    /// The files.
    pub const fn files(&self) -> &F {
        &self.files
    }

    /// What they say now.
    pub fn current(&self) -> Arc<F::Made> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current.made)
    }

    /// Follows the files, for ever. What two looks have found alike is taken: what one has found may
    /// be in the middle of being written. What cannot be used is said once, and what was there
    /// before is kept; `refused` hears of it, too.
    pub async fn follow(&self, refused: impl Fn() + Send) -> Infallible {
        let (mut last, mut complaint) = (None, None);
        loop {
            tokio::time::sleep(FILES_INTERVAL).await;
            let found = self.files.read().await;
            let look = found.as_deref().map(hash_of).map_err(Clone::clone);
            if last.replace(look.clone()) != Some(look) {
                continue;
            }
            let files = F::NAME;
            match found.and_then(|contents| self.take(&contents)) {
                Ok(is_new) => {
                    let was_wrong = complaint.take().is_some();
                    if is_new || was_wrong {
                        tracing::info!("{files} are used as they are now");
                    }
                }
                Err(error) if complaint.as_ref() != Some(&error) => {
                    // In one line, however many mistakes there are.
                    let told = error.to_string().replace('\n', "; ");
                    tracing::error!(
                        error = told,
                        "{files} cannot be used; those of before are kept"
                    );
                    refused();
                    complaint = Some(error);
                }
                Err(_) => {}
            }
        }
    }

    /// Has what the files hold take the place of what they held. Whether it is new.
    fn take(&self, contents: &[Vec<u8>]) -> Result<bool, F::Error> {
        let hash = hash_of(contents);
        let is_known = {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            current.hash == hash
        };
        if is_known {
            return Ok(false);
        }
        let made = Arc::new(self.files.make(contents)?);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Current { made, hash };
        Ok(true)
    }
}

fn hash_of(contents: &[Vec<u8>]) -> u128 {
    let mut hash = Xxh3Default::new();
    for bytes in contents {
        hash.update(&bytes.len().to_le_bytes());
        hash.update(bytes);
    }
    hash.digest128()
}

/// A file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {}: {reason}", path.display())]
pub struct Unreadable {
    path: PathBuf,
    reason: String,
}

/// Reads a file of at most so many bytes.
///
/// # Errors
/// When it is no file, larger, or cannot be read.
pub async fn read(path: &Path, max_bytes: u64) -> Result<Vec<u8>, Unreadable> {
    let unreadable = |reason: String| Unreadable {
        path: path.to_owned(),
        reason,
    };
    let failed = |error: io::Error| unreadable(error.to_string());
    let found = tokio::fs::metadata(path).await.map_err(failed)?;
    // One that is none, such as a pipe, may never end.
    if !found.is_file() || found.len() > max_bytes {
        return Err(unreadable(format!(
            "it is no file of at most {max_bytes} bytes"
        )));
    }
    tokio::fs::read(path).await.map_err(failed)
}
