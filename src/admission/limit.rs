//! How much may be in work: less while it waits too long, more while it does not.

/// By how much a limit shrinks and grows in an interval: it is halved in three intervals and
/// doubled in twelve.
const SHRINKS_TO: (usize, usize) = (4, 5);
const GROWS_BY_ONE_IN: usize = 16;

/// A limit that follows how long work waits.
#[derive(Clone, Debug)]
pub struct Limit {
    now: usize,
    /// What it never shrinks below: so little waits for nothing.
    floor: usize,
    /// What it comes back to by itself.
    start: usize,
    most: usize,
    /// The most that was in work in this interval.
    peak: usize,
    was_reached: bool,
}

impl Limit {
    /// A limit that begins at `start`.
    pub fn new(floor: usize, start: usize, most: usize) -> Self {
        let most = most.max(1);
        let start = start.clamp(1, most);
        Self {
            now: start,
            floor: floor.clamp(1, start),
            start,
            most,
            peak: 0,
            was_reached: false,
        }
    }

    /// What may be in work now.
    pub const fn now(&self) -> usize {
        self.now
    }

    /// Takes note of what is in work.
    pub fn saw(&mut self, in_work: usize) {
        self.peak = self.peak.max(in_work);
        self.was_reached |= in_work >= self.now;
    }

    /// Takes note that somebody waits who would be in work by a greater limit.
    pub const fn was_too_low(&mut self) {
        self.was_reached = true;
    }

    /// Whether shrinking it changes anything: it is in use beyond its floor.
    pub const fn can_shrink(&self) -> bool {
        self.now > self.floor && self.peak > self.floor
    }

    /// Ends an interval in which work has waited too long.
    pub fn shrink(&mut self) {
        let (part, whole) = SHRINKS_TO;
        self.now = (self.now.min(self.peak) * part / whole).max(self.floor);
        self.begin_interval();
    }

    /// Ends an interval that changes nothing.
    pub const fn stay(&mut self) {
        self.begin_interval();
    }

    /// Ends an interval in which nothing has waited too long. Beyond where it began the limit
    /// grows only when it was reached.
    pub fn grow(&mut self) {
        let most = if self.was_reached {
            self.most
        } else {
            self.start.max(self.now)
        };
        let step = (self.now / GROWS_BY_ONE_IN).max(1);
        self.now = (self.now + step).min(most);
        self.begin_interval();
    }

    const fn begin_interval(&mut self) {
        self.peak = 0;
        self.was_reached = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shrinks_from_what_was_in_work_and_never_below_its_floor() {
        let mut limit = Limit::new(64, 256, 4_096);
        limit.saw(100);
        assert!(limit.can_shrink());
        limit.shrink();
        assert_eq!(limit.now(), 80);
        for _ in 0..10 {
            limit.saw(80);
            limit.shrink();
        }
        assert_eq!(limit.now(), 64);
        limit.saw(64);
        assert!(!limit.can_shrink());
    }

    #[test]
    fn it_comes_back_by_itself_and_grows_further_only_when_it_is_reached() {
        let mut limit = Limit::new(64, 256, 300);
        limit.saw(70);
        limit.shrink();
        for _ in 0..30 {
            limit.grow();
        }
        assert_eq!(limit.now(), 256);
        for _ in 0..30 {
            limit.saw(limit.now());
            limit.grow();
        }
        assert_eq!(limit.now(), 300);
    }

    #[test]
    fn what_an_operator_allows_comes_before_the_floor() {
        let limit = Limit::new(64, 256, 4);
        assert_eq!((limit.now(), limit.floor), (4, 4));
    }
}
