//! Which events are about which topics.

use std::sync::LazyLock;

use bellwether::scoring::{Event, Model, Name, Record};
use proptest::prelude::*;

use crate::{at, event, model, replay};

static MODEL: LazyLock<Model> = LazyLock::new(|| {
    model(
        r#"
[scores.interest]
half_life = "7d"
[[signals]]
name = "is_looking"
on = "post"
phrases = ["looking  for", "don't know"]
points = { interest = 1 }
[[topics]]
name = "coverage"
keywords = ["coverage", "no signal", "покрытие", "ΟΔΟΣ", "straße", "信号", "c++"]
[[topics]]
name = "price"
keywords = ["price"]
[[topics]]
name = "quantum-error correction"
"#,
    )
});

fn posted(text: &str, tags: &[&str]) -> Record {
    let event = Event {
        text: text.to_owned(),
        tags: tags.iter().map(|tag| (*tag).into()).collect(),
        ..event("1", "post")
    };
    replay(&MODEL, &[(at(0), event)]).0
}

fn topics_of(text: &str, tags: &[&str]) -> Vec<Name> {
    let interests = posted(text, tags).interests.into_iter();
    interests.map(|interest| interest.name).collect()
}

fn is_looking(text: &str) -> bool {
    !posted(text, &[]).counts.is_empty()
}

#[test]
fn keywords_match_whole_words_only() {
    assert_eq!(
        topics_of("The coverage, at this price!", &[]),
        ["coverage", "price"]
    );
    assert!(topics_of("discoverage priceless no signals", &[]).is_empty());
    assert_eq!(topics_of("(no signal)", &[]), ["coverage"]);
    assert_eq!(topics_of("I write C++.", &[]), ["coverage"]);
}

#[test]
fn case_does_not_matter_in_any_script() {
    for text in [
        "COVERAGE",
        "ПОКРЫТИЕ сети",
        "η οδός: οδος",
        "STRASSE",
        "Straße",
        "没有信号",
    ] {
        assert_eq!(topics_of(text, &[]), ["coverage"], "{text}");
    }
}

#[test]
fn tags_are_declared_topics_or_ignored() {
    assert_eq!(topics_of("", &["price", "unheard-of"]), ["price"]);
    assert_eq!(
        topics_of("", &["quantum-error correction"]),
        ["quantum-error correction"]
    );
}

#[test]
fn an_event_counts_once_for_a_topic_however_often_it_is_named() {
    assert_eq!(topics_of("price price PRICE", &["price"]), ["price"]);
}

#[test]
fn any_white_space_stands_for_a_blank_in_text_and_phrase() {
    for between in [
        " ",
        "   ",
        "\n",
        "\r\n",
        "\t \t",
        "\u{a0}",
        "\u{202f}",
        "\u{3000}",
        " \u{2009}\n",
    ] {
        assert!(is_looking(&format!("I am looking{between}for a plan")));
        assert_eq!(topics_of(&format!("no{between}signal"), &[]), ["coverage"]);
        assert_eq!(topics_of(&format!("ΟΔΟΣ{between}price"), &[]).len(), 2);
    }
    for between in ["", "-", " - ", ", ", "\u{200b}"] {
        assert!(!is_looking(&format!("I am looking{between}for a plan")));
    }
}

#[test]
fn apostrophes_are_alike_and_make_no_word_of_their_own() {
    for text in ["I DON'T know", "I don\u{2019}t know", "I don\u{2bc}t\nknow"] {
        assert!(is_looking(text), "{text}");
    }
    assert!(!is_looking("I dont know"));
    for quoted in ["\u{2018}price\u{2019}", "'price'", "\u{201c}price\u{201d}"] {
        assert_eq!(topics_of(quoted, &[]), ["price"], "{quoted}");
    }
    assert_eq!(topics_of("the price\u{2019}s high", &[]), [] as [&str; 0]);
}

