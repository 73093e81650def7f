//! The methods that calls are told apart by.

use crate::{admission::Class, proto::methods::METHODS};

/// What the conventions of OpenTelemetry call a method that nobody knows.
const OTHER: &str = "_OTHER";

/// What is known about a method from its path. Names are of a closed set, so that no
/// caller can make up metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// Its full name, as it is logged and counted: the path without its first slash.
    pub name: &'static str,
    /// How it is let in.
    pub class: Class,
    /// Whether messages go on until one side ends it.
    pub is_stream: bool,
    /// What permissions call it; `None` for one that is not of the API.
    pub call: Option<&'static str>,
}

impl Method {
    /// The method at a path.
    pub fn of(path: &str) -> Self {
        let known = METHODS.get_key_value(path);
        let call = known.map(|(_, method)| method.name.as_str());
        let unary = |name, class| Self {
            name,
            class,
            is_stream: false,
            call,
        };
        let stream = |name| Self {
            name,
            class: Class::Other,
            is_stream: true,
            call,
        };
        let Some((name, method)) = known else {
            return match path {
                "/grpc.health.v1.Health/Check" => unary("grpc.health.v1.Health/Check", Class::Read),
                "/grpc.health.v1.Health/Watch" => stream("grpc.health.v1.Health/Watch"),
                "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo" => {
                    stream("grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
                }
                "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo" => {
                    stream("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
                }
                _ => unary(OTHER, Class::Other),
            };
        };
        let name = &name[1..];
        match (method.service.as_str(), method.is_read) {
            _ if method.is_stream => stream(name),
            (_, true) => unary(name, Class::Read),
            // Models are read one at a time, whoever sends them.
            ("ModelService", false) => unary(name, Class::Other),
            // A batch of writes waits for room, as streams do.
            (_, false) if method.name.starts_with("Batch") => unary(name, Class::Other),
            (_, false) => unary(name, Class::Write),
        }
    }

    /// Whether it asks for the health of the server.
    pub fn is_health(self) -> bool {
        self.name.starts_with("grpc.health.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_of_a_closed_set() {
        let get_profile = Method::of("/bellwether.v1.ScoringService/GetProfile");
        assert_eq!(
            (get_profile.name, get_profile.class),
            ("bellwether.v1.ScoringService/GetProfile", Class::Read)
        );
        assert!(Method::of("/bellwether.v1.ScoringService/ScoreEvents").is_stream);
        let score_event = Method::of("/bellwether.v1.ScoringService/ScoreEvent");
        assert_eq!(
            (score_event.name, score_event.class),
            ("bellwether.v1.ScoringService/ScoreEvent", Class::Write)
        );
        let apply_model = Method::of("/bellwether.v1.ModelService/ApplyModel");
        assert_eq!(
            (apply_model.name, apply_model.class),
            ("bellwether.v1.ModelService/ApplyModel", Class::Other)
        );
        let batch = Method::of("/bellwether.v1.ScoringService/BatchUpdateProfiles");
        assert_eq!(
            (batch.name, batch.class),
            (
                "bellwether.v1.ScoringService/BatchUpdateProfiles",
                Class::Other
            )
        );
        for made_up in [
            "/evil/metric-1",
            "/bellwether.v1.ScoringService/Nope",
            "/grpc.reflection.v1.ServerReflection/Nope",
            "",
        ] {
            assert_eq!(Method::of(made_up).name, "_OTHER");
        }
    }
}
