//! What expressions may take: refused when it can be known, cut off where it cannot.

use std::collections::BTreeMap;

use bellwether::scoring::{
    AttributeValue, Context, Detail, Event, EventOutcome, Model, Name, ProfileId, Record,
    RecordEdit,
    limits::{MAX_EVENT_STEPS, MAX_TEXT_BYTES},
};

use crate::{at, event, model};

fn with_signals(signals: impl Iterator<Item = String>) -> String {
    let signals = signals.enumerate().map(|(position, lines)| {
        format!(
            "[[signals]]\nname = \"s{position}\"\non = \"visit\"\npoints = {{ s = 1 }}\n{lines}\n"
        )
    });
    format!("[scores.s]\n{}", signals.collect::<String>())
}

fn refusal(lines: &str) -> String {
    let source = with_signals([lines.to_owned()].into_iter());
    let mistakes = Model::parse(&source).map(|_| ()).unwrap_err();
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    mistakes[0].to_string()
}

fn listing(words: impl IntoIterator<Item = String>) -> BTreeMap<String, AttributeValue> {
    let words = words.into_iter().map(AttributeValue::String);
    BTreeMap::from([("l".to_owned(), AttributeValue::List(words.collect()))])
}

/// What became of an event on a new profile: the signals that counted and those that were cut off
/// or failed, and the steps that it took.
fn evaluated(model: &Model, event: &Event) -> (Vec<Name>, Vec<Name>, usize) {
    let profile_id = ProfileId::new("ann").unwrap();
    let mut edit = RecordEdit::new(model, profile_id, Record::default());
    let outcome = edit.apply(event, &Context::at(at(0), 16));
    let steps = edit.steps();
    let EventOutcome::Applied {
        matched_signals, ..
    } = outcome
    else {
        panic!("{outcome:?}");
    };
    (matched_signals, edit.finish().failed_rules, steps)
}

#[test]
fn what_would_take_too_much_for_the_largest_event_is_refused_with_what_to_write() {
    let put_together = ["event.text"; 50].join(" + ");
    for expression in [
        "event.attributes.l.map(x, event.text + event.text + event.text) == []".to_owned(),
        "event.attributes.l.exists(x, lower(event.text).contains(x))".to_owned(),
        format!("size({put_together}) > 1"),
    ] {
        let told = refusal(&format!("when = '{expression}'"));
        assert!(
            told.starts_with("6:9: the expression takes up to ")
                && told.contains("put no long texts together, in a loop compare"),
            "{told}"
        );
    }
}

#[test]
fn what_is_cheap_for_the_largest_event_is_not_refused() {
    let when = [
        "event.tags.exists(t, event.text.contains(t))".to_owned(),
        "event.attributes.bought.exists(x, x in profile.attributes.wanted)".to_owned(),
        "event.attributes.l.filter(x, x.startsWith(\"a\")).map(x, lower(x) + \"!\") == []"
            .to_owned(),
        ["event.text.contains(\"x\")"; 100].join(" || "),
        ["event.attributes.n == 1"; 150].join(" || "),
    ];
    let lines = when.iter().map(|when| format!("when = '{when}'"));
    Model::parse(&with_signals(lines)).unwrap();
}

#[test]
fn an_event_is_cut_off_after_so_many_steps_and_a_smaller_one_is_not() {
    let loops = (0..240).map(|n| {
        format!("when = 'event.attributes.l.exists(x, x == \"w{n}\" || x.endsWith(\"q\"))'")
    });
    let model = model(&with_signals(loops.chain(["when = 'true'".to_owned()])));
    let small = Event {
        attributes: listing(["w0".to_owned(), "w239".to_owned()]),
        ..event("1", "visit")
    };
    let (matched, failed, steps) = evaluated(&model, &small);
    assert_eq!(matched, ["s0", "s239", "s240"]);
    assert!(failed.is_empty() && steps < 8_000, "{failed:?} {steps}");

    let words = (0..990).map(|n| format!("word{n}"));
    let large = Event {
        attributes: listing(words.chain(["w0".to_owned()])),
        ..event("1", "visit")
    };
    let (matched, failed, steps) = evaluated(&model, &large);
    // Each loop takes some 8,000 steps: 31 are through, and whatever stands behind is cut off.
    assert_eq!(matched, ["s0"]);
    let taken = MAX_EVENT_STEPS - 10..=MAX_EVENT_STEPS;
    assert!(taken.contains(&steps), "{steps}");
    let cut_off: Vec<String> = (241 - failed.len()..241).map(|n| format!("s{n}")).collect();
    assert_eq!(failed, cut_off);
    assert!((200..220).contains(&failed.len()), "{}", failed.len());
}

#[test]
fn what_makes_up_for_a_failure_does_not_make_up_for_being_cut_off() {
    let costly =
        (0..20).map(|_| "when = '!event.tags.exists(t, event.text.contains(t))'".to_owned());
    let masked = "when = 'event.tags.all(t, event.text.contains(t)) || true'".to_owned();
    let model = model(&with_signals(costly.chain([masked])));
    let event = Event {
        text: "a".repeat(MAX_TEXT_BYTES),
        tags: (0..64).map(|n| n.to_string().into()).collect(),
        ..event("1", "visit")
    };
    let (matched, failed, steps) = evaluated(&model, &event);
    assert_eq!(matched, ["s0", "s1", "s2"]);
    assert_eq!(failed.len(), 18);
    assert!(steps <= MAX_EVENT_STEPS, "{steps}");
}

#[test]
fn a_model_whose_smallest_event_takes_too_much_is_refused() {
    let when = ["1<2"; 800].join("&&");
    let lines = (0..100).map(|_| format!("when = '{when}'"));
    let mistakes = Model::parse(&with_signals(lines)).map(|_| ()).unwrap_err();
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    let told = mistakes[0].to_string();
    assert!(
        told.starts_with("2:1: the expressions that look at \"visit\" take "),
        "{told}"
    );
    assert!(
        told.ends_with("shorten them, or let fewer signals look at it"),
        "{told}"
    );
}

#[test]
fn standing_facts_are_cut_off_too_and_told() {
    let rule = |n: usize| {
        format!(
            "[[attributes]]\nname = \"r{n}\"\nwhen = 'profile.attributes.l.exists(x, x == \"r{n}\" || x.endsWith(\"q\"))'\npoints = {{ s = 1 }}\n"
        )
    };
    let rules: String = (0..100).map(rule).collect();
    let model = model(&format!("[scores.s]\n{rules}"));
    let words = (0..980).map(|n| format!("w{n}"));
    let words = words.chain(["r0".to_owned(), "r99".to_owned()]);
    let mut edit = RecordEdit::new_profile(&model, ProfileId::new("ann").unwrap());
    edit.update(listing(words), crate::at(0));
    let profile = edit.profile(at(0), Detail::Points);
    assert_eq!(profile.scores[0].points, 1.0);
    assert_eq!(edit.finish().failed_rules, ["(what is stated)"]);
    assert_eq!(model.clock_free_steps(), MAX_EVENT_STEPS);
}
