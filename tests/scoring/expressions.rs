//! Expressions of model files: what is refused, where, and with which words.

use bellwether::scoring::Model;

use crate::models::{GOOD, check, signal};

#[test]
fn what_would_depend_on_the_clock_is_refused_with_the_alternative() {
    check(
        r#"[[attributes]]
name = "warm"
when = 'scores.interest > 5'
points = { fit = 1 }
[[attributes]]
name = "states"
when = 'has(profile.attributes.x)'
points = { interest = 1 }
[[signals]]
name = "late"
on = "visit"
when = 'now() > event.time'
points = { interest = 1 }
[scores.based]
half_life = "7d"
base = 3
"#,
        &[
            ("8:9", "read it in the `when` or the `value` of a signal"),
            ("13:12", "score without half_life"),
            ("17:12", "use a score with a half-life"),
            ("17:17", "reads the time of the event"),
            ("21:8", "a fading score starts from 0"),
        ],
    );
}

#[test]
fn whatever_asks_for_the_clock_is_told_why_not_and_what_to_use() {
    for call in [
        "now() > 1",
        "timestamp(\"2026-01-01T00:00:00Z\") > 1",
        "duration(\"1h\") > 1",
        "event.text.getHours() > 8",
        "event.text.getDayOfWeek() == 1",
        "now > 1",
    ] {
        let signal = format!(
            "[[signals]]\nname = \"a\"\non = \"visit\"\nwhen = '{call}'\npoints = {{ interest = 1 }}\n"
        );
        check(
            &signal,
            &[(
                "9:",
                "no expression reads the clock, or what it says of a person would change",
            )],
        );
        check(&signal, &[("9:", "event.seconds_since_last")]);
    }
}

#[test]
fn each_place_between_events_is_told_what_it_can_write_instead() {
    let standing = "profile.attributes, seen(), completeness()";
    for (table, path, words) in [
        (
            "[[segments]]\nrank_by = \"interest\"",
            "scores.interest > 1",
            "with rank_by = \"interest\" and min = 20 in a segment",
        ),
        (
            "[[segments]]\nrank_by = \"interest\"",
            "stage == \"x\"",
            "its min beside it",
        ),
        (
            "[[segments]]\nrank_by = \"interest\"",
            "subjects.account.scores.interest > 1",
            "of = \"KIND\"",
        ),
        (
            "[[stages]]",
            "scores.interest > 1",
            "with min = { interest = 20 } in a stage",
        ),
        (
            "[[attributes]]\npoints = { fit = 1 }",
            "scores.interest > 1",
            "the `value` of a signal",
        ),
        (
            "[[attributes]]\npoints = { fit = 1 }",
            "subjects.account.scores.interest > 1",
            "the `value` of a signal",
        ),
        (
            "[[identity]]\nconfidence = 0.5",
            "scores.interest > 1",
            "what is stated or was seen",
        ),
    ] {
        let head = table.replacen("\n", "\nname = \"n\"\n", 1);
        let head = if table.contains('\n') {
            head
        } else {
            format!("{table}\nname = \"n\"")
        };
        let source = format!("{head}\nwhen = '{path}'\n[subjects.account]\n");
        check(&source, &[("", words)]);
        let can_be_read = if table.contains("identity") {
            "here only profile.attributes, seen() and completeness() can"
        } else {
            standing
        };
        check(&source, &[("", can_be_read)]);
    }
}

#[test]
fn parts_of_scores_and_stages_are_told_how_to_be_read() {
    check(
        "[[signals]]\nname = \"a\"\non = \"visit\"\nwhen = 'scores[\"interest\"] > 1 || stage.name == \"x\"'\npoints = { interest = 1 }\n",
        &[
            ("9:9", "write scores.NAME"),
            ("9:35", "write stage == \"NAME\""),
        ],
    );
}

