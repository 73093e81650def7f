//! `bellwether rank`: who stands highest in a segment.

use pbjson_types::Timestamp;

use super::{
    connection::Asking,
    explanation,
    failure::{Failure, printable},
    get::{view, without_stage},
    instant,
    output::{self, Column, counted, decimals_of, points, points_to, signed_count, table},
    pages,
};
use crate::proto::v1::{
    Profile, RankSegmentRequest, RankSegmentResponse, SegmentMember, segment_member::Member,
};

/// Lists the members of a segment, highest first.
#[derive(Clone, Debug, clap::Args)]
pub struct Rank {
    /// The name of the segment.
    segment: String,
    /// How many members at most; 20 unless given, and all of a share.
    #[arg(long, value_name = "MEMBERS")]
    limit: Option<usize>,
    /// Only the highest share of the segment, such as 10%, rounded up to whole members.
    #[arg(long, value_parser = percentage, value_name = "SHARE")]
    top: Option<f64>,
    /// Only members that this condition holds for, such as 'stage == "decision"'.
    #[arg(long, value_name = "CONDITION")]
    condition: Option<String>,
    /// Show where the points come from.
    #[arg(long)]
    full: bool,
    /// The instant to rank for (RFC 3339); now unless given.
    #[arg(long, value_parser = instant::parse, value_name = "INSTANT")]
    as_of: Option<Timestamp>,
    #[command(flatten)]
    asking: Asking,
}

impl Rank {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let first = RankSegmentRequest {
            tenant: self.asking.target.tenant.clone(),
            segment: self.segment.clone(),
            condition: self.condition.clone().unwrap_or_default(),
            view: view(self.full).into(),
            as_of: self.as_of,
            fraction: self.top.unwrap_or(0.0),
            ..RankSegmentRequest::default()
        };
        let all = if self.top.is_some() { usize::MAX } else { 20 };
        let asking = &self.asking;
        let response = pages::collect(self.limit.unwrap_or(all), async |page_size, page_token| {
            let request = asking.request(RankSegmentRequest {
                page_size,
                page_token,
                ..first.clone()
            });
            asking
                .answer(async |mut client| client.rank_segment(request).await)
                .await
        })
        .await?;
        output::print(&if self.asking.json {
            output::json(&response)?
        } else {
            describe(&self.segment, &response, self.full)
        })
    }
}

/// `10%` as a fraction.
fn percentage(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%');
    let percent: Option<f64> = number.and_then(|number| number.trim().parse().ok());
    match percent {
        Some(percent) if percent > 0.0 && percent <= 100.0 => Ok(percent / 100.0),
        _ => Err("write a share above 0% and at most 100%, such as 10%".to_owned()),
    }
}

impl pages::Page for RankSegmentResponse {
    fn len(&self) -> usize {
        self.members.len()
    }

    fn next_page_token(&self) -> &str {
        &self.next_page_token
    }

    fn append(&mut self, next: Self) {
        self.members.extend(next.members);
        self.next_page_token = next.next_page_token;
        self.segment_size = next.segment_size;
        self.condition_failed_count += next.condition_failed_count;
    }

    fn truncate(&mut self, limit: usize) {
        self.members.truncate(limit);
    }
}

/// The page for people.
fn describe(segment: &str, response: &RankSegmentResponse, full: bool) -> String {
    let members = response.members.iter();
    let Some(first) = members.clone().next().map(whose) else {
        let size = counted(response.segment_size, "member");
        return format!("nobody to list; {segment} has {size}\n") + &failed(response);
    };
    let is_calibrated = members.clone().any(|member| member.probability.is_some());
    // Subjects have none, and some callers see none.
    let has_stages = members
        .clone()
        .any(|member| !whose(member).stage.is_empty());
    let mut columns = vec![Column::numbers("rank"), Column::words("profile")];
    if has_stages {
        columns.push(Column::words("stage"));
    }
    columns.push(Column::numbers("ranked by"));
    if is_calibrated {
        columns.push(Column::words("probability"));
    }
    if full {
        columns.push(Column::words("points from"));
    } else {
        let names = first.scores.iter().map(|score| score.name.clone());
        columns.extend(names.map(Column::numbers));
    }
    let rows = members.map(|member| {
        let profile = whose(member);
        let mut row = vec![signed_count(member.rank), printable(&profile.profile_id)];
        if has_stages {
            row.push(profile.stage.clone());
        }
        row.push(points(member.points));
        if is_calibrated {
            let chance = member.probability.unwrap_or_default();
            row.push(explanation::probability(chance, &member.outcome));
        }
        if full {
            row.push(reasons(&profile, 4));
        } else {
            row.extend(profile.scores.iter().map(|score| points(score.points)));
        }
        row
    });
    table(&columns, rows) + &shown(segment, response) + &failed(response)
}

/// For how many the condition could not be evaluated; nothing when it could for all.
fn failed(response: &RankSegmentResponse) -> String {
    match response.condition_failed_count {
        0 => String::new(),
        count => format!(
            "left out: {} for which the condition failed; has(x) asks whether something is stated\n",
            counted(count, "member")
        ),
    }
}

