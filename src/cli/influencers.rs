//! `bellwether influencers`: whose content moves others, on a topic and at a stage.

use pbjson_types::Timestamp;

use super::{
    connection::Asking,
    failure::{Failure, printable},
    instant,
    output::{self, Column, points, signed_count, table},
    pages,
};
use crate::proto::v1::{Influencer, TopInfluencersRequest, TopInfluencersResponse};

/// Lists who influences people on a topic, highest first.
#[derive(Clone, Debug, clap::Args)]
pub struct Influencers {
    /// The name of a declared topic.
    topic: String,
    /// Count only people who stood at this stage when they were touched.
    #[arg(long, default_value = "", hide_default_value = true)]
    stage: String,
    /// How many influencers at most.
    #[arg(long, default_value_t = 20, value_name = "INFLUENCERS")]
    limit: usize,
    /// The instant to rank for (RFC 3339); now unless given.
    #[arg(long, value_parser = instant::parse, value_name = "INSTANT")]
    as_of: Option<Timestamp>,
    #[command(flatten)]
    asking: Asking,
}

impl Influencers {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let first = TopInfluencersRequest {
            tenant: self.asking.target.tenant.clone(),
            topic: self.topic,
            stage: self.stage,
            as_of: self.as_of,
            ..TopInfluencersRequest::default()
        };
        let asking = &self.asking;
        let response = pages::collect(self.limit, async |page_size, page_token| {
            let request = asking.request(TopInfluencersRequest {
                page_size,
                page_token,
                ..first.clone()
            });
            asking
                .answer(async |mut client| client.top_influencers(request).await)
                .await
        })
        .await?;
        output::print(&if self.asking.json {
            output::json(&response)?
        } else if response.influencers.is_empty() {
            "nobody has influence on this topic yet\n".to_owned()
        } else {
            describe(&response.influencers)
        })
    }
}

impl pages::Page for TopInfluencersResponse {
    fn len(&self) -> usize {
        self.influencers.len()
    }

    fn next_page_token(&self) -> &str {
        &self.next_page_token
    }

    fn append(&mut self, next: Self) {
        self.influencers.extend(next.influencers);
        self.next_page_token = next.next_page_token;
    }

    fn truncate(&mut self, limit: usize) {
        self.influencers.truncate(limit);
    }
}

/// Influencers for people, highest first.
pub(super) fn describe(influencers: &[Influencer]) -> String {
    let stage_of = |influencer: &Influencer| {
        let profile = influencer.profile.as_ref();
        profile.map_or_else(String::new, |profile| profile.stage.clone())
    };
    // What nobody has is left out: the caller may not see it.
    let has = |is_told: fn(&Influencer) -> bool| influencers.iter().any(is_told);
    let has_stage = influencers.iter().any(|one| !stage_of(one).is_empty());
    let has_reach = has(|one| one.reach != 0.0);
    let has_advances = has(|one| one.advances != 0.0 || one.influence_probability != 0.0);
    let columns = [
        (true, Column::numbers("rank")),
        (true, Column::words("profile")),
        (has_stage, Column::words("stage")),
        (true, Column::numbers("influence")),
        (has_reach, Column::numbers("reach")),
        (true, Column::numbers("touches")),
        (has_advances, Column::numbers("advances")),
        (has_advances, Column::numbers("probability")),
    ];
    let shown = columns.each_ref().map(|(is_shown, _)| *is_shown);
    let rows = influencers.iter().zip(1_u64..).map(|(influencer, rank)| {
        let profile = influencer.profile.as_ref();
        let id = profile.map_or("", |profile| &profile.profile_id);
        let cells = [
            output::count(rank),
            printable(id),
            stage_of(influencer),
            points(influencer.influence),
            points(influencer.reach),
            signed_count(influencer.touches),
            format!("{:.2}", influencer.advances),
            format!("{:.1}%", influencer.influence_probability * 100.0),
        ];
        let cells = cells.into_iter().zip(shown);
        let cells = cells.filter(|(_, is_shown)| *is_shown);
        cells.map(|(cell, _)| cell).collect::<Vec<_>>()
    });
    let columns = columns.into_iter().filter(|(is_shown, _)| *is_shown);
    let columns: Vec<Column> = columns.map(|(_, column)| column).collect();
    table(&columns, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::Profile;

    #[test]
    fn an_influencer_stands_with_evidence() {
        let text = describe(&[Influencer {
            profile: Some(Profile {
                profile_id: "ada".to_owned(),
                ..Profile::default()
            }),
            influence: 12.5,
            reach: 0.0,
            touches: 1_024,
            advances: 3.25,
            influence_probability: 0.0613,
        }]);
        for part in ["ada", "12.5", "1,024", "3.25", "6.1%"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        for absent in ["stage", "reach"] {
            assert!(!text.contains(absent), "{absent}: {text}");
        }
    }
}
