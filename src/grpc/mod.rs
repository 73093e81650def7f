//! The gRPC face: messages in, calls of the service, messages out. Nothing here knows a store;
//! what a message means is said in `api`.

pub mod authentication;
pub mod caller;
pub mod calls;
pub mod deadline;
pub mod draining;
pub mod event_stream;
pub mod handlers;
pub mod health;
mod key_sets;
mod long_call;
mod method;
pub mod model_handlers;
mod quotas;
pub mod server;
mod store_handlers;
pub mod transport;
mod unknown_names;
pub mod unread;
pub mod web;
