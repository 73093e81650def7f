//! Any text as a model file. Whatever is a model must judge events without a panic and
//! without losing itself in them.

use bellwether::scoring::{AttributeValue, Attributes, Model, Name, Record};

use super::person::{ARRIVAL, Person, event};

/// Reads the bytes as a model; returns whether they are text.
pub fn run(data: &[u8]) -> bool {
    let Ok(source) = std::str::from_utf8(data) else {
        return false;
    };
    match Model::parse(source) {
        Ok(model) => use_model(&model, source),
        Err(mistakes) => {
            assert!(!mistakes.is_empty(), "refused without a reason");
            for mistake in mistakes {
                assert!(mistake.line >= 1 && mistake.column >= 1, "{mistake}");
                assert!(
                    mistake.line <= source.matches('\n').count() + 1,
                    "{mistake}"
                );
            }
        }
    }
    true
}

fn use_model(model: &Model, source: &str) {
    assert_eq!(
        Model::parse(source).expect("the same model").fingerprint(),
        model.fingerprint()
    );
    let mut person = Person::new(model, "ann", Record::default());
    let mut author = Person::new(model, "bob", Record::default());
    let mut account = Person::new(model, "\u{1}account:a", Record::default());
    let types = event_types(source);
    for (position, event_type) in types.iter().enumerate() {
        let position = position as i64;
        let mut event = event(
            event_type,
            position as u64,
            ARRIVAL + position * 86_400_000_000_000,
        );
        event.attributes = attributes();
        event.tags = model.topic_names().take(3).map(Name::new).collect();
        let effects = person.score(&event);
        author.take(&effects);
        account.take(&effects);
    }
    // Nobody can state null: it takes an attribute away.
    let mut stated = attributes();
    stated.retain(|_, value| *value != AttributeValue::Null);
    author.take(&person.update(stated));
    let effects = person.release();
    author.take(&effects);
    account.take(&effects);
    person.read();
    author.read();
    account.read();
}

/// The first words in quotes: some of them are event types.
fn event_types(source: &str) -> Vec<&str> {
    let quoted = source.split('"').skip(1).step_by(2);
    let mut types: Vec<&str> = quoted
        .filter(|word| (1..=64).contains(&word.len()) && !word.chars().any(char::is_control))
        .collect();
    types.sort_unstable();
    types.dedup();
    types.truncate(24);
    types
}

fn attributes() -> Attributes {
    let numbers = (0..8).map(|number| AttributeValue::Number(f64::from(number)));
    [
        ("a", AttributeValue::Number(-1.5)),
        ("b", AttributeValue::String("word".to_owned())),
        ("c", AttributeValue::Null),
        ("l", AttributeValue::List(numbers.collect())),
        (
            "m",
            AttributeValue::Map(Attributes::from([(
                "n".to_owned(),
                AttributeValue::Bool(true),
            )])),
        ),
        ("length", AttributeValue::Number(1e308)),
        ("badge", AttributeValue::String("Critic".to_owned())),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
