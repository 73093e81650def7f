//! The order of lines where one can read another, whatever the model reads.
//!
//! - An update is read by the events of its profile and by those whose author it is; that of a
//!   subject by the events that count for it, and which subjects these are may be known to the
//!   server only. So an update and an event that can read it never overtake each other.
//! - An event can be read by any later one, through a subject that both count for. So events go
//!   in the order of the file, without waiting for each other's answers: the server keeps the
//!   order of a stream.
//!
//! Updates of others, which read nothing and are read by nobody on the way, go ahead.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::lines::{Entry, Update};
use crate::proto::v1::Event;

/// A line on its way to the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its number in the source.
    pub line: u64,
    /// What it asks for.
    pub entry: Entry,
    /// How often it has been sent in vain.
    pub tries: u32,
}

/// What lines have in common that may not overtake each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Shared {
    Profile(String),
    /// By kind and id. Events read their subjects by [`Shared::AnySubject`] too.
    Subject(String, String),
    /// The subjects of events: which they are, beside those that the event names, the model knows.
    AnySubject,
}

/// What a line does to what it shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// An event reads it: any number at once.
    Read,
    /// An update writes it.
    Write,
}

/// What an event shares with other lines.
fn shared_by_event(event: &Event) -> Vec<(Shared, Claim)> {
    let mut shared = vec![Shared::Profile(event.profile_id.clone())];
    if !event.author_id.is_empty() && event.author_id != event.profile_id {
        shared.push(Shared::Profile(event.author_id.clone()));
    }
    shared.push(Shared::AnySubject);
    let claims = shared.into_iter().map(|shared| (shared, Claim::Read));
    claims.collect()
}

/// What an update shares with other lines.
fn shared_by_update(update: &Update) -> Vec<(Shared, Claim)> {
    let shared = match update {
        Update::Profile(update) => vec![Shared::Profile(update.profile_id.clone())],
        Update::Subject(update) => vec![
            Shared::Subject(update.kind.clone(), update.subject_id.clone()),
            Shared::AnySubject,
        ],
    };
    let claims = shared.into_iter().map(|shared| (shared, Claim::Write));
    claims.collect()
}

/// What is on its way for what lines share, and what waits.
#[derive(Debug, Default)]
struct Lane {
    reads: usize,
    writes: usize,
    /// The lines that may not go yet, in order.
    waiting: VecDeque<(u64, Claim)>,
}

impl Lane {
    /// Updates of different subjects do not meet, whatever the events between them read.
    fn is_open_to(&self, shared: &Shared, claim: Claim) -> bool {
        match claim {
            Claim::Read => self.writes == 0,
            Claim::Write => self.reads == 0 && (self.writes == 0 || *shared == Shared::AnySubject),
        }
    }

    fn count(&mut self, claim: Claim) -> &mut usize {
        match claim {
            Claim::Read => &mut self.reads,
            Claim::Write => &mut self.writes,
        }
    }
}

/// A line that may not go yet.
#[derive(Debug)]
struct Held {
    step: Step,
    /// How much of what it shares it waits for.
    missing: usize,
}

/// Decides when each line may go.
#[derive(Debug, Default)]
pub struct Order {
    lanes: HashMap<Shared, Lane>,
    /// By line.
    held: BTreeMap<u64, Held>,
    /// The lines of the events among them, in order.
    events: VecDeque<u64>,
}

impl Order {
    /// Takes the next line of the source; gives it back when it may go at once.
    pub fn admit(&mut self, step: Step) -> Option<Step> {
        let (all_shared, is_event) = match &step.entry {
            Entry::Event(event) => (shared_by_event(event), true),
            Entry::Update(update) => (shared_by_update(update), false),
        };
        let mut missing = 0;
        for (shared, claim) in all_shared {
            let lane = self.lanes.entry(shared.clone()).or_default();
            if lane.waiting.is_empty() && lane.is_open_to(&shared, claim) {
                *lane.count(claim) += 1;
            } else {
                lane.waiting.push_back((step.line, claim));
                missing += 1;
            }
        }
        if missing == 0 && (!is_event || self.events.is_empty()) {
            return Some(step);
        }
        if is_event {
            self.events.push_back(step.line);
        }
        self.held.insert(step.line, Held { step, missing });
        None
    }

    /// Notes that the server has answered an event; gives the lines that may go now, in order.
    pub fn answered_event(&mut self, event: &Event) -> Vec<Step> {
        self.answered(shared_by_event(event))
    }

    /// Notes that the server has answered an update; gives the lines that may go now, in order.
    pub fn answered_update(&mut self, update: &Update) -> Vec<Step> {
        self.answered(shared_by_update(update))
    }

    fn answered(&mut self, all_shared: Vec<(Shared, Claim)>) -> Vec<Step> {
        let mut released = Vec::new();
        for (shared, claim) in all_shared {
            for line in self.leave(&shared, claim) {
                let Some(held) = self.held.get_mut(&line) else {
                    continue;
                };
                held.missing -= 1;
                if held.missing == 0 && matches!(held.step.entry, Entry::Update(_)) {
                    released.extend(self.held.remove(&line).map(|held| held.step));
                }
            }
        }
        while let Some(line) = self.events.front()
            && self.held.get(line).is_some_and(|held| held.missing == 0)
        {
            released.extend(self.held.remove(line).map(|held| held.step));
            self.events.pop_front();
        }
        released
    }

