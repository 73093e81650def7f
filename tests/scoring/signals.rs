//! What signals keep of their matches, and what their expressions read.

use bellwether::scoring::{
    AttributeValue, Attributes, Context, Event, EventOutcome, Model, ProfileId, Record, RecordEdit,
    Timestamp, limits::NOISE_FLOOR,
};
use proptest::prelude::*;

use crate::{DAY, SECOND, at, context, event, model, points, replay};

fn with(mut event: Event, name: &str, value: f64) -> Event {
    let value = AttributeValue::Number(value);
    event.attributes.insert(name.to_owned(), value);
    event
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::String(text.to_owned())
}

/// Whether each event matched a signal.
fn matched(outcomes: &[EventOutcome], signal: &str) -> Vec<bool> {
    let matched = outcomes.iter().map(|outcome| match outcome {
        EventOutcome::Applied {
            matched_signals, ..
        } => matched_signals.iter().any(|matched| matched == signal),
        _ => false,
    });
    matched.collect()
}

/// A model of one signal `tried` on `try`, with these lines, and of `did` on `do`.
fn trying(lines: &str) -> Model {
    model(&format!(
        r#"
[scores.total]
[scores.heat]
half_life = "7d"
[subjects.account]
[[signals]]
name = "did"
on = "do"
points = {{ heat = 1 }}
[[signals]]
name = "tried"
on = "try"
points = {{ total = 1 }}
{lines}
"#
    ))
}

const LAST_VISIT: &str = r#"
[scores.attention]
half_life = "7d"
[scores.longest]
[[signals]]
name = "time_on_site"
on = "visit"
value = 'event.attributes.minutes'
keep = "latest"
limit = 60
points = { attention = 1, longest = 1 }
"#;

fn visit(id: &str, minutes: f64) -> Event {
    with(event(id, "visit"), "minutes", minutes)
}

#[test]
fn the_latest_value_replaces_the_one_before_and_fades_from_its_own_time() {
    let model = model(LAST_VISIT);
    let visits = [(at(0), visit("1", 40.0)), (at(DAY), visit("2", 8.0))];
    let (record, _) = replay(&model, &visits);
    assert_eq!(points(&model, &record, at(DAY), "longest"), 8.0);
    assert_eq!(points(&model, &record, at(8 * DAY), "attention"), 4.0);
    let (record, _) = replay(&model, &[(at(0), visit("1", 500.0))]);
    assert_eq!(points(&model, &record, at(0), "longest"), 60.0);
}

#[test]
fn a_value_above_a_million_counts_as_a_million_and_one_that_is_not_positive_is_no_match() {
    let model = trying("value = 'event.attributes.worth'");
    let worths = [("1", 1e9), ("2", 0.0), ("3", -7.0), ("4", 1.0)];
    let tries = worths.map(|(id, worth)| (at(0), with(event(id, "try"), "worth", worth)));
    let (record, outcomes) = replay(&model, &tries);
    assert_eq!(points(&model, &record, at(0), "total"), 1_000_001.0);
    assert_eq!(matched(&outcomes, "tried"), [true, false, false, true]);
}

#[test]
fn once_counts_the_first_match_to_arrive_and_no_other() {
    let model = trying("once = true\nvalue = 'event.attributes.worth'\n");
    let events = [
        (at(5 * DAY), with(event("1", "try"), "worth", 3.0)),
        (at(0), with(event("2", "try"), "worth", 9.0)),
        (at(4_000 * DAY), with(event("3", "try"), "worth", 9.0)),
    ];
    let (record, outcomes) = replay(&model, &events);
    assert_eq!(matched(&outcomes, "tried"), [true, false, false]);
    assert_eq!(points(&model, &record, at(4_000 * DAY), "total"), 3.0);
}

#[test]
fn a_condition_reads_the_campaign_that_led_to_an_event() {
    for (condition, expected) in [
        ("event.campaign_id == \"spring\"", [true, false, false]),
        ("has(event.campaign_id)", [true, true, false]),
    ] {
        let model = trying(&format!("when = '{condition}'\n"));
        let led = |campaign: &str| Event {
            campaign_id: campaign.to_owned(),
            ..event(campaign, "try")
        };
        let events = ["spring", "summer", ""].map(|campaign| (at(0), led(campaign)));
        let (_, outcomes) = replay(&model, &events);
        assert_eq!(matched(&outcomes, "tried"), expected, "{condition}");
    }
}

