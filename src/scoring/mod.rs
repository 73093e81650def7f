//! The scoring core: pure functions over plain data. Time, identity and randomness are
//! handed to it; it knows no store, no network and no clock.

mod attributes;
mod event;
mod identity;
pub mod limits;
mod profile;
mod rank;
mod record;
mod timestamp;

pub use attributes::{AttributeMistake, AttributeValue, Attributes, check as check_attributes};
pub use event::{Credit, Event};
pub use identity::{IdHash, ProfileId, Tenant, is_identifier};
pub use profile::{Contribution, Influencer, Profile, Score, TopicInterest};
pub use rank::{KeyRange, RankChange, RankKey, RankName, Slope};
pub use record::{
    CountGroup, EventMemory, InfluenceCell, NamedCount, Recollection, Record, Touch,
};
pub use timestamp::{HalfLife, Timestamp};
