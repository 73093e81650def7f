//! Compiles `proto/` without a protoc on the machine: messages, gRPC code, the JSON
//! form and the descriptors that reflection serves.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const ROOTS: [&str; 3] = ["proto/public", "proto/stored", "proto/vendored"];
const PUBLIC: [&str; 3] = [
    "proto/public/bellwether/v1/model.proto",
    "proto/public/bellwether/v1/scoring.proto",
    "proto/public/bellwether/v1/store.proto",
];
const OTHERS: [&str; 2] = [
    "proto/stored/bellwether/record/v1/record.proto",
    "proto/vendored/google/rpc/status.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    for root in ROOTS {
        println!("cargo:rerun-if-changed={root}");
    }

    let descriptors = protox::compile(PUBLIC.iter().chain(&OTHERS), ROOTS)?;
    let encoded = descriptors.encode_to_vec();
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out_dir.join("descriptors.bin"), &encoded)?;
    let public = protox::compile(PUBLIC, ROOTS)?.encode_to_vec();
    fs::write(out_dir.join("public_descriptors.bin"), public)?;

    tonic_prost_build::configure()
        .extern_path(".google.protobuf", "::pbjson_types")
        .compile_well_known_types(true)
        .codec_path("crate::proto::codec::BoundedCodec")
        .compile_fds_with_config(descriptors, with_names())?;

    pbjson_build::Builder::new()
        .register_descriptors(&encoded)?
        .ignore_unknown_enum_variants()
        .build(&[".bellwether", ".google.rpc"])?;
    Ok(())
}

/// What is generated knows its names, by which its descriptors are found.
fn with_names() -> prost_build::Config {
    let mut config = prost_build::Config::new();
    config.enable_type_names();
    config
}
