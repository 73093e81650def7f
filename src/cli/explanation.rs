//! Why a profile has its points and stands at its stage, for people.

use super::{
    failure::printable,
    output::{Column, counted, decimals_of, given, points, points_to, table},
};
use crate::proto::v1::{Breadth, Contribution, ContributionKind, Score, StageRequirement};

/// A score, what is likely at it, and the terms that add up to it.
pub(super) fn of_score(score: &Score) -> String {
    let given = score.contributions.iter().map(|term| term.points);
    let given: Vec<f64> = std::iter::once(score.base).chain(given).collect();
    let decimals = decimals_of(&given);
    let total = points_to(score.points, decimals);
    let mut text = format!("{}: {total} points", score.name);
    if let Some(percentile) = score.percentile {
        text += &format!(", at least as many as {percentile:.1}% of those who have any");
    }
    if let Some(chance) = score.probability {
        text += &format!(", {}", probability(chance, &score.outcome));
    }
    text.push('\n');
    text += &score.breadth.as_ref().map_or_else(String::new, of_breadth);
    let terms = terms(score, decimals);
    if !terms.is_empty() {
        let columns = [
            Column::words("term"),
            Column::words("from"),
            Column::numbers("count"),
            Column::numbers("weight"),
            Column::numbers("points"),
            Column::words("limit"),
        ];
        text += &table(&columns, terms);
    }
    let sum: f64 = given.iter().sum();
    if sum < -rounding(score) && score.points == 0.0 {
        let sum = points_to(sum, decimals);
        text += &format!("the sum is {sum}, and points end at 0\n");
    } else if !is_whole(score) {
        text += "the rest of the points comes of what is not shown\n";
    }
    text + "\n"
}

/// Whether base and contributions are all that the points are made of: some may be hidden.
pub(super) fn is_whole(score: &Score) -> bool {
    let terms = score.contributions.iter().map(|term| term.points);
    let sum = score.base + terms.sum::<f64>();
    // Lacking breadth, terms give nothing.
    score.points == 0.0 || (score.points - sum).abs() <= rounding(score)
}

/// What sums of so much may be off by.
fn rounding(score: &Score) -> f64 {
    let terms = score.contributions.iter().map(|term| term.points.abs());
    (1.0 + terms.sum::<f64>()) * 1e-6
}

/// Such as `34.0% likely: buys`.
pub(super) fn probability(chance: f64, outcome: &str) -> String {
    let likely = format!("{:.1}% likely", chance * 100.0);
    if outcome.is_empty() {
        likely
    } else {
        format!("{likely}: {}", printable(outcome))
    }
}

fn of_breadth(breadth: &Breadth) -> String {
    let Breadth { present, required } = breadth;
    let until = if present < required {
        ", and gives no points until then"
    } else {
        ""
    };
    format!("{present} different signals; it asks for {required}{until}\n")
}

/// The rows of a score: base, contributions, and below each what its keys have. Points to as many
/// `decimals` as it takes that they add up.
fn terms(score: &Score, decimals: usize) -> Vec<[String; 6]> {
    let mut rows = Vec::new();
    let shown = |value: f64| points_to(value, decimals);
    if score.base != 0.0 {
        let base = ["base", "the model", "", "", &shown(score.base), ""];
        rows.push(base.map(str::to_owned));
    }
    for term in &score.contributions {
        let from = match term.kind() {
            ContributionKind::AttributeRule => "attribute rule",
            ContributionKind::Signal | ContributionKind::Unspecified => "signal",
        };
        rows.push([
            printable(&term.name),
            from.to_owned(),
            format!("{:.2}", term.count),
            given(term.weight),
            shown(term.points),
            limit(term),
        ]);
        for part in &term.keys {
            let key = if part.key.is_empty() {
                "other keys".to_owned()
            } else {
                printable(&part.key)
            };
            rows.push([
                format!("- {key}"),
                "key".to_owned(),
                format!("{:.2}", part.count),
                String::new(),
                shown(part.points),
                String::new(),
            ]);
        }
    }
    rows
}

fn limit(term: &Contribution) -> String {
    let Some(limit) = term.limit else {
        return String::new();
    };
    if term.capped_count > 0.0 {
        format!("{}, {:.2} cut off", given(limit), term.capped_count)
    } else {
        given(limit)
    }
}

