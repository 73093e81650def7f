//! `bellwether export`: a tenant or all of them as JSON Lines, for backup or another store.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use tokio::sync::mpsc;

use super::{failure::Failure, output, transfer::Place};
use crate::{
    scoring::Tenant,
    store::{Access, ExportWriter, Exported, OpenStore, Store, Stored},
};

/// Writes every record of a tenant as JSON Lines, or of all tenants. A server on the same directory
/// must be stopped (`bellwether backup` needs none to stop); those on Redis may go on.
#[derive(Clone, Debug, clap::Args)]
pub struct Export {
    #[command(flatten)]
    place: Place,
    /// Export every tenant of the store into one file.
    #[arg(long, conflicts_with = "tenant")]
    all_tenants: bool,
    /// The file to write, or - for standard output.
    #[arg(long, default_value = "-", value_name = "FILE")]
    output: PathBuf,
}

impl Export {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let tenant = match self.all_tenants {
            true => None,
            false => Some(self.place.tenant()?),
        };
        let exported = match self.place.open(Access::Read).await? {
            OpenStore::Embedded(store) => self.write(&store, tenant.as_ref()).await?,
            OpenStore::Redis(store) => self.write(&store, tenant.as_ref()).await?,
        };
        let profiles = output::count(exported.profiles);
        match tenant {
            Some(tenant) => output::note!("{profiles} profiles of tenant {tenant} exported"),
            None => output::note!(
                "{profiles} profiles of {} tenants exported",
                output::count(exported.tenants)
            ),
        }
        Ok(())
    }
}

impl Export {
    async fn write(
        &self,
        store: &impl Store,
        tenant: Option<&Tenant>,
    ) -> Result<Exported, Failure> {
        if self.output == Path::new("-") {
            return export(store, tenant, &mut BufWriter::new(std::io::stdout())).await;
        }
        let failure = |error| Failure::io(self.output.display(), &error);
        let mut writer = BufWriter::new(File::create(&self.output).map_err(failure)?);
        let exported = export(store, tenant, &mut writer).await?;
        writer.get_ref().sync_all().map_err(failure)?;
        Ok(exported)
    }
}

/// Writes a tenant, or all.
pub(super) async fn export(
    store: &impl Store,
    tenant: Option<&Tenant>,
    writer: &mut impl Write,
) -> Result<Exported, Failure> {
    let (batches, mut read) = mpsc::channel::<Vec<(Tenant, Stored)>>(1);
    let write = async move {
        let mut text = String::new();
        let mut export = ExportWriter::begin(tenant, &mut text);
        while let Some(batch) = read.recv().await {
            for (tenant, stored) in &batch {
                export.add(tenant, stored, &mut text)?;
            }
            write_text(&mut text, writer)?;
        }
        Ok::<_, Failure>((export, text, writer))
    };
    let read = async { Ok(store.send_all(tenant, batches).await?) };
    let ((export, mut text, writer), ()) = tokio::try_join!(write, read)?;
    // All of it was read; only now that may be said.
    let exported = export.end(&mut text);
    write_text(&mut text, writer)?;
    writer.flush().map_err(|error| unwritten(&error))?;
    Ok(exported)
}

fn write_text(text: &mut String, writer: &mut impl Write) -> Result<(), Failure> {
    let written = writer.write_all(text.as_bytes());
    text.clear();
    written.map_err(|error| unwritten(&error))
}

fn unwritten(error: &std::io::Error) -> Failure {
    Failure::io("cannot write the export", error)
}
