//! A comparison of two models for people.

use super::{
    failure::printable,
    instant,
    output::{Column, points, signed_count, table, wrapped_table},
};
use crate::proto::v1::{ActsOn, ComparisonReport, ModelChange, StageFlow};

/// What the numbers of a server leave out.
pub(super) const LIVE: &str = "Evaluated on what was counted so far: a change that acts only on what comes after shows in none of\nthese numbers.";
/// What the numbers of a file include.
pub(super) const OFFLINE: &str = "Each model counted the whole file from its start: a change that acts only on what comes after shows\nas if it had always held, and so does a half-life.";

/// The characters in a line of what may be long: conditions, lists, ids.
const WIDTH: u16 = 100;

/// What those who stand at no stage are listed as.
const UNSTAGED: &str = "(none)";

/// The report with its tables; `stages` are those of the new model in their order.
pub(super) fn describe(report: &ComparisonReport, stages: &[&str], note: &str) -> String {
    let mut text = format!(
        "{} profiles at {}\n{note}\n\n",
        signed_count(report.profiles),
        instant::format(report.as_of.as_ref())
    );
    text += &changes(&report.changes);
    text += &scores(report);
    text += &flows(&report.flows, stages);
    text + &segments(report)
}

/// A table for each of what changes act on, which they are ordered by.
fn changes(changes: &[ModelChange]) -> String {
    if changes.is_empty() {
        return "The two files mean the same.\n\n".to_owned();
    }
    let alike = changes.chunk_by(|one, other| one.acts_on == other.acts_on);
    alike.map(changes_alike).collect()
}

fn changes_alike(changes: &[ModelChange]) -> String {
    let acts_on = match changes[0].acts_on() {
        ActsOn::History => "acts on what was counted",
        ActsOn::Afterwards => "acts only on what comes after",
        ActsOn::HalfLife => "acts on how counts fade from now on",
        ActsOn::Unspecified => "acts on what this version does not know",
    };
    let columns = [
        Column::words(acts_on),
        Column::words(""),
        Column::words("- before, + after"),
    ];
    let rows = changes.iter().flat_map(|change| {
        let values = [("-", &change.before), ("+", &change.after)].into_iter();
        let written = values.filter(|(_, value)| !value.is_empty());
        written.enumerate().map(|(row, (sign, value))| {
            let place = if row == 0 { &change.place } else { "" };
            [printable(place), sign.to_owned(), printable(value)]
        })
    });
    wrapped_table(WIDTH, &columns, rows) + "\n"
}

fn scores(report: &ComparisonReport) -> String {
    let columns = [
        Column::words("score"),
        Column::numbers("rise"),
        Column::numbers("fall"),
    ];
    let rows = report.scores.iter().map(|score| {
        [
            score.score.clone(),
            signed_count(score.rising),
            signed_count(score.falling),
        ]
    });
    let mut text = table(&columns, rows) + "\n";
    let columns = [
        Column::words("score"),
        Column::words("who moves farthest"),
        Column::numbers("before"),
        Column::numbers("after"),
    ];
    let rows: Vec<_> = report
        .scores
        .iter()
        .flat_map(|score| {
            score.movers.iter().map(|mover| {
                [
                    score.score.clone(),
                    printable(&mover.profile_id),
                    points(mover.before),
                    points(mover.after),
                ]
            })
        })
        .collect();
    if !rows.is_empty() {
        text += &(wrapped_table(WIDTH, &columns, rows) + "\n");
    }
    text
}

/// How many go from each stage of the old model to each of the new one.
fn flows(flows: &[StageFlow], stages: &[&str]) -> String {
    let shown = |stage: &str| match stage {
        "" => UNSTAGED.to_owned(),
        name => name.to_owned(),
    };
    let mut columns = vec![Column::words("from / to")];
    let to: Vec<&str> = std::iter::once("").chain(stages.iter().copied()).collect();
    columns.extend(to.iter().map(|stage| Column::numbers(shown(stage))));
    let mut from: Vec<&str> = Vec::new();
    for flow in flows {
        if !from.contains(&flow.from_stage.as_str()) {
            from.push(&flow.from_stage);
        }
    }
    let rows = from.into_iter().map(|from| {
        let counts = to.iter().map(|to| {
            let mut between = flows
                .iter()
                .filter(|flow| flow.from_stage == from && flow.to_stage == *to);
            signed_count(between.next().map_or(0, |flow| flow.profiles))
        });
        std::iter::once(shown(from))
            .chain(counts)
            .collect::<Vec<_>>()
    });
    table(&columns, rows) + "\n"
}