/// What a stage asks for, and how far the profile is; empty when it asks for nothing, or for what is
/// hidden.
pub(super) fn of_stage(requirement: &StageRequirement) -> String {
    let mut parts = Vec::new();
    if !requirement.when.is_empty() {
        let holds = if requirement.when_holds {
            "holds"
        } else {
            "does not hold"
        };
        parts.push(format!("{} {holds}", printable(&requirement.when)));
    }
    if !requirement.score.is_empty() {
        let bound = format!(
            "{} {} of at least {}",
            requirement.score,
            points(requirement.points),
            given(requirement.min)
        );
        let mut missing = Vec::new();
        if requirement.missing_points > 0.0 {
            missing.push(points(requirement.missing_points));
        }
        if requirement.missing_signals > 0 {
            missing.push(counted(requirement.missing_signals.into(), "signal"));
        }
        parts.push(match missing.is_empty() {
            true => bound,
            false => format!("{bound}, {} missing", missing.join(" and ")),
        });
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::KeyContribution;

    fn term() -> Contribution {
        Contribution {
            name: "viewed".to_owned(),
            kind: ContributionKind::Signal.into(),
            count: 4.25,
            weight: 4.0,
            points: 17.0,
            limit: Some(3.0),
            capped_count: 1.25,
            keys: vec![
                KeyContribution {
                    key: "rust\u{1b}".to_owned(),
                    count: 3.0,
                    points: 12.0,
                },
                KeyContribution {
                    key: String::new(),
                    count: 1.25,
                    points: 5.0,
                },
            ],
        }
    }

    fn score() -> Score {
        Score {
            name: "interest".to_owned(),
            points: 18.0,
            percentile: Some(97.5),
            contributions: vec![term()],
            base: 1.0,
            probability: Some(0.344),
            breadth: Some(Breadth {
                present: 3,
                required: 3,
            }),
            outcome: "buys".to_owned(),
        }
    }

    #[test]
    fn a_score_is_explained_by_its_terms_their_keys_and_their_limits() {
        let text = of_score(&score());
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert_eq!(
            lines[0],
            "interest: 18.0 points, at least as many as 97.5% of those who have any, 34.4% likely: buys"
        );
        assert_eq!(lines[1], "3 different signals; it asks for 3");
        let words = |line: &str| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(words(lines[4]), ["base", "the", "model", "1.0"]);
        assert_eq!(
            words(lines[5]),
            [
                "viewed", "signal", "4.25", "4.0", "17.0", "3.0,", "1.25", "cut", "off"
            ]
        );
        assert!(lines[6].trim_start().starts_with("- rust"), "{text}");
        assert_eq!(
            words(lines[7]),
            ["-", "other", "keys", "key", "1.25", "5.0"]
        );
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn lacking_breadth_and_a_sum_below_zero_are_said() {
        let mut score = score();
        score.breadth = Some(Breadth {
            present: 2,
            required: 3,
        });
        let text = of_score(&score);
        assert!(
            text.contains("2 different signals; it asks for 3, and gives no points"),
            "{text}"
        );
        score.points = 0.0;
        score.contributions[0].points = -3.0;
        assert!(of_score(&score).contains("points end at 0"));
    }

    #[test]
    fn terms_that_are_hidden_are_said_to_be_missing() {
        let mut score = score();
        assert!(!of_score(&score).contains("not shown"));
        score.base = -1.0;
        score.contributions.clear();
        let text = of_score(&score);
        assert!(
            text.contains("comes of what is not shown") && !text.contains("the sum is"),
            "{text}"
        );
    }

    #[test]
    fn a_stage_is_explained_by_its_condition_and_its_bound() {
        let next = StageRequirement {
            stage: "customer".to_owned(),
            when: "seen(\"purchase\")".to_owned(),
            when_holds: false,
            score: "interest".to_owned(),
            min: 40.0,
            points: 25.0,
            missing_points: 15.0,
            keep: None,
            missing_signals: 2,
        };
        assert_eq!(
            of_stage(&next),
            "seen(\"purchase\") does not hold; interest 25.0 of at least 40.0, 15.0 and 2 signals missing"
        );
        let held = StageRequirement {
            when: String::new(),
            missing_points: 0.0,
            missing_signals: 0,
            points: 41.0,
            ..next
        };
        assert_eq!(of_stage(&held), "interest 41.0 of at least 40.0");
        assert_eq!(of_stage(&StageRequirement::default()), "");
    }

    #[test]
    fn numbers_of_the_model_are_shown_as_they_stand_there() {
        let mut score = score();
        score.contributions[0].weight = 0.25;
        score.contributions[0].limit = Some(0.125);
        let text = of_score(&score);
        assert!(
            text.contains(" 0.25 ") && text.contains("0.125, 1.25 cut off"),
            "{text}"
        );
    }
}
