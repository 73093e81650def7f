//! Bellwether: social and lead scoring over gRPC.
//!
//! In reading order, each room naming only those before it:
//!
//! ```text
//!                   scoring    pure: what an event does to a record, and what a record means
//!                      ▲
//!   limits   clock   stretch   proto     bounds of the shell, its clock; what build.rs generates
//!                      ▲
//!                    store     records, ranks and models, embedded or in Redis; interprets nothing
//!                      ▲
//!           config   telemetry   measured   admission    settings; what is seen; who may enter
//!           access   followed    who may call, and what they see; files that change
//!                      ▲
//!                    admin     probes and metrics over HTTP, beside the calls
//!                      ▲
//!                   rollout    which model answers a tenant
//!                      ▲
//!                   service    load, apply, commit; stamps arrivals
//!                      ▲
//!                     api      what the messages mean, and the one map from errors to statuses
//!                      ▲
//!   request ──────►  grpc      connections, deadlines, handlers
//!                      ▲
//!                   server     all of it in one process
//!                      ▲
//!                     cli      the commands, most of them clients of a running server
//! ```
//!
//! ARCHITECTURE.md tells the rest; `tests/architecture` holds the arrows.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

pub mod access;
pub mod admin;
pub mod admission;
pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
mod followed;
pub mod grpc;
pub mod limits;
pub mod measured;
pub mod proto;
pub mod rollout;
pub mod scoring;
pub mod server;
pub mod service;
pub mod store;
mod stretch;
pub mod telemetry;
