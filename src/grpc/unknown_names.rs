//! Names in roles that no model has: said in the log when the keys file or a model changes.

use std::{convert::Infallible, sync::Arc};

use super::authentication::Authentication;
use crate::{
    access::Keys,
    limits::FILES_INTERVAL,
    scoring::{Diagnostic, Fingerprint},
    service::Service,
    store::Store,
};

/// Of what it was said last which names are unknown.
struct Told {
    keys: Arc<Keys>,
    models: Vec<Fingerprint>,
    unknown: Vec<Diagnostic>,
}

/// Says for ever, once per change, which names in roles none of the latest models has.
pub async fn tell<S: Store>(authentication: &Authentication, service: &Service<S>) -> Infallible {
    let mut last: Option<Told> = None;
    while let Some((path, keys)) = authentication.file() {
        let latest = service.deployment().latest_models();
        let models: Vec<Fingerprint> = latest.iter().map(|model| model.fingerprint()).collect();
        let before = last.as_ref().filter(|last| Arc::ptr_eq(&last.keys, &keys));
        if before.is_none_or(|before| before.models != models) {
            let unknown = keys.unknown_names(&latest);
            let is_told = before.is_some_and(|before| before.unknown == unknown);
            if !unknown.is_empty() && !is_told {
                let path = path.display();
                let names = unknown.iter().map(|name| format!("{path}:{name}"));
                let names = names.collect::<Vec<_>>().join("; ");
                tracing::warn!(names, "roles list what no model has");
            }
            last = Some(Told {
                keys,
                models,
                unknown,
            });
        }
        tokio::time::sleep(FILES_INTERVAL).await;
    }
    // Nobody is asked who they are.
    std::future::pending().await
}
