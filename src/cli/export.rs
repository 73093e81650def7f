//! `bellwether export`: a whole tenant as JSON Lines, for backup or another store.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{
    failure::Failure,
    output,
    transfer::{BATCH_PROFILES, End, FORMAT, Header, Place},
};
use crate::{
    scoring::Tenant,
    store::{Access, OpenStore, Scan, Store, codec},
};

/// Writes every record of a tenant as JSON Lines. A server on the same directory must be
/// stopped; those on Redis may go on.
#[derive(Clone, Debug, clap::Args)]
pub struct Export {
    #[command(flatten)]
    place: Place,
    /// The file to write, or - for standard output.
    #[arg(long, default_value = "-", value_name = "FILE")]
    output: PathBuf,
}

impl Export {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let tenant = self.place.tenant()?;
        let profiles = match self.place.open(Access::Read).await? {
            OpenStore::Embedded(store) => self.write(&store, &tenant).await?,
            OpenStore::Redis(store) => self.write(&store, &tenant).await?,
        };
        output::note!(
            "{} profiles of tenant {tenant} exported",
            output::count(profiles)
        );
        Ok(())
    }
}

impl Export {
    async fn write(&self, store: &impl Store, tenant: &Tenant) -> Result<u64, Failure> {
        if self.output == Path::new("-") {
            return export(store, tenant, &mut BufWriter::new(std::io::stdout())).await;
        }
        let failure = |error| Failure::io(self.output.display(), &error);
        let mut writer = BufWriter::new(File::create(&self.output).map_err(failure)?);
        let profiles = export(store, tenant, &mut writer).await?;
        writer.get_ref().sync_all().map_err(failure)?;
        Ok(profiles)
    }
}

/// Writes the tenant, and returns how many profiles it has.
pub(super) async fn export(
    store: &impl Store,
    tenant: &Tenant,
    writer: &mut impl Write,
) -> Result<u64, Failure> {
    let header = Header {
        format: FORMAT,
        tenant: tenant.to_string(),
    };
    write_line(writer, &header)?;
    let mut profiles = 0;
    let mut scan = Scan::new(store, tenant, None, BATCH_PROFILES);
    while let Some(batch) = scan.next().await? {
        for stored in batch {
            let line = codec::to_line(&stored.profile_id, &stored.record)
                .map_err(|error| Failure::new(format!("{}: {error}", stored.profile_id)))?;
            writeln!(writer, "{line}").map_err(|error| unwritten(&error))?;
            profiles += 1;
        }
    }
    write_line(writer, &End { profiles })?;
    writer.flush().map_err(|error| unwritten(&error))?;
    Ok(profiles)
}

fn write_line(writer: &mut impl Write, line: &impl serde::Serialize) -> Result<(), Failure> {
    serde_json::to_writer(&mut *writer, line)
        .map_err(std::io::Error::from)
        .and_then(|()| writer.write_all(b"\n"))
        .map_err(|error| unwritten(&error))
}

fn unwritten(error: &std::io::Error) -> Failure {
    Failure::io("cannot write the export", error)
}
