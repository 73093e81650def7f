//! Reads and parses lines ahead of what sends them.

use tokio::{io::AsyncRead, sync::mpsc};

use super::lines::{CutOff, Line, LineReader};
use crate::cli::failure::Failure;

/// What comes of reading on.
pub(super) enum Read {
    Line(Box<Line>),
    /// Nothing follows, but a line that is cut off.
    End(Option<CutOff>),
}

/// Reads and parses ahead of the sender.
pub(super) async fn read<R: AsyncRead + Unpin>(
    mut reader: LineReader<R>,
    lines: mpsc::Sender<Read>,
) -> Result<(), Failure> {
    let failure = |error| Failure::io("cannot read on", &error);
    while let Some(line) = reader.next().await.map_err(failure)? {
        // The engine has gone when nothing takes the line: there is nothing left to do.
        if lines.send(Read::Line(Box::new(line))).await.is_err() {
            return Ok(());
        }
    }
    let _ = lines.send(Read::End(reader.cut_off())).await;
    Ok(())
}
