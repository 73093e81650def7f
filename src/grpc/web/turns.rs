//! Messages from and to JSON. Small ones where they are; while a large one is read it takes many
//! times its size, and milliseconds, so these take turns apart from the calls.

use std::{
    pin::Pin,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use crate::{api::status, grpc::transport::Taken, limits::TRANSCODED_AT_ONCE_BYTES};

/// A message that is being made.
pub type Making = Pin<Box<dyn Future<Output = Result<Bytes, Status>> + Send>>;

/// The turn of one large message; `None` when there are no turns any more.
pub async fn turn() -> Option<OwnedSemaphorePermit> {
    static TURNS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(1)));
    Arc::clone(&TURNS).acquire_owned().await.ok()
}

/// Does what makes one message of these bytes, which are on an account until then.
///
/// # Errors
/// Why it is none.
pub async fn in_turn(
    message: Bytes,
    held: Taken,
    make: impl FnOnce(Bytes) -> Result<Bytes, Status> + Send + 'static,
) -> Result<Bytes, Status> {
    if message.len() <= TRANSCODED_AT_ONCE_BYTES {
        return make(message);
    }
    let turn = turn().await;
    let made = tokio::task::spawn_blocking(move || {
        // Whoever gives up waiting does not end it.
        let _until_then = (turn, held);
        make(message)
    });
    made.await.unwrap_or_else(|_| Err(status::inconsistent()))
}
