//! What is at this moment, read when somebody asks for it.

use std::{sync::Arc, time::Duration};

use opentelemetry::{
    KeyValue,
    metrics::{Histogram, Meter, MeterProvider as _},
};

use super::{SCOPE, Telemetry};
use crate::store::{Observer, Traffic};

/// Upper edges of the histogram of durations of a store, in seconds: what is in memory takes
/// microseconds, a call to Redis ends after its timeout.
const STORE_EDGES: [f64; 13] = [
    0.000_01, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 1.0,
    10.0,
];

/// Upper edges of the histogram of how many items a message or batch has.
const ITEM_EDGES: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];

/// What callers hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct TransportLoad {
    /// Connections that are open.
    pub connections: usize,
    /// Streams that are open.
    pub streams: usize,
    /// Bytes of messages that have not arrived whole.
    pub request_bytes: usize,
    /// Bytes of answers that are being made or not read.
    pub answer_bytes: usize,
    /// Bytes of answers of `ScoreEvents` that wait to be taken.
    pub unread_bytes: usize,
}

/// What the service is at.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServiceLoad {
    /// Calls in work that ask.
    pub reads: usize,
    /// Calls in work that change one profile.
    pub writes: usize,
    /// Other calls in work, such as batches; a stream is none once it has begun.
    pub other_calls: usize,
    /// Single calls that write, in work.
    pub single_events: usize,
    /// Events of streams and updates of batches in work.
    pub streamed_events: usize,
    /// Those that wait for room.
    pub waiting_events: usize,
    /// Tenants whose models are remembered.
    pub tenants: usize,
    /// Of these, those that are on their way to another model or number of partitions.
    pub tenants_changing: usize,
}

impl Telemetry {
    fn meter(&self) -> Option<Meter> {
        let scraped = self.scraped.as_ref();
        scraped.map(|scraped| scraped.provider.meter(SCOPE))
    }

    /// Has what callers hold told.
    pub fn observe_transport(&self, load: impl Fn() -> TransportLoad + Send + Sync + 'static) {
        let Some(meter) = self.meter() else {
            return;
        };
        let load = Arc::new(load);
        let tell = |name, unit, description, value: fn(TransportLoad) -> usize| {
            let load = Arc::clone(&load);
            level(&meter, name, unit, description, move |tell| {
                tell(value(load()), &[]);
            });
        };
        tell(
            "bellwether.connections",
            "{connection}",
            "Connections that are open",
            |load| load.connections,
        );
        tell(
            "bellwether.streams",
            "{stream}",
            "Streams that are open",
            |load| load.streams,
        );
        tell(
            "bellwether.request.memory",
            "By",
            "Messages that have not arrived whole",
            |load| load.request_bytes,
        );
        tell(
            "bellwether.answer.memory",
            "By",
            "Answers that are being made or not read",
            |load| load.answer_bytes,
        );
        tell(
            "bellwether.unread.memory",
            "By",
            "Answers of ScoreEvents that wait to be taken",
            |load| load.unread_bytes,
        );
    }

    /// Has what the service is at told; `None` when it has ended.
    pub fn observe_service(&self, load: impl Fn() -> Option<ServiceLoad> + Send + Sync + 'static) {
        let Some(meter) = self.meter() else {
            return;
        };
        let load = Arc::new(load);
        let in_work = Arc::clone(&load);
        level(
            &meter,
            "bellwether.calls.in_work",
            "{call}",
            "Calls in work",
            move |tell| {
                if let Some(load) = in_work() {
                    tell(load.reads, &[KeyValue::new("class", "read")]);
                    tell(load.writes, &[KeyValue::new("class", "write")]);
                    tell(load.other_calls, &[KeyValue::new("class", "other")]);
                }
            },
        );
        let in_work = Arc::clone(&load);
        level(
            &meter,
            "bellwether.events.in_work",
            "{event}",
            "Events and updates in work",
            move |tell| {
                if let Some(load) = in_work() {
                    tell(load.single_events, &[KeyValue::new("class", "single")]);
                    tell(load.streamed_events, &[KeyValue::new("class", "streamed")]);
                }
            },
        );
        let tell = |name, unit, description, value: fn(ServiceLoad) -> usize| {
            let load = Arc::clone(&load);
            level(&meter, name, unit, description, move |tell| {
                if let Some(load) = load() {
                    tell(value(load), &[]);
                }
            });
        };
        tell(
            "bellwether.events.waiting",
            "{event}",
            "Events of streams and updates of batches that wait for room",
            |load| load.waiting_events,
        );
        tell(
            "bellwether.tenants",
            "{tenant}",
            "Tenants that were asked for lately",
            |load| load.tenants,
        );
        tell(
            "bellwether.tenants.changing",
            "{tenant}",
            "Tenants on their way to another model or number of partitions",
            |load| load.tenants_changing,
        );
    }

