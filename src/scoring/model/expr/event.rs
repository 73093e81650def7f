//! What an event itself says, as expressions read it.

use super::{native_value::NativeValue, variable::Variable};
use crate::scoring::Event;

/// What a variable stands for; `None` when it is not there, or not of the event alone.
pub(crate) fn event_value<'a>(event: &'a Event, variable: &Variable) -> Option<NativeValue<'a>> {
    let value = match variable {
        Variable::EventType => NativeValue::text(&event.event_type),
        Variable::EventChannel => NativeValue::text(&event.channel),
        Variable::EventText => NativeValue::text(&event.text),
        Variable::EventContentId => NativeValue::text(&event.content_id),
        Variable::EventCampaignId => NativeValue::text(&event.campaign_id),
        Variable::EventAuthorId => {
            let author_id = event.author_id.as_ref();
            NativeValue::text(author_id.map_or("", |author_id| author_id.as_str()))
        }
        Variable::EventSentiment => NativeValue::Number(event.sentiment?),
        Variable::EventTags => NativeValue::Texts(&event.tags),
        Variable::EventAttributes => NativeValue::Map(&event.attributes),
        Variable::EventAttribute(name) => event.attributes.get(name)?.into(),
        _ => return None,
    };
    Some(value)
}

/// Whether a field of the event is more than nothing; `None` for what is there when it has a
/// value, or is not of the event alone.
pub(crate) fn event_has(event: &Event, variable: &Variable) -> Option<bool> {
    match variable {
        Variable::EventTags => Some(!event.tags.is_empty()),
        Variable::EventAttributes => Some(!event.attributes.is_empty()),
        Variable::EventChannel
        | Variable::EventText
        | Variable::EventContentId
        | Variable::EventCampaignId
        | Variable::EventAuthorId => {
            Some(event_value(event, variable).is_some_and(|value| value != NativeValue::text("")))
        }
        _ => None,
    }
}
