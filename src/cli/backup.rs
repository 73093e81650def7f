//! `bellwether backup`: everything that a running server keeps, as a file.

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use tonic::Streaming;

use super::{
    connection::{Server, timeout},
    failure::Failure,
    output,
};
use crate::proto::v1::{BackupEnd, BackupRequest, BackupResponse, backup_response::Message};

/// Copies every record that a running server keeps into a file, which `bellwether import` reads.
///
/// Events go on to count meanwhile; on the embedded store the file is of one moment. It appears
/// under its name once it is whole and on disk; until then it is called FILE.unfinished.
#[derive(Clone, Debug, clap::Args)]
pub struct Backup {
    #[command(flatten)]
    server: Server,
    /// This tenant alone; every tenant unless given.
    #[arg(long)]
    tenant: Option<String>,
    /// The file to write; one that is there is replaced.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// How long to wait for each part.
    #[arg(long, default_value = "30s", value_parser = timeout, value_name = "DURATION")]
    timeout: Duration,
}

impl Backup {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let request = BackupRequest {
            tenant: self.tenant.clone().unwrap_or_default(),
        };
        let mut client = self.server.store_client()?;
        let parts = self.within(client.backup(request)).await?.into_inner();
        let unfinished = Unfinished::create(&self.output)?;
        let end = self.receive(parts, unfinished).await?;
        output::note!(
            "{} profiles of {} tenants backed up to {}",
            output::signed_count(end.profiles),
            output::signed_count(end.tenants),
            self.output.display()
        );
        Ok(())
    }

    /// Writes what comes, and gives the file its name when it is whole.
    async fn receive(
        &self,
        mut parts: Streaming<BackupResponse>,
        mut file: Unfinished<'_>,
    ) -> Result<BackupEnd, Failure> {
        let mut bytes = 0;
        let mut end = None;
        while let Some(response) = self.within(parts.message()).await? {
            match response.message {
                Some(Message::Part(part)) if end.is_none() => {
                    file.write(&part)?;
                    bytes += part.len() as u64;
                }
                Some(Message::End(last)) if end.is_none() => end = Some(last),
                _ => {
                    return Err(Failure::new(
                        "the server sent something after the end, or nothing",
                    ));
                }
            }
        }
        let end = end.ok_or_else(|| {
            Failure::new("the backup is not whole: the server ended without saying what it holds")
        })?;
        if u64::try_from(end.bytes) != Ok(bytes) {
            return Err(Failure::new(format!(
                "the backup is not whole: {bytes} bytes came, and the server sent {}",
                end.bytes
            )));
        }
        file.finish()?;
        Ok(end)
    }

    /// What comes within the timeout.
    async fn within<T>(
        &self,
        call: impl Future<Output = Result<T, tonic::Status>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(status)) => Err(self.server.failed(&status)),
            Err(_) => Err(Failure::new(format!(
                "{} sent nothing for {}; --timeout sets how long to wait",
                self.server.url,
                humantime::format_duration(self.timeout)
            ))),
        }
    }
}

/// A file that has not its name yet; it goes when it does not get it.
struct Unfinished<'a> {
    name: &'a Path,
    path: PathBuf,
    file: BufWriter<File>,
    is_finished: bool,
}

impl<'a> Unfinished<'a> {
    fn create(name: &'a Path) -> Result<Self, Failure> {
        let mut path = name.as_os_str().to_owned();
        path.push(".unfinished");
        let path = PathBuf::from(path);
        let file = File::create(&path).map_err(|error| Failure::io(path.display(), &error))?;
        Ok(Self {
            name,
            path,
            file: BufWriter::new(file),
            is_finished: false,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| Failure::io(self.path.display(), &error))
    }

    /// Has it on disk, under its name.
    fn finish(mut self) -> Result<(), Failure> {
        let synced = self.file.flush().and_then(|()| {
            self.file.get_ref().sync_all()?;
            fs::rename(&self.path, self.name)
        });
        synced.map_err(|error| Failure::io(self.path.display(), &error))?;
        self.is_finished = true;
        // The name is on disk when its directory is.
        let directory = self
            .name
            .parent()
            .filter(|path| !path.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| Failure::io(directory.display(), &error))
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            // Where it cannot be deleted, its name still says what it is.
            let _ = fs::remove_file(&self.path);
        }
    }
}
