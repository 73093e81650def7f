//! The kinds of values, and what is known of them before an event comes.

use super::variable::Variable;

/// What is known of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Any,
    Null,
    Truth,
    Number,
    Text,
    List,
    /// A list of texts.
    Texts,
    Map,
}

impl Kind {
    pub(super) fn named(self) -> &'static str {
        match self {
            Self::Any => "a value",
            Self::Null => "null",
            Self::Truth => "true or false",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::List | Self::Texts => "a list",
            Self::Map => "a map",
        }
    }

    pub(super) fn is_list(self) -> bool {
        matches!(self, Self::List | Self::Texts)
    }

    /// Whether a value may be of both kinds.
    pub(super) fn may_be(self, other: Self) -> bool {
        self == other
            || self == Self::Any
            || other == Self::Any
            || (self.is_list() && other.is_list())
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
            | Self::Rate(_) => Kind::Number,
        }
    }
}
