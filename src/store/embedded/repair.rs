//! Repair of a damaged journal: a copy first, then every intact batch without what stands between
//! them.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write as _},
    ops::Range,
    path::{Path, PathBuf},
};

use super::{
    super::StoreError,
    check::{Damage, Findings, examine, examine_by},
    directory::{Directory, sync_directory, unusable},
    journal::{Batch, Journal, Part},
    seal::Seal,
};
use crate::scoring::{ProfileId, Tenant};

/// What a repair did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// Where the journal stands as it was.
    pub copy: PathBuf,
    /// What was wrong, place by place.
    pub damages: Vec<String>,
    /// What was cut out, from the first to the last.
    pub losses: Vec<Loss>,
    /// The batches of writes that the journal has now.
    pub batches: usize,
}

/// What was cut out at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The file.
    pub path: PathBuf,
    /// Which bytes of it.
    pub range: Range<usize>,
    /// The profiles of which a write stood there, as far as they can be read, but for those that
    /// a later batch writes whole.
    pub profiles: Vec<(Tenant, ProfileId)>,
}

/// Repairs the journal of the store in a directory. Without damage it changes nothing and has
/// nothing to tell.
pub fn repair(path: &Path) -> Result<Option<Repair>, StoreError> {
    let directory = Directory::claim_as_it_is(path)?;
    let records = directory.records();
    let failed = |error: io::Error| unusable(path, &error);
    let findings = examine(path, &records).map_err(failed)?;
    if findings.damages.is_empty() {
        return Ok(None);
    }
    let copy = keep_copy(path, &records).map_err(failed)?;
    let losses = mend(&records, &findings).map_err(failed)?;
    let mended = examine_by(None, &records).map_err(failed)?;
    mended.refuse_damage(path)?;
    mended.seal(true).write(path).map_err(failed)?;
    Ok(Some(Repair {
        copy,
        damages: findings.damages.iter().map(Damage::to_string).collect(),
        losses,
        batches: mended.batches,
    }))
}

/// Copies the journal and its seal into a new directory beside them.
fn keep_copy(directory: &Path, records: &Path) -> io::Result<PathBuf> {
    let names = (1_u32..).map(|number| directory.join(format!("damaged-{number}")));
    let free = names.filter(|name| !name.exists()).take(1).next();
    let copy = free.ok_or(io::ErrorKind::AlreadyExists)?;
    fs::create_dir(&copy)?;
    let mut files: Vec<PathBuf> = Journal::all(records)?
        .into_iter()
        .map(|(_, path)| path)
        .collect();
    files.extend(Some(Seal::path(directory)).filter(|seal| seal.exists()));
    for file in files {
        let name = file.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let target = copy.join(name);
        fs::copy(&file, &target)?;
        File::open(&target)?.sync_all()?;
    }
    sync_directory(&copy)?;
    sync_directory(directory)?;
    Ok(copy)
}

/// A part of the journal, with the profiles that it writes as far as they can be read.
struct Seen {
    is_kept: bool,
    loss: Loss,
}

/// Writes every file of the journal anew that has something to cut out or to number.
fn mend(records: &Path, findings: &Findings) -> io::Result<Vec<Loss>> {
    let mut seen = Vec::new();
    let mut last_number = 0;
    for (id, path) in Journal::all(records)?.into_iter() {
        let journal = Journal::read(id, path)?;
        let parts = journal.parts();
        let mut kept = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let range = part.range();
            let is_kept = is_trusted(&parts, index);
            if let (Part::Batch(batch), true) = (part, is_kept) {
                let follows = last_number + 1;
                last_number = match findings.is_damaged(&journal.path, &range) {
                    true => follows,
                    false => batch.number.max(follows),
                };
                kept.push((batch, last_number));
            }
            seen.push(Seen {
                is_kept,
                loss: Loss {
                    profiles: journal.profiles(range.clone()),
                    path: journal.path.clone(),
                    range,
                },
            });
        }
        let is_as_it_was = |(batch, number): &(&Batch, u64)| batch.number == *number;
        if kept.len() < parts.len() || !kept.iter().all(is_as_it_was) {
            replace(&journal, &kept)?;
        }
    }
    sync_directory(records)?;
    Ok(losses(seen))
}

/// What is lost: what a later batch writes makes good what was cut out before it.
fn losses(seen: Vec<Seen>) -> Vec<Loss> {
    let mut written = BTreeSet::new();
    let mut losses = Vec::new();
    for Seen { is_kept, mut loss } in seen.into_iter().rev() {
        if is_kept {
            written.extend(loss.profiles);
            continue;
        }
        loss.profiles.retain(|profile| !written.contains(profile));
        loss.profiles.sort();
        loss.profiles.dedup();
        losses.push(loss);
    }
    losses.reverse();
    losses
}

/// Whether a batch is one that the engine wrote, and not the content of a record that looks like
/// one: behind what cannot be read, such a content would not be followed by a batch or the end.
fn is_trusted(parts: &[Part], index: usize) -> bool {
    let is_batch = |part: Option<&Part>| part.is_none_or(|part| matches!(part, Part::Batch(_)));
    let before = index.checked_sub(1).and_then(|before| parts.get(before));
    is_batch(parts.get(index)) && (is_batch(before) || is_batch(parts.get(index + 1)))
}

/// Puts batches of a file in its place, all or nothing, with these numbers.
fn replace(journal: &Journal, kept: &[(&Batch, u64)]) -> io::Result<()> {
    let mended = journal.path.with_extension("mended");
    let mut file = File::create(&mended)?;
    for (batch, number) in kept {
        file.write_all(&journal.numbered(batch, *number))?;
    }
    file.sync_all()?;
    fs::rename(&mended, &journal.path)
}
