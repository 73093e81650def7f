//! What is aimed at, printed beside what was measured.

use crate::{
    clients::Method,
    events::VIEWS,
    phases::{Measured, Spread},
};

/// Goals, each with what was measured.
#[derive(Default)]
pub struct Goals(Vec<String>);

impl Goals {
    /// Something of which more is better.
    pub fn at_least(&mut self, what: &str, goal: f64, measured: &Spread) {
        self.add(what, "at least", goal, measured, measured.median >= goal);
    }

    /// Something of which less is better.
    pub fn at_most(&mut self, what: &str, goal: f64, measured: &Spread) {
        self.add(what, "at most", goal, measured, measured.median <= goal);
    }

    fn add(&mut self, what: &str, bound: &str, goal: f64, measured: &Spread, is_reached: bool) {
        let verdict = if is_reached { "reached" } else { "missed" };
        let goal = format!("{bound} {goal:.2}");
        self.0
            .push(format!("{verdict:<8} {what:<72} {goal:<18} {measured}"));
    }

    /// What is aimed at for a method, on the embedded store.
    pub fn embedded(&mut self, method: Method, noop: &Measured, real: &Measured) {
        let of_noop = real.of(noop);
        let name = format!("{}, of no-op", method.name());
        match method {
            Method::GetProfile { view } if view == VIEWS[0] => self.at_least(&name, 0.92, &of_noop),
            Method::GetProfile { .. } => {}
            Method::ScoreEvent => self.at_least(&name, 0.5, &of_noop),
            Method::RankSegment { page_size: 10 } => self.at_least(&name, 0.8, &of_noop),
            Method::RankSegment { .. } => self.at_least(&name, 0.6, &of_noop),
            Method::ScoreEvents => {
                let rates = real.rates().times(method.events() as f64);
                self.at_least("ScoreEvents, events a second", 55_000.0, &rates);
            }
        }
    }

    /// What is aimed at for a method, on Redis.
    pub fn redis(&mut self, method: Method, noop: &Measured, real: &Measured, bare: &Measured) {
        let (of_noop, of_bare) = (real.of(noop), real.of(bare));
        let of_both = real.of_both(noop, bare);
        let name = |of| format!("{}, of {of}", method.name());
        match method {
            Method::GetProfile { view } if view == VIEWS[0] => {
                self.at_least(&name("no-op"), 0.7, &of_noop);
                self.at_least(&name("both"), 0.9, &of_both);
            }
            Method::GetProfile { .. } => {}
            Method::ScoreEvent => {
                self.at_least(&name("no-op"), 0.36, &of_noop);
                self.at_least(&name("both"), 0.85, &of_both);
            }
            Method::RankSegment { page_size } => {
                let goal = if page_size == 10 { 0.2 } else { 0.25 };
                self.at_least(&name("no-op"), goal, &of_noop);
                self.at_least(&name("bare"), 1.0 / 1.2, &of_bare);
            }
            Method::ScoreEvents => {
                let rates = real.rates().times(method.events() as f64);
                self.at_least("ScoreEvents, events a second", 35_000.0, &rates);
                self.at_least(&name("bare"), 1.0, &of_bare);
            }
        }
    }

    pub fn print(&self) {
        println!("\nGoals, with the median of the turns (lowest-highest):");
        for line in &self.0 {
            println!("  {line}");
        }
    }
}
