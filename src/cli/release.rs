//! `bellwether release`: counts events of a profile that were held in quarantine.

use super::{
    connection::Asking,
    failure::{Failure, printable},
    output::{self, signed_count},
};
use crate::proto::v1::ReleaseEventsRequest;

/// Counts events of a profile that a quarantine rule holds, as if they had been let through.
#[derive(Clone, Debug, clap::Args)]
pub struct Release {
    /// Whose events.
    profile_id: String,
    /// Only what this rule holds.
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "RULE"
    )]
    rule: String,
    /// Only the event with this id.
    #[arg(
        long = "event",
        default_value = "",
        hide_default_value = true,
        value_name = "ID"
    )]
    event_id: String,
    #[command(flatten)]
    asking: Asking,
}

impl Release {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let request = self.asking.request(ReleaseEventsRequest {
            tenant: self.asking.target.tenant.clone(),
            profile_id: self.profile_id.clone(),
            rule: self.rule,
            event_id: self.event_id,
            ..ReleaseEventsRequest::default()
        });
        let response = self
            .asking
            .answer(async |mut client| client.release_events(request).await)
            .await?;
        output::print(&if self.asking.json {
            output::json(&response)?
        } else {
            format!(
                "events of {} released: {}\n",
                printable(&self.profile_id),
                signed_count(response.released_count.into())
            )
        })
    }
}
