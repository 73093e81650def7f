//! What is counted beside calls, in the instruments of one meter.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Meter, MeterProvider as _, NoopMeterProvider},
};

use super::SCOPE;
use crate::limits::MAX_UNMATCHED_TYPES;

/// Counts what the service and the deployment of models do. Cheap to clone; all clones count
/// together.
#[derive(Clone, Debug)]
pub struct Counters(Arc<Instruments>);

#[derive(Debug)]
struct Instruments {
    rule_errors: Counter<u64>,
    quarantined: Counter<u64>,
    unmatched: Counter<u64>,
    /// The types that are counted by name.
    unmatched_types: Mutex<BTreeSet<String>>,
    dropped: Counter<u64>,
    unsettled: Counter<u64>,
    indexed: Counter<u64>,
    refused_models: Counter<u64>,
}

impl Counters {
    /// Counters of their own, which this meter reports.
    pub fn new(meter: &Meter) -> Self {
        let counter = |name: &'static str, description: &'static str| {
            let counter = meter.u64_counter(name);
            counter.with_description(description).build()
        };
        Self(Arc::new(Instruments {
            rule_errors: counter(
                "bellwether.rule.errors",
                "Conditions and values of the model that failed on an event",
            ),
            quarantined: counter(
                "bellwether.events.quarantined",
                "Events that a quarantine rule of the model holds",
            ),
            unmatched: counter(
                "bellwether.events.unmatched",
                "Events whose type the model names nowhere",
            ),
            unmatched_types: Mutex::default(),
            dropped: counter(
                "bellwether.events.dropped",
                "Events in quarantine that were dropped for good",
            ),
            unsettled: counter(
                "bellwether.effects.unsettled",
                "Effects of repeated events that may be missing or not, each time they are asked for",
            ),
            indexed: counter(
                "bellwether.ranks.indexed",
                "Records whose ranks were built for a model",
            ),
            refused_models: counter(
                "bellwether.models.refused",
                "Model files that were refused while the server ran",
            ),
        }))
    }

    /// Nothing is reported.
    pub fn disabled() -> Self {
        Self::new(&NoopMeterProvider::new().meter(SCOPE))
    }

    /// A condition or value of a rule of the model failed on an event.
    pub fn rule_error(&self, rule: &str) {
        let rule = KeyValue::new("rule", rule.to_owned());
        self.0.rule_errors.add(1, &[rule]);
    }

    /// A quarantine rule holds an event.
    pub fn quarantined(&self, rule: &str) {
        let rule = KeyValue::new("rule", rule.to_owned());
        self.0.quarantined.add(1, &[rule]);
    }

    /// The model names the type of an event nowhere. The first [`MAX_UNMATCHED_TYPES`] are
    /// counted by name, the rest as `other`.
    pub fn unmatched(&self, event_type: &str) {
        let types = self.0.unmatched_types.lock();
        let mut types = types.unwrap_or_else(PoisonError::into_inner);
        let name = bounded_name(&mut types, event_type).to_owned();
        drop(types);
        self.0.unmatched.add(1, &[KeyValue::new("type", name)]);
    }

    /// Held events were dropped for good, because one profile has too many.
    pub fn dropped(&self, events: usize) {
        add(&self.0.dropped, events);
    }

    /// Of effects of events that had come before it cannot be told whether their subjects or
    /// author has lost them.
    pub fn unsettled(&self, effects: usize) {
        add(&self.0.unsettled, effects);
    }

    /// The ranks of records were built for a model.
    pub fn indexed(&self, records: usize) {
        add(&self.0.indexed, records);
    }

    /// A model file was refused while the server ran.
    pub fn refused_model(&self) {
        add(&self.0.refused_models, 1);
    }
}

/// What has not happened yet is not reported as 0.
fn add(counter: &Counter<u64>, times: usize) {
    if times > 0 {
        counter.add(times as u64, &[]);
    }
}

/// The name, while no more than [`MAX_UNMATCHED_TYPES`] are known.
fn bounded_name<'a>(known: &mut BTreeSet<String>, name: &'a str) -> &'a str {
    if known.contains(name) {
        return name;
    }
    if known.len() >= MAX_UNMATCHED_TYPES {
        return "other";
    }
    known.insert(name.to_owned());
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_bound_are_counted_as_other() {
        let mut known = BTreeSet::new();
        for number in 0..MAX_UNMATCHED_TYPES {
            let name = number.to_string();
            assert_eq!(bounded_name(&mut known, &name), name);
        }
        assert_eq!(bounded_name(&mut known, "one more"), "other");
        assert_eq!(bounded_name(&mut known, "7"), "7");
    }
}