#[test]
fn what_nobody_sees_neither_hides_a_word_nor_makes_one() {
    for unseen in [
        "\u{ad}",
        "\u{34f}",
        "\u{61c}",
        "\u{180e}",
        "\u{200b}",
        "\u{200c}",
        "\u{200d}",
        "\u{200e}",
        "\u{200f}",
        "\u{202a}",
        "\u{202b}",
        "\u{202c}",
        "\u{202d}",
        "\u{202e}",
        "\u{2060}",
        "\u{2061}",
        "\u{2066}",
        "\u{2067}",
        "\u{2068}",
        "\u{2069}",
        "\u{3164}",
        "\u{fe00}",
        "\u{fe0f}",
        "\u{feff}",
        "\u{e0001}",
        "\u{e0067}",
        "\u{e0100}",
    ] {
        for text in [
            format!("{unseen}price"),
            format!("price{unseen}"),
            format!("the {unseen}price{unseen}, too"),
            format!("pr{unseen}ice"),
            format!("р {unseen}price{unseen}{unseen}!"),
        ] {
            assert_eq!(topics_of(&text, &[]), ["price"], "{text:?}");
        }
        assert!(is_looking(&format!("look{unseen}ing {unseen} for{unseen}")));
        assert_eq!(topics_of(&format!("信{unseen}号"), &[]), ["coverage"]);
        for text in [
            format!("price{unseen}less"),
            format!("dis{unseen}coverage"),
            format!("looking{unseen}for"),
        ] {
            assert!(topics_of(&text, &[]).is_empty(), "{text:?}");
            assert!(!is_looking(&text), "{text:?}");
        }
    }
}

#[test]
fn a_keyword_with_what_nobody_sees_is_the_word_that_is_seen() {
    let model = model(
        "[scores.s]\n[[topics]]\nname = \"price\"\nkeywords = [\"\u{200e} pr\u{ad}ice\u{200f}\", \"caf\u{e9}\"]\n",
    );
    for text in [
        "the price",
        "PRI\u{2060}CE",
        "cafe\u{301}",
        "CAFE\u{301}",
        "CAF\u{c9}",
    ] {
        let event = Event {
            text: text.to_owned(),
            ..event("1", "post")
        };
        assert_eq!(
            replay(&model, &[(at(0), event)]).0.interests.len(),
            1,
            "{text:?}"
        );
    }
    let unseen = "[scores.s]\n[[topics]]\nname = \"t\"\nkeywords = [\"\u{200b}\u{2060}\"]\n";
    let mistakes = Model::parse(unseen).map(|_| ()).unwrap_err();
    assert_eq!(
        mistakes[0].to_string(),
        "4:13: nobody sees any of this; write a word or a phrase"
    );
}

#[test]
fn one_phrase_may_be_looked_for_by_many() {
    let topics: String = (0..3)
        .map(|n| format!("[[topics]]\nname = \"t{n}\"\nkeywords = [\"Price\", \"price list\"]\n"))
        .collect();
    let model = model(&format!("[scores.s]\n{topics}"));
    let event = Event {
        text: "a price list".to_owned(),
        ..event("1", "post")
    };
    assert_eq!(replay(&model, &[(at(0), event)]).0.interests.len(), 3);
}

/// A word, or something that stands between words.
fn piece() -> impl Strategy<Value = String> {
    let words =
        "looking|FOR|no|Signal|price|don\u{2019}t|know|покрытие|straße|信号|c\\+\\+|[a-zà-ÿ]{1,3}";
    let blanks = "[ \t\n\r\u{b}\u{c}\u{85}\u{a0}\u{2003}\u{202f}\u{2028}\u{3000}]{1,3}";
    prop_oneof![3 => words, 3 => blanks, 1 => "[.,'\u{2019}_-]"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_matches_does_not_depend_on_the_white_space_of_a_text(
        pieces in proptest::collection::vec(piece(), 0..12)
    ) {
        let text = pieces.concat();
        let single = text.split_whitespace().collect::<Vec<_>>().join(" ");
        prop_assert_eq!(topics_of(&text, &[]), topics_of(&single, &[]));
        prop_assert_eq!(is_looking(&text), is_looking(&single));
        let padded = format!("\u{a0}{}\n", single.replace(' ', "\t\u{2003} "));
        prop_assert_eq!(topics_of(&padded, &[]), topics_of(&single, &[]));
    }
}
