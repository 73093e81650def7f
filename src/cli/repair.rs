//! `bellwether repair`: a damaged journal of the embedded store, made readable again.

use std::path::{Path, PathBuf};

use super::{failure::Failure, output};
use crate::store::{
    RecordStore, Scan,
    embedded::{Embedded, Loss, Repair as Repaired, repair},
};

/// Profiles of a loss that are named in full.
const NAMED_PROFILES: usize = 20;
/// Records that are read at once.
const BATCH: usize = 1_000;

/// Repairs the journal of an embedded store that a start refuses, and says what is lost.
///
/// The journal is copied into a directory of its own first. Then what cannot be read is cut out of
/// it, and every record that can be read is read. The server must be stopped; without damage
/// nothing is changed.
#[derive(Clone, Debug, clap::Args)]
pub struct Repair {
    /// The directory of the store.
    directory: PathBuf,
}

impl Repair {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match repair(&self.directory)? {
            None => println!("the journal is whole; nothing was changed"),
            Some(repaired) => print(&repaired),
        }
        let profiles = readable(&self.directory).await?;
        println!("{} profiles can be read", output::count(profiles));
        Ok(())
    }
}

fn print(repaired: &Repaired) {
    for damage in &repaired.damages {
        println!("damaged: {damage}");
    }
    for Loss {
        path,
        range,
        profiles,
    } in &repaired.losses
    {
        println!(
            "cut out: {}, offset {} to {}, with the last write of {} profiles that can be named",
            path.display(),
            range.start,
            range.end,
            output::count(profiles.len() as u64)
        );
        for (tenant, profile_id) in profiles.iter().take(NAMED_PROFILES) {
            println!("  tenant {tenant}, {:?}", profile_id.name());
        }
        if let Some(unnamed) = profiles.len().checked_sub(NAMED_PROFILES + 1) {
            println!("  and {} more", output::count(unnamed as u64 + 1));
        }
    }
    println!(
        "kept: {} writes of the journal; as it was it stands in {}",
        output::count(repaired.batches as u64),
        repaired.copy.display()
    );
    println!("replay the events of the profiles above: what is still there counts once");
}

/// Reads every record, so that damage elsewhere does not wait for the next start.
async fn readable(directory: &Path) -> Result<u64, Failure> {
    let store = Embedded::open_to_read(directory)?;
    let mut profiles = 0;
    for tenant in store.tenants().await? {
        let mut scan = Scan::new(&store, &tenant, None, BATCH);
        while let Some(records) = scan.next().await? {
            profiles += records.len() as u64;
        }
    }
    Ok(profiles)
}
