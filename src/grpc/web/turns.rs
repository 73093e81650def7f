//! Messages from and to JSON. Small ones where they are; while a large one is read it takes many
//! times its size, and milliseconds, so these take turns apart from the calls: one at a time, and
//! connections one after the other, so that nobody waits for more than one message of each other one.

use std::{
    pin::Pin,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use tonic::Status;

use crate::{
    admission::{Reserved, Room},
    api::status,
    grpc::transport::{Connection, ConnectionId, Taken},
    limits::TRANSCODED_AT_ONCE_BYTES,
};

/// A message that is being made.
pub type Making = Pin<Box<dyn Future<Output = Result<Bytes, Status>> + Send>>;

/// Waits for the turn of a connection for one large message, which lasts until it is dropped.
pub async fn turn(connection: &Connection) -> Option<Reserved<ConnectionId>> {
    static ROOM: LazyLock<Arc<Room<ConnectionId>>> = LazyLock::new(|| Room::new(|_| 1));
    ROOM.take(connection.id(), 1).await
}

/// Does what makes one message of these bytes, which are on an account until then.
///
/// # Errors
/// Why it is none.
pub async fn in_turn(
    connection: Connection,
    message: Bytes,
    held: Taken,
    make: impl FnOnce(Bytes) -> Result<Bytes, Status> + Send + 'static,
) -> Result<Bytes, Status> {
    if message.len() <= TRANSCODED_AT_ONCE_BYTES {
        return make(message);
    }
    let turn = turn(&connection).await;
    let made = tokio::task::spawn_blocking(move || {
        // Whoever gives up waiting does not end it.
        let _until_then = (turn, held);
        make(message)
    });
    made.await.unwrap_or_else(|_| Err(status::inconsistent()))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::{future::join_all, poll};
    use http::Extensions;

    use super::*;
    use crate::grpc::web::tests::guard;

    #[tokio::test]
    async fn who_sends_many_large_messages_holds_others_up_for_one_of_them() {
        let (guard, _) = guard();
        let [loud, quiet] = [(); 2].map(|()| guard.connection(&Extensions::new()));
        let order = Mutex::new(Vec::new());
        let first = turn(&loud).await;
        let mut waiting = Vec::new();
        for (name, connection) in [
            ("loud", &loud),
            ("loud", &loud),
            ("gone", &loud),
            ("loud", &loud),
            ("quiet", &quiet),
            ("quiet", &quiet),
        ] {
            let order = &order;
            let mut turn = Box::pin(async move {
                let turn = turn(connection).await;
                order.lock().unwrap().push(name);
                drop(turn);
            });
            assert!(poll!(&mut turn).is_pending());
            // Who has gone away while waiting keeps no turn.
            if name != "gone" {
                waiting.push(turn);
            }
        }
        drop(first);
        join_all(waiting).await;
        let order = order.into_inner().unwrap();
        assert_eq!(order, ["loud", "quiet", "loud", "quiet", "loud"]);
    }
}
