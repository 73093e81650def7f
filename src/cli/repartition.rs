//! `bellwether repartition`: another number of partitions for a tenant in Redis, while servers run.

use std::{
    io::IsTerminal as _,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::{failure::Failure, output, transfer::Place};
use crate::{
    clock::system_clock,
    store::{
        Access, OpenStore, StoreSettings,
        redis::{Progress, Redis, RepartitionError, Repartitioned, Repartitioning},
    },
};

/// How often a line is printed where there is no terminal.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

/// Changes over how many partitions a tenant is spread in Redis, while servers run.
///
/// All records and ranks of the tenant are copied into other partitions; what is written meanwhile
/// is copied again. Then writers wait for some milliseconds, the copies answer, and the old
/// partitions are deleted. Meanwhile Redis needs room for the tenant twice, and no other model
/// is put into use for it.
///
/// It may be interrupted at any time: nothing is lost, servers go on, and running it again goes on
/// where it was.
#[derive(Clone, Debug, clap::Args)]
pub struct Repartition {
    #[command(flatten)]
    place: Place,
    /// How many partitions the tenant is to have, 1 to 4096.
    #[arg(long, value_name = "NUMBER", required_unless_present = "cancel")]
    partitions: Option<u32>,
    /// Gives up a change that was interrupted: the tenant stays where it is answered from, and
    /// everything else is deleted.
    #[arg(long, conflicts_with = "partitions")]
    cancel: bool,
}

impl Repartition {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let tenant = self.place.tenant()?;
        let settings = self.place.settings()?;
        if let StoreSettings::Embedded(directory) = &settings {
            return Err(Failure::new(format!(
                "the store in {} is an embedded one, which has no partitions; name a Redis with --store redis://HOST",
                directory.display()
            )));
        }
        let OpenStore::Redis(store) = settings.open(Access::Write).await? else {
            return Err(Failure::new("only a store in Redis has partitions"));
        };
        let shown = Shown::new();
        let clock = system_clock();
        let now_millis = move || clock().millis();
        let tell = |progress| shown.tell(&progress);
        let work = Repartitioning::new(&store as &Redis, &tenant, &now_millis, &tell)?;
        let told = match self.partitions {
            Some(partitions) => work.run(partitions).await.map(|done| {
                format!(
                    "tenant {tenant} has {partitions} partitions; {}",
                    said(done)
                )
            }),
            None => work
                .cancel()
                .await
                .map(|was_left_over| match was_left_over {
                    true => format!("tenant {tenant} stays as it is; everything else is deleted"),
                    false => format!("tenant {tenant} stays as it is; there is nothing to cancel"),
                }),
        };
        shown.finish();
        output::note!("{}", told?);
        Ok(())
    }
}

fn said(done: Repartitioned) -> String {
    match done.pause {
        None => "there was nothing to copy".to_owned(),
        Some(pause) => format!(
            "{} records were copied, and writers waited for {} ms",
            output::count(done.copied),
            pause.as_millis()
        ),
    }
}

impl From<RepartitionError> for Failure {
    fn from(error: RepartitionError) -> Self {
        Self::new(error.to_string())
    }
}

/// How far it is: a line that changes on a terminal, one now and then elsewhere.
struct Shown {
    bar: Option<ProgressBar>,
    printed: Mutex<Instant>,
}

impl Shown {
    fn new() -> Self {
        let spinner = || {
            let bar = ProgressBar::new_spinner();
            match ProgressStyle::with_template("{spinner} {msg}") {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        };
        Self {
            bar: std::io::stderr().is_terminal().then(spinner),
            printed: Mutex::new(Instant::now()),
        }
    }

    fn tell(&self, progress: &Progress) {
        let text = text(progress);
        if let Some(bar) = &self.bar {
            if matches!(progress, Progress::Failed(_)) {
                bar.suspend(|| output::note!("{text}"));
            } else {
                bar.set_message(text);
                bar.tick();
            }
            return;
        }
        let mut printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(progress, Progress::Failed(_)) || printed.elapsed() >= PLAIN_INTERVAL {
            *printed = Instant::now();
            output::note!("{text}");
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn text(progress: &Progress) -> String {
    match progress {
        Progress::Waiting => "waiting for another one that works on the tenant".to_owned(),
        Progress::Copying { copied, all } => {
            let (copied, all) = (output::count(*copied), output::count(*all));
            format!("copying: {copied} of {all} records")
        }
        Progress::Following { written } => {
            let written = output::count(*written);
            format!("copied; {written} records were written meanwhile and are copied again")
        }
        Progress::Switching => "switching".to_owned(),
        Progress::Deleting { deleted } => {
            let deleted = output::count(*deleted);
            format!("deleting what is left over: {deleted} records")
        }
        Progress::Failed(error) => format!("{error}; trying again"),
    }
}
