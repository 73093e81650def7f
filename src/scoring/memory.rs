//! What a record remembers of events and effects that have counted, so that nothing counts twice:
//! pairs of time and hash, and the greatest pair that was dropped.

use std::collections::BTreeMap;

use super::{Event, IdHash, ProfileId, Timestamp, TypeMark, limits::REMEMBERED_EFFECTS};

/// The latest events of a profile, so that none counts twice: the greatest pairs of
/// time and id hash, and the greatest pair that was dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventMemory {
    /// Ascending by time and id.
    pub remembered: Vec<RememberedEvent>,
    /// The greatest pair that was dropped; whatever is unknown and not above it is too old.
    pub horizon: Option<(Timestamp, IdHash)>,
    /// With which id those remembered events were sent that were sent with another one than that
    /// of the record. What an event does to others is known by this id.
    pub origins: BTreeMap<(Timestamp, IdHash), ProfileId>,
    /// By subject that followed from what the profile stated: the remembered events that counted
    /// for it, ascending. What follows from the event itself does so again.
    pub subjects: BTreeMap<ProfileId, Vec<(Timestamp, IdHash)>>,
}

/// An event that a record remembers, or a retraction of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RememberedEvent {
    /// The time that the event is known by.
    pub time: Timestamp,
    /// The hash of its id.
    pub id: IdHash,
    /// Of its type.
    pub type_mark: TypeMark,
}

impl RememberedEvent {
    /// An event of a type, by the time and the id that it is known by.
    pub fn new(time: Timestamp, id: IdHash, event_type: &str) -> Self {
        Self {
            time,
            id,
            type_mark: TypeMark::of(event_type),
        }
    }

    /// What it is ordered by, and known by within the record.
    pub fn pair(&self) -> (Timestamp, IdHash) {
        (self.time, self.id)
    }

    /// What its retraction is remembered as.
    pub(crate) fn retraction(self) -> Self {
        Self {
            id: self.id.of_retraction(),
            ..self
        }
    }
}

/// What a record knows about an event before counting it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recollection {
    /// It has not counted.
    New,
    /// It has counted, as an event of a type with this mark.
    Known(TypeMark),
    /// It cannot be told whether it has counted.
    TooOld,
}

impl EventMemory {
    /// Whether the event has counted before.
    pub fn recall(&self, time: Timestamp, id: IdHash) -> Recollection {
        let pair = (time, id);
        match self.find(pair) {
            Ok(position) => Recollection::Known(self.remembered[position].type_mark),
            Err(_) if self.horizon.is_some_and(|horizon| pair <= horizon) => Recollection::TooOld,
            Err(_) => Recollection::New,
        }
    }

    /// Whether an event is remembered.
    pub fn knows(&self, event: (Timestamp, IdHash)) -> bool {
        self.find(event).is_ok()
    }

    fn find(&self, pair: (Timestamp, IdHash)) -> Result<usize, usize> {
        self.remembered
            .binary_search_by_key(&pair, RememberedEvent::pair)
    }

    /// The time that an event is known by: as it was sent, because what came from the future would
    /// count at another instant, and so once more, when it is sent again. One that was sent
    /// without is looked for by its id alone; it takes its arrival when it is new.
    pub fn known_by(&self, event: &Event, arrival: Timestamp) -> Timestamp {
        let remembered = || {
            let mut latest_first = self.remembered.iter().rev();
            latest_first.find(|remembered| remembered.id == event.id)
        };
        let time = event.time;
        time.or_else(|| remembered().map(|remembered| remembered.time))
            .unwrap_or(arrival)
    }

    /// The id that a remembered event was sent with, when that is not the one of the record.
    pub fn origin(&self, time: Timestamp, id: IdHash) -> Option<&ProfileId> {
        self.origins.get(&(time, id))
    }

    /// The subjects of a remembered event that followed from what the profile stated then.
    pub fn subjects_of(&self, event: (Timestamp, IdHash)) -> impl Iterator<Item = &ProfileId> {
        let counted = move |events: &Vec<_>| events.binary_search(&event).is_ok();
        let subjects = self.subjects.iter();
        subjects.filter_map(move |(subject, events)| counted(events).then_some(subject))
    }

    /// Remembers a new event, and forgets the smallest beyond `capacity`.
    pub fn remember(
        &mut self,
        event: RememberedEvent,
        origin: Option<ProfileId>,
        subjects: Vec<ProfileId>,
        capacity: usize,
    ) {
        let Err(position) = self.find(event.pair()) else {
            return;
        };
        self.remembered.insert(position, event);
        if let Some(origin) = origin {
            self.origins.insert(event.pair(), origin);
        }
        for subject in subjects {
            let events = self.subjects.entry(subject).or_default();
            if let Err(position) = events.binary_search(&event.pair()) {
                events.insert(position, event.pair());
            }
        }
        let excess = self.remembered.len().saturating_sub(capacity.max(1));
        if let Some(greatest) = self.remembered.drain(..excess).next_back() {
            self.horizon = self.horizon.max(Some(greatest.pair()));
            self.origins.retain(|pair, _| *pair > greatest.pair());
            self.subjects.retain(|_, events| {
                events.drain(..events.partition_point(|event| *event <= greatest.pair()));
                !events.is_empty()
            });
        }
    }
}

/// The latest effects of others' events on a record, so that none counts twice. They are kept by
/// arrival and not by time: somebody who is touched a lot takes late ones like others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EffectMemory {
    /// In order of arrival.
    pub remembered: Vec<(Timestamp, IdHash)>,
    /// The greatest pair that was dropped. Whatever is unknown and above it has never counted.
    pub horizon: Option<(Timestamp, IdHash)>,
}

impl EffectMemory {
    /// Whether an effect is remembered.
    pub fn knows(&self, id: IdHash) -> bool {
        self.remembered.iter().any(|(_, known)| *known == id)
    }

    /// Whether an effect that is not remembered may have been, and was dropped.
    pub fn may_have_dropped(&self, time: Timestamp, id: IdHash) -> bool {
        self.horizon.is_some_and(|horizon| (time, id) <= horizon)
    }

    /// Remembers an effect, and drops the one that arrived first beyond the capacity.
    pub(crate) fn remember(&mut self, time: Timestamp, id: IdHash) {
        self.remembered.push((time, id));
        let excess = self.remembered.len().saturating_sub(REMEMBERED_EFFECTS);
        for dropped in self.remembered.drain(..excess) {
            self.horizon = self.horizon.max(Some(dropped));
        }
    }
}
