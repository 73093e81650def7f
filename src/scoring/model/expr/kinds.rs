//! The kinds of values, and what is known of them before an event comes.

use super::variable::Variable;

/// What is known of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Of what is refused already, from which no other mistake follows.
    Refused,
    /// What callers state.
    Any,
    Null,
    Truth,
    Number,
    Text,
    List,
    /// A list of texts.
    Texts,
    Map,
    Timestamp,
    Duration,
}

impl Kind {
    pub(super) fn named(self) -> &'static str {
        match self {
            Self::Refused | Self::Any => "a value",
            Self::Null => "null",
            Self::Truth => "true or false",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::List | Self::Texts => "a list",
            Self::Map => "a map",
            Self::Timestamp => "a timestamp",
            Self::Duration => "a duration",
        }
    }

    pub(super) fn is_list(self) -> bool {
        matches!(self, Self::List | Self::Texts)
    }

    pub(super) fn is_of_time(self) -> bool {
        matches!(self, Self::Timestamp | Self::Duration)
    }

    /// Whether a value may be of both kinds. What callers state is no timestamp and no duration:
    /// functions make these.
    pub(super) fn may_be(self, other: Self) -> bool {
        let any = |one: Self, other: Self| match one {
            Self::Refused => true,
            Self::Any => !other.is_of_time(),
            _ => false,
        };
        self == other || any(self, other) || any(other, self) || (self.is_list() && other.is_list())
    }

    /// What adding a value makes, or subtracting it, where one of the two is of time; `None` where
    /// that is never right.
    pub(super) fn moved_by(self, other: Self, is_added: bool) -> Option<Self> {
        match (self, other) {
            (Self::Timestamp, Self::Timestamp) if !is_added => Some(Self::Duration),
            (Self::Duration, Self::Timestamp) if is_added => Some(Self::Timestamp),
            (Self::Timestamp, Self::Duration) => Some(Self::Timestamp),
            (Self::Duration, Self::Duration) => Some(Self::Duration),
            (Self::Refused, _) | (_, Self::Refused) => Some(Self::Refused),
            _ => None,
        }
    }

    /// What is known of a value that is of one of two kinds.
    pub(super) fn or(self, other: Self) -> Self {
        if self == other { self } else { Self::Any }
    }

    /// Of what a loop goes through.
    pub(super) fn of_element(self) -> Self {
        match self {
            Self::Texts | Self::Map => Self::Text,
            _ => Self::Any,
        }
    }

    /// Of what is at a position or under a name.
    pub(super) fn of_index(self) -> Self {
        match self {
            Self::Texts => Self::Text,
            _ => Self::Any,
        }
    }
}

impl Variable {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::EventType
            | Self::EventChannel
            | Self::EventText
            | Self::EventContentId
            | Self::EventCampaignId
            | Self::EventAuthorId
            | Self::Stage => Kind::Text,
            Self::EventTopics | Self::EventTags => Kind::Texts,
            Self::EventAttributes
            | Self::ProfileAttributes
            | Self::AuthorAttributes
            | Self::SubjectAttributes(_) => Kind::Map,
            Self::EventAttribute(_)
            | Self::ProfileAttribute(_)
            | Self::AuthorAttribute(_)
            | Self::SubjectAttribute(..) => Kind::Any,
            Self::Seen(_) | Self::Has(_) => Kind::Truth,
            Self::EventSentiment
            | Self::SecondsSinceLast
            | Self::Completeness(_)
            | Self::IdentityConfidence
            | Self::Score(_)
            | Self::SubjectScore(..)
            | Self::Count(_)
            | Self::Rate(_)
            | Self::Interest(_) => Kind::Number,
            Self::FirstSeenTime | Self::LastEventTime | Self::AsOf => Kind::Timestamp,
        }
    }
}