#[test]
fn text_outside_quotes_is_one_mistake_however_long_it_is() {
    let signal = |when: &str| {
        format!(
            "[[signals]]\nname = \"a\"\non = \"visit\"\nwhen = '{when}'\npoints = {{ interest = 1 }}\n"
        )
    };
    check(
        &signal(&"ü".repeat(200)),
        &[("9:9", "is no CEL expression")],
    );
    let nested = format!("{}true{}", "(".repeat(300), ")".repeat(300));
    check(
        &signal(&nested),
        &[(
            "9:9",
            "is nested deeper than 64; split it into simpler rules",
        )],
    );
}

#[test]
fn every_name_in_a_condition_is_resolved() {
    check(
        r#"[[signals]]
name = "a"
on = "visit"
when = 'event.atributes.x == 1 || scores.intrest > 1 || stage == "nowhere" || sean("x") || seen(event.type) || user.id == 1'
points = { interest = 1 }
[[stages]]
name = "awareness"
[[segments]]
name = "s"
when = 'event.type == "x"'
rank_by = "interest"
"#,
        &[
            ("9:9", "did you mean \"attributes\"?"),
            ("9:35", "did you mean \"interest\"?"),
            ("9:66", "has no stage \"nowhere\""),
            ("9:83", "did you mean \"seen\"?"),
            ("9:96", "one event type in quotes"),
            ("9:112", "has no \"user\""),
            ("15:9", "reads the event"),
        ],
    );
}

#[test]
fn an_expression_that_does_not_parse_is_told_with_its_place() {
    check(
        "[[signals]]\nname = \"a\"\non = \"visit\"\nwhen = 'event.type == '\npoints = { interest = 1 }\n",
        &[("9:23", "is no CEL expression")],
    );
}

#[test]
fn loops_within_loops_and_dotted_names_are_refused_and_loops_after_loops_are_not() {
    let signal = |when: &str| {
        format!(
            "[[signals]]\nname = \"a\"\non = \"visit\"\nwhen = '{when}'\npoints = {{ interest = 1 }}\n"
        )
    };
    check(
        &signal("event.topics.exists(t, event.topics.exists(u, u == t))"),
        &[("9:51", "has a loop within a loop")],
    );
    check(
        &signal("event.tags.exists(.t, .t == \"red\")"),
        &[("9:26", "write it without the dot")],
    );
    let sound = "event.topics.filter(t, t != \"a\").exists(t, t in event.topics)";
    Model::parse(&format!("{GOOD}{}", signal(sound))).unwrap();
}

#[test]
fn an_expression_that_is_nested_too_deep_or_chained_too_long_is_refused() {
    let chain = |first: &str, link: &str, last: &str| {
        let links = (4_096 - first.len() - last.len()) / link.len();
        format!("{first}{}{last}", link.repeat(links))
    };
    let deep = [
        format!("{}1 == 1{}", "[".repeat(70), "]".repeat(70)),
        chain("1", "+1", ""),
        chain("1", "<1", ""),
        chain("1", " in 1", ""),
        chain("event.attributes.a", ".a", ""),
        chain("event.attributes.a", "[0]", ""),
        chain("event.text", ".b()", ""),
        chain("event.topics", ".map(x,x)", ""),
        chain("", "true?1:", "1"),
        chain("", "-(", &format!("1{}", ")".repeat(60))),
    ];
    for when in deep {
        let source = format!(
            "[scores.x]\n[[signals]]\nname = \"a\"\non = \"visit\"\nwhen = '{when}'\npoints = {{ x = 1 }}\n"
        );
        let mistakes = Model::parse(&source).map(|_| ()).unwrap_err();
        let told = mistakes[0].to_string();
        assert!(
            told.contains("is nested deeper") || told.contains("is no CEL expression"),
            "{told} for {when}"
        );
    }
}

#[test]
fn an_expression_may_have_many_alternatives() {
    let when = vec!["event.attributes.n == 1"; 150].join(" || ");
    let source = format!(
        "[scores.x]\n[[signals]]\nname = \"a\"\non = \"visit\"\nwhen = '{when}'\npoints = {{ x = 1 }}\n"
    );
    Model::parse(&source).unwrap();
}

