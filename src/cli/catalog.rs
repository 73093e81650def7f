//! `bellwether catalog`: what the model that answers declares.

use super::{
    connection::Asking,
    failure::Failure,
    output::{self, Column, table},
};
use crate::proto::v1::{CatalogEntry, GetCatalogRequest, GetCatalogResponse, SegmentEntry};

/// Lists the scores, signals, attribute rules, stages, segments and topics of the model that
/// answers, with what its file says of each.
#[derive(Clone, Debug, clap::Args)]
pub struct Catalog {
    #[command(flatten)]
    asking: Asking,
}

impl Catalog {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let request = self.asking.request(GetCatalogRequest {
            tenant: self.asking.target.tenant.clone(),
        });
        let response = self
            .asking
            .answer(async |mut client| client.get_catalog(request).await)
            .await?;
        output::print(&if self.asking.json {
            output::json(&response)?
        } else {
            describe(&response)
        })
    }
}

/// The catalog for people.
fn describe(response: &GetCatalogResponse) -> String {
    let entries = |kind: &str, entries: &[CatalogEntry]| -> Vec<[String; 3]> {
        let entries = entries.iter();
        entries
            .map(|entry| row(kind, &entry.name, &entry.description))
            .collect()
    };
    let signals = response.signals.iter();
    let segments = response.segments.iter();
    let rows = [
        entries("score", &response.scores),
        signals
            .map(|signal| row("signal", &signal.name, &signal.description))
            .collect(),
        entries("attribute rule", &response.attribute_rules),
        entries("stage", &response.stages),
        segments
            .map(|segment| row("segment", &segment.name, &ranking(segment)))
            .collect(),
        entries("topic", &response.topics),
    ];
    let mut rows = rows.into_iter().flatten().peekable();
    let model = format!("model {}\n", response.fingerprint);
    if rows.peek().is_none() {
        return model;
    }
    let columns = ["kind", "name", "description"].map(Column::words);
    table(&columns, rows) + &model
}

/// What is said of a segment, and what it ranks by.
fn ranking(segment: &SegmentEntry) -> String {
    if segment.rank_by.is_empty() {
        // Hidden.
        return segment.description.clone();
    }
    let ranking = format!("(by {})", segment.rank_by.join(" × "));
    let parts = [segment.description.as_str(), &ranking];
    parts.join(" ").trim_start().to_owned()
}

fn row(kind: &str, name: &str, description: &str) -> [String; 3] {
    [kind, name, description].map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_stands_with_its_kind_and_what_is_said_of_it() {
        let text = describe(&GetCatalogResponse {
            fingerprint: "00ff".to_owned(),
            scores: vec![CatalogEntry {
                name: "interest".to_owned(),
                description: "Wants it soon.".to_owned(),
            }],
            segments: vec![SegmentEntry {
                name: "buyers".to_owned(),
                rank_by: vec!["lately / habit".to_owned(), "fit".to_owned()],
                ..SegmentEntry::default()
            }],
            ..GetCatalogResponse::default()
        });
        let lines: Vec<&str> = text.lines().collect();
        let line = |parts: &[&str]| {
            let has_all = |line: &&&str| parts.iter().all(|part| line.contains(part));
            lines.iter().position(|line| has_all(&line))
        };
        let score = line(&["score", "interest", "Wants it soon."]);
        assert!(
            score.is_some() && score < line(&["segment", "buyers", "(by lately / habit × fit)"]),
            "{text}"
        );
        assert_eq!(lines.last(), Some(&"model 00ff"));
    }

    #[test]
    fn what_is_hidden_is_left_out() {
        let mut response = GetCatalogResponse {
            fingerprint: "00ff".to_owned(),
            ..GetCatalogResponse::default()
        };
        assert_eq!(describe(&response), "model 00ff\n");
        response.segments = vec![SegmentEntry {
            name: "buyers".to_owned(),
            ..SegmentEntry::default()
        }];
        let text = describe(&response);
        assert!(text.contains("buyers") && !text.contains("(by"), "{text}");
    }
}
