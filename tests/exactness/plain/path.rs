//! The way of a person along the path to purchase: which stages are kept, and since when each
//! is the stage.

use super::{World, meaning::meets};
use crate::table::Stage;

impl World {
    /// The least points that a stage asks of a person.
    pub(super) fn least(&self, id: &str, position: usize) -> Option<(&'static str, f64)> {
        let Stage { min, keep, .. } = self.model.stages[position];
        let (score, min) = min?;
        let kept = self.people[id].kept_stages.get(score);
        let keep = keep.filter(|_| kept.is_some_and(|kept| position <= *kept));
        Some((score, keep.unwrap_or(min)))
    }

    /// Judges which stages a person keeps or reaches at an instant, of the scores of which some
    /// stage is easier to keep.
    pub(super) fn judge(&mut self, id: &'static str, at: i64) {
        let stages = self.model.stages.iter();
        let scores: Vec<&str> = stages
            .filter_map(|stage| stage.keep.and(stage.min).map(|(score, _)| score))
            .collect();
        for score in scores {
            let is_kept = |position: &usize| {
                let least = self.least(id, *position);
                let least = least.filter(|(of, _)| *of == score);
                least.is_some_and(|(_, least)| {
                    meets(self.points(&self.people[id], score, at), least)
                })
            };
            let kept = (0..self.model.stages.len()).rev().find(is_kept);
            let person = self.person(id);
            match kept {
                Some(kept) => person.kept_stages.insert(score, kept),
                None => person.kept_stages.remove(score),
            };
        }
    }

    /// Follows the stages that a person falls to by fading alone, up to the instant of a write.
    /// Returns the instant that a change has that comes with it: what came by another write later
    /// is not changed any more.
    pub(super) fn fall(&mut self, id: &'static str, now: i64) -> i64 {
        let path = &mut self.person(id).path;
        while path
            .pop_if(|(time, _, fades)| *fades && *time > now)
            .is_some()
        {}
        let last = path.last().map_or(0, |(time, ..)| *time);
        let until = now.max(last);
        let mut time = last.max(self.people[id].last_event_time);
        loop {
            let stage = self.shown_stage(id, time);
            if until <= time || self.shown_stage(id, until) == stage {
                return until;
            }
            let mut lost = until;
            while lost - time > 1 {
                let middle = time + (lost - time) / 2;
                if self.shown_stage(id, middle) == stage {
                    time = middle;
                } else {
                    lost = middle;
                }
            }
            time = lost;
            let fallen = self.shown_stage(id, lost);
            self.person(id).path.push((lost, fallen, true));
        }
    }

    /// Notes where a person stands after a write, when that is not where they stood.
    pub(super) fn note(&mut self, id: &'static str, stood: Option<usize>, noted: i64) {
        let stands = self.shown_stage(id, noted);
        if stands != stood {
            self.person(id).path.push((noted, stands, false));
        }
    }

    /// Since when a person stands at a stage.
    pub(super) fn entered(&self, id: &'static str, at: i64) -> Option<i64> {
        let mut world = self.clone();
        let written = world.people[id].path.last().map_or(0, |(time, ..)| *time);
        world.fall(id, at.max(written));
        let stage = self.shown_stage(id, at);
        let path = world.people[id].path.iter();
        let (time, entered, _) = path.rev().find(|(time, ..)| *time <= at)?;
        Some(*time).filter(|_| stage.is_some() && stage == *entered)
    }

    /// The points of every score that a stage is bounded on.
    pub(super) fn bounded_points(&self, id: &str, at: i64) -> Vec<(&'static str, f64)> {
        let person = &self.people[id];
        let scores = self.model.stages.iter().filter_map(|stage| stage.min);
        scores
            .map(|(score, _)| (score, self.points(person, score, at)))
            .collect()
    }
}
