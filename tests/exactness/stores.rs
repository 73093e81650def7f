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

    /// What every service here is known by; a name that none had before when there is none.
    const SERVER: Option<u64> = None;

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

/// A tenant of its own in the Redis server that most tests share.
pub struct InRedis(Tenant);

/// A tenant of its own in a Redis server where nobody waits for the services of other tests,
/// nor for the one before: until all that were heard of follow a change of the model.
pub struct InQuietRedis(Tenant);

/// Servers of the whole binary; they end with the process.
static SHARED: OnceCell<RedisServer> = OnceCell::const_new();
static QUIET: OnceCell<RedisServer> = OnceCell::const_new();

impl Home for InRedis {
    type Store = Redis;

    async fn new() -> Self {
        Self(new_tenant())
    }

    async fn open(&self) -> Redis {
        open_redis(&SHARED).await
    }

    fn tenant(&self) -> Tenant {
        self.0.clone()
    }
}

impl Home for InQuietRedis {
    type Store = Redis;

    const SERVER: Option<u64> = Some(1);

    async fn new() -> Self {
        Self(new_tenant())
    }

    async fn open(&self) -> Redis {
        open_redis(&QUIET).await
    }

    fn tenant(&self) -> Tenant {
        self.0.clone()
    }
}

fn new_tenant() -> Tenant {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Tenant::new(&format!("story-{number}")).unwrap()
}

async fn open_redis(server: &OnceCell<RedisServer>) -> Redis {
    let server = server.get_or_init(RedisServer::start).await;
    let settings = RedisSettings {
        address: RedisAddress::parse(&server.url()).unwrap(),
        certificate_authorities: None,
        partitions: None,
        wait_replicas: 0,
        response_timeout: PATIENCE,
        connection_timeout: PATIENCE,
    };
    Redis::open(&settings).await.unwrap()
}

/// How long Redis may take to answer on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(30);
