//! Model files: what is refused, where, and with which words.

use bellwether::scoring::Model;

pub const GOOD: &str =
    "[scores.interest]\nhalf_life = \"7d\"\n[scores.warmth]\nhalf_life = \"1d\"\n[scores.fit]\n";

/// Each mistake as `line:column` and a part of its message.
pub fn check(source: &str, expected: &[(&str, &str)]) {
    let source = format!("{GOOD}{source}");
    let mistakes = Model::parse(&source)
        .map(|_| ())
        .expect_err("a model with mistakes");
    let found: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, (place, words)) in found.iter().zip(expected) {
        assert!(
            // Where a line alone is expected, any column of it.
            found.starts_with(&format!("{place}: "))
                || place.is_empty()
                || (place.ends_with(':') && found.starts_with(place)),
            "{found:?} is not at {place}"
        );
        assert!(found.contains(words), "{found:?} does not say {words:?}");
    }
}

#[test]
fn a_byte_order_mark_and_other_line_ends_change_nothing() {
    let source = "[scores.interest]\nhalf_life = \"7d\"\n[[signals]]\nname = \"a\"\non = \"b\"\nwhen = '''event.channel == \"web\" ||\n  event.channel == \"shop\"'''\npoints = { interest = 1 }\n";
    let windows = format!("\u{feff}{}", source.replace('\n', "\r\n"));
    assert!(Model::parse(source).is_ok());
    assert!(
        Model::parse(&windows).is_ok(),
        "{:?}",
        Model::parse(&windows).unwrap_err()
    );
}

#[test]
fn every_shipped_model_is_valid() {
    let mut count = 0;
    for entry in std::fs::read_dir("models").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        match Model::parse(&source) {
            Ok(model) => assert_eq!(model.warnings(), [], "{}", path.display()),
            Err(mistakes) => panic!("{}: {mistakes:#?}", path.display()),
        }
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    check(
        "[[signals]]\nname = \"a\"\non = \"visit\"\npoints = { intrest = 1 }\nwenn = 'true'\n[[stages]]\nmin = { interest = 0 }\n",
        &[
            ("9:12", "did you mean \"interest\"?"),
            ("10:1", "did you mean \"when\"?"),
            ("11:1", "lacks \"name\""),
            ("12:20", "must be a number from"),
        ],
    );
}

#[test]
fn text_that_is_no_toml_is_told_with_its_place() {
    check("[[signals]\nname = \"a\"\n", &[("6:11", "")]);
}

#[test]
fn wrong_kinds_of_values_are_told() {
    check(
        "[[signals]]\nname = 5\non = 7\npoints = 3\nvalue = true\nlimit = \"x\"\ncooldown = 10\n",
        &[
            ("7:8", "\"name\" must be a string"),
            ("8:6", "\"on\" must be a string"),
            ("9:10", "\"points\" must be a table"),
            ("10:9", "\"value\" must be a number"),
            ("11:9", "\"limit\" must be a number"),
            ("12:12", "a number and a unit"),
        ],
    );
}

#[test]
fn durations_and_numbers_have_bounds() {
    check(
        "[scores.fast]\nhalf_life = \"30s\"\n[scores.odd]\nhalf_life = \"7 days\"\nbase = 1e12\n[scores.nan]\nbase = nan\n",
        &[
            ("7:13", "from 1m"),
            ("9:13", "a number and a unit"),
            ("10:8", "must be a number from"),
            ("12:8", "must be a number from"),
        ],
    );
}

#[test]
fn names_are_unique_and_well_formed() {
    check(
        "[[stages]]\nname = \"a\"\n[[stages]]\nname = \"a\"\n[[stages]]\nname = \"Über\"\n",
        &[("9:8", "two stages called \"a\""), ("11:8", "is no name")],
    );
}

#[test]
fn a_formula_in_rank_by_is_refused_with_the_reason_and_what_to_write() {
    let segment = |formula: &str| format!("[[segments]]\nname = \"s\"\nrank_by = \"{formula}\"\n");
    for formula in [
        "interest + fit",
        "interest+fit",
        "interest * fit",
        "-interest",
    ] {
        let source = segment(formula);
        check(
            &source,
            &[("8:11", "changes its order while nothing happens")],
        );
        check(&source, &[("8:11", "rank_by = [\"interest\", \"fit\"]")]);
    }
}

