//! `bellwether funnel`: how many people stand at each stage.

use pbjson_types::Timestamp;

use super::{
    connection::Asking,
    failure::Failure,
    instant,
    output::{self, Column, share, signed_count, table},
};
use crate::proto::v1::{GetFunnelRequest, GetFunnelResponse};

/// Characters of the longest bar.
const BAR_WIDTH: f64 = 30.0;

/// Counts how many profiles stand at each stage, lowest first.
#[derive(Clone, Debug, clap::Args)]
pub struct Funnel {
    /// The instant to count for (RFC 3339); now unless given.
    #[arg(long, value_parser = instant::parse, value_name = "INSTANT")]
    as_of: Option<Timestamp>,
    #[command(flatten)]
    asking: Asking,
}

impl Funnel {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let request = self.asking.request(GetFunnelRequest {
            tenant: self.asking.target.tenant.clone(),
            as_of: self.as_of,
        });
        let response = self
            .asking
            .answer(async |mut client| client.get_funnel(request).await)
            .await?;
        output::print(&if self.asking.json {
            output::json(&response)?
        } else {
            describe(&response)
        })
    }
}

/// The funnel for people.
pub(super) fn describe(response: &GetFunnelResponse) -> String {
    let unstaged = ("(no stage yet)", response.unstaged_count);
    let stages = response
        .stages
        .iter()
        .map(|stage| (stage.stage.as_str(), stage.count));
    let rows: Vec<_> = std::iter::once(unstaged).chain(stages).collect();
    let total: i64 = rows.iter().map(|(_, count)| count).sum();
    let most = rows
        .iter()
        .map(|(_, count)| *count)
        .max()
        .unwrap_or(0)
        .max(1);
    let columns = [
        Column::words("stage"),
        Column::numbers("people"),
        Column::numbers("share"),
        Column::words(""),
    ];
    let rows = rows.into_iter().map(|(stage, count)| {
        let bar = (count as f64 / most as f64 * BAR_WIDTH).round() as usize;
        [
            stage.to_owned(),
            signed_count(count),
            share(count, total),
            "█".repeat(bar),
        ]
    });
    table(&columns, rows) + &format!("{} people in all\n", signed_count(total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::StageCount;

    #[test]
    fn every_stage_stands_in_order_with_its_share() {
        let stage = |stage: &str, count| StageCount {
            stage: stage.to_owned(),
            count,
        };
        let text = describe(&GetFunnelResponse {
            stages: vec![stage("aware", 6_000), stage("customer", 1_000)],
            unstaged_count: 1_000,
            as_of: None,
        });
        assert!(text.find("no stage") < text.find("aware"));
        assert!(text.find("aware") < text.find("customer"));
        for part in ["6,000", "75.0%", "12.5%", "8,000 people"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn an_empty_tenant_has_no_shares() {
        let text = describe(&GetFunnelResponse::default());
        assert!(text.contains("0 people in all"), "{text}");
    }
}