fn segments(report: &ComparisonReport) -> String {
    if report.segments.is_empty() {
        return String::new();
    }
    let columns = [
        Column::words("segment"),
        Column::numbers("before"),
        Column::numbers("enter"),
        Column::numbers("leave"),
        Column::numbers("after"),
    ];
    let rows = report.segments.iter().map(|segment| {
        [
            segment.segment.clone(),
            signed_count(segment.before),
            signed_count(segment.entering),
            signed_count(segment.leaving),
            signed_count(segment.after),
        ]
    });
    table(&columns, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::{ScoreComparison, ScoreMover};

    #[test]
    fn flows_stand_in_a_matrix_in_the_order_of_the_new_stages() {
        let flow = |from: &str, to: &str, profiles| StageFlow {
            from_stage: from.to_owned(),
            to_stage: to.to_owned(),
            profiles,
        };
        let text = flows(
            &[
                flow("", "", 7),
                flow("", "lead", 2),
                flow("lead", "buyer", 1),
            ],
            &["lead", "buyer"],
        );
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[0], ["from", "/", "to", "(none)", "lead", "buyer"]);
        assert_eq!(lines[2], ["(none)", "7", "2", "0"]);
        assert_eq!(lines[3], ["lead", "0", "0", "1"]);
    }

    #[test]
    fn each_change_says_what_it_acts_on() {
        let change = |acts_on: ActsOn| ModelChange {
            place: "signals.visited.limit".to_owned(),
            before: "3".to_owned(),
            after: "5".to_owned(),
            acts_on: acts_on.into(),
        };
        assert!(changes(&[change(ActsOn::Afterwards)]).contains("acts only on what comes after"));
        assert!(changes(&[change(ActsOn::HalfLife)]).contains("how counts fade"));
        assert!(changes(&[]).contains("mean the same"));
    }

    #[test]
    fn what_is_long_goes_on_below_within_a_hundred_columns_and_nothing_is_left_out() {
        let condition = |limit: usize| {
            let groups: Vec<String> = (0..40).map(|group| format!("'group-{group}'")).collect();
            let list = groups.join(", ");
            format!("event.attributes.group in [{list}] && event.attributes.seats > {limit}")
        };
        let report = ComparisonReport {
            changes: vec![ModelChange {
                place: "signals.joined_a_product_group_of_the_new_catalogue.when".to_owned(),
                before: condition(3),
                after: condition(5),
                acts_on: ActsOn::Afterwards.into(),
            }],
            scores: vec![ScoreComparison {
                score: "interest".to_owned(),
                movers: vec![ScoreMover {
                    profile_id: "x".repeat(256),
                    before: 1.0,
                    after: 1_000.5,
                }],
                ..ScoreComparison::default()
            }],
            ..ComparisonReport::default()
        };
        let text = describe(&report, &[], OFFLINE);
        let tables = text.split_once("\n\n").unwrap().1;
        for line in text.lines() {
            assert!(line.chars().count() <= usize::from(WIDTH), "{line}");
        }
        // Both conditions are there whole, one below the other, and no word is broken.
        let mut lines = tables.lines().take_while(|line| !line.is_empty());
        let column = lines.next().unwrap().find("- before, + after").unwrap();
        let values = lines
            .skip(1)
            .map(|line| line.get(column..).unwrap_or("").trim());
        let values: Vec<&str> = values.collect();
        assert_eq!(
            values.join(" "),
            format!("{} {}", condition(3), condition(5)),
            "{tables}"
        );
        assert_eq!(tables.matches('x').count(), 256);
        assert!(tables.contains(" 1000.5"), "numbers stay whole\n{tables}");
    }
}
