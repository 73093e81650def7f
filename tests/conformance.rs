//! What every store promises, run against every store: each case under its own name.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod store_conformance;

use std::{path::PathBuf, sync::Arc};

use bellwether::store::embedded::Embedded;
use store_conformance::{Subject, conformance_suite};

/// The embedded store in a directory of its own.
struct EmbeddedSubject {
    store: Arc<Embedded>,
    directory: tempfile::TempDir,
}

impl EmbeddedSubject {
    fn open_in(directory: tempfile::TempDir) -> Self {
        let path: PathBuf = directory.path().join("store");
        Self {
            store: Arc::new(Embedded::open(&path).unwrap()),
            directory,
        }
    }
}

impl Subject for EmbeddedSubject {
    type Store = Embedded;

    async fn open() -> Self {
        Self::open_in(tempfile::tempdir().unwrap())
    }

    fn store(&self) -> Arc<Embedded> {
        Arc::clone(&self.store)
    }

    fn is_shared(&self) -> bool {
        false
    }

    async fn reopen(self) -> Self {
        let Self { store, directory } = self;
        let store = Arc::into_inner(store).expect("nobody else uses the store");
        drop(store);
        Self::open_in(directory)
    }
}

conformance_suite!(embedded, EmbeddedSubject);
