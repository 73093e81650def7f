//! `bellwether replay`: streams events and updates of profiles and subjects from JSON Lines to a server.

mod ahead;
mod answered;
pub mod checkpoint;
pub mod engine;
pub mod lines;
pub mod order;
mod outcome;
pub mod prepare;
pub mod progress;
pub mod stream;
pub mod summary;
mod updates;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use tokio::{
    fs::File,
    io::{AsyncRead, AsyncReadExt as _, AsyncSeekExt as _},
};

use self::{
    checkpoint::{Checkpoint, Source},
    engine::{Options, Watcher},
    lines::Position,
    prepare::{Preparation, shift_to_now},
    progress::Progress,
    stream::Patience,
    summary::{Summary, describe},
};
use super::{connection::Target, failure::Failure, output, went_through};

/// Refused lines that are printed unless all are asked for.
const PRINTED_REFUSALS: u64 = 20;
/// A checkpoint is written at most this often: what is replayed again after a crash is
/// answered as duplicate, so a little lag is free and a sync of the disk is not.
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(200);

/// Streams events and updates of profiles and subjects from JSON Lines to a server.
///
/// Each line is an event in the proto's JSON form, or {"updateProfile": {...}} with an
/// UpdateProfileRequest, or {"updateSubject": {...}} with an UpdateSubjectRequest. The lines of one profile are applied in order. A line that is
/// refused is reported with its number and its reason, and the rest goes on; what every line would
/// hear (a key that is not good for it, an unknown tenant) ends the replay. Nothing
/// counts twice: replaying a file again changes nothing.
///
/// A last line that has no newline and cannot be read is left unread, and a checkpoint stands
/// before it: the file may still grow.
///
/// Exit code: 0 when every line had its effect, now or before; 3 when some had none, which the
/// summary explains (refused, ignored as too old, left unread); 1 when the replay could not go
/// on.
#[derive(Clone, Debug, clap::Args)]
pub struct Replay {
    /// The file, or - for standard input.
    file: PathBuf,
    #[command(flatten)]
    target: Target,
    /// Remember the progress in this file, and go on from it when it exists.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Events of a request.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=1000), value_name = "EVENTS")]
    batch: u16,
    /// Move every event in time so that the latest happens now. Run it once: a second run
    /// moves by another amount, and an event at another time is another event. A
    /// checkpoint keeps the amount.
    #[arg(long)]
    shift_to_now: bool,
    /// Send events without time too. They count at their arrival, and again with every
    /// replay.
    #[arg(long)]
    allow_arrival_time: bool,
    /// Tries after a lost connection or a busy server, without progress between them.
    #[arg(long, default_value_t = 10, value_name = "TRIES")]
    retries: u32,
    /// Print every refused line, not the first 20 only.
    #[arg(long)]
    verbose: bool,
}

impl Replay {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let client = self.target.client()?;
        let is_standard_input = self.file == Path::new("-");
        if is_standard_input && (self.checkpoint.is_some() || self.shift_to_now) {
            return Err(Failure::new(
                "standard input can be read only once: give a file to use --checkpoint or --shift-to-now",
            ));
        }
        if is_standard_input {
            let progress = Progress::new("lines", None);
            return self
                .finish(
                    client,
                    tokio::io::stdin(),
                    Position::default(),
                    0,
                    progress,
                    None,
                )
                .await;
        }