pub fn signal(lines: &str) -> String {
    format!("[[signals]]\nname = \"a\"\non = \"visit\"\n{lines}\npoints = {{ interest = 1 }}\n")
}

#[test]
fn a_hundred_mistakes_are_told_and_the_rest_are_counted() {
    let lines: String = (0..5_000).map(|n| format!("x{n} = 1\n")).collect();
    let mistakes = Model::parse(&lines).map(|_| ()).unwrap_err();
    assert_eq!(mistakes.len(), 100);
    let last = &mistakes[99].message;
    assert!(
        last.ends_with("; and at least 4901 more mistakes: mend these first"),
        "{last}"
    );
}

#[test]
fn an_event_type_that_only_seen_asks_for_is_a_warning() {
    let source = format!(
        "{GOOD}{}[[stages]]\nname = \"customer\"\nwhen = 'true && seen(\"vist\") || seen(\"visit\")'\n",
        signal("")
    );
    let model = Model::parse(&source).unwrap();
    let warnings: Vec<String> = model.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "13:23: no signal, touch or quarantine rule is of the event type \"vist\", which is right when only seen() asks for it; did you mean \"visit\"?"
        ]
    );
}

#[test]
fn stages_that_may_hold_together_are_bounded_on_one_score() {
    check(
        "[[stages]]\nname = \"a\"\nmin = { interest = 1 }\n[[stages]]\nname = \"b\"\nmin = { warmth = 1 }\n[[stages]]\nname = \"c\"\nmin = { interest = 1, warmth = 2 }\n",
        &[
            ("10:8", "bound both on one score"),
            ("13:8", "bound both on one score"),
            ("14:23", "on one score at most"),
        ],
    );
}

#[test]
fn bounds_on_different_scores_are_fine_where_a_floor_parts_them() {
    let source = format!(
        "{GOOD}[[stages]]\nname = \"a\"\nmin = {{ interest = 1 }}\n[[stages]]\nname = \"b\"\nwhen = 'seen(\"x\")'\n[[stages]]\nname = \"c\"\nwhen = 'seen(\"x\")'\nmin = {{ warmth = 1 }}\n"
    );
    Model::parse(&source).unwrap();
}

#[test]
fn at_most_six_distinct_conditions_of_stages() {
    let stages: String = (0..7)
        .map(|n| format!("[[stages]]\nname = \"s{n}\"\nwhen = 'seen(\"t{n}\")'\n"))
        .collect();
    check(&stages, &[("1:1", "at most 6 are allowed")]);
}

#[test]
fn an_empty_segment_is_refused() {
    check(
        "[[segments]]\nname = \"s\"\nrank_by = [\"interest\", \"interest\"]\nmin = 5\nmax = 5\n[[segments]]\nname = \"t\"\nrank_by = []\n",
        &[
            ("8:24", "stands twice"),
            ("10:7", "max must be above min"),
            ("13:11", "is empty"),
        ],
    );
}

#[test]
fn a_rule_without_points_or_with_neither_condition_nor_value_is_refused() {
    check(
        "[[attributes]]\nname = \"a\"\n[[signals]]\nname = \"b\"\non = \"x\"\npoints = {}\n[influence]\nhalf_life = \"7d\"\n",
        &[
            ("6:1", "lacks \"when\": whom the rule holds for"),
            ("6:1", "lacks \"points\""),
            ("11:10", "is empty"),
            ("12:1", "lacks \"event_types\""),
            ("12:1", "lacks \"attribution_half_life\""),
        ],
    );
    check(
        "[[attributes]]\nname = \"a\"\npoints = { fit = 1 }\n",
        &[("6:1", "or \"value\", how much it counts for everybody")],
    );
}

#[test]
fn a_rule_with_a_mistake_in_its_condition_is_told_once() {
    check(
        "[[attributes]]\nname = \"a\"\nwhen = 'profile.'\nvalue = 2\npoints = { fit = 1 }\n",
        &[("8:17", "no CEL expression")],
    );
}

