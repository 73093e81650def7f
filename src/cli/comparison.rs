//! A comparison of two models for people.

use super::{
    failure::printable,
    instant,
    output::{Column, points, signed_count, table},
};
use crate::proto::v1::{ActsOn, ComparisonReport, ModelChange, StageFlow};

/// What the numbers of a server leave out.
pub(super) const LIVE: &str = "Judged on what was counted so far: a change that acts only on what comes after shows in none of these numbers.";
/// What the numbers of a file include.
pub(super) const OFFLINE: &str = "Each model counted the whole file from its start: a change that acts only on what comes after shows as if it had always held, and so does a half-life.";

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

fn changes(changes: &[ModelChange]) -> String {
    if changes.is_empty() {
        return "The two files mean the same.\n\n".to_owned();
    }
    let columns = [
        Column::words("change"),
        Column::words("before"),
        Column::words("after"),
        Column::words("acts on"),
    ];
    let rows = changes.iter().map(|change| {
        let acts_on = match change.acts_on() {
            ActsOn::History => "what was counted",
            ActsOn::Afterwards => "only what comes after",
            ActsOn::HalfLife => "how counts fade from now on",
            ActsOn::Unspecified => "-",
        };
        [
            printable(&change.place),
            printable(&change.before),
            printable(&change.after),
            acts_on.to_owned(),
        ]
    });
    table(&columns, rows) + "\n"
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
        text += &(table(&columns, rows) + "\n");
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
        assert!(changes(&[change(ActsOn::Afterwards)]).contains("only what comes after"));
        assert!(changes(&[change(ActsOn::HalfLife)]).contains("how counts fade"));
        assert!(changes(&[]).contains("mean the same"));
    }
}
