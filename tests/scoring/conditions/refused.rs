//! What a condition may not ask: refused with its place, and with what there is.

use bellwether::scoring::{Population, ProfileId, limits::MAX_CONDITION_BYTES};

use super::MODEL;
use crate::model;

/// Each mistake as `line:column` and a part of its message.
fn assert_refused(on: Population, text: &str, expected: &[(&str, &str)]) {
    let read = model(MODEL).condition(text, on);
    let mistakes = read.expect_err(text);
    let found: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), expected.len(), "{text}: {found:#?}");
    for (found, (place, words)) in found.iter().zip(expected) {
        assert!(found.starts_with(&format!("{place}: ")), "{text}: {found}");
        assert!(found.contains(words), "{text}: {found}");
    }
}

#[test]
fn what_cannot_be_asked_is_refused_with_its_place_and_what_there_is() {
    for (text, place, words) in [
        ("scores.interst > 1", "1:1", "did you mean \"interest\"?"),
        ("scores.loyalty > 1", "1:1", "known: interest, fit"),
        (
            "true &&\n  scores.loyalty > 1",
            "2:3",
            "has no score \"loyalty\"",
        ),
        ("\"ü\" == \"ü\" && scores.x > 1", "1:15", "has no score"),
        ("stage == \"decison\"", "1:10", "did you mean \"decision\"?"),
        ("stage == \"new\"", "1:10", "known: awareness, decision"),
        (
            "interest(\"calls\") > 1",
            "1:9",
            "known: dropped calls, price",
        ),
        ("interest(stage) > 1", "1:9", "one topic in quotes"),
        (
            "region == \"north\"",
            "1:1",
            "has no \"region\"; known: profile.attributes",
        ),
        ("event.type == \"visit\"", "1:1", "reads an event"),
        ("author.attributes.x == 1", "1:1", "reads an event"),
        ("profile.name == \"x\"", "1:1", "profile.last_event_time"),
        (
            "count(\"visited\") > 1",
            "1:6",
            "give points for the signal to a score",
        ),
        (
            "subjects.brnd.scores.fit > 1",
            "1:1",
            "did you mean \"brand\"?",
        ),
        (
            "subjects.brand.stage == \"x\"",
            "1:1",
            "has no subjects.brand.stage",
        ),
        ("now() > as_of", "1:4", "as_of"),
        ("now > as_of", "1:1", "as_of"),
        ("as_of.getHours() == 1", "1:15", "as_of - duration"),
        ("has(as_of.x)", "1:5", "has no as_of.x"),
        ("as_of > 5", "1:7", "makes a timestamp"),
        (
            "profile.attributes.contacted_at < as_of",
            "1:33",
            "timestamp(x) makes",
        ),
        (
            "profile.attributes.contacted_at == as_of",
            "1:33",
            "timestamp(x) makes",
        ),
        ("as_of - 7 < as_of", "1:7", "duration(\"7d\")"),
        ("as_of + as_of == as_of", "1:7", "makes no time"),
        (
            "as_of * 2 > 1",
            "1:1",
            "calculates with a timestamp; timestamps and",
        ),
        (
            "-as_of < as_of",
            "1:2",
            "calculates with a timestamp; timestamps and",
        ),
        (
            "as_of - duration(\"7 days\") < as_of",
            "1:18",
            "is no duration",
        ),
        ("timestamp(\"2026-01-09\") < as_of", "1:11", "is no instant"),
        ("timestamp() < as_of", "1:10", "write timestamp(text)"),
        ("string(as_of) == \"x\"", "1:8", "a timestamp"),
        ("scores.interest", "1:7", "where a condition is needed"),
        ("as_of", "1:1", "a timestamp where a condition is needed"),
        ("scores.interest >", "1:18", "is no CEL expression"),
        ("", "1:1", "is no CEL expression"),
    ] {
        assert_refused(Population::People, text, &[(place, words)]);
    }
    assert_refused(
        Population::People,
        "scores.a > 1 && scores.b > 1",
        &[
            ("1:1", "has no score \"a\""),
            ("1:17", "has no score \"b\""),
        ],
    );
}

#[test]
fn a_subject_is_asked_what_a_subject_has() {
    let model = model(MODEL);
    let id = ProfileId::of_subject("account", "acme").unwrap();
    let on = model.population_of(&id).unwrap();
    for text in [
        "stage == \"decision\"",
        "subjects.account.scores.interest > 1",
    ] {
        assert_refused(on, text, &[("1:1", "of a subject only")]);
    }
    let condition = "seen(\"visit\") && scores.interest > 1 && profile.last_event_time < as_of";
    assert!(model.condition(condition, on).is_ok());
}

#[test]
fn what_takes_too_much_is_refused() {
    let all = "profile.attributes.all(name, profile.attributes.exists_one(other, other == name))";
    assert_refused(Population::People, all, &[("1:59", "loop within a loop")]);
    let costly = "profile.attributes.all(a, a + string(profile.attributes) in profile.attributes)";
    let mistakes = model(MODEL).condition(costly, Population::People);
    assert!(mistakes.is_err());
    for opened in ["(", "!", "[", "-", "{1:", "1+", "a.", "x?"] {
        let deep = opened.repeat(MAX_CONDITION_BYTES / opened.len());
        assert!(model(MODEL).condition(&deep, Population::People).is_err());
        let deep = format!("{}1", &deep[..MAX_CONDITION_BYTES - 2]);
        assert!(model(MODEL).condition(&deep, Population::People).is_err());
    }
}
