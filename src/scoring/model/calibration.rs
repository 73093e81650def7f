//! Calibration: what points are worth as a probability, as the model states it.

use crate::scoring::Probability;

/// A monotone curve from points to a probability.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Calibration {
    pub(crate) curve: Curve,
    /// What it is the probability of, in the words of the model; empty when it does not say.
    pub(crate) outcome: String,
}

/// Its form.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Curve {
    /// Points and probabilities, at least two, by ascending points; linear between them.
    Steps(Vec<(f64, f64)>),
    Logistic {
        midpoint: f64,
        slope: f64,
    },
}

impl Calibration {
    /// The probability at that many points.
    pub(crate) fn probability(&self, points: f64) -> Probability {
        let value = match &self.curve {
            Curve::Steps(steps) => between(steps, points),
            Curve::Logistic { midpoint, slope } => {
                1.0 / (1.0 + (-slope * (points - midpoint)).exp())
            }
        };
        Probability {
            value,
            outcome: self.outcome.clone(),
        }
    }
}

/// Linear between two steps, and level before the first and after the last one.
fn between(steps: &[(f64, f64)], points: f64) -> f64 {
    let above = steps.partition_point(|(from, _)| *from <= points);
    match (
        above.checked_sub(1).and_then(|below| steps.get(below)),
        steps.get(above),
    ) {
        (Some((from, low)), Some((to, high))) => {
            let share = (points - from) / (to - from);
            // Rounding must not lead past a step, or a curve that rises would fall there.
            (low + (high - low) * share).clamp(low.min(*high), low.max(*high))
        }
        (Some((_, level)), None) | (None, Some((_, level))) => *level,
        (None, None) => 0.0,
    }
}
