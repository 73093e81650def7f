//! What is counted beside calls, in the instruments of one meter.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, Meter, MeterProvider as _, NoopMeterProvider},
};

use super::{
    DURATION_EDGES, SCOPE,
    tally::{Names, Tally},
};
use crate::limits::{MAX_NAMES, MAX_UNMATCHED_TYPES};

/// Upper edges of the histogram of how many events a round has.
const ROUND_EDGES: [f64; 11] = [
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0,
];
/// And of how often a round is done until it is written.
const ATTEMPT_EDGES: [f64; 7] = [1.0, 2.0, 3.0, 5.0, 8.0, 16.0, 32.0];

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventEnd {
    /// It counted.
    Applied,
    /// It had counted before.
    Duplicate,
    /// It cannot be told whether it had.
    TooOld,
    /// A quarantine rule holds it.
    Quarantined,
    /// Its caller was answered with an error.
    Failed,
}

impl EventEnd {
    const NAMES: [&str; 5] = ["applied", "duplicate", "too_old", "quarantined", "failed"];
}

/// What calls, or what is asked by them, were turned away for: there was too much to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// Calls wait too long, or too many are in work.
    Overload,
    /// The tenant has had its share, and others wait for theirs.
    Share,
    /// The streams that are open.
    Streams,
    /// Bytes of messages that have not arrived whole.
    RequestMemory,
    /// Bytes of answers.
    AnswerMemory,
    /// Single calls that write.
    Events,
    /// Batches of updates.
    Batches,
    /// Questions with a condition.
    Conditions,
    /// Models that wait to be read.
    Models,
    /// Backups.
    Backups,
    /// What a tenant may ask for in a second.
    Quota,
}

impl Shed {
    const NAMES: [&str; 11] = [
        "overload",
        "share",
        "streams",
        "request_memory",
        "answer_memory",
        "events",
        "batches",
        "conditions",
        "models",
        "backups",
        "quota",
    ];
}

/// How many calls were turned away for one reason.
#[derive(Clone, Debug, Default)]
pub struct ShedCount(Arc<AtomicU64>);

