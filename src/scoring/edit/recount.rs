//! A record whose part that follows from others' events is replaced by what a recount of all
//! events comes to.

use crate::scoring::Record;

impl Record {
    /// This record of a person or a subject, with what it counts of others' events as `recount`
    /// has it. What a person did and what anybody states stays.
    #[must_use]
    pub fn recounted(&self, is_person: bool, recount: &Self) -> Self {
        let stays = self.clone();
        let recount = recount.clone();
        let of_others = Self {
            effects: recount.effects,
            influence_time: recount.influence_time,
            influence: recount.influence,
            ..stays
        };
        match is_person {
            true => of_others,
            false => Self {
                event_count: recount.event_count,
                first_seen_time: recount.first_seen_time,
                last_event_time: recount.last_event_time,
                counts: recount.counts,
                seen_types: recount.seen_types,
                interests: recount.interests,
                ..of_others
            },
        }
    }
}