#[test]
fn phrases_are_whole_words_in_any_case_and_go_with_the_condition() {
    let model = trying(
        "phrases = [\"looking for\", \"training for\"]\nwhen = 'event.channel == \"blog\"'\n[[topics]]\nname = \"running\"\nkeywords = [\"marathon\"]\n",
    );
    let said = |text: &str, channel: &str| Event {
        text: text.to_owned(),
        channel: channel.to_owned(),
        ..event(text, "try")
    };
    let events = [
        said("I am LOOKING FOR shoes", "blog"),
        said("training for a marathon", "blog"),
        said("overlooking forests", "blog"),
        said("a marathon", "blog"),
        said("", "blog"),
        said("looking for shoes", "shop"),
    ]
    .map(|event| (at(0), event));
    let (record, outcomes) = replay(&model, &events);
    let expected = [true, true, false, false, false, false];
    assert_eq!(matched(&outcomes, "tried"), expected);
    assert_eq!(record.interests.len(), 1);
    assert_eq!(record.interests[0].value, 2.0);
}

#[test]
fn a_count_is_what_was_there_just_before_faded_to_the_later_of_event_and_last_event() {
    let model = trying("value = 'count(\"did\", \"1d\") + 100 * count(\"did\")'\n");
    let events = [
        (at(0), event("1", "do")),
        (at(DAY), event("2", "do")),
        (at(2 * DAY), event("3", "try")),
        // Evaluated where the record stands, at the second day.
        (at(DAY), event("4", "try")),
    ];
    let (record, outcomes) = replay(&model, &events);
    assert_eq!(matched(&outcomes, "tried"), [false, false, true, true]);
    let each = 0.25 + 0.5 + 200.0;
    assert!((points(&model, &record, at(2 * DAY), "total") - 2.0 * each).abs() < 1e-9);
}

#[test]
fn a_signal_that_is_only_asked_for_needs_no_points() {
    let source = r#"
[scores.total]
[[signals]]
name = "did"
on = "do"
[[signals]]
name = "tried"
on = "do"
when = 'count("did") >= 2'
points = { total = 1 }
"#;
    let events: Vec<_> = (0..4)
        .map(|id| (at(0), event(&id.to_string(), "do")))
        .collect();
    let (_, outcomes) = replay(&model(source), &events);
    assert_eq!(matched(&outcomes, "tried"), [false, false, true, true]);
}

const HABIT: &str = r#"
[scores.total]
[[signals]]
name = "did"
on = "do"
[[signals]]
name = "tried"
on = "try"
value = 'rate("did", "3d") / rate("did", "60d")'
points = { total = 1 }
[[signals]]
name = "daily"
on = "try"
value = 'rate("did", "20d")'
points = { total = 1000 }
"#;

/// The ratio of the fast rate to the slow, and the rate, after a habit of so many days.
fn habit(every_hours: i64, days: i64) -> (f64, f64) {
    let model = model(HABIT);
    let hour = 3_600 * SECOND;
    let mut events: Vec<_> = (0..=days * 24 / every_hours)
        .map(|id| (at(id * every_hours * hour), event(&id.to_string(), "do")))
        .collect();
    events.push((at(days * DAY), event("last", "try")));
    let (record, _) = replay(&model, &events);
    let total = points(&model, &record, at(days * DAY), "total");
    let daily = record.counts.iter().find(|group| group.half_life.is_none());
    let counts = &daily.unwrap().counts;
    let value = |name: &str| {
        counts
            .iter()
            .find(|count| count.signal == name)
            .unwrap()
            .value
    };
    assert!((total - value("tried") - 1000.0 * value("daily")).abs() < 1e-6);
    (value("tried"), value("daily"))
}