#[test]
fn an_empty_file_says_what_to_write() {
    let mistakes = Model::parse("").map(|_| ()).unwrap_err();
    assert!(
        mistakes[0].message.contains("[scores.interest]"),
        "{mistakes:?}"
    );
}

#[test]
fn a_fingerprint_follows_the_meaning_and_not_the_layout() {
    let fingerprint = |source: &str| Model::parse(source).unwrap().fingerprint();
    let spaced = GOOD.replace('\n', "  # so\n\n");
    assert_eq!(fingerprint(GOOD), fingerprint(&spaced));
    assert_ne!(fingerprint(GOOD), fingerprint(&GOOD.replace("7d", "8d")));
    let [one, other] = [
        "[scores.a]\nhalf_life = \"7d\"\n[scores.b]\nbase = 1\n[interests]\nhalf_life = \"1d\"",
        "[interests]\nhalf_life = \"1d\"\n[scores]\nb = { base = 1 }\na.half_life = \"7d\"",
    ];
    assert_eq!(fingerprint(one), fingerprint(other));
    // Servers of two versions that give a file the same meaning agree on its fingerprint.
    assert_eq!(fingerprint(one).to_string(), "ae6649898b65dc03");
}

#[test]
fn a_breadth_is_a_whole_number_that_somebody_can_reach() {
    check(
        "[scores.a]\nbreadth = 1\n[scores.b]\nbreadth = 2.5\n[scores.c]\nbreadth_share = 0.1\n[scores.d]\nbreadth = 2\nbreadth_share = 1.5\n[[signals]]\nname = \"s\"\non = \"x\"\npoints = { b = 1, d = 1 }\n[[signals]]\nname = \"t\"\non = \"x\"\npoints = { b = 1, d = -1 }\n[[signals]]\nname = \"u\"\non = \"x\"\npoints = { b = 1 }\n",
        &[
            ("7:11", "must be a number from 2 to 16"),
            ("9:11", "must be a whole number"),
            ("11:17", "write how many there must be, such as breadth = 3"),
            (
                "13:11",
                "only 1 signal or attribute rule gives points to \"d\"",
            ),
            ("14:17", "above 0 and at most 1"),
        ],
    );
}

#[test]
fn a_calibration_is_one_monotone_curve_within_zero_and_one() {
    check(
        "[scores.a.calibration]\noutcome = \"buys\"\n[scores.b.calibration]\ntable = [[0, 0], [1, 1]]\nlogistic = { midpoint = 1, slope = 1 }\n[scores.c.calibration]\ntable = [[0, 0.5]]\n[scores.d.calibration]\ntable = [[0, 0.5], [0, 0.6]]\n[scores.e.calibration]\ntable = [[0, 0.5], [1, 0.7], [2, 0.6]]\n[scores.f.calibration]\ntable = [[0, 0.5], [1, 1.1]]\n[scores.g.calibration]\ntable = [[0, 0.5], 3]\n[scores.h.calibration]\nlogistic = { midpoint = 3, slope = 0 }\n[scores.i.calibration]\nlogistic = { midpiont = 3 }\n",
        &[
            ("6:1", "write one of the two"),
            ("8:1", "write one of the two"),
            ("12:9", "has 1 steps; write 2 to 64"),
            (
                "14:21",
                "must be above those of the step before, which are 0",
            ),
            ("16:34", "must rise all the way or fall all the way"),
            ("18:24", "must be a number from 0 to 1"),
            ("20:20", "a list of points and probabilities"),
            ("22:36", "gives everybody the same probability"),
            ("24:12", "lacks \"midpoint\""),
            ("24:12", "lacks \"slope\""),
            ("24:14", "did you mean \"midpoint\"?"),
        ],
    );
    let steps = |count: usize| {
        let steps: Vec<String> = (0..count).map(|n| format!("[{n}, 0.5]")).collect();
        format!("[scores.x.calibration]\ntable = [{}]\n", steps.join(", "))
    };
    Model::parse(&format!("{GOOD}{}", steps(64))).unwrap();
    check(&steps(65), &[("7:9", "has 65 steps")]);
}

