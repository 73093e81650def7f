//! The two stores that every property is tested on.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bellwether::{
    scoring::Tenant,
    store::{
        Store,
        embedded::Embedded,
        redis::{Redis, RedisAddress, RedisSettings},
    },
};
use tokio::sync::OnceCell;

use crate::redis_servers::RedisServer;

/// Where a story is kept, for as long as it is told.
pub trait Home: Sized {
    type Store: Store;

    /// A place that nobody else uses.
    async fn new() -> Self;

    /// The store of it, empty at first; then with what was written before.
    async fn open(&self) -> Self::Store;

    /// The tenant of it, nobody else's in this store.
    fn tenant(&self) -> Tenant;
}

/// The embedded store, in a directory of its own.
pub struct OnDisk(tempfile::TempDir);

impl Home for OnDisk {
    type Store = Embedded;

    async fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn open(&self) -> Embedded {
        let path: PathBuf = self.0.path().join("store");
        Embedded::open(&path).unwrap()
    }

    fn tenant(&self) -> Tenant {
        Tenant::new("").unwrap()
    }
}

/// One Redis server for the whole binary; it ends with the process.
static SERVER: OnceCell<RedisServer> = OnceCell::const_new();

/// A tenant of its own in the Redis server that all tests share.
pub struct InRedis(Tenant);

impl Home for InRedis {
    type Store = Redis;

    async fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(Tenant::new(&format!("story-{number}")).unwrap())
    }

    async fn open(&self) -> Redis {
        let server = SERVER.get_or_init(RedisServer::start).await;
        let settings = RedisSettings {
            address: RedisAddress::parse(&server.url()).unwrap(),
            certificate_authorities: None,
            partitions: 4,
            wait_replicas: 0,
            response_timeout: PATIENCE,
            connection_timeout: PATIENCE,
        };
        Redis::open(&settings).await.unwrap()
    }

    fn tenant(&self) -> Tenant {
        self.0.clone()
    }
}

/// How long Redis may take to answer on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(30);
