//! Real Redis servers for tests: one alone, a cluster of six, and a proxy that breaks what
//! passes through it. Every server has a port that the system chose and a directory of its
//! own, and ends with the test, however the test ends.
#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary that shares these servers uses a part of them"
)]

mod certificate;
mod cluster;
mod port;
mod process;
mod proxy;
mod server;

use std::{future::Future, time::Duration};

pub use certificate::Certificate;
pub use cluster::RedisCluster;
pub use proxy::{Fault, TcpProxy};
pub use server::{Options, RedisServer};

/// Between two looks at what is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// Looks before giving up: half a minute at least.
const MAX_LOOKS: usize = 3_000;

/// Waits until `look` finds something; `what` says in the panic message what never came.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    for _ in 0..MAX_LOOKS {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    panic!("waited in vain until {what}");
}
