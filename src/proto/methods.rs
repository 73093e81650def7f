//! The methods of the API, as the descriptors say: one that is added to `proto/` is known here.

use std::sync::LazyLock;

use prost_reflect::MethodDescriptor;
use prost_types::method_options::IdempotencyLevel;
use rustc_hash::FxHashMap;

use super::DESCRIPTOR_POOL;

/// The package of the API.
const PACKAGE: &str = "bellwether.v1";

/// A method of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiMethod {
    /// Its name within its service, such as `GetProfile`.
    pub name: String,
    /// The name of its service, such as `ScoringService`.
    pub service: String,
    /// Whether it answers as a stream.
    pub is_stream: bool,
    /// Whether it changes nothing.
    pub is_read: bool,
}

/// By path, such as `/bellwether.v1.ScoringService/GetProfile`.
pub static METHODS: LazyLock<FxHashMap<String, ApiMethod>> = LazyLock::new(|| {
    let services = DESCRIPTOR_POOL.services();
    let own = services.filter(|service| service.package_name() == PACKAGE);
    let methods = own.flat_map(|service| service.methods().collect::<Vec<_>>());
    methods.map(|method| with_path(&method)).collect()
});

fn with_path(method: &MethodDescriptor) -> (String, ApiMethod) {
    let service = method.parent_service();
    let descriptor = method.method_descriptor_proto();
    let options = descriptor.options.as_ref();
    let is_read = options
        .is_some_and(|options| options.idempotency_level() == IdempotencyLevel::NoSideEffects);
    let known = ApiMethod {
        name: method.name().to_owned(),
        service: service.name().to_owned(),
        is_stream: method.is_server_streaming(),
        is_read,
    };
    (format!("/{}/{}", service.full_name(), method.name()), known)
}
