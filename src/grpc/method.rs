//! The methods that calls are told apart by.

use crate::{admission::Class, proto::methods::METHODS};

/// What is known about a method from its path. Names are of a closed set, so that no
/// caller can make up metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// As it is logged and counted.
    pub name: &'static str,
    /// How it is let in.
    pub class: Class,
    /// Whether messages go on until one side ends it.
    pub is_stream: bool,
    /// Whether it is of the API, where every method asks for a permission.
    pub is_of_api: bool,
}

impl Method {
    /// The method at a path.
    pub fn of(path: &str) -> Self {
        let method = METHODS.get(path);
        let is_of_api = method.is_some();
        let unary = |name, class| Self {
            name,
            class,
            is_stream: false,
            is_of_api,
        };
        let stream = |name| Self {
            name,
            class: Class::Other,
            is_stream: true,
            is_of_api,
        };
        let Some(method) = method else {
            return match path {
                "/grpc.health.v1.Health/Check" => unary("grpc.health.v1.Health/Check", Class::Read),
                "/grpc.health.v1.Health/Watch" => stream("grpc.health.v1.Health/Watch"),
                path if path.starts_with("/grpc.reflection.") => stream("grpc.reflection"),
                _ => unary("unknown", Class::Other),
            };
        };
        let name = method.name.as_str();
        match (method.service.as_str(), method.is_read) {
            _ if method.is_stream => stream(name),
            (_, true) => unary(name, Class::Read),
            // Models are read one at a time, whoever sends them.
            ("ModelService", false) => unary(name, Class::Other),
            // A batch of writes waits for room, as streams do.
            (_, false) if name.starts_with("Batch") => unary(name, Class::Other),
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
            ("GetProfile", Class::Read)
        );
        assert!(Method::of("/bellwether.v1.ScoringService/ScoreEvents").is_stream);
        let score_event = Method::of("/bellwether.v1.ScoringService/ScoreEvent");
        assert_eq!(
            (score_event.name, score_event.class),
            ("ScoreEvent", Class::Write)
        );
        let apply_model = Method::of("/bellwether.v1.ModelService/ApplyModel");
        assert_eq!(
            (apply_model.name, apply_model.class),
            ("ApplyModel", Class::Other)
        );
        let batch = Method::of("/bellwether.v1.ScoringService/BatchUpdateProfiles");
        assert_eq!(
            (batch.name, batch.class),
            ("BatchUpdateProfiles", Class::Other)
        );
        assert_eq!(Method::of("/evil/metric-1").name, "unknown");
        assert_eq!(
            Method::of("/bellwether.v1.ScoringService/Nope").name,
            "unknown"
        );
    }
}
