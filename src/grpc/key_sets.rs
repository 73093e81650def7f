//! The public keys of issuers of tokens, fetched from where they publish them: now and then, and when a
//! token names a key that is not among them. What was fetched is kept while an address does not answer.

use std::{
    collections::HashMap,
    error::Error,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use jsonwebtoken::jwk::JwkSet;
use tokio::{sync::Semaphore, time::Instant};

use crate::{
    access::read_key_set,
    limits::{KEY_SET_RETRY_INTERVAL, KEY_SET_TIMEOUT, MAX_KEY_SET_BYTES, MAX_WAITING_FOR_KEYS},
    telemetry::causes,
};

/// What was fetched, by address.
#[derive(Default)]
pub struct KeySets {
    by_url: Mutex<HashMap<String, Arc<Published>>>,
    /// How often anything has changed.
    generation: AtomicU64,
    connector: OnceLock<HttpsConnector<HttpConnector>>,
}

/// What is at an address.
struct Published {
    known: Mutex<Known>,
    /// One fetch at a time: those who wait for it find what they want when it is over.
    turn: tokio::sync::Mutex<()>,
    /// Calls that wait for it.
    waiting: Semaphore,
}

#[derive(Default)]
struct Known {
    set: Option<Arc<JwkSet>>,
    /// When a token has last had it fetched.
    asked: Option<Instant>,
    /// What went wrong the last time.
    complaint: Option<String>,
}

impl Published {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            known: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            waiting: Semaphore::new(MAX_WAITING_FOR_KEYS),
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a token may have it looked at: whoever sends made-up tokens may not do so all the time.
    fn may_ask(&self) -> bool {
        let mut known = self.known();
        let lately = known.asked.map(|asked| asked.elapsed());
        if lately.is_some_and(|elapsed| elapsed < KEY_SET_RETRY_INTERVAL) {
            return false;
        }
        known.asked = Some(Instant::now());
        true
    }
}

impl KeySets {
    /// What is known to be at an address.
    pub fn get(&self, url: &str) -> Option<Arc<JwkSet>> {
        let by_url = self.by_url.lock().unwrap_or_else(PoisonError::into_inner);
        let published = by_url.get(url)?;
        published.known().set.clone()
    }

    /// How often anything has changed.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn at(&self, url: &str) -> Arc<Published> {
        let mut by_url = self.by_url.lock().unwrap_or_else(PoisonError::into_inner);
        let published = by_url.entry(url.to_owned()).or_insert_with(Published::new);
        Arc::clone(published)
    }

    /// Looks at an address for a token, unless another one had it looked at lately, or too many wait.
    pub async fn refresh(&self, url: &str) {
        let published = self.at(url);
        let Ok(_waiting) = published.waiting.try_acquire() else {
            return;
        };
        let _turn = published.turn.lock().await;
        if published.may_ask() {
            self.fetch(url, &published).await;
        }
    }

    /// Looks at all of these addresses, and forgets all others.
    pub async fn refresh_all(&self, urls: &[&str]) {
        let fetches = urls.iter().map(|url| async {
            let published = self.at(url);
            let _turn = published.turn.lock().await;
            self.fetch(url, &published).await;
        });
        join_all(fetches).await;
        let mut by_url = self.by_url.lock().unwrap_or_else(PoisonError::into_inner);
        by_url.retain(|url, _| urls.contains(&url.as_str()));
    }

    async fn fetch(&self, url: &str, published: &Published) {
        let fetched = match self.connector() {
            Ok(connector) => tokio::time::timeout(KEY_SET_TIMEOUT, fetch(url, connector)).await,
            Err(error) => Ok(Err(error)),
        };
        let fetched = fetched
            .unwrap_or_else(|_| Err(format!("no answer within {} s", KEY_SET_TIMEOUT.as_secs())));
        let mut known = published.known();
        match fetched {
            Ok(set) => {
                if known.complaint.take().is_some() {
                    tracing::info!(url, "the keys of an issuer of tokens can be fetched again");
                }
                if known.set.as_deref() != Some(&set) {
                    known.set = Some(Arc::new(set));
                    self.generation.fetch_add(1, Ordering::Release);
                }
            }
            Err(error) => {
                if known.complaint.as_ref() != Some(&error) {
                    let kept = known
                        .set
                        .as_ref()
                        .map_or("there are none yet", |_| "those of before are kept");
                    tracing::error!(
                        url,
                        error,
                        "the keys of an issuer of tokens cannot be fetched; {kept}"
                    );
                }
                known.complaint = Some(error);
            }
        }
    }

    /// By the authorities of the system, which are read once. Plain HTTP is asked for on this machine
    /// alone.
    fn connector(&self) -> Result<HttpsConnector<HttpConnector>, String> {
        if let Some(connector) = self.connector.get() {
            return Ok(connector.clone());
        }
        let provider = rustls::crypto::ring::default_provider();
        let builder = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider);
        let builder = builder.map_err(|error| causes(&error))?;
        let connector = builder.https_or_http().enable_http1().build();
        Ok(self.connector.get_or_init(|| connector).clone())
    }
}

async fn fetch(url: &str, connector: HttpsConnector<HttpConnector>) -> Result<JwkSet, String> {
    let wrong = |error: &(dyn Error + 'static)| causes(error);
    let uri = url
        .parse()
        .map_err(|error: http::uri::InvalidUri| wrong(&error))?;
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let answer = client.get(uri).await.map_err(|error| wrong(&error))?;
    if !answer.status().is_success() {
        return Err(format!("it answers {}", answer.status()));
    }
    let most = usize::try_from(MAX_KEY_SET_BYTES).unwrap_or(usize::MAX);
    let body = Limited::new(answer.into_body(), most).collect().await;
    let body = body.map_err(|error| causes(&*error))?.to_bytes();
    read_key_set(&body)
}