impl ShedCount {
    /// One more was.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts what the service and the deployment of models do. Cheap to clone; all clones count
/// together.
#[derive(Clone, Debug)]
pub struct Counters(Arc<Instruments>);

#[derive(Debug)]
struct Instruments {
    events: Arc<Tally<{ EventEnd::NAMES.len() }>>,
    signals: Arc<Tally<1>>,
    stage_changes: Counter<u64>,
    stages: Names,
    rule_errors: Counter<u64>,
    quarantined: Counter<u64>,
    rules: Names,
    released: Counter<u64>,
    dropped: Counter<u64>,
    unmatched: Counter<u64>,
    unmatched_types: Names,
    unsettled: Counter<u64>,
    round_events: Histogram<u64>,
    round_wait: Histogram<f64>,
    attempts: Histogram<u64>,
    conflicts: Counter<u64>,
    indexed: Counter<u64>,
    refused_models: Counter<u64>,
    refused_files: Counter<u64>,
    shed: [ShedCount; Shed::NAMES.len()],
}

impl Counters {
    /// Counters of their own, which this meter reports.
    pub fn new(meter: &Meter) -> Self {
        let counter = |name: &'static str, unit: &'static str, description: &'static str| {
            let counter = meter.u64_counter(name).with_unit(unit);
            counter.with_description(description).build()
        };
        let sizes = |name: &'static str, unit, description, edges: &[f64]| {
            let histogram = meter.u64_histogram(name).with_unit(unit);
            let histogram = histogram.with_description(description);
            histogram.with_boundaries(edges.to_vec()).build()
        };
        let round_wait = meter
            .f64_histogram("bellwether.round.wait")
            .with_unit("s")
            .with_description("How long the first event or update of a round waited for its turn")
            .with_boundaries(DURATION_EDGES.to_vec());
        let instruments = Instruments {
            events: events(meter),
            signals: signals(meter),
            stage_changes: counter(
                "bellwether.stage.changes",
                "{change}",
                "Changes of stage that events brought",
            ),
            stages: Names::new(MAX_NAMES),
            rule_errors: counter(
                "bellwether.rule.errors",
                "{error}",
                "Conditions and values of the model that failed on an event",
            ),
            quarantined: counter(
                "bellwether.events.quarantined",
                "{event}",
                "Events that a quarantine rule of the model holds",
            ),
            rules: Names::new(MAX_NAMES),
            released: counter(
                "bellwether.events.released",
                "{event}",
                "Events in quarantine that were released, and count",
            ),
            dropped: counter(
                "bellwether.events.dropped",
                "{event}",
                "Events in quarantine that were dropped for good",
            ),
            unmatched: counter(
                "bellwether.events.unmatched",
                "{event}",
                "Events whose type the model names nowhere",
            ),
            unmatched_types: Names::new(MAX_UNMATCHED_TYPES),
            unsettled: counter(
                "bellwether.effects.unsettled",
                "{effect}",
                "Effects of repeated events that may be missing or not, each time they are asked for",
            ),
            round_events: sizes(
                "bellwether.round.events",
                "{event}",
                "Events and updates that are taken up together",
                &ROUND_EDGES,
            ),
            round_wait: round_wait.build(),
            attempts: sizes(
                "bellwether.commit.attempts",
                "{attempt}",
                "How often work was done until it was written",
                &ATTEMPT_EDGES,
            ),
            conflicts: counter(
                "bellwether.commit.conflicts",
                "{commit}",
                "Commits that another writer was faster than",
            ),
            indexed: counter(
                "bellwether.ranks.indexed",
                "{record}",
                "Records whose ranks were built for a model",
            ),
            refused_models: counter(
                "bellwether.models.refused",
                "{model}",
                "Model files that were refused while the server ran",
            ),
            refused_files: counter(
                "bellwether.files.refused",
                "{refusal}",
                "Files of keys or certificates that could not be used while the server ran",
            ),
            shed: shed(meter),
        };
        for files in ["keys", "tls"] {
            let files = KeyValue::new("files", files);
            instruments.refused_files.add(0, &[files]);
        }
        // Whoever watches how they grow sees the first time, too.
        for counter in [
            &instruments.released,
            &instruments.dropped,
            &instruments.unsettled,
            &instruments.conflicts,
            &instruments.indexed,
            &instruments.refused_models,
        ] {
            counter.add(0, &[]);
        }
        Self(Arc::new(instruments))
    }

    /// Nothing is reported.
    pub fn disabled() -> Self {
        Self::new(&NoopMeterProvider::new().meter(SCOPE))
    }

    /// Something became of events. Their type is told when the model names it; so a caller makes
    /// none up.
    pub fn events(&self, end: EventEnd, named_type: Option<&str>, events: usize) {
        self.0.events.count(named_type, end as usize, events as u64);
    }

    /// An event that counts matched a signal.
    pub fn matched(&self, signal: &str) {
        self.0.signals.count(Some(signal), 0, 1);
    }

    /// An event moved a person along the path to purchase; `None` is below its first stage.
    pub fn stage_changed(&self, from: Option<&str>, to: Option<&str>) {
        let name = |stage: Option<&str>| match stage {
            Some(stage) => self.0.stages.bounded(stage).to_owned(),
            None => "none".to_owned(),
        };
        let attributes = [
            KeyValue::new("from", name(from)),
            KeyValue::new("to", name(to)),
        ];
        self.0.stage_changes.add(1, &attributes);
    }

    /// A condition or value of a rule of the model failed on an event.
    pub fn rule_error(&self, rule: &str) {
        self.0.rule_errors.add(1, &[self.rule(rule)]);
    }

    /// A quarantine rule holds an event.
    pub fn quarantined(&self, rule: &str) {
        self.0.quarantined.add(1, &[self.rule(rule)]);
    }

    fn rule(&self, rule: &str) -> KeyValue {
        KeyValue::new("rule", self.0.rules.bounded(rule).to_owned())
    }

    /// Held events were released.
    pub fn released(&self, events: usize) {
        add(&self.0.released, events);
    }

    /// Held events were dropped for good, because one profile has too many.
    pub fn dropped(&self, events: usize) {
        add(&self.0.dropped, events);
    }

    /// The model names the type of an event nowhere. The first [`MAX_UNMATCHED_TYPES`] are
    /// counted by name.
    pub fn unmatched(&self, event_type: &str) {
        let name = self.0.unmatched_types.bounded(event_type).to_owned();
        self.0.unmatched.add(1, &[KeyValue::new("type", name)]);
    }

    /// Of effects of events that had come before it cannot be told whether their subjects or
    /// author has lost them.
    pub fn unsettled(&self, effects: usize) {
        add(&self.0.unsettled, effects);
    }

    /// So many events and updates are taken up together, and the first has waited so long.
    pub fn round(&self, events: usize, waited: Duration) {
        self.0.round_events.record(events as u64, &[]);
        self.0.round_wait.record(waited.as_secs_f64(), &[]);
    }

    /// Work was done so often until it was written, or given up.
    pub fn attempts(&self, attempts: usize) {
        self.0.attempts.record(attempts as u64, &[]);
    }

    /// Another writer was faster than commits.
    pub fn conflicts(&self, commits: usize) {
        add(&self.0.conflicts, commits);
    }

    /// The ranks of records were built for a model.
    pub fn indexed(&self, records: usize) {
        add(&self.0.indexed, records);
    }

    /// A call was turned away.
    pub fn shed(&self, reason: Shed) {
        self.0.shed[reason as usize].add();
    }

    /// Counts calls that are turned away for one reason.
    pub fn shed_by(&self, reason: Shed) -> ShedCount {
        self.0.shed[reason as usize].clone()
    }

    /// Files of this kind could not be used while the server ran.
    pub fn refused_file(&self, files: &'static str) {
        self.0
            .refused_files
            .add(1, &[KeyValue::new("files", files)]);
    }

    /// A model file was refused while the server ran.
    pub fn refused_model(&self) {
        add(&self.0.refused_models, 1);
    }
}

