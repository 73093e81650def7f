//! What a phrase or a keyword may ask for beside its words: other forms of it, letters without
//! their diacritics, and what stands near it.

use bellwether::scoring::{Event, Model};
use proptest::prelude::*;

use crate::{DAY, at, event, model, points, replay, view};

/// A model with a signal that looks for phrases, and a topic with the same as keywords.
fn looking(phrases: &str) -> Model {
    model(&format!(
        "[scores.s]
[[signals]]
name = \"is_looking\"
on = \"post\"
phrases = {phrases}
points = {{ s = 1 }}
[[topics]]
name = \"looking\"
keywords = {phrases}
[word_lists]
negation = [\"not\", \"no longer\", \"isn't\", \"arrêté\"]
"
    ))
}

/// Whether the phrases stand in a text, for the signal as for the topic.
fn finds(model: &Model, text: &str) -> bool {
    let event = Event {
        text: text.to_owned(),
        ..event("1", "post")
    };
    let record = replay(model, &[(at(0), event)]).0;
    let found = [!record.counts.is_empty(), !record.interests.is_empty()];
    assert_eq!(found[0], found[1], "{text:?}");
    found[0]
}

#[track_caller]
fn check(phrases: &str, found: &[&str], others: &[&str]) {
    let model = looking(phrases);
    for text in found {
        assert!(finds(&model, text), "{text:?} has none of {phrases}");
    }
    for text in others {
        assert!(!finds(&model, text), "{text:?} has one of {phrases}");
    }
}

#[test]
fn a_phrase_is_found_in_any_of_its_forms() {
    for phrases in [
        r#"["where can I buy", { forms = ["looking for", "in the market for", "cherche"] }]"#,
        r#"["where can I buy", "looking for", "in the market for", { forms = "cherche" }]"#,
    ] {
        check(
            phrases,
            &[
                "Where can I  buy it?",
                "I am LOOKING FOR shoes",
                "in the market for shoes",
                "Je cherche des chaussures",
            ],
            &["overlooking forests", "in the market", "recherche"],
        );
    }
    check("\"looking for\"", &["looking for"], &["looking"]);
    check(
        "{ forms = \"looking for\" }",
        &["looking for"],
        &["looking"],
    );
}

#[test]
fn diacritics_are_folded_where_the_phrase_says_so() {
    let texts = [
        "un GATEAU, s'il te plait",
        "un gâteau, s'il te plaît",
        "un ga\u{302}teau",
        "UN GÂTEAU",
    ];
    for form in ["gâteau", "gateau", "GÂTEAU"] {
        check(
            &format!("{{ forms = {form:?}, fold_diacritics = true }}"),
            &texts,
            &["gat eau", "gateaux"],
        );
    }
    check("{ forms = \"gâteau\" }", &texts[1..], &texts[..1]);
    check(
        "{ forms = \"gateau\", fold_diacritics = false }",
        &texts[..1],
        &texts[1..],
    );
}

#[test]
fn a_diacritic_is_a_mark_above_below_or_attached_and_not_a_letter_of_its_own() {
    for (form, text) in [
        ("ca va", "ça va"),
        ("coeur", "un cœur d'or"),
        ("ex aequo", "EX ÆQUO"),
        ("istanbul", "İstanbul"),
        ("Việt Nam", "viet nam"),
        ("ёлка", "елка"),
        ("οδος", "οδός"),
        ("łódź", "łodz"),
    ] {
        let phrases = format!("{{ forms = {form:?}, fold_diacritics = true }}");
        check(&phrases, &[text], &[]);
    }
    for (form, text) in [
        ("か", "が"),
        ("lodz", "łódź"),
        ("ol", "øl"),
        ("क", "क\u{93c}"),
        ("=", "≠"),
    ] {
        let phrases = format!("{{ forms = {form:?}, fold_diacritics = true }}");
        check(&phrases, &[], &[text]);
    }
}

#[test]
fn a_phrase_does_not_count_where_an_excluded_word_is_near() {
    check(
        r#"{ forms = "looking for", unless_near = { words = ["not", "no longer"], before = 3, after = 1 } }"#,
        &[
            "looking for shoes",
            "I do not think so, but looking for shoes",
            "nothing: looking for shoes",
            "no, I longer for it: looking for shoes",
            "looking for shoes, not boots",
            "Not now. I am looking for shoes",
            "Why not? Looking for shoes",
            "looking for? Not shoes",
            "Why not\nLooking for shoes",
            "Why not \r\n - Looking for shoes",
            "Why not\u{2028} looking for shoes",
            "looking for\nnot shoes",
            "I was not looking for shoes, but these days I am looking for shoes",
        ],
        &[
            "I am not looking for shoes",
            "NOT, I repeat, looking for shoes",
            "no  longer -- just looking for shoes",
            "looking for not much",
            "I am not looking\nfor shoes",
            "Hello\nI am not\u{a0} looking for shoes",
            "I am not looking for shoes, and not looking for boots",
        ],
    );
}

#[test]
fn a_phrase_counts_only_where_a_required_word_is_near() {
    check(
        r#"{ forms = ["looking for", "cherche"], near = { words = ["shoes", "running shoes"], after = 3 } }"#,
        &[
            "looking for shoes",
            "looking for new red shoes",
            "looking for followers. Looking for shoes",
            "elle cherche des shoes",
        ],
        &[
            "looking for followers",
            "shoes are what I am looking for",
            "looking for some new red shoes",
            "looking for followers. Shoes",
            "looking for\nshoes",
            "looking for shoestrings",
        ],
    );
}

#[test]
fn what_must_be_near_and_what_must_not_go_together_and_words_are_outside_of_the_phrase() {
    check(
        r#"{ forms = "no longer using", near = { words = "acme", before = 32, after = 32 }, unless_near = { words = ["no", "using"], before = 32, after = 32 } }"#,
        &["I am no longer using Acme", "Acme: no longer using it"],
        &[
            "I am no longer using it",
            "no longer using Acme, no longer using Bolt",
        ],
    );
}

#[test]
fn words_near_a_phrase_may_stand_in_a_list_that_phrases_share() {
    let near = |near: &str| {
        format!("[{{ forms = \"looking for\", fold_diacritics = true, unless_near = {near} }}]")
    };
    check(
        &near(r#"{ list = "negation", before = 2 }"#),
        &["looking for shoes", "never looking for shoes"],
        &[
            "it isn\u{2019}t looking for shoes",
            "no longer looking for shoes",
            "arrete looking for shoes",
        ],
    );
    check(
        &near(r#"{ list = "negation", words = "never", before = 2 }"#),
        &["looking for shoes"],
        &["not looking for shoes", "never looking for shoes"],
    );
}

#[test]
fn where_too_much_would_have_to_be_looked_at_a_phrase_is_not_there() {
    let model = looking(r#"{ forms = "a", near = { words = "b", before = 32 } }"#);
    let text = |many: usize| format!("{}. b a", "a ".repeat(many));
    assert!(finds(&model, &text(1_000)));
    assert!(!finds(&model, &text(10_000)));
}

/// The block of the guide that begins with a line.
fn block_of_the_guide(first_line: &str) -> &'static str {
    let guide = include_str!("../../docs/model.md");
    let start = guide.find(&format!("```toml\n{first_line}")).unwrap() + "```toml\n".len();
    let block = &guide[start..];
    &block[..block.find("```").unwrap()]
}

#[test]
fn the_phrases_of_the_guide_find_what_it_says() {
    let block = block_of_the_guide("[word_lists]");
    let model = model(&format!("[scores.interest]\n{block}"));
    let is_found = |text: &str| {
        let event = Event {
            text: text.to_owned(),
            ..event("1", "post")
        };
        !replay(&model, &[(at(0), event)]).0.counts.is_empty()
    };
    assert!(is_found("looking for shoes, not boots"));
    assert!(is_found("A la recherche de chaussures"));
    assert!(!is_found("I am not looking for shoes"));
    assert!(!is_found("looking for followers of my shoes"));
}

#[test]
fn the_silence_of_the_guide_is_stated_exactly() {
    let model = model(block_of_the_guide("[scores.recency]"));
    let events = [(0, "purchase"), (1, "visit"), (2, "visit")];
    let events = events.map(|(day, what)| (at(day * DAY), event(&day.to_string(), what)));
    let record = replay(&model, &events).0;
    for (days, is_silent) in [
        (60, false),
        (61, true),
        (200, true),
        (360, true),
        (361, false),
    ] {
        let now = at((2 + days) * DAY);
        let silence = -(days as f64) / 30.0;
        let expected = silence.exp2();
        let points = points(&model, &record, now, "recency");
        assert!((points - expected).abs() <= 1e-12 * expected);
        let is_member = !view(&model, &record, now).segments.is_empty();
        assert_eq!(is_member, is_silent, "{days}");
    }
}

/// Words, marks and what stands between words.
fn any_text() -> impl Strategy<Value = String> {
    let pieces = "gâteau|gateau|e\u{301}|été|œuf|not|pas|looking for|\u{301}|\u{327}|か|が|가|\u{1100}\u{301}\u{1161}|[a-eà-ÿ]{1,2}";
    let between = "[ \n\u{a0}]{1,2}|[.,'!-]";
    let piece = prop_oneof![2 => pieces, 1 => between];
    proptest::collection::vec(piece, 1..10).prop_map(|pieces| pieces.concat())
}

/// Two texts, as a model file lists them, of which something is left without diacritics.
fn any_forms() -> impl Strategy<Value = [String; 2]> {
    let is_sound = |text: &String| text.contains(|letter: char| letter.is_alphabetic());
    let form = any_text().prop_filter("marks only", is_sound);
    let form = form.prop_map(|form| form.replace('\n', " "));
    proptest::array::uniform2(form)
}

fn listed([one, other]: &[String; 2]) -> String {
    format!("[\"{one}\", \"{other}\"]")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn folding_never_finds_less(forms in any_forms(), before in any_text(), after in any_text()) {
        let form = listed(&forms);
        let exact = looking(&format!("{{ forms = {form} }}"));
        let folding = looking(&format!("{{ forms = {form}, fold_diacritics = true }}"));
        for text in [
            format!("{before}{}{after}", forms[0]),
            format!("{before} {} {after}", forms[1]),
            format!("{before}{after}"),
        ] {
            prop_assert!(!finds(&exact, &text) || finds(&folding, &text), "{text:?}");
        }
    }

    #[test]
    fn a_condition_on_what_is_near_never_finds_more(
        forms in any_forms(),
        words in any_forms(),
        text in any_text(),
        (before, after) in (0..4_u8, 1..4_u8),
        folds in any::<bool>(),
    ) {
        let text = format!("{text} {} {} {text}", words[0], forms[0]);
        let found = |condition: &str| {
            let form = listed(&forms);
            let phrase = format!("{{ forms = {form}, fold_diacritics = {folds}{condition} }}");
            finds(&looking(&phrase), &text)
        };
        let words = listed(&words);
        let near = format!("{{ words = {words}, before = {before}, after = {after} }}");
        let is_there = found("");
        let has_near = found(&format!(", near = {near}"));
        let is_clear = found(&format!(", unless_near = {near}"));
        prop_assert!(is_there || !(has_near || is_clear));
        // Each place has such a word near it or has not.
        prop_assert!(!is_there || has_near || is_clear);
    }
}