#[test]
fn what_can_never_be_right_is_told_with_what_to_write() {
    for (when, words) in [
        (
            r#"max(1, 2, 3) > event.sentiment"#,
            "calls max() with 3; it takes 2 values: write max(a, max(b, c)) for more",
        ),
        (r#"min(1) > 0"#, "write min(a, b)"),
        (r#"lower(event.text, 1) == "x""#, "write lower(text)"),
        (
            r#"get(event.attributes, "a") == 1"#,
            "write get(map, \"key\", default)",
        ),
        (
            r#"event.text.lower() == "x""#,
            "is no method; write lower(text)",
        ),
        (
            r#"event.attributes.n.number() == 1"#,
            "is no method; write number(x)",
        ),
        (
            r#"event.tags.contains("x")"#,
            "write \"element\" in list, or list.exists(x, x.contains(\"part\"))",
        ),
        (
            r#"contains(event.text, "x")"#,
            "write text.contains(\"part\")",
        ),
        (
            r#"event.text.contains(5)"#,
            "string(x) makes a text of a number",
        ),
        (r#"event.sentiment.startsWith("x")"#, "which is for texts"),
        (r#""x" in event.text"#, "write text.contains(\"part\")"),
        (r#""x" in 5"#, "write a list, such as x in [\"a\", \"b\"]"),
        (r#"event.type in [1, 2]"#, "write its elements in quotes"),
        (
            r#"event.sentiment in ["1"]"#,
            "write its elements without quotes",
        ),
        (
            r#"event.type"#,
            "stands for a text where a condition is needed",
        ),
        (r#"1"#, "stands for a number where a condition is needed"),
        (
            r#"event.tags.map(t, t == "x")"#,
            "stands for a list where a condition is needed",
        ),
        (
            r#"seen("visit") && event.sentiment"#,
            "takes a number for a condition",
        ),
        (r#"!event.type"#, "takes a text for a condition"),
        (r#"event.tags.exists(t, t)"#, "takes a text for a condition"),
        (
            r#"event.type == 5"#,
            "write the number without quotes, or compare number(x)",
        ),
        (
            r#"scores.interest == "5""#,
            "write the number without quotes, or compare number(x)",
        ),
        (
            r#"event.type == null"#,
            "has(x) asks whether something is there",
        ),
        (r#"event.tags == "x""#, "write x in list"),
        (r#"seen("visit") == "true""#, "which are never equal"),
        (
            r#"event.type > 5"#,
            "which is never answered; compare number(x)",
        ),
        (
            r#"event.tags > 5"#,
            "which is never answered; compare size(x)",
        ),
        (r#"event.type - 1 > 0"#, "calculates with a text"),
        (r#"-event.tags > 0"#, "calculates with a list"),
        (r#"seen("visit") + 1 > 0"#, "calculates with true or false"),
        (r#"event.type + 1 == "x1""#, "adds a text and a number"),
        (
            r#"event.type.name == "x""#,
            "asks a text for a part called \"name\"",
        ),
        (
            r#"event.type[0] == "x""#,
            "asks a text for what it has at a number",
        ),
        (
            r#"event.tags["x"] == "x""#,
            "asks a list for what it has at a text",
        ),
        (r#"event.text.exists(c, c == "x")"#, "loops over a text"),
        (r#"size(5) == 1"#, "only texts, lists and maps have one"),
        (r#"size(event.tags, 1) == 1"#, "write size(x)"),
        (r#"number(event.tags) == 1"#, "gives number() a list"),
        (
            r#"lower(5) == "5""#,
            "gives lower() a number where it takes a text",
        ),
        (r#"event.type == b"x""#, "write the text without b"),
        (
            r#"{"a": event.type}["a"] == "x""#,
            "write texts in quotes and plain values",
        ),
    ] {
        check(&signal(&format!("when = '{when}'")), &[("9:", words)]);
    }
    for (line, words) in [
        (
            r#"value = 'event.type'"#,
            "stands for a text where a number is needed; number(x)",
        ),
        (
            r#"per = 'seen("visit")'"#,
            "stands for true or false where keys are needed",
        ),
        (
            r#"per = 'event.attributes'"#,
            "write a text, a number, or a list of these",
        ),
    ] {
        check(&signal(line), &[("9:", words)]);
    }
    for when in [
        r#"max(1, max(2, 3)) > event.sentiment"#,
        r#"event.attributes.n % 2 == 1"#,
        r#""x" in event.tags || event.attributes.l.exists(x, x > 1)"#,
        r#"event.attributes.a == event.attributes.b || event.attributes.a == null"#,
        r#"{"gold": 3}[event.attributes.level] > 2"#,
        r#"(seen("visit") ? event.attributes.a : 2) == "x""#,
        r#"event.tags + ["x"] == ["x"]"#,
        r#"size(event.text) > 3 && event.text.size() < 9"#,
    ] {
        Model::parse(&format!("{GOOD}{}", signal(&format!("when = '{when}'")))).unwrap();
    }
}

#[test]
fn a_mistake_does_not_hide_its_neighbours() {
    check(
        r#"[[signals]]
name = 5
on = "visit"
when = 'event.tipe == 1 && max(1, 2, 3) > 2'
value = 0
points = { intrest = 1 }
[[quarantine]]
when = 'event.tags.contains("x")'
[[stages]]
name = "a"
when = 'event.type == "x"'
min = { intrest = 1 }
[[segments]]
name = "s"
when = 'seen(1)'
rank_by = "intrest"
[[identity]]
name = "i"
confidence = '"x"'
"#,
        &[
            ("7:8", "\"name\" must be a string"),
            ("9:9", "has no event.tipe"),
            ("9:", "calls max() with 3"),
            ("10:9", "\"value\" must be a number"),
            ("11:12", "did you mean \"interest\"?"),
            ("12:1", "lacks \"name\""),
            ("13:14", "asks a list with contains()"),
            ("16:9", "reads the event"),
            ("17:9", "did you mean \"interest\"?"),
            ("20:13", "one event type in quotes"),
            ("21:11", "did you mean \"interest\"?"),
            ("22:1", "lacks \"when\""),
            ("24:15", "where a number is needed"),
        ],
    );
}

#[test]
fn misuse_of_counts_rates_and_completeness_is_told() {
    check(
        r#"[[signals]]
name = "visited"
on = "visit"
when = 'count("visted") > 1 || rate("visited", "7 days") > 1 || count(event.type) > 1 || count("visited", "7d", "8d") > 1'
value = 'completeness("photo") + completeness([]) + rate("visited", "30s")'
per = 'author.atributes.role + subjects.account.scores.intrest'
points = { interest = 1 }
[[attributes]]
name = "often"
when = 'count("visited", "7d") > 3 || author.attributes.role == "x" || subjects.account.scores.interest > 1 || identity.confidense > 0.5'
points = { fit = 1 }
[[signals]]
name = "idle"
on = "visit"
[subjects.account]
"#,
        &[
            ("9:14", "did you mean \"visited\"?"),
            ("9:36", "write a number and a unit"),
            ("9:70", "a signal and a half-life in quotes"),
            ("9:95", "a signal and a half-life in quotes"),
            ("10:22", "a list of attributes in quotes"),
            ("10:46", "a list of attributes in quotes"),
            ("10:57", "from 1m"),
            ("11:8", "author.attributes.NAME"),
            ("11:32", "did you mean \"interest\"?"),
            ("15:14", "read it in the `when` or the `value` of a signal"),
            ("15:39", "reads the event"),
            ("15:72", "reads what fades"),
            ("15:112", "identity.confidence"),
            ("17:1", "only a signal that an expression counts"),
        ],
    );
}
