//! What stands between sockets and calls: which connections are kept and for how long, and how
//! much is held of what callers send and do not read.

mod accept;
mod answer;
mod arriving;
mod budget;
mod connection;
pub mod descriptors;
mod exchange;
mod guard;
mod inflating;
mod prefix;
mod requests;
mod socket;
mod tls;
mod unframed;

pub use accept::{TransportSettings, serve};
pub use answer::{Reserved, Sending};
pub use budget::{Budgets, Taken};
pub use connection::{Connection, ConnectionId};
pub use guard::{Guard, reserve};
pub use prefix::{PREFIX_BYTES, first_whole, next_message, put_message};
pub use requests::Calls;
pub use tls::{Tls, TlsError, certificates, private_key};
