//! The public keys of issuers of tokens, fetched from where they publish them: now and then, and when a
//! token names a key that is not among them. What was fetched is kept while an address does not answer.

use std::{
    collections::HashMap,
    error::Error,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use jsonwebtoken::jwk::JwkSet;
use tokio::time::Instant;

use crate::{
    access::read_key_set,
    limits::{KEY_SET_RETRY_INTERVAL, KEY_SET_TIMEOUT, MAX_KEY_SET_BYTES},
    telemetry::causes,
};

/// What was fetched, by address.
#[derive(Default)]
pub struct KeySets {
    by_url: Mutex<HashMap<String, Fetched>>,
    /// One fetch at a time: those who wait for it find what they want when it is over.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Fetched {
    set: Option<Arc<JwkSet>>,
    /// When a token has last had it fetched.
    asked: Option<Instant>,
    /// What went wrong the last time.
    complaint: Option<String>,
}

impl KeySets {
    /// What is known to be at an address.
    pub fn get(&self, url: &str) -> Option<Arc<JwkSet>> {
        let by_url = self.by_url.lock().unwrap_or_else(PoisonError::into_inner);
        by_url.get(url)?.set.clone()
    }

    /// Whether a token may have an address looked at: whoever sends made-up tokens may not do so all
    /// the time.
    fn may_ask(&self, url: &str) -> bool {
        let mut by_url = self.by_url.lock().unwrap_or_else(PoisonError::into_inner);
        let fetched = by_url.entry(url.to_owned()).or_default();
        let lately = fetched.asked.map(|asked| asked.elapsed());
        if lately.is_some_and(|elapsed| elapsed < KEY_SET_RETRY_INTERVAL) {
            return false;
        }
        fetched.asked = Some(Instant::now());
        true
    }

    /// Looks at an address for a token, unless another one had it looked at lately.
    pub async fn refresh(&self, url: &str) {
        let _turn = self.turn.lock().await;
        if self.may_ask(url) {
            self.fetch_now(url).await;
        }
    }

    /// Looks at all of these addresses, and forgets all others.
    pub async fn refresh_all(&self, urls: &[&str]) {
        let _turn = self.turn.lock().await;
        for url in urls {
            self.fetch_now(url).await;
        }
        let mut by_url = self.by_url.lock().unwrap_or_else(PoisonError::into_inner);
        by_url.retain(|url, _| urls.contains(&url.as_str()));
    }

    async fn fetch_now(&self, url: &str) {
        let fetched = tokio::time::timeout(KEY_SET_TIMEOUT, fetch(url)).await;
        let fetched = fetched
            .unwrap_or_else(|_| Err(format!("no answer within {} s", KEY_SET_TIMEOUT.as_secs())));
        let mut by_url = self.by_url.lock().unwrap_or_else(PoisonError::into_inner);
        let known = by_url.entry(url.to_owned()).or_default();
        match fetched {
            Ok(set) => {
                if known.complaint.take().is_some() {
                    tracing::info!(url, "the keys of an issuer of tokens can be fetched again");
                }
                known.set = Some(Arc::new(set));
            }
            Err(error) => {
                if known.complaint.as_ref() != Some(&error) {
                    tracing::error!(
                        url,
                        error,
                        "the keys of an issuer of tokens cannot be fetched; those of before are kept"
                    );
                }
                known.complaint = Some(error);
            }
        }
    }
}

async fn fetch(url: &str) -> Result<JwkSet, String> {
    let wrong = |error: &(dyn Error + 'static)| causes(error);
    let uri = url
        .parse()
        .map_err(|error: http::uri::InvalidUri| wrong(&error))?;
    let connector = connector().map_err(|error| wrong(&error))?;
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

/// By the authorities of the system. Plain HTTP is asked for on this machine alone.
fn connector() -> std::io::Result<HttpsConnector<HttpConnector>> {
    let provider = rustls::crypto::ring::default_provider();
    let builder = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider)?;
    Ok(builder.https_or_http().enable_http1().build())
}
