//! `bellwether completions` and `bellwether man`: what shells and `man` know of the commands, made of
//! the same definitions that `--help` shows.

use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, failure::Failure, output};

/// Prints what a shell completes commands and flags by.
///
/// Such as `bellwether completions bash > /etc/bash_completion.d/bellwether`.
#[derive(Clone, Debug, clap::Args)]
pub struct Completions {
    /// Which shell.
    shell: Shell,
}

/// Prints the manual page; with a directory writes one for each command there.
#[derive(Clone, Debug, clap::Args)]
pub struct Man {
    /// Where pages for `man` go, such as /usr/local/share/man/man1; made if it is not there.
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

impl Completions {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "bellwether", &mut script);
        output::print(&String::from_utf8_lossy(&script))
    }
}

impl Man {
    pub(super) fn run(self) -> Result<(), Failure> {
        let command = Cli::command();
        match self.directory {
            Some(directory) => write_all(command, &directory),
            None => {
                let mut page = Vec::new();
                let rendered = clap_mangen::Man::new(command).render(&mut page);
                rendered.map_err(|error| Failure::io("the manual page", &error))?;
                output::print(&String::from_utf8_lossy(&page))
            }
        }
    }
}

fn write_all(command: clap::Command, directory: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::io(directory.display(), &error);
    std::fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(command, directory).map_err(failed)
}