#[test]
fn a_steady_habit_has_one_rate_whatever_the_half_life_and_the_age_of_the_profile() {
    for days in [10, 30, 300] {
        let (ratio, daily) = habit(6, days);
        assert!((0.9..1.1).contains(&ratio), "{ratio} after {days} days");
        assert!((3.7..4.6).contains(&daily), "{daily} after {days} days");
    }
}

#[test]
fn the_rate_of_a_newcomer_is_told_from_one_day_at_least() {
    let model = model(HABIT);
    let events = [
        (at(0), event("1", "do")),
        (at(SECOND), event("2", "do")),
        (at(SECOND), event("3", "try")),
    ];
    let (record, outcomes) = replay(&model, &events);
    assert_eq!(matched(&outcomes, "tried"), [false, false, true]);
    let total = points(&model, &record, at(SECOND), "total");
    assert!((2_000.0..2_100.0).contains(&total), "{total}");
    // Nothing was counted: 0 / 0 is no value.
    let (_, outcomes) = replay(&model, &[(at(0), event("1", "try"))]);
    assert_eq!(matched(&outcomes, "tried"), [false]);
}

#[test]
fn seconds_since_the_last_event_look_both_ways_and_are_many_before_the_first() {
    let model = trying("value = 'event.seconds_since_last'\n");
    let events = [
        (at(90 * SECOND), event("1", "try")),
        (at(92 * SECOND), event("2", "try")),
        (at(42 * SECOND), event("3", "try")),
    ];
    let (record, _) = replay(&model, &events);
    // More than a match may add counts as a million.
    assert_eq!(points(&model, &record, at(DAY), "total"), 1e6 + 2.0 + 50.0);
}

#[test]
fn domains_are_compared_in_lower_case() {
    let model = trying(
        "when = 'domain(event.attributes.invited) == domain(profile.attributes.email) && domain(\"nobody\") == \"\"'\n",
    );
    let mut record = Record::default();
    record
        .attributes
        .insert("email".to_owned(), text("ann@Shop.Example"));
    for (invited, expected) in [("bob@shop.EXAMPLE", true), ("bob@else.example", false)] {
        let mut event = event(invited, "try");
        event.attributes.insert("invited".to_owned(), text(invited));
        let ann = ProfileId::new("ann").unwrap();
        let mut edit = RecordEdit::new(&model, ann, record.clone());
        let outcome = edit.apply(&event, &context(at(0)));
        assert_eq!(matched(&[outcome], "tried"), [expected], "{invited}");
    }
}

#[test]
fn completeness_is_the_share_of_the_attributes_that_are_stated() {
    let model =
        trying("value = '8 * completeness([\"industry\", \"photo\", \"size\", \"city\"])'\n");
    let mut record = Record::default();
    let stated = [
        ("industry", text("retail")),
        ("photo", AttributeValue::Null),
        ("size", AttributeValue::Number(0.0)),
        ("city", text("")),
    ];
    for (name, value) in stated {
        record.attributes.insert(name.to_owned(), value);
    }
    let ann = ProfileId::new("ann").unwrap();
    let mut edit = RecordEdit::new(&model, ann, record);
    edit.apply(&event("1", "try"), &context(at(0)));
    let record = edit.finish().record;
    assert_eq!(points(&model, &record, at(0), "total"), 4.0);
}

#[test]
fn what_the_author_states_is_read_when_it_is_known() {
    let model = trying(
        "value = 'author.attributes.role == \"manager\" ? 5.0 : has(author.attributes.role) ? 2.0 : 1.0'\n[[signals]]\nname = \"got\"\non = \"try\"\nwhen = 'get(author.attributes, \"role\", \"none\") == \"none\"'\npoints = { total = 100 }\n",
    );
    assert!(model.reads_author("try") && !model.reads_author("do"));
    let role = |role: &str| Attributes::from([("role".to_owned(), text(role))]);
    let cases = [
        (Some(role("manager")), 5.0),
        (Some(role("finance")), 2.0),
        // The first comparison fails as for any missing attribute.
        (Some(Attributes::new()), 100.0),
        (None, 100.0),
    ];
    for (author, expected) in cases {
        let context = Context {
            author: author.as_ref(),
            ..context(at(0))
        };
        let ann = ProfileId::new("ann").unwrap();
        let mut edit = RecordEdit::new(&model, ann, Record::default());
        edit.apply(&event("1", "try"), &context);
        let record = edit.finish().record;
        assert_eq!(points(&model, &record, at(0), "total"), expected);
    }
}

