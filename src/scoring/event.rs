//! Something a person did, already validated.

use super::{Attributes, IdHash, Name, ProfileId, Timestamp};

/// An event that satisfies every bound of [`super::limits`].
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The hash of the caller's id of the event.
    pub id: IdHash,
    /// Who did it, by the id that it was sent with.
    pub profile_id: ProfileId,
    /// What was done.
    pub event_type: String,
    /// When, as sent; the shell decides the instant that counts.
    pub time: Option<Timestamp>,
    /// Where; empty when not said.
    pub channel: String,
    /// Whatever else conditions read.
    pub attributes: Attributes,
    /// What was written; never stored.
    pub text: String,
    /// Tags as sent, declared topics or not.
    pub tags: Vec<Name>,
    /// From -1 to 1.
    pub sentiment: Option<f64>,
    /// Whose content this engages with.
    pub author_id: Option<ProfileId>,
    /// Which content this engages with; empty when not said.
    pub content_id: String,
    /// Which campaign led to this; empty when not said.
    pub campaign_id: String,
    /// What it says that it counts for as well, each by [`ProfileId::of_subject`].
    pub subjects: Vec<ProfileId>,
}