    /// Has told what a store is asked, and how long its operations take.
    pub fn observe_store(
        &self,
        system: &'static str,
        traffic: impl Fn() -> Vec<Traffic> + Send + Sync + 'static,
    ) -> StoreTimes {
        let Some(meter) = self.meter() else {
            return StoreTimes {
                system,
                duration: None,
                items: None,
            };
        };
        let traffic = Arc::new(traffic);
        let total = |name: &'static str, unit, description, value: fn(Traffic) -> u64| {
            let traffic = Arc::clone(&traffic);
            let _total = meter
                .u64_observable_counter(name)
                .with_unit(unit)
                .with_description(description)
                .with_callback(move |observer| {
                    for traffic in traffic() {
                        observer.observe(value(traffic), &[operation(traffic.operation)]);
                    }
                })
                .build();
        };
        total(
            "bellwether.store.messages",
            "{message}",
            "Messages to Redis, or batches of the embedded store",
            |traffic| traffic.messages,
        );
        total(
            "bellwether.store.items",
            "{item}",
            "Records that these read, or commits that they wrote",
            |traffic| traffic.items,
        );
        let now = |name, unit, description, value: fn(Traffic) -> usize| {
            let traffic = Arc::clone(&traffic);
            level(&meter, name, unit, description, move |tell| {
                for traffic in traffic() {
                    tell(value(traffic), &[operation(traffic.operation)]);
                }
            });
        };
        now(
            "bellwether.store.in_flight",
            "{message}",
            "Messages or batches that are not answered",
            |traffic| traffic.in_flight,
        );
        now(
            "bellwether.store.waiting",
            "{request}",
            "Requests that wait to travel in a message or batch",
            |traffic| traffic.waiting,
        );
        let duration = meter
            .f64_histogram("db.client.operation.duration")
            .with_unit("s")
            .with_description("Duration of operations of the store")
            .with_boundaries(STORE_EDGES.to_vec());
        let items = meter
            .u64_histogram("bellwether.store.message.items")
            .with_unit("{item}")
            .with_description(
                "Records or commits in one message to Redis, or batch of the embedded store",
            )
            .with_boundaries(ITEM_EDGES.to_vec());
        StoreTimes {
            system,
            duration: Some(duration.build()),
            items: Some(items.build()),
        }
    }
}

fn operation(name: &'static str) -> KeyValue {
    KeyValue::new("operation", name)
}

/// A level that goes up and down, and adds up over servers.
fn level(
    meter: &Meter,
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    tell: impl Fn(&dyn Fn(usize, &[KeyValue])) + Send + Sync + 'static,
) {
    let _level = meter
        .i64_observable_up_down_counter(name)
        .with_unit(unit)
        .with_description(description)
        .with_callback(move |observer| {
            tell(&|value, attributes| {
                observer.observe(i64::try_from(value).unwrap_or(i64::MAX), attributes);
            });
        })
        .build();
}

/// Takes down how long operations of a store take.
#[derive(Clone, Debug)]
pub struct StoreTimes {
    system: &'static str,
    duration: Option<Histogram<f64>>,
    items: Option<Histogram<u64>>,
}

impl StoreTimes {
    /// What the store is, as `db.system.name`.
    pub const fn system(&self) -> &'static str {
        self.system
    }

    /// Takes down how many items messages have; `None` where nobody asks.
    pub fn items(&self) -> Option<Observer> {
        let histogram = self.items.clone()?;
        Some(Arc::new(move |name, items| {
            histogram.record(items as u64, &[operation(name)]);
        }))
    }

    /// An operation has ended, with what kind of error if it has failed.
    pub fn ended(&self, operation: &'static str, taken: Duration, error: Option<&'static str>) {
        let Some(duration) = &self.duration else {
            return;
        };
        let attributes = [
            KeyValue::new("db.system.name", self.system),
            KeyValue::new("db.operation.name", operation),
            KeyValue::new("error.type", error.unwrap_or_default()),
        ];
        let attributes = &attributes[..if error.is_some() { 3 } else { 2 }];
        duration.record(taken.as_secs_f64(), attributes);
    }
}
