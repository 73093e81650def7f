//! The order within each profile: events may follow each other without waiting, but a
//! profile update neither overtakes what came before it nor is overtaken. Lines of
//! different profiles do not wait for each other.

use std::collections::{HashMap, VecDeque};

use super::lines::Entry;

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

/// What a profile waits for.
#[derive(Debug, Default)]
struct Lane {
    /// Events that may be on their way.
    events: usize,
    /// Whether an update may be on its way.
    update: bool,
    /// What may not go yet, in order.
    waiting: VecDeque<Step>,
}

impl Lane {
    fn is_open_to(&self, entry: &Entry) -> bool {
        match entry {
            Entry::Event(_) => !self.update,
            Entry::Update(_) => !self.update && self.events == 0,
        }
    }

    fn occupy(&mut self, entry: &Entry) {
        match entry {
            Entry::Event(_) => self.events += 1,
            Entry::Update(_) => self.update = true,
        }
    }
}

/// Decides when each line may go.
#[derive(Debug, Default)]
pub struct Order {
    lanes: HashMap<String, Lane>,
}

/// Which kind of line was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// An event.
    Event,
    /// A profile update.
    Update,
}

impl Order {
    /// Takes the next line of the source; gives it back when it may go at once.
    pub fn admit(&mut self, step: Step) -> Option<Step> {
        let lane = match self.lanes.get_mut(step.entry.profile_id()) {
            Some(lane) => lane,
            None => self
                .lanes
                .entry(step.entry.profile_id().to_owned())
                .or_default(),
        };
        if lane.waiting.is_empty() && lane.is_open_to(&step.entry) {
            lane.occupy(&step.entry);
            return Some(step);
        }
        lane.waiting.push_back(step);
        None
    }

    /// Notes that the server has answered a line of the profile; gives the lines that may
    /// go now, in order.
    pub fn answered(&mut self, profile_id: &str, what: Answered) -> Vec<Step> {
        let Some(lane) = self.lanes.get_mut(profile_id) else {
            return Vec::new();
        };
        match what {
            Answered::Event => lane.events = lane.events.saturating_sub(1),
            Answered::Update => lane.update = false,
        }
        let mut released = Vec::new();
        while let Some(step) = lane.waiting.pop_front() {
            if !lane.is_open_to(&step.entry) {
                lane.waiting.push_front(step);
                break;
            }
            lane.occupy(&step.entry);
            released.push(step);
        }
        if lane.events == 0 && !lane.update && lane.waiting.is_empty() {
            self.lanes.remove(profile_id);
        }
        released
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::{Event, UpdateProfileRequest};

    fn event(line: u64, profile_id: &str) -> Step {
        let profile_id = profile_id.to_owned();
        let entry = Entry::Event(Event {
            profile_id,
            ..Event::default()
        });
        Step {
            line,
            entry,
            tries: 0,
        }
    }

    fn update(line: u64, profile_id: &str) -> Step {
        let profile_id = profile_id.to_owned();
        let entry = Entry::Update(UpdateProfileRequest {
            profile_id,
            ..UpdateProfileRequest::default()
        });
        Step {
            line,
            entry,
            tries: 0,
        }
    }

    fn lines(steps: Vec<Step>) -> Vec<u64> {
        steps.into_iter().map(|step| step.line).collect()
    }

    #[test]
    fn events_of_a_profile_follow_each_other_without_waiting() {
        let mut order = Order::default();
        assert!(order.admit(event(1, "a")).is_some());
        assert!(order.admit(event(2, "a")).is_some());
    }

    #[test]
    fn an_update_waits_for_every_earlier_event_of_its_profile() {
        let mut order = Order::default();
        assert!(order.admit(event(1, "a")).is_some());
        assert!(order.admit(event(2, "a")).is_some());
        assert!(order.admit(update(3, "a")).is_none());
        assert!(order.admit(update(4, "b")).is_some());
        assert!(order.answered("a", Answered::Event).is_empty());
        assert_eq!(lines(order.answered("a", Answered::Event)), [3]);
    }

    #[test]
    fn nothing_of_a_profile_overtakes_a_waiting_update() {
        let mut order = Order::default();
        assert!(order.admit(event(1, "a")).is_some());
        for step in [update(2, "a"), event(3, "a"), event(4, "a"), update(5, "a")] {
            assert!(order.admit(step).is_none());
        }
        assert_eq!(lines(order.answered("a", Answered::Event)), [2]);
        assert_eq!(lines(order.answered("a", Answered::Update)), [3, 4]);
        assert!(order.answered("a", Answered::Event).is_empty());
        assert_eq!(lines(order.answered("a", Answered::Event)), [5]);
    }

    #[test]
    fn a_profile_with_nothing_on_its_way_is_forgotten() {
        let mut order = Order::default();
        assert!(order.admit(update(1, "a")).is_some());
        assert!(order.admit(event(2, "a")).is_none());
        order.answered("a", Answered::Update);
        order.answered("a", Answered::Event);
        assert!(order.lanes.is_empty());
    }
}
