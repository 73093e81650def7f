//! `bellwether retract`: takes events back that were sent by mistake.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use tokio::{fs::File, io::AsyncRead};

use super::{
    connection::{Asking, Client},
    failure::Failure,
    output::{self, Column, table},
    replay::{
        lines::{CutOff, Entry, LineReader, Position},
        stream::quota_wait,
    },
    went_through,
};
use crate::proto::v1::{
    Event, ResponseView, RetractEventRequest, RetractEventResponse, RetractionOutcome,
};

/// Takes back what events counted.
///
/// Each line is an event in the proto's JSON form, as it was sent. A line that is refused ends
/// the command. Nothing is taken back twice: the whole file can be given again. A last line that
/// has no newline and cannot be read is left unread: the file may still grow.
///
/// Exit code: 0 when no event of the file counts any more; 3 when some still may, because they
/// are too old or were left unread; 1 when the command could not go on.
#[derive(Clone, Debug, clap::Args)]
pub struct Retract {
    /// The file, or - for standard input.
    file: PathBuf,
    #[command(flatten)]
    asking: Asking,
}

impl Retract {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        if self.file == Path::new("-") {
            return self.retract(tokio::io::stdin()).await;
        }
        let file = File::open(&self.file)
            .await
            .map_err(|error| Failure::io(self.file.display(), &error))?;
        self.retract(file).await
    }

    async fn retract<R: AsyncRead + Unpin>(&self, source: R) -> Result<ExitCode, Failure> {
        let mut reader = LineReader::new(source, Position::default());
        let mut summary = Summary::default();
        let client = self.asking.target.client()?;
        while let Some(line) = reader
            .next()
            .await
            .map_err(|error| Failure::io(self.file.display(), &error))?
        {
            let at = |reason: &str| Failure::new(format!("line {}: {reason}", line.end.line));
            let event = match line.content.map_err(|reason| at(&reason))? {
                Some(Entry::Event(event)) => event,
                Some(Entry::Update(_)) => {
                    return Err(at("an update cannot be taken back; send another one"));
                }
                None => continue,
            };
            let response = self.take_back(&client, event).await;
            let response = response.map_err(|failure| at(&failure.to_string()))?;
            summary.note(line.end.line, response.outcome());
            if self.asking.json {
                output::print(&output::json(&response)?)?;
            }
        }
        summary.cut_off = reader.cut_off();
        if self.asking.json {
            eprint!("{}", summary.notes());
        } else {
            output::print(&summary.describe())?;
        }
        Ok(went_through(summary.is_complete()))
    }

    /// Takes an event back, once there is room in the quota of the tenant.
    async fn take_back(
        &self,
        client: &Client,
        event: Event,
    ) -> Result<RetractEventResponse, Failure> {
        let message = RetractEventRequest {
            tenant: self.asking.target.tenant.clone(),
            event: Some(event),
            response_view: ResponseView::None.into(),
        };
        loop {
            let request = self.asking.request(message.clone());
            let mut client = client.clone();
            let asked = async {
                match client.retract_event(request).await {
                    Ok(response) => Ok(Ok(response.into_inner())),
                    Err(status) => quota_wait(&status).map(Err).ok_or(status),
                }
            };
            match self.asking.within(asked).await? {
                Ok(response) => return Ok(response),
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }
}

/// What became of the retractions.
#[derive(Clone, Debug, Default)]
struct Summary {
    retracted: u64,
    duplicate: u64,
    retracted_in_advance: u64,
    /// What a newer server says.
    unknown: u64,
    /// The lines of events that are too old.
    too_old: Vec<u64>,
    /// The lines of events that are of another type than what counted.
    other_type: Vec<u64>,
    /// The last line, when it was left unread.
    cut_off: Option<CutOff>,
}

impl Summary {
    fn note(&mut self, line: u64, outcome: RetractionOutcome) {
        match outcome {
            RetractionOutcome::Retracted => self.retracted += 1,
            RetractionOutcome::Unspecified => self.unknown += 1,
            RetractionOutcome::Duplicate => self.duplicate += 1,
            RetractionOutcome::RetractedInAdvance => self.retracted_in_advance += 1,
            RetractionOutcome::TooOld => self.too_old.push(line),
            RetractionOutcome::OtherType => self.other_type.push(line),
        }
    }

    /// Whether nothing of the file counts any more.
    fn is_complete(&self) -> bool {
        let is_taken_back = self.too_old.is_empty() && self.other_type.is_empty();
        self.unknown == 0 && is_taken_back && self.cut_off.is_none()
    }

    /// The summary for people.
    fn describe(&self) -> String {
        let columns = [Column::words("outcome"), Column::numbers("events")];
        let rows = [
            ("retracted", self.retracted),
            ("retracted before", self.duplicate),
            ("not come, and will not count", self.retracted_in_advance),
            ("too old, and may still count", self.too_old.len() as u64),
            (
                "of another type, and still count",
                self.other_type.len() as u64,
            ),
            ("an answer unknown here", self.unknown),
        ];
        let rows = rows.map(|(outcome, count)| [outcome.to_owned(), output::count(count)]);
        table(&columns, rows) + &self.notes()
    }

    /// What was not taken back, and why.
    fn notes(&self) -> String {
        let mut text = String::new();
        if let Some(first) = self.too_old.first() {
            text += &format!(
                "{} events are older than what their profiles remember, so nothing was taken back \
                 and they count if they did; the first one stands in line {}\n",
                output::count(self.too_old.len() as u64),
                output::count(*first)
            );
        }
        if let Some(first) = self.other_type.first() {
            text += &format!(
                "{} events counted as another type, so nothing was taken back; the first one stands in \
                 line {}: give it as it was sent\n",
                output::count(self.other_type.len() as u64),
                output::count(*first)
            );
        }
        if let Some(cut_off) = &self.cut_off {
            text += &format!("{cut_off}; give the file again when it is whole\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retractions_are_counted_by_outcome_and_the_first_that_is_too_old_is_named() {
        let mut summary = Summary::default();
        summary.note(1, RetractionOutcome::Retracted);
        summary.note(2, RetractionOutcome::Retracted);
        summary.note(3, RetractionOutcome::Duplicate);
        assert!(!summary.describe().contains("stands in line"));
        assert!(summary.is_complete());
        for line in [7, 9] {
            summary.note(line, RetractionOutcome::TooOld);
        }
        let text = summary.describe();
        let words = |line: &str| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let rows: Vec<_> = text.lines().map(words).collect();
        assert_eq!(rows[2], ["retracted", "2"]);
        assert_eq!(rows[3], ["retracted", "before", "1"]);
        assert_eq!(rows[5].last().unwrap(), "2");
        assert!(text.contains("stands in line 7"), "{text}");
        assert!(!summary.is_complete());

        let mut summary = Summary::default();
        summary.note(5, RetractionOutcome::OtherType);
        assert!(summary.describe().contains("stands in line 5"));
        assert!(!summary.is_complete());
    }
}
