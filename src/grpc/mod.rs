//! The gRPC face: messages in, calls of the service, messages out. Nothing here knows a
//! store, and no message of the wire leaves this room.

pub mod caller;
pub mod calls;
pub mod convert;
pub mod deadline;
pub mod draining;
pub mod event_stream;
pub mod handlers;
pub mod model_handlers;
pub mod page_token;
pub mod server;
pub mod status;
mod status_size;
pub mod transport;
pub mod unread;
