//! Keeps events apart that a rule of the model takes for those of a robot or a scanner, and
//! counts them when they are released.

use super::{RecordEdit, matched_event::MatchedEvent};
use crate::scoring::{
    EventSubjects, HeldEvent, HeldMatch, IdHash, Name, Record,
    counts::Match,
    evaluation::Changed,
    limits::{MAX_HELD_BYTES, MAX_HELD_EVENTS},
    model::{Model, QuarantineRuleId, StageId},
};

/// Which held events to release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only those that this rule holds.
    pub rule: Option<String>,
    /// Only the event with this id.
    pub event: Option<IdHash>,
}

impl Selection {
    fn holds(&self, held: &HeldEvent) -> bool {
        self.rule.as_ref().is_none_or(|rule| *rule == held.rule)
            && self.event.is_none_or(|event| event == held.id)
    }
}

impl RecordEdit<'_> {
    /// Keeps an event apart, and drops those that came first beyond the capacity.
    pub(super) fn hold(
        &mut self,
        rule: QuarantineRuleId,
        matched_event: MatchedEvent<'_>,
        remembered_events: usize,
    ) {
        let (model, record) = (self.model, &mut self.record);
        let matches = matched_event.matches.into_iter().map(|matched| HeldMatch {
            signal: model.signals[matched.signal].name.clone(),
            value: matched.value,
            keys: matched.keys,
        });
        record.quarantine.push(HeldEvent {
            rule: model.quarantine[rule].name.clone(),
            id: matched_event.id,
            known_by: matched_event.known_by,
            time: matched_event.at,
            event_type: matched_event.event_type.into(),
            matches: matches.collect(),
            topics: matched_event.topics,
            author_id: matched_event.author_id,
            subjects: matched_event.subjects.all,
            origin: matched_event.origin,
        });
        let excess = excess(&record.quarantine);
        let dropped: Vec<HeldEvent> = record.quarantine.drain(..excess).collect();
        for dropped in dropped {
            // Who began to release it may have come as far as its effects.
            let (matched_event, from) = self.matched_event_of(&dropped);
            let retraction = matched_event.remembered().retraction();
            self.remember(retraction, None, Vec::new(), remembered_events);
            self.withhold(matched_event, from);
            self.dropped_events += 1;
        }
        self.held_by.push(model.quarantine[rule].name.clone());
        let changed = Changed::default();
        self.evaluation.refresh(model, &self.record, changed);
    }

    /// Counts up to `most` of the held events that are selected, in the order in which they
    /// came. Returns how many.
    pub fn release(&mut self, selection: &Selection, most: usize) -> usize {
        let mut released = Vec::new();
        self.record.quarantine.retain_mut(|held| {
            let is_released = released.len() < most && selection.holds(held);
            if is_released {
                released.push(held.clone());
            }
            !is_released
        });
        let count = released.len();
        self.changed |= count > 0;
        for held in released {
            let (matched_event, from) = self.matched_event_of(&held);
            self.apply_matched_event(matched_event, from);
        }
        count
    }

    /// What a held event would do now, and the stage just before it.
    pub(super) fn matched_event_of<'h>(
        &self,
        held: &'h HeldEvent,
    ) -> (MatchedEvent<'h>, Option<StageId>) {
        let now = held.time.max(self.record.last_event_time);
        let from = self.evaluation.stage_to_be(self.model, now);
        let matched_event = MatchedEvent {
            origin: held.origin.clone(),
            id: held.id,
            known_by: held.known_by,
            at: held.time,
            event_type: &held.event_type,
            topics: held.topics.clone(),
            author_id: held.author_id.clone(),
            subjects: EventSubjects {
                all: held.subjects.clone(),
                ..EventSubjects::default()
            },
            matches: matches_of(self.model, &self.record, held),
        };
        (matched_event, from)
    }
}

/// How many of the first events are beyond the capacity.
fn excess(held: &[HeldEvent]) -> usize {
    let mut bytes = 0;
    let latest_first = held.iter().rev().enumerate();
    let kept = latest_first.take_while(|(position, event)| {
        let is_kept = *position == 0 || bytes + event.bytes() <= MAX_HELD_BYTES;
        bytes += event.bytes();
        is_kept && *position < MAX_HELD_EVENTS
    });
    held.len() - kept.count()
}

impl HeldEvent {
    /// Bytes of its names and keys, which are nearly all that it takes.
    fn bytes(&self) -> usize {
        let matches = self.matches.iter().map(|matched| {
            let keys = matched.keys.iter().map(Name::len);
            matched.signal.len() + keys.sum::<usize>()
        });
        let topics = self.topics.iter().map(Name::len);
        let others = self
            .subjects
            .iter()
            .chain(&self.author_id)
            .chain(&self.origin);
        let others = others.map(|id| id.as_str().len());
        self.event_type.len()
            + matches.sum::<usize>()
            + topics.sum::<usize>()
            + others.sum::<usize>()
    }
}

/// What a held event matched, without the signals that there are no more, or that cool down.
fn matches_of(model: &Model, record: &Record, held: &HeldEvent) -> Vec<Match> {
    let matches = held.matches.iter().filter_map(|matched| {
        let signal = *model.signals_by_name.get(&matched.signal)?;
        let counted = &model.signals[signal];
        let mut keys = matched.keys.clone();
        let is_kept =
            !record.cools_down(counted, held.time) && record.leave_first_times(counted, &mut keys);
        is_kept.then_some(Match {
            signal,
            value: matched.value,
            keys,
        })
    });
    matches.collect()
}
