//! `bellwether diff`: what another model would change, before anything is switched.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use pbjson_types::Timestamp;

use super::{
    check, comparison, connection::Asking, failure::Failure, instant, offline, output, went_through,
};
use crate::{
    proto::v1::{CompareModelsRequest, ComparisonReport, compare_models_response::Message},
    scoring::Model,
};

/// Compares two models: who rises and falls, who moves between stages and segments, and which
/// changes act on what was counted already.
///
/// Asks a running server, which evaluates every profile by both models and changes nothing; or,
/// with --events, counts a file under each model here.
///
/// Exit code: 0 when all of the file counted; 3 when lines were refused or left unread; 1 when
/// there is no report.
#[derive(Clone, Debug, clap::Args)]
pub struct Diff {
    /// The old model file, and the new one. With one file alone: the new one, against the model
    /// that answers.
    #[arg(required = true, num_args = 1..=2, value_names = ["OLD", "NEW"])]
    models: Vec<PathBuf>,
    /// JSON Lines of events and profile updates, as for replay; no server is asked.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// The instant to compare at (RFC 3339); now unless given, with --events that of the last
    /// event.
    #[arg(long, value_parser = instant::parse, value_name = "INSTANT")]
    as_of: Option<Timestamp>,
    /// Profiles to name for each score.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=100), value_name = "PROFILES")]
    movers: u8,
    #[command(flatten)]
    asking: Asking,
}

impl Diff {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let (old, new) = match self.models.as_slice() {
            [new] => (None, check::load(new)?),
            [old, new, ..] => (Some(check::load(old)?), check::load(new)?),
            [] => return Err(Failure::new("name the model files to compare")),
        };
        let mut is_complete = true;
        let (report, note) = match (&self.events, old) {
            (Some(_), None) => {
                return Err(Failure::new(
                    "--events asks no server, so there is no model that answers: name both files, OLD and NEW",
                ));
            }
            (Some(events), Some(old)) => {
                let movers = usize::from(self.movers);
                let compared =
                    offline::compare(events, old, Arc::clone(&new), self.as_of, movers).await?;
                is_complete = compared.refused == 0 && compared.cut_off.is_none();
                if let Some(cut_off) = &compared.cut_off {
                    output::note!("{cut_off}");
                }
                if compared.refused > 0 {
                    output::note!(
                        "{} refused lines did not count; `bellwether replay` says why",
                        output::count(compared.refused)
                    );
                }
                (compared.report, comparison::OFFLINE)
            }
            (None, old) => (self.ask(old, &new).await?, comparison::LIVE),
        };
        output::print(&if self.asking.json {
            output::json(&report)?
        } else {
            let stages: Vec<&str> = new.stage_names().collect();
            comparison::describe(&report, &stages, note)
        })?;
        Ok(went_through(is_complete))
    }

    /// The report of a server, with its progress on standard error. The timeout is that of each
    /// step.
    async fn ask(&self, old: Option<Arc<Model>>, new: &Model) -> Result<ComparisonReport, Failure> {
        let old = old.map(|old| old.source().to_owned());
        let request = CompareModelsRequest {
            tenant: self.asking.target.tenant.clone(),
            old_source: old.unwrap_or_default(),
            new_source: new.source().to_owned(),
            movers: self.movers.into(),
            as_of: self.as_of,
        };
        let mut steps = self
            .asking
            .answer_models(async |mut client| client.compare_models(request).await)
            .await?;
        let mut told = 0;
        loop {
            let step = self.asking.within(steps.message()).await?;
            match step.and_then(|step| step.message) {
                Some(Message::Progress(progress)) => {
                    let tenths = progress.evaluated_profiles * 10 / progress.total_profiles.max(1);
                    if tenths > told {
                        told = tenths;
                        output::note!(
                            "{} of {} profiles",
                            output::signed_count(progress.evaluated_profiles),
                            output::signed_count(progress.total_profiles)
                        );
                    }
                }
                Some(Message::Report(report)) => return Ok(report),
                None => return Err(Failure::new("the server ended without a report")),
            }
        }
    }
}