#[test]
fn scores_of_a_subject_are_read_at_the_later_of_the_event_and_its_last_one() {
    let model = trying(
        "when = 'subjects.account.scores.heat >= 1'\nvalue = 'subjects.account.scores.heat'\n",
    );
    assert!(model.reads_subjects());
    let (account, _) = replay(
        &model,
        &[(at(0), event("1", "do")), (at(0), event("2", "do"))],
    );
    for (account, instant, expected) in [
        (Some(&account), at(7 * DAY), 1.0),
        (Some(&account), at(-7 * DAY), 2.0),
        (Some(&account), at(8 * DAY), 0.0),
        (None, at(0), 0.0),
    ] {
        let context = Context {
            subjects: [account, None, None, None],
            ..context(instant)
        };
        let ann = ProfileId::new("ann").unwrap();
        let mut edit = RecordEdit::new(&model, ann, Record::default());
        edit.apply(&event("1", "try"), &context);
        let record = edit.finish().record;
        assert_eq!(points(&model, &record, instant, "total"), expected);
    }
}

#[test]
fn an_event_type_is_counted_as_often_as_it_counted() {
    let model = trying("");
    let events = ["1", "2", "2", "3"].map(|id| (at(0), event(id, "try")));
    let (record, _) = replay(&model, &events);
    assert_eq!(record.seen_types[0].count, 3);
}

fn visits() -> impl Strategy<Value = Vec<(Timestamp, Event)>> {
    // Few instants and values, so that some are the same.
    let visit = (0..20_i64, 1..90_u32, 0..3_u32).prop_map(|(day, minutes, id)| {
        let time = at(day * DAY);
        let id = format!("{day} {minutes} {id}");
        (time, visit(&id, f64::from(minutes)))
    });
    prop::collection::vec(visit, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_latest_value_is_the_same_in_every_order(
        visits in visits(),
        cut in any::<prop::sample::Index>(),
        later in 0..30_i64,
    ) {
        let model = model(LAST_VISIT);
        let mut other = visits.clone();
        other.rotate_left(cut.index(visits.len()));
        other.extend(visits.iter().rev().cloned());
        let latest = visits.iter().map(|(time, _)| *time).max().unwrap();
        let minutes = visits.iter().filter(|(time, _)| *time == latest).map(|(_, event)| match event.attributes["minutes"] {
            AttributeValue::Number(minutes) => minutes.min(60.0),
            _ => 0.0,
        });
        let minutes = minutes.fold(0.0, f64::max);
        let instant = latest.saturating_add_nanos(later * DAY);
        let faded = minutes * 0.5_f64.powf(later as f64 / 7.0);
        prop_assert!(faded > NOISE_FLOOR);
        for events in [&visits, &other] {
            let (record, _) = replay(&model, events);
            prop_assert_eq!(points(&model, &record, instant, "longest"), minutes);
            let attention = points(&model, &record, instant, "attention");
            prop_assert!((attention - faded).abs() <= 1e-9 * faded, "{} is not {}", attention, faded);
        }
    }
}

#[test]
fn a_remainder_is_of_numbers_and_of_nothing_there_is_none() {
    let odd = trying("when = 'event.attributes.n % 2 == 1'");
    let events =
        [3.0, 4.0, 5.5, -3.0, 2.0_f64.powi(40) + 1.0].map(|n| with(event("e", "try"), "n", n));
    let tried = |event: &Event, model: &Model| {
        matched(&replay(model, &[(at(0), event.clone())]).1, "tried") == [true]
    };
    assert_eq!(
        events.map(|event| tried(&event, &odd)),
        [true, false, false, false, true]
    );
    let by_nothing = trying("when = 'event.attributes.n % 0 != 1'");
    assert!(!tried(&with(event("e", "try"), "n", 3.0), &by_nothing));
}
