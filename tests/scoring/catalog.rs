//! What a model says of what it declares.

use bellwether::scoring::{CatalogEntry, Model, SegmentEntry};

use crate::models::{GOOD, check};

const DESCRIBED: &str = r#"
[scores.interest]
half_life = "7d"
description = "Wants it: \"soon\""
[scores.fit]
[subjects.account]
description = "A company."
[[signals]]
name = "asked"
on = ["question", "call"]
description = "Asked anything."
points = { interest = 1 }
[[attributes]]
name = "large"
when = 'has(profile.attributes.staff)'
description = "A large company."
points = { fit = 1 }
[[stages]]
name = "awareness"
description = "Has heard of us."
[[stages]]
name = "customer"
when = 'seen("purchase")'
[[segments]]
name = "everybody"
description = "All of them."
rank_by = "interest"
[[segments]]
name = "companies"
of = "account"
rank_by = "interest"
[[topics]]
name = "Our price"
description = "What it costs."
"#;

#[test]
fn a_model_tells_what_it_declares_and_what_it_says_of_each() {
    let model = Model::parse(DESCRIBED).unwrap();
    let entry = |name: &str, description: &str| CatalogEntry {
        name: name.to_owned(),
        description: description.to_owned(),
    };
    let catalog = model.catalog();
    assert_eq!(
        catalog.scores,
        [entry("interest", "Wants it: \"soon\""), entry("fit", "")]
    );
    let types = ["question", "call"].map(str::to_owned).to_vec();
    assert_eq!(
        catalog.signals,
        [(entry("asked", "Asked anything."), types)]
    );
    assert_eq!(catalog.rules, [entry("large", "A large company.")]);
    assert_eq!(
        catalog.stages,
        [
            entry("awareness", "Has heard of us."),
            entry("customer", "")
        ]
    );
    let segment = |entry, of: &str| SegmentEntry {
        entry,
        of: of.to_owned(),
        rank_by: vec!["interest".to_owned()],
    };
    assert_eq!(
        catalog.segments,
        [
            segment(entry("everybody", "All of them."), "people"),
            segment(entry("companies", ""), "account"),
        ]
    );
    assert_eq!(catalog.topics, [entry("Our price", "What it costs.")]);
    assert_eq!(catalog.subject_kinds, [entry("account", "A company.")]);
}

#[test]
fn a_description_is_a_part_of_the_model_of_which_nothing_is_counted() {
    let lines = DESCRIBED
        .lines()
        .filter(|line| !line.starts_with("description"));
    let silent = Model::parse(&lines.collect::<Vec<_>>().join("\n")).unwrap();
    let described = Model::parse(DESCRIBED).unwrap();
    // Or a server would take the one for the other, and never tell the new words.
    assert_ne!(described.fingerprint(), silent.fingerprint());
    assert_eq!(described.rank_names(), silent.rank_names());
    assert_eq!(silent.catalog().topics[0].description, "");
}

#[test]
fn descriptions_are_short_texts_where_something_is_declared() {
    let long = "x".repeat(501);
    let most = "x".repeat(500);
    let stage = |description: &str| format!("[[stages]]\nname = \"a\"\n{description}\n");
    for (description, words) in [
        (format!("description = \"{long}\""), "1 to 500 bytes"),
        (
            "description = \"a\\nb\"".to_owned(),
            "without control characters",
        ),
        ("description = \" \"".to_owned(), "1 to 500 bytes"),
        ("description = 7".to_owned(), "must be a string"),
    ] {
        check(&stage(&description), &[("8:15", words)]);
    }
    let longest = format!("{GOOD}{}", stage(&format!("description = \"{most}\"")));
    assert!(Model::parse(&longest).is_ok());
    check(
        "[interests]\ndescription = \"What people care about.\"\n",
        &[("7:1", "has no key \"description\"")],
    );
}
