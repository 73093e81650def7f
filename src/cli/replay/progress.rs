//! How far a replay is: a bar on a terminal, a line now and then elsewhere. Always on
//! standard error.

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::output;

/// How often a line is printed where there is no terminal.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

/// Shows progress.
pub struct Progress {
    /// What is counted, in the plural.
    unit: &'static str,
    bar: Option<ProgressBar>,
    /// Bytes where this run began and where the source ends, when that is known.
    span: Option<(u64, u64)>,
    started: Instant,
    printed: Instant,
}

impl Progress {
    /// Begins to show progress over this span of bytes.
    pub fn new(unit: &'static str, span: Option<(u64, u64)>) -> Self {
        let now = Instant::now();
        Self {
            unit,
            bar: std::io::stderr().is_terminal().then(|| bar(span)),
            span,
            started: now,
            printed: now,
        }
    }

    /// Shows that everything before this byte is done, which was so many of the unit.
    pub fn show(&mut self, byte: u64, count: u64) {
        let elapsed = self.started.elapsed();
        let text = format!(
            "{} {}, {}/s",
            output::count(count),
            self.unit,
            output::count(rate(count, elapsed))
        );
        if let Some(bar) = &self.bar {
            if let Some((from, _)) = self.span {
                bar.set_position(byte.saturating_sub(from));
            }
            bar.set_message(text);
        } else if self.printed.elapsed() >= PLAIN_INTERVAL {
            self.printed = Instant::now();
            match self.span {
                Some((from, to)) if to > from => {
                    let percent = (byte - from) * 100 / (to - from);
                    output::note!("{percent}%: {text}");
                }
                _ => output::note!("{text}"),
            }
        }
    }

    /// Prints a line without disturbing the bar.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| output::note!("{text}")),
            None => output::note!("{text}"),
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(span: Option<(u64, u64)>) -> ProgressBar {
    let (bar, template) = match span {
        Some((from, to)) => (
            ProgressBar::new(to.saturating_sub(from)),
            "{bar:30} {percent:>3}% {msg}, {eta} left",
        ),
        None => (ProgressBar::new_spinner(), "{spinner} {msg}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// How many a second.
pub fn rate(count: u64, elapsed: Duration) -> u64 {
    (count as f64 / elapsed.as_secs_f64().max(1e-3)) as u64
}
