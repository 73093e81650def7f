//! Events of a forum for the core alone, without messages.

use bellwether::scoring::{AttributeValue, Attributes, Event, IdHash, Model, ProfileId, Timestamp};

/// The built-in model.
pub fn model() -> Model {
    Model::parse(include_str!("../../models/forum.toml")).unwrap()
}

/// The event with this number of a profile, two hours after the one before; one in four engages
/// with the author.
pub fn event(profile_id: &str, author_id: &str, number: u64, first_time: Timestamp) -> Event {
    let kind = ["question", "answer", "comment", "badge"][number as usize % 4];
    let is_comment = kind == "comment";
    Event {
        id: IdHash::of_event(&format!("event-{number}")),
        profile_id: ProfileId::new(profile_id).unwrap(),
        event_type: kind.to_owned(),
        time: Some(first_time.saturating_add_nanos(number as i64 * 7_200_000_000_000)),
        channel: "forum".to_owned(),
        attributes: Attributes::from([
            ("length".to_owned(), AttributeValue::Number(640.0)),
            (
                "badge".to_owned(),
                AttributeValue::String("Supporter".to_owned()),
            ),
        ]),
        text: String::new(),
        tags: is_comment.then(|| "tools".into()).into_iter().collect(),
        sentiment: None,
        author_id: is_comment.then(|| ProfileId::new(author_id).unwrap()),
        content_id: String::new(),
        campaign_id: String::new(),
        subjects: Vec::new(),
    }
}
