//! What the service counts of what it does, read from a meter of the test.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use bellwether::{
    rollout::Models,
    scoring::{Attributes, Event},
    service::Service,
    store::embedded::Embedded,
    telemetry::Counters,
};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, InstrumentBuilder, InstrumentProvider, Meter, SyncInstrument},
};

use super::{
    models::until,
    world::{DAY, Dice, MODEL, at, event, id, model, settings, tenant},
};

const QUARANTINE: &str = r#"
[[quarantine]]
name = "robots"
when = 'event.channel == "robot"'
"#;

/// What was counted, by the name of a counter and its attributes.
#[derive(Clone, Default)]
struct Counted(Arc<Mutex<BTreeMap<String, u64>>>);

impl Counted {
    fn counters(&self) -> Counters {
        Counters::new(&Meter::new(Arc::new(self.clone())))
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }

    fn assert_is(&self, expected: &[(&str, u64)]) {
        let counted = self.0.lock().unwrap();
        let counted: Vec<_> = counted
            .iter()
            .map(|(name, n)| (name.as_str(), *n))
            .collect();
        assert_eq!(counted, expected);
    }
}

struct Instrument {
    name: String,
    counted: Counted,
}

impl InstrumentProvider for Counted {
    fn u64_counter(&self, builder: InstrumentBuilder<'_, Counter<u64>>) -> Counter<u64> {
        Counter::new(Arc::new(Instrument {
            name: builder.name.into_owned(),
            counted: self.clone(),
        }))
    }
}

impl SyncInstrument<u64> for Instrument {
    fn measure(&self, times: u64, attributes: &[KeyValue]) {
        let mut name = self.name.clone();
        for attribute in attributes {
            name += &format!(" {}={}", attribute.key, attribute.value);
        }
        *self.counted.0.lock().unwrap().entry(name).or_default() += times;
    }
}

#[test]
fn counters_have_the_names_that_operators_know() {
    let counted = Counted::default();
    let counters = counted.counters();
    counters.rule_error("replied");
    counters.quarantined("robots");
    counters.unmatched("wave");
    counters.dropped(2);
    counters.unsettled(3);
    counters.unsettled(0);
    counters.indexed(4);
    counters.refused_model();
    counted.assert_is(&[
        ("bellwether.effects.unsettled", 3),
        ("bellwether.events.dropped", 2),
        ("bellwether.events.quarantined rule=robots", 1),
        ("bellwether.events.unmatched type=wave", 1),
        ("bellwether.models.refused", 1),
        ("bellwether.ranks.indexed", 4),
        ("bellwether.rule.errors rule=replied", 1),
    ]);
}

#[tokio::test]
async fn each_service_counts_what_it_does_with_its_own_counters() {
    let directory = tempfile::tempdir().unwrap();
    let served = async |source: &str, counted: &Counted| {
        let store = Embedded::open(directory.path()).unwrap();
        let models = Models::Shared(model(source));
        let clock = Arc::new(|| at(100 * DAY));
        let opened = Service::open(store, models, settings(), clock, counted.counters());
        opened.await.unwrap()
    };
    let first = Counted::default();
    let service = served(&format!("{MODEL}{QUARANTINE}"), &first).await;
    let like = |number: u64, event_type: &str, channel: &str| Event {
        profile_id: id(number),
        author_id: None,
        event_type: event_type.to_owned(),
        channel: channel.to_owned(),
        attributes: Attributes::new(),
        tags: Vec::new(),
        text: String::new(),
        ..event(&mut Dice(number), number)
    };
    for event in [
        // Whose length the condition of a signal asks for.
        like(1, "reply", "web"),
        like(2, "visit", "robot"),
        like(3, "wave", "web"),
        like(4, "wave", "web"),
        like(5, "visit", "web"),
    ] {
        service.score_event(&tenant(), event, None).await.unwrap();
    }
    first.assert_is(&[
        ("bellwether.events.quarantined rule=robots", 1),
        ("bellwether.events.unmatched type=wave", 2),
        ("bellwether.rule.errors rule=replied", 1),
    ]);
    service.finish().await;
    drop(service);

    let second = Counted::default();
    let service = served(MODEL, &second).await;
    until("ranks are built", async || !second.is_empty()).await;
    service.finish().await;
    second.assert_is(&[("bellwether.ranks.indexed", 5)]);
}
