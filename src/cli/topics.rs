//! `bellwether topics`: what the highest members of a segment care about.

use pbjson_types::Timestamp;

use super::{
    connection::Asking,
    failure::{Failure, printable},
    instant,
    output::{self, Column, points, share, signed_count, table},
};
use crate::proto::v1::{GetSegmentTopicsRequest, GetSegmentTopicsResponse};

/// Adds up what the highest members of a segment care about.
#[derive(Clone, Debug, clap::Args)]
pub struct Topics {
    /// The name of the segment.
    segment: String,
    /// How many members to add up, from the highest on: 1 to 1000.
    #[arg(long, default_value_t = 100, value_name = "MEMBERS", value_parser = clap::value_parser!(i32).range(1..=1000))]
    members: i32,
    /// The instant to rank for (RFC 3339); now unless given.
    #[arg(long, value_parser = instant::parse, value_name = "INSTANT")]
    as_of: Option<Timestamp>,
    #[command(flatten)]
    asking: Asking,
}

impl Topics {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let request = self.asking.request(GetSegmentTopicsRequest {
            tenant: self.asking.target.tenant.clone(),
            segment: self.segment.clone(),
            members: self.members,
            as_of: self.as_of,
        });
        let response = self
            .asking
            .answer(async |mut client| client.get_segment_topics(request).await)
            .await?;
        output::print(&if self.asking.json {
            output::json(&response)?
        } else {
            describe(&self.segment, &response)
        })
    }
}

/// The topics for people.
fn describe(segment: &str, response: &GetSegmentTopicsResponse) -> String {
    let over = format!(
        "over the {} highest of {} of {segment}\n",
        output::signed_count(response.members.into()),
        output::counted(response.segment_size, "member")
    );
    if response.topics.is_empty() {
        return format!("nobody cares about a topic, {over}");
    }
    let columns = [
        Column::words("topic"),
        Column::numbers("points"),
        Column::numbers("members"),
        Column::numbers("share"),
    ];
    let rows = response.topics.iter().map(|topic| {
        [
            printable(&topic.topic),
            points(topic.points),
            signed_count(topic.members.into()),
            share(topic.members.into(), response.members.into()),
        ]
    });
    table(&columns, rows) + &over
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::SegmentTopic;

    #[test]
    fn topics_stand_with_their_points_and_how_many_care() {
        let response = GetSegmentTopicsResponse {
            topics: vec![SegmentTopic {
                topic: "grammar".to_owned(),
                points: 12.5,
                members: 30,
            }],
            members: 100,
            segment_size: 1_234,
            as_of: None,
        };
        let text = describe("buyers", &response);
        for part in [
            "grammar",
            "12.5",
            "30.0%",
            "the 100 highest of 1,234 members of buyers",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_segment_that_cares_about_nothing_is_said() {
        let text = describe("buyers", &GetSegmentTopicsResponse::default());
        assert_eq!(
            text,
            "nobody cares about a topic, over the 0 highest of 0 members of buyers\n"
        );
    }
}