/// The profile of a member, or what a subject has of one.
pub(super) fn whose(member: &SegmentMember) -> Profile {
    match member.member.clone() {
        Some(Member::Profile(profile)) => profile,
        Some(Member::Subject(subject)) => without_stage(subject),
        None => Profile::default(),
    }
}

fn shown(segment: &str, response: &RankSegmentResponse) -> String {
    format!(
        "{} shown; {segment} has {}\n",
        output::count(response.members.len() as u64),
        counted(response.segment_size, "member")
    )
}

/// Where the points of a profile come from: for each score the greatest terms, such as
/// `interest 52.1 (answers 42.1 + badges 10.0)`. Where all of them are named they add up as shown.
pub(super) fn reasons(profile: &Profile, terms: usize) -> String {
    let mut parts = Vec::new();
    for score in profile.scores.iter().filter(|score| score.points > 0.0) {
        let mut contributions: Vec<_> = score.contributions.iter().collect();
        contributions.sort_by(|a, b| b.points.abs().total_cmp(&a.points.abs()));
        let given = contributions.iter().map(|term| term.points);
        let decimals = match contributions.len() <= terms {
            true => decimals_of(&std::iter::once(score.base).chain(given).collect::<Vec<_>>()),
            false => 1,
        };
        let points = |value: f64| points_to(value, decimals);
        let mut sum = String::new();
        if score.base != 0.0 {
            sum += &format!("base {}", points(score.base));
        }
        for term in contributions.iter().take(terms) {
            let sign = match (sum.is_empty(), term.points < 0.0) {
                (true, false) => "",
                (true, true) => "-",
                (false, false) => " + ",
                (false, true) => " - ",
            };
            sum += &format!("{sign}{} {}", term.name, points(term.points.abs()));
        }
        let is_all = contributions.len() <= terms && explanation::is_whole(score);
        if !is_all && !sum.is_empty() {
            sum += " + ...";
        }
        let reason = format!("{} {}", score.name, points(score.points));
        parts.push(match sum.is_empty() {
            true => reason,
            false => format!("{reason} ({sum})"),
        });
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::{Contribution, Score, SegmentMember};

    fn term(signal: &str, points: f64) -> Contribution {
        Contribution {
            name: signal.to_owned(),
            points,
            ..Contribution::default()
        }
    }

    fn response() -> RankSegmentResponse {
        let score = Score {
            name: "expertise".to_owned(),
            points: 47.1,
            contributions: vec![
                term("badges", 10.0),
                term("answers", 42.1),
                term("downvotes", -5.0),
            ],
            ..Score::default()
        };
        let profile = Profile {
            profile_id: "ada".to_owned(),
            stage: "expert".to_owned(),
            scores: vec![score],
            ..Profile::default()
        };
        RankSegmentResponse {
            members: vec![SegmentMember {
                rank: 1,
                member: Some(Member::Profile(profile)),
                ..SegmentMember::default()
            }],
            segment_size: 1_234,
            ..RankSegmentResponse::default()
        }
    }

    #[test]
    fn the_greatest_terms_are_named_first_with_their_sign() {
        let profile = whose(&response().members[0]);
        assert_eq!(
            reasons(&profile, 3),
            "expertise 47.1 (answers 42.1 + badges 10.0 - downvotes 5.0)"
        );
        assert_eq!(reasons(&profile, 1), "expertise 47.1 (answers 42.1 + ...)");
    }

    #[test]
    fn terms_add_up_to_the_points_as_they_are_shown() {
        let score = Score {
            name: "expertise".to_owned(),
            points: 5.37,
            contributions: [3.07, 1.46, 0.47, 0.37]
                .map(|points| term("answers", points))
                .to_vec(),
            ..Score::default()
        };
        let profile = Profile {
            scores: vec![score],
            ..Profile::default()
        };
        assert_eq!(
            reasons(&profile, 4),
            "expertise 5.37 (answers 3.07 + answers 1.46 + answers 0.47 + answers 0.37)"
        );
    }

    #[test]
    fn the_table_has_a_column_for_each_score() {
        let text = describe("experts", &response(), false);
        for part in ["expertise", "47.1", "ada", "experts has 1,234 members"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn the_table_says_what_the_segment_ranks_by_and_what_is_likely() {
        let mut response = response();
        assert!(!describe("experts", &response, false).contains("probability"));
        response.members[0].points = 94.2;
        response.members[0].probability = Some(0.125);
        for full in [false, true] {
            let text = describe("experts", &response, full);
            assert!(
                text.contains("94.2") && text.contains("12.5% likely"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_share_is_a_percentage() {
        assert_eq!(percentage("10%"), Ok(0.1));
        assert_eq!(percentage("0.5 %"), Ok(0.005));
        assert_eq!(percentage("100%"), Ok(1.0));
        for wrong in ["10", "0%", "-1%", "101%", "nan%", "%", "ten%"] {
            assert!(percentage(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_empty_segment_is_said() {
        let text = describe("experts", &RankSegmentResponse::default(), false);
        assert_eq!(text, "nobody to list; experts has 0 members\n");
    }
}
