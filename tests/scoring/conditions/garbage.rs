//! Conditions that are made up: none panics, and times are reckoned right.

use bellwether::scoring::Population;
use proptest::prelude::*;

use super::Asked;

fn any_text() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "as_of",
        "timestamp(",
        "duration(",
        "\"7d\"",
        "\"2026-01-09T12:00:00Z\"",
        "profile.attributes.contacted_at",
        "profile.attributes",
        "profile.last_event_time",
        "scores.interest",
        "subjects.account.scores.fit",
        "stage",
        "seen(\"visit\")",
        "interest(\"price\")",
        "has(",
        ".exists(x, ",
        ".map(x, ",
        "x",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        "?",
        ":",
        ",",
        ".",
        "&&",
        "||",
        "!",
        "-",
        "+",
        "*",
        "/",
        "%",
        "<",
        ">=",
        "==",
        "in",
        "1",
        "0.5",
        "1e400",
        "9223372036854775807",
        "null",
        "true",
        "\n",
        "\"",
        "ü",
        "\\",
        "'",
        "//",
    ]);
    prop_oneof![
        3 => prop::collection::vec(word, 0..20).prop_map(|words| words.join(" ")),
        1 => any::<String>(),
    ]
}

/// What is well made of what is of time, whatever it comes to.
fn any_time() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "as_of",
        "profile.last_event_time",
        "timestamp(profile.attributes.contacted_at)",
        "timestamp(profile.attributes.never)",
        "timestamp(profile.attributes.called_at)",
        "timestamp(scores.interest)",
        "timestamp(-1e9)",
        "timestamp(\"2262-04-11T23:47:16Z\")",
        "timestamp(\"1677-09-22T00:00:00Z\")",
    ]);
    let span = prop::sample::select(vec!["1ms", "1.5h", "7d", "100w", "100000d", "0s"]);
    let span = span.prop_map(|text| format!("duration(\"{text}\")"));
    let leaf = leaf.prop_map(str::to_owned);
    leaf.prop_recursive(4, 8, 2, move |inner| {
        let moved = (
            inner.clone(),
            prop::sample::select(vec!["+", "-"]),
            span.clone(),
        )
            .prop_map(|(time, sign, by)| format!("({time} {sign} {by})"));
        let apart = (inner.clone(), inner.clone(), inner.clone())
            .prop_map(|(time, from, to)| format!("({time} + ({to} - {from}))"));
        prop_oneof![moved, apart, inner]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn garbage_is_refused_or_answered_and_never_panics(text in any_text()) {
        let asked = Asked::new();
        match asked.model.condition(&text, Population::People) {
            Ok(_) => drop(asked.holds(&text)),
            Err(mistakes) => {
                prop_assert!(!mistakes.is_empty());
                for mistake in mistakes {
                    let lines = text.split('\n').count();
                    prop_assert!((1..=lines).contains(&mistake.line), "{:?}", mistake);
                }
            }
        }
    }

    #[test]
    fn times_are_reckoned_as_their_nanoseconds(a in any_time(), b in any_time()) {
        let asked = Asked::new();
        let (less, equal, greater) = (
            asked.holds(&format!("{a} < {b}")),
            asked.holds(&format!("{a} == {b}")),
            asked.holds(&format!("{a} - {b} > duration(\"0s\")")),
        );
        match (less, equal) {
            (Some(less), Some(equal)) => {
                prop_assert!(!(less && equal));
                // Two that lie further apart than a duration may last have no difference.
                if let Some(greater) = greater {
                    prop_assert_eq!(u8::from(less) + u8::from(equal) + u8::from(greater), 1);
                }
            }
            (None, None) => prop_assert_eq!(greater, None),
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
