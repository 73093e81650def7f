//! Reads a calibration: the curve from points to a probability.

use crate::scoring::{
    limits::{MAX_CALIBRATION_STEPS, MAX_POINTS, MAX_TAG_BYTES},
    model::calibration::{Calibration, Curve},
    written::{Spanned, Table},
};

/// Reads a calibration.
pub(crate) fn read(table: &mut Table<'_, '_, '_>) -> Option<Calibration> {
    let steps = read_steps(table);
    let logistic = table.table("logistic", read_logistic).flatten();
    let outcome = table.text("outcome", MAX_TAG_BYTES);
    if table.has("table") == table.has("logistic") {
        table.missing(
            "table or logistic",
            "write one of the two, table = [[0, 0.02], [20, 0.1], [100, 0.6]] or logistic = { midpoint = 20, slope = 0.15 }",
        );
        return None;
    }
    Some(Calibration {
        curve: steps.map(Curve::Steps).or(logistic)?,
        outcome: outcome.map_or_else(String::new, |outcome| outcome.value),
    })
}

fn read_steps(table: &mut Table<'_, '_, '_>) -> Option<Vec<(f64, f64)>> {
    const FORM: &str = "a list of points and probabilities, such as [[0, 0.02], [100, 0.6]]";
    let value = table.get("table")?;
    let Some(list) = value.get_ref().as_array() else {
        table.wrong_kind(value, "table", FORM);
        return None;
    };
    if !(2..=MAX_CALIBRATION_STEPS).contains(&list.len()) {
        let message = format!(
            "\"table\" has {} steps; write 2 to {MAX_CALIBRATION_STEPS}, such as [[0, 0.02], [100, 0.6]]",
            list.len()
        );
        table.diagnostic(value.span(), message);
        return None;
    }
    let mut steps: Vec<(Spanned<f64>, Spanned<f64>)> = Vec::with_capacity(list.len());
    for step in list.iter() {
        let pair = step.get_ref().as_array().map(|pair| &pair[..]);
        let Some([points, probability]) = pair else {
            table.wrong_kind(step, "table", FORM);
            return None;
        };
        let points = table.number_in(points, "points", 0.0, f64::MAX);
        let probability = table.number_in(probability, "probability", 0.0, 1.0);
        steps.push((points?, probability?));
    }
    let rises = steps.first()?.1.value <= steps.last()?.1.value;
    for pair in steps.windows(2) {
        let [(points, probability), (next_points, next_probability)] = pair else {
            continue;
        };
        if next_points.value <= points.value {
            let message = format!(
                "the points of a step must be above those of the step before, which are {}",
                points.value
            );
            table.diagnostic(next_points.span.clone(), message);
            return None;
        }
        let (low, high) = if rises {
            (probability, next_probability)
        } else {
            (next_probability, probability)
        };
        if low.value > high.value {
            let message = "the probabilities must rise all the way or fall all the way, or more points would mean now this and now that; write the steps so that they do";
            table.diagnostic(next_probability.span.clone(), message);
            return None;
        }
    }
    let steps = steps.into_iter();
    Some(
        steps
            .map(|(points, probability)| (points.value, probability.value))
            .collect(),
    )
}

fn read_logistic(table: &mut Table<'_, '_, '_>) -> Option<Curve> {
    let midpoint = table.number("midpoint", -MAX_POINTS, MAX_POINTS);
    let slope = table.number("slope", -MAX_POINTS, MAX_POINTS);
    if !table.has("midpoint") {
        table.missing(
            "midpoint",
            "at how many points the probability is one half, such as midpoint = 20",
        );
    }
    if !table.has("slope") {
        table.missing(
            "slope",
            "how steep the curve is, such as slope = 0.15, or a negative number when it falls",
        );
    }
    let slope = slope?;
    if slope.value == 0.0 {
        let message = "a slope of 0 gives everybody the same probability; write how steep the curve is, such as 0.15, or a negative number when it falls";
        table.diagnostic(slope.span, message);
        return None;
    }
    Some(Curve::Logistic {
        midpoint: midpoint?.value,
        slope: slope.value,
    })
}
