//! What the service counts of what it does, read from a meter of the test.

use std::{collections::BTreeMap, sync::Arc};

use bellwether::{
    limits::MAX_NAMES,
    rollout::Models,
    scoring::{Attributes, Event},
    service::Service,
    store::embedded::Embedded,
    telemetry::{Counters, EventEnd, Shed, Telemetry},
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

/// What is counted, as a scrape tells it.
struct Counted(Telemetry);

impl Counted {
    fn new() -> Self {
        Self(Telemetry::scraped_alone().unwrap())
    }

    fn counters(&self) -> Counters {
        self.0.counters()
    }

    /// Every counter that is not 0, with its attributes.
    async fn totals(&self) -> BTreeMap<String, u64> {
        let text = self.0.scraped().await.unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let totals = lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let is_total = series.split('{').next()?.ends_with("_total");
            let series = series.replace(['"', '}'], "").replace(['{', ','], " ");
            Some((series, value.parse().ok()?)).filter(|(_, value)| is_total && *value > 0)
        });
        totals.collect()
    }

    async fn assert_is(&self, expected: &[(&str, u64)]) {
        let totals = self.totals().await;
        let totals: Vec<_> = totals
            .iter()
            .map(|(name, n)| (name.strip_prefix("bellwether_").unwrap(), *n))
            .collect();
        assert_eq!(totals, expected);
    }
}

#[tokio::test]
async fn counters_have_the_names_that_operators_know() {
    let counted = Counted::new();
    let counters = counted.counters();
    counters.events(EventEnd::Applied, Some("reply"), 1);
    counters.events(EventEnd::Applied, Some("reply"), 1);
    counters.events(EventEnd::Duplicate, Some("reply"), 1);
    counters.events(EventEnd::TooOld, None, 1);
    counters.events(EventEnd::Failed, None, 7);
    counters.matched("replied");
    counters.stage_changed(None, Some("aware"));
    counters.rule_error("replied");
    counters.quarantined("robots");
    counters.released(5);
    counters.unmatched("wave");
    counters.dropped(2);
    counters.unsettled(3);
    counters.unsettled(0);
    counters.conflicts(6);
    counters.indexed(4);
    counters.refused_model();
    counters.shed(Shed::Streams);
    let expected = [
        ("calls_shed_total reason=streams", 1),
        ("commit_conflicts_total", 6),
        ("effects_unsettled_total", 3),
        ("events_dropped_total", 2),
        ("events_quarantined_total rule=robots", 1),
        ("events_released_total", 5),
        ("events_total outcome=applied type=reply", 2),
        ("events_total outcome=duplicate type=reply", 1),
        ("events_total outcome=failed type=other", 7),
        ("events_total outcome=too_old type=other", 1),
        ("events_unmatched_total type=wave", 1),
        ("models_refused_total", 1),
        ("ranks_indexed_total", 4),
        ("rule_errors_total rule=replied", 1),
        ("signals_matched_total signal=replied", 1),
        ("stage_changes_total from=none to=aware", 1),
    ];
    counted.assert_is(&expected).await;
}

#[tokio::test]
async fn names_that_are_made_up_are_told_apart_up_to_a_bound() {
    let counted = Counted::new();
    let counters = counted.counters();
    for number in 0..2_000 {
        let name = format!("made-up-{number}");
        counters.events(EventEnd::Applied, Some(&name), 1);
        counters.matched(&name);
        counters.stage_changed(None, Some(&name));
        counters.rule_error(&name);
        counters.quarantined(&name);
        counters.unmatched(&name);
    }
    let totals = counted.totals().await;
    assert!(totals.len() <= 6 * (MAX_NAMES + 1), "{}", totals.len());
    assert_eq!(totals.values().sum::<u64>(), 6 * 2_000);
    let most = (2_000 - MAX_NAMES) as u64;
    assert_eq!(
        totals["bellwether_signals_matched_total signal=other"],
        most
    );
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
    let first = Counted::new();
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
    let expected = [
        ("events_quarantined_total rule=robots", 1),
        ("events_total outcome=applied type=other", 2),
        ("events_total outcome=applied type=reply", 1),
        ("events_total outcome=applied type=visit", 1),
        ("events_total outcome=quarantined type=visit", 1),
        ("events_unmatched_total type=wave", 2),
        ("rule_errors_total rule=replied", 1),
        ("signals_matched_total signal=visited", 1),
        ("stage_changes_total from=none to=awareness", 1),
    ];
    first.assert_is(&expected).await;
    service.finish().await;
    drop(service);

    let second = Counted::new();
    let service = served(MODEL, &second).await;
    until("ranks are built", async || {
        !second.totals().await.is_empty()
    })
    .await;
    service.finish().await;
    second.assert_is(&[("ranks_indexed_total", 5)]).await;
}