        let (checkpoint, shift_seconds) = self.starting_point().await?;
        let mut position = checkpoint
            .as_ref()
            .map_or(Position::default(), |c| c.position);
        let mut file = open(&self.file).await?;
        let size = file
            .metadata()
            .await
            .map_err(|error| Failure::io(self.file.display(), &error))?
            .len();
        if checkpoint.is_some() && position.byte == size && size > 0 {
            output::note!(
                "nothing to do: the checkpoint stands at the end, line {}",
                output::count(position.line)
            );
        } else if position.line > 0 {
            output::note!("going on after line {}", output::count(position.line));
        }
        let failure = |error| Failure::io(self.file.display(), &error);
        if !starts_a_line(&mut file, position.byte)
            .await
            .map_err(failure)?
        {
            // The last line had no newline then: what follows belongs to it.
            position.line = position.line.saturating_sub(1);
        }
        let progress = Progress::new("lines", Some((position.byte, size)));
        self.finish(client, file, position, shift_seconds, progress, checkpoint)
            .await
    }

    /// The checkpoint to go on from, or a new one when progress is to be remembered, and by
    /// how many seconds to move events.
    async fn starting_point(&self) -> Result<(Option<Checkpoint>, i64), Failure> {
        let (server, tenant) = (&self.target.server.url, &self.target.tenant);
        let saved = match &self.checkpoint {
            Some(path) => Checkpoint::load(path)?,
            None => None,
        };
        if let Some(saved) = saved {
            saved.require(&self.file, server, tenant)?;
            if (saved.shift_seconds != 0) != self.shift_to_now {
                return Err(Failure::new(
                    "the checkpoint was begun with another choice of --shift-to-now",
                ));
            }
            let shift_seconds = saved.shift_seconds;
            return Ok((Some(saved), shift_seconds));
        }
        let shift_seconds = if self.shift_to_now {
            shift_to_now(open(&self.file).await?).await?
        } else {
            0
        };
        if self.checkpoint.is_none() {
            return Ok((None, shift_seconds));
        }
        let checkpoint = Checkpoint {
            source: Source::of(&self.file)?,
            server: server.clone(),
            tenant: tenant.clone(),
            shift_seconds,
            position: Position::default(),
        };
        Ok((Some(checkpoint), shift_seconds))
    }

    async fn finish<R: AsyncRead + Unpin + Send + 'static>(
        self,
        client: super::connection::Client,
        source: R,
        position: Position,
        shift_seconds: i64,
        progress: Progress,
        checkpoint: Option<Checkpoint>,
    ) -> Result<ExitCode, Failure> {
        let options = Options {
            preparation: Preparation {
                tenant: self.target.tenant,
                shift_seconds,
                allow_arrival_time: self.allow_arrival_time,
            },
            batch: usize::from(self.batch),
            patience: patience(self.retries),
        };
        let mut reporter = Reporter {
            progress,
            printed_refusals: if self.verbose {
                u64::MAX
            } else {
                PRINTED_REFUSALS
            },
            refusals: 0,
            checkpoint: checkpoint.zip(self.checkpoint),
            saved: Instant::now(),
        };
        // Saved before the first line is sent: the time shift must survive whatever comes.
        reporter.save()?;
        let started = Instant::now();
        let outcome = engine::replay(client, source, position, &options, &mut reporter).await;
        reporter.progress.finish();
        reporter.save()?;
        let summary = outcome?;
        let unprinted = reporter.refusals.saturating_sub(reporter.printed_refusals);
        if unprinted > 0 {
            output::note!(
                "and {} more refused lines; --verbose prints all",
                output::count(unprinted)
            );
        }
        output::print(&describe(&summary, started.elapsed()))?;
        Ok(went_through(summary.is_complete()))
    }
}

/// How long to keep trying.
pub(super) fn patience(retries: u32) -> Patience {
    Patience {
        retries,
        first_wait: Duration::from_millis(100),
        longest_wait: Duration::from_secs(10),
    }
}

/// Goes to a byte of the file; whether a line starts there.
async fn starts_a_line(file: &mut File, byte: u64) -> std::io::Result<bool> {
    let Some(before) = byte.checked_sub(1) else {
        return Ok(true);
    };
    file.seek(std::io::SeekFrom::Start(before)).await?;
    Ok(file.read_u8().await? == b'\n')
}

async fn open(path: &Path) -> Result<File, Failure> {
    File::open(path)
        .await
        .map_err(|error| Failure::io(path.display(), &error))
}

/// Shows the progress, prints refused lines and keeps the checkpoint.
struct Reporter {
    progress: Progress,
    printed_refusals: u64,
    refusals: u64,
    checkpoint: Option<(Checkpoint, PathBuf)>,
    saved: Instant,
}

impl Reporter {
    fn save(&mut self) -> Result<(), Failure> {
        self.saved = Instant::now();
        match &self.checkpoint {
            Some((checkpoint, path)) => checkpoint.save(path),
            None => Ok(()),
        }
    }
}

impl Watcher for Reporter {
    fn refused(&mut self, line: u64, reason: &str) {
        self.refusals += 1;
        if self.refusals <= self.printed_refusals {
            self.progress.say(&format!("line {line} refused: {reason}"));
        }
    }

    fn answered(&mut self, position: Position, summary: &Summary) -> Result<(), Failure> {
        self.progress.show(position.byte, summary.answered());
        if let Some((checkpoint, _)) = &mut self.checkpoint {
            checkpoint.position = position;
        }
        if self.saved.elapsed() >= CHECKPOINT_INTERVAL {
            self.save()?;
        }
        Ok(())
    }
}
