//! Which events are about which topics.

use bellwether::scoring::Event;

use crate::{at, event, model, replay};

fn topics_of(text: &str, tags: &[&str]) -> Vec<String> {
    let model = model(
        r#"
[scores.interest]
half_life = "7d"
[[topics]]
name = "coverage"
keywords = ["coverage", "no signal", "покрытие", "ΟΔΟΣ", "straße", "信号", "c++"]
[[topics]]
name = "price"
keywords = ["price"]
[[topics]]
name = "quantum-error correction"
"#,
    );
    let event = Event {
        text: text.to_owned(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ..event("1", "post")
    };
    let (record, _) = replay(&model, &[(at(0), event)]);
    record
        .interests
        .into_iter()
        .map(|interest| interest.name)
        .collect()
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