fn add(counter: &Counter<u64>, times: usize) {
    if times > 0 {
        counter.add(times as u64, &[]);
    }
}

fn events(meter: &Meter) -> Arc<Tally<{ EventEnd::NAMES.len() }>> {
    let tally = Arc::new(Tally::new(MAX_NAMES));
    let told = Arc::clone(&tally);
    let _events = meter
        .u64_observable_counter("bellwether.events")
        .with_unit("{event}")
        .with_description("Events by what became of them, and by their type")
        .with_callback(move |observer| {
            told.each(|name, column, count| {
                let outcome = KeyValue::new("outcome", EventEnd::NAMES[column]);
                let event_type = KeyValue::new("type", name.to_owned());
                observer.observe(count, &[outcome, event_type]);
            });
        })
        .build();
    tally
}

fn signals(meter: &Meter) -> Arc<Tally<1>> {
    let tally = Arc::new(Tally::new(MAX_NAMES));
    let told = Arc::clone(&tally);
    let _signals = meter
        .u64_observable_counter("bellwether.signals.matched")
        .with_unit("{match}")
        .with_description("Matches of signals by events that count")
        .with_callback(move |observer| {
            told.each(|name, _, count| {
                observer.observe(count, &[KeyValue::new("signal", name.to_owned())]);
            });
        })
        .build();
    tally
}

fn shed(meter: &Meter) -> [ShedCount; Shed::NAMES.len()] {
    let counts = Shed::NAMES.map(|_| ShedCount::default());
    let told = counts.clone();
    let _shed = meter
        .u64_observable_counter("bellwether.calls.shed")
        .with_unit("{call}")
        .with_description("Calls that were turned away because there was too much to do")
        .with_callback(move |observer| {
            for (reason, count) in Shed::NAMES.iter().zip(&told) {
                let count = count.0.load(Ordering::Relaxed);
                observer.observe(count, &[KeyValue::new("reason", *reason)]);
            }
        })
        .build();
    counts
}
