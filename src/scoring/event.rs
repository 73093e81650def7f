//! Something a person did, already validated.

use super::{Attributes, IdHash, ProfileId, Timestamp};

/// An event that satisfies every bound of [`super::limits`].
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The hash of the caller's id of the event.
    pub id: IdHash,
    /// Who did it.
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
    pub tags: Vec<String>,
    /// From -1 to 1.
    pub sentiment: Option<f64>,
    /// Whose content this engages with.
    pub author_id: Option<ProfileId>,
    /// Which content this engages with; empty when not said.
    pub content_id: String,
    /// The account that it counts for as well, by [`ProfileId::of_account`].
    pub account_id: Option<ProfileId>,
}

/// An effect of one person's event on another: what an author earned.
#[derive(Clone, Debug, PartialEq)]
pub struct Credit {
    /// Derived from the touch that caused it, so that it never counts twice.
    pub id: IdHash,
    /// Who earned it.
    pub author_id: ProfileId,
    /// When.
    pub time: Timestamp,
    /// The declared topics that it counts for.
    pub topics: Vec<String>,
    /// The stage where the other person stood when touched; empty for none.
    pub stage: String,
    /// What it adds to the faded credit of each topic.
    pub credit: f64,
    /// What it adds to the touches of each topic: 0 or 1.
    pub touches: u64,
    /// What it adds to the advances of each topic, in millionths.
    pub advance_millionths: u64,
}
