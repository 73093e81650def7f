//! What `build.rs` generates from `proto/`, how messages are read,
//! the conversion of free-form values, and messages in files of JSON.

pub mod attributes;
pub mod codec;
pub mod json;
pub mod methods;
pub mod shape;
pub mod transcoding;

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;

/// `google.rpc`.
#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    rustdoc::broken_intra_doc_links
)]
pub mod google {
    /// `google.rpc`.
    pub mod rpc {
        tonic::include_proto!("google.rpc");
        include!(concat!(env!("OUT_DIR"), "/google.rpc.serde.rs"));
    }
}

/// `bellwether`.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod bellwether {
    /// The public API.
    pub mod v1 {
        tonic::include_proto!("bellwether.v1");
        include!(concat!(env!("OUT_DIR"), "/bellwether.v1.serde.rs"));
    }
    /// The stored record.
    pub mod record {
        /// As it is written, and as it is exported.
        pub mod v1 {
            tonic::include_proto!("bellwether.record.v1");
            include!(concat!(env!("OUT_DIR"), "/bellwether.record.v1.serde.rs"));
        }
    }
}

pub use bellwether::{record::v1 as record, v1};

/// The descriptors of the public API and of what it imports, for reflection: how a record is stored
/// is nobody else's business.
pub const PUBLIC_DESCRIPTORS: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/public_descriptors.bin"));

/// The descriptors of every file of `proto/`.
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// What they say. Empty if what the build wrote could not be read, and then no test passes.
pub static DESCRIPTOR_POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).unwrap_or_default());
