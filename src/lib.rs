//! Bellwether: social and lead scoring over gRPC.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

pub mod cli;
pub mod config;
pub mod grpc;
pub mod limits;
pub mod proto;
pub mod scoring;
pub mod server;
pub mod service;
pub mod store;
pub mod telemetry;
