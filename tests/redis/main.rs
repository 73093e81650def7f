//! The Redis store under real servers that are shared, slow, broken and gone: first alone,
//! then under whole servers that are called over gRPC.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod alone;
mod counting;
mod emptied;
mod faults;
mod gathering;
mod messages;
mod models;
mod old_redis;
mod outages;
mod people;
mod profile_quotas;
mod recent;
#[path = "../redis_servers/mod.rs"]
mod redis_servers;
mod repartition;
mod repartition_served;
mod starting;
mod store_faults;
mod tenants;
mod world;