    /// Takes a line off what it shares; the lines that wait for it no more.
    fn leave(&mut self, shared: &Shared, claim: Claim) -> Vec<u64> {
        let mut admitted = Vec::new();
        let Some(lane) = self.lanes.get_mut(shared) else {
            return admitted;
        };
        let count = lane.count(claim);
        *count = count.saturating_sub(1);
        while let Some((line, claim)) = lane.waiting.front().copied()
            && lane.is_open_to(shared, claim)
        {
            lane.waiting.pop_front();
            *lane.count(claim) += 1;
            admitted.push(line);
        }
        if lane.reads == 0 && lane.writes == 0 && lane.waiting.is_empty() {
            self.lanes.remove(shared);
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::{UpdateProfileRequest, UpdateSubjectRequest};

    fn step(line: u64, entry: Entry) -> Step {
        Step {
            line,
            entry,
            tries: 0,
        }
    }

    fn event(line: u64, profile_id: &str, author_id: &str) -> Step {
        let event = Event {
            profile_id: profile_id.to_owned(),
            author_id: author_id.to_owned(),
            ..Event::default()
        };
        step(line, Entry::Event(event))
    }

    fn update(line: u64, profile_id: &str) -> Step {
        let update = UpdateProfileRequest {
            profile_id: profile_id.to_owned(),
            ..UpdateProfileRequest::default()
        };
        step(line, Entry::Update(Update::Profile(update)))
    }

    fn subject_update(line: u64, subject_id: &str) -> Step {
        let update = UpdateSubjectRequest {
            kind: "account".to_owned(),
            subject_id: subject_id.to_owned(),
            ..UpdateSubjectRequest::default()
        };
        step(line, Entry::Update(Update::Subject(update)))
    }

    /// The lines of a source on their way, those that were sent and not answered.
    #[derive(Default)]
    struct Way {
        order: Order,
        sent: BTreeMap<u64, Entry>,
    }

    impl Way {
        /// Which of the lines go at once.
        fn admit(&mut self, steps: impl IntoIterator<Item = Step>) -> Vec<u64> {
            let mut gone = Vec::new();
            for step in steps {
                gone.extend(self.order.admit(step).map(|step| self.send(step)));
            }
            gone
        }

        /// Which lines go when this one is answered.
        fn answer(&mut self, line: u64) -> Vec<u64> {
            let released = match self.sent.remove(&line).unwrap() {
                Entry::Event(event) => self.order.answered_event(&event),
                Entry::Update(update) => self.order.answered_update(&update),
            };
            released.into_iter().map(|step| self.send(step)).collect()
        }

        fn send(&mut self, step: Step) -> u64 {
            self.sent.insert(step.line, step.entry);
            step.line
        }
    }

    #[test]
    fn events_follow_each_other_without_waiting() {
        let mut way = Way::default();
        let events = [event(1, "a", ""), event(2, "a", "b"), event(3, "b", "")];
        assert_eq!(way.admit(events), [1, 2, 3]);
    }

    #[test]
    fn an_update_waits_for_every_earlier_event_that_reads_it() {
        let mut way = Way::default();
        assert_eq!(way.admit([event(1, "a", ""), event(2, "b", "a")]), [1, 2]);
        assert_eq!(way.admit([update(3, "a"), update(4, "c")]), [4]);
        assert!(way.answer(1).is_empty());
        assert_eq!(way.answer(2), [3]);
    }

    #[test]
    fn nothing_of_a_profile_overtakes_a_waiting_update() {
        let mut way = Way::default();
        let lines = [
            event(1, "a", ""),
            update(2, "a"),
            event(3, "a", ""),
            event(4, "b", "a"),
            update(5, "a"),
        ];
        assert_eq!(way.admit(lines), [1]);
        assert_eq!(way.answer(1), [2]);
        assert_eq!(way.answer(2), [3, 4]);
        assert!(way.answer(3).is_empty());
        assert_eq!(way.answer(4), [5]);
    }

    #[test]
    fn a_reply_waits_for_the_update_of_its_author_and_updates_of_others_go_ahead() {
        let mut way = Way::default();
        let lines = [
            update(1, "author-1"),
            event(2, "ann", "author-1"),
            update(3, "author-2"),
            event(4, "ben", "author-2"),
            event(5, "cleo", ""),
        ];
        assert_eq!(way.admit(lines), [1, 3]);
        assert!(
            way.answer(3).is_empty(),
            "an event may read the one before it"
        );
        assert_eq!(way.answer(1), [2, 4, 5]);
    }

    #[test]
    fn the_update_of_a_subject_keeps_its_place_among_the_events_that_may_count_for_it() {
        let mut way = Way::default();
        let lines = [
            event(1, "a", ""),
            subject_update(2, "x"),
            subject_update(3, "y"),
            subject_update(4, "z"),
            event(5, "a", ""),
            event(6, "a", ""),
        ];
        assert_eq!(way.admit(lines), [1]);
        assert_eq!(way.answer(1), [2, 3, 4]);
        assert!(way.answer(2).is_empty());
        assert!(way.answer(4).is_empty());
        assert_eq!(way.answer(3), [5, 6]);
    }

    #[test]
    fn what_is_answered_is_forgotten() {
        let mut way = Way::default();
        let lines = [update(1, "a"), event(2, "a", "b"), subject_update(3, "x")];
        assert_eq!(way.admit(lines), [1]);
        assert_eq!(way.answer(1), [2]);
        assert_eq!(way.answer(2), [3]);
        assert!(way.answer(3).is_empty());
        let Order {
            lanes,
            held,
            events,
        } = way.order;
        assert!(lanes.is_empty() && held.is_empty() && events.is_empty());
    }
}
