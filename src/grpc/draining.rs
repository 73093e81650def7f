//! Whether the server drains: it takes nothing more, and ends what waits for more.

use tokio::sync::watch;

/// Tells when the server drains. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Draining(watch::Receiver<bool>);

impl Draining {
    /// Of a server that sends `true` when it drains.
    pub const fn new(is_draining: watch::Receiver<bool>) -> Self {
        Self(is_draining)
    }

    /// Returns when the server drains, at once if it does already.
    pub async fn begun(&mut self) {
        // A server that is gone drains no more and no less.
        let _ = self.0.wait_for(|is_draining| *is_draining).await;
    }
}
