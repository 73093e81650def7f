//! `bellwether apply`: another model for a server that runs.

use std::{path::PathBuf, time::Duration};

use super::{check, connection::Asking, failure::Failure, output};
use crate::proto::v1::{
    ApplyModelRequest, ApplyModelResponse, GetModelsRequest, GetModelsResponse, ModelState,
};

/// How often the server is asked how far it is.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Makes a model file the latest model of a running server, and of all servers on its store.
///
/// A file with mistakes is refused, here and by the server, and the model of before keeps
/// serving. The ranks are built beside those that answer. To go back, apply the old file.
#[derive(Clone, Debug, clap::Args)]
pub struct Apply {
    /// The model file.
    model: PathBuf,
    /// Wait until every tenant that the model is for is answered by it.
    #[arg(long)]
    wait: bool,
    /// Apply it only if the latest model is still of this revision, as --json shows it.
    #[arg(long, value_name = "REVISION")]
    expected_revision: Option<i64>,
    /// Have the server check the file and change nothing.
    #[arg(long, conflicts_with = "wait")]
    validate_only: bool,
    #[command(flatten)]
    asking: Asking,
}

impl Apply {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let model = check::load(&self.model)?;
        let request = self.asking.request(ApplyModelRequest {
            tenant: self.asking.target.tenant.clone(),
            source: model.source().to_owned(),
            expected_revision: self.expected_revision,
            validate_only: self.validate_only,
        });
        let applied = self
            .asking
            .answer_models(async |mut client| client.apply_model(request).await)
            .await?;
        if self.wait {
            self.wait_for(&applied).await?;
        }
        output::print(&match (self.asking.json, self.validate_only) {
            (true, _) => output::json(&applied)?,
            (false, true) => describe_validated(&applied),
            (false, false) => describe(&applied, self.wait),
        })
    }

    /// Shows how far the ranks are until nobody waits for the model.
    async fn wait_for(&self, applied: &ApplyModelResponse) -> Result<(), Failure> {
        let mut told = String::new();
        loop {
            let request = self.asking.request(GetModelsRequest {
                tenant: self.asking.target.tenant.clone(),
            });
            let models = self
                .asking
                .answer_models(async |mut client| client.get_models(request).await)
                .await?;
            if models.revision > applied.revision {
                return Err(Failure::new(
                    "another model was applied meanwhile, and is the latest now",
                ));
            }
            if models.revision == applied.revision && models.waiting_tenants == 0 {
                return Ok(());
            }
            let progress = progress(&models);
            if progress != told {
                output::note!("{progress}");
                told = progress;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// How far a model is, in one line.
fn progress(models: &GetModelsResponse) -> String {
    let waiting = match models.waiting_tenants {
        1 => "1 tenant waits".to_owned(),
        more => format!("{} tenants wait", output::signed_count(more)),
    };
    let latest = models.latest.as_ref().map(|latest| &latest.fingerprint);
    let candidate = models.candidate.as_ref().filter(|candidate| {
        let model = candidate.model.as_ref();
        model.map(|model| &model.fingerprint) == latest
    });
    match candidate {
        Some(candidate) if candidate.total_profiles > 0 => format!(
            "building ranks: {} of {} profiles, {waiting}",
            output::signed_count(candidate.indexed_profiles),
            output::signed_count(candidate.total_profiles)
        ),
        _ => waiting,
    }
}

/// What became of the model.
fn describe(applied: &ApplyModelResponse, has_waited: bool) -> String {
    let is_active = has_waited || applied.state() == ModelState::Active;
    let what = match (applied.changed, is_active) {
        (false, true) => "is the latest already, and answers",
        (false, false) => "is the latest already; its ranks are being built",
        (true, true) => "is applied, and answers",
        (true, false) => "is applied; it answers when its ranks are built",
    };
    format!("model {} {what}\n", applied.fingerprint)
}

/// What a model that was only checked would be.
fn describe_validated(validated: &ApplyModelResponse) -> String {
    let mut text = String::new();
    for warning in &validated.warnings {
        let (line, column) = (warning.line, warning.column);
        text += &format!("{line}:{column}: warning: {}\n", warning.message);
    }
    let what = match validated.changed {
        true => "would be applied",
        false => "is the latest already",
    };
    let (model, revision) = (&validated.fingerprint, validated.revision);
    text + &format!("model {model} {what}; the latest is of revision {revision}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::{CandidateModel, Model, ModelWarning};

    fn model(fingerprint: &str) -> Model {
        Model {
            fingerprint: fingerprint.to_owned(),
            source: String::new(),
        }
    }

    #[test]
    fn progress_is_that_of_the_latest_model_alone() {
        let candidate = |fingerprint| CandidateModel {
            model: Some(model(fingerprint)),
            indexed_profiles: 1_500,
            total_profiles: 9_000,
        };
        let mut models = GetModelsResponse {
            latest: Some(model("new")),
            candidate: Some(candidate("new")),
            waiting_tenants: 1,
            ..GetModelsResponse::default()
        };
        assert_eq!(
            progress(&models),
            "building ranks: 1,500 of 9,000 profiles, 1 tenant waits"
        );
        models.candidate = Some(candidate("older"));
        assert_eq!(progress(&models), "1 tenant waits");
    }

    #[test]
    fn what_became_of_a_model_is_said_in_one_line() {
        let mut applied = ApplyModelResponse {
            fingerprint: "00ff".to_owned(),
            changed: true,
            state: ModelState::Building.into(),
            ..ApplyModelResponse::default()
        };
        assert!(describe(&applied, false).contains("when its ranks are built"));
        assert!(describe(&applied, true).contains("is applied, and answers"));
        applied.changed = false;
        assert!(describe(&applied, true).contains("already"));
        applied.revision = 7;
        applied.warnings = vec![ModelWarning {
            line: 3,
            column: 1,
            message: "a slip?".to_owned(),
        }];
        assert_eq!(
            describe_validated(&applied),
            "3:1: warning: a slip?\nmodel 00ff is the latest already; the latest is of revision 7\n"
        );
        applied.changed = true;
        assert!(describe_validated(&applied).contains("would be applied"));
    }
}