#[test]
fn what_identity_is_made_of_cannot_read_it_and_nothing_bounds_what_is_not_there() {
    check(
        "[[identity]]\nname = \"a\"\nwhen = 'identity.confidence > 0.5'\nconfidence = 0.5\n[[identity]]\nname = \"a\"\nwhen = 'event.type == \"x\"'\nconfidence = 'scores.interest'\n[[identity]]\nname = \"b\"\nconfidence = 1.5\n[[stages]]\nname = \"s\"\nwhen = 'identity.sureness > 1 || has(identity.confidence)'\n",
        &[
            ("8:9", "reads the confidence that it is a part of"),
            ("11:8", "two identity rules called \"a\""),
            ("12:9", "reads the event"),
            ("13:15", "reads scores, which are made of what is stated"),
            ("14:1", "lacks \"when\""),
            ("16:14", "above 0 and at most 1"),
            ("19:9", "has no identity.sureness"),
            ("19:38", "is always there"),
        ],
    );
    check(
        "[[segments]]\nname = \"s\"\nrank_by = \"interest\"\nmin_confidence = 0.5\n[[segments]]\nname = \"t\"\nrank_by = \"interest\"\nmin_confidence = 2\n",
        &[
            ("9:18", "the model says nothing of identity"),
            ("13:18", "above 0 and at most 1"),
        ],
    );
}

#[test]
fn the_value_of_a_rule_is_a_positive_number_or_reads_standing_facts() {
    check(
        "[[attributes]]\nname = \"a\"\nwhen = 'true'\nvalue = 0\npoints = { fit = 1 }\n[[attributes]]\nname = \"b\"\nwhen = 'true'\nvalue = 'scores.interest'\npoints = { fit = 1 }\n",
        &[
            ("9:9", "above 0 and at most 1000000"),
            ("14:10", "reads scores, which are made of what is stated"),
        ],
    );
}

#[test]
fn terms_of_a_signal_that_do_not_go_together_are_refused_with_what_to_write() {
    let signal = |lines: &str| {
        format!("[[signals]]\nname = \"a\"\non = \"visit\"\npoints = {{ interest = 1 }}\n{lines}\n")
    };
    let cases = [
        (
            "per = 'event.type'\nkeep = \"latest\"",
            "11:8",
            "keeps one value",
        ),
        (
            "once_keys = 5\nonce = true",
            "10:13",
            "write once = true and what to count by",
        ),
        (
            "once_beyond = \"count\"\nper = 'event.type'",
            "10:15",
            "write once = true and what to count by",
        ),
        (
            "once = true\nper = 'event.type'\nonce_keys = 1001",
            "12:13",
            "from 1 to 1000",
        ),
        (
            "once = true\nper = 'event.type'\nonce_keys = 1.5",
            "12:13",
            "a whole number from 1 to 1000",
        ),
        (
            "once = true\nper = 'event.type'\nonce_beyond = \"drop\"",
            "12:15",
            "must be \"ignore\" or \"count\"",
        ),
        (
            "cooldown = \"1d\"\nonce = true",
            "11:8",
            "leave \"cooldown\" out",
        ),
        (
            "cooldown = \"1d\"\nkeep = \"latest\"",
            "11:8",
            "leave \"cooldown\" out",
        ),
        (
            "keep = \"latest\"\nonce = true",
            "11:8",
            "leave one of them out",
        ),
        ("keep = \"lastest\"", "10:8", "did you mean \"latest\"?"),
        ("once = 1", "10:8", "must be true or false"),
        ("keys = 4", "10:8", "per = 'event.tags'"),
        ("per = 'event.tags'\nkeys = 65", "11:8", "from 1 to 64"),
        (
            "per = 'event.tags'\nkeys = 2.5",
            "11:8",
            "a whole number from 1 to 64",
        ),
        ("per = 5", "10:7", "must be a string"),
        ("phrases = []", "10:11", "phrases = [\"looking for\"]"),
    ];
    for (lines, place, words) in cases {
        check(&signal(lines), &[(place, words)]);
    }
    for sound in [
        "keep = \"sum\"\nonce = false\nper = 'event.tags'\nkeys = 64",
        "once = true\nper = 'event.tags'\nonce_keys = 1000\nonce_beyond = \"count\"",
    ] {
        Model::parse(&format!("{GOOD}{}", signal(sound))).unwrap();
    }
}
