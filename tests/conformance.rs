//! What every store promises, run against every store: each case under its own name.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod redis_servers;
mod store_conformance;

use std::{path::PathBuf, sync::Arc};

use bellwether::store::{
    embedded::Embedded,
    redis::{Redis, RedisAddress, RedisSettings},
};
use redis_servers::{RedisCluster, RedisServer};
use store_conformance::{Subject, conformance_suite};
use tokio::sync::OnceCell;

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

/// A store in one Redis server, which all cases share.
struct RedisSubject {
    store: Arc<Redis>,
}

static SERVER: OnceCell<RedisServer> = OnceCell::const_new();

impl Subject for RedisSubject {
    type Store = Redis;

    async fn open() -> Self {
        let server = SERVER.get_or_init(RedisServer::start).await;
        Self {
            store: connect(&server.url()).await,
        }
    }

    fn store(&self) -> Arc<Redis> {
        Arc::clone(&self.store)
    }

    async fn reopen(self) -> Self {
        drop(self.store);
        Self::open().await
    }
}

conformance_suite!(redis, RedisSubject);

/// A store in a Redis cluster, which all cases share.
struct RedisClusterSubject {
    store: Arc<Redis>,
}

static CLUSTER: OnceCell<RedisCluster> = OnceCell::const_new();

impl Subject for RedisClusterSubject {
    type Store = Redis;

    async fn open() -> Self {
        let cluster = CLUSTER.get_or_init(RedisCluster::start).await;
        Self {
            store: connect(&cluster.url()).await,
        }
    }

    fn store(&self) -> Arc<Redis> {
        Arc::clone(&self.store)
    }

    async fn reopen(self) -> Self {
        drop(self.store);
        Self::open().await
    }
}

conformance_suite!(redis_cluster, RedisClusterSubject);

async fn connect(url: &str) -> Arc<Redis> {
    let settings = RedisSettings {
        // A server alone would have one, and nothing to merge.
        partitions: Some(16),
        ..RedisSettings::new(RedisAddress::parse(url).unwrap())
    };
    let opened = Redis::open(&settings).await;
    Arc::new(opened.unwrap_or_else(|error| panic!("{error}")))
}

mod redis_restarts {
    //! What a restart keeps, on a server of its own that writes to its disk.

    use super::*;
    use crate::{
        redis_servers::Options,
        store_conformance::{publications, reopening},
    };

    struct Restarting {
        server: RedisServer,
        store: Arc<Redis>,
    }

    impl Subject for Restarting {
        type Store = Redis;

        async fn open() -> Self {
            let server = Options::new().append_only().start().await;
            let store = connect(&server.url()).await;
            Self { server, store }
        }

        fn store(&self) -> Arc<Redis> {
            Arc::clone(&self.store)
        }

        async fn reopen(self) -> Self {
            let Self { server, store } = self;
            drop(store);
            server.restart().await;
            let store = connect(&server.url()).await;
            Self { server, store }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn everything_is_there_after_reopening() {
        reopening::everything_is_there_after_reopening(Restarting::open().await).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_rebuilt_index_gives_the_same_pages() {
        reopening::a_rebuilt_index_gives_the_same_pages(Restarting::open().await).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_latest_model_is_there_after_reopening() {
        publications::the_latest_model_is_there_after_reopening(Restarting::open().await).await;
    }
}
