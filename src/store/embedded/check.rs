//! The look at the journal before the engine opens it, which changes nothing: whether it says all
//! that was acknowledged, as far as that can be known.

use std::{
    fmt,
    fs::OpenOptions,
    io::{self, ErrorKind},
    ops::Range,
    path::{Path, PathBuf},
};

use super::{
    super::StoreError,
    directory::unusable,
    journal::{Batch, Journal, Part},
    seal::{Seal, SealedFile},
};

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// Which bytes of it.
    pub range: Range<usize>,
}

/// What is wrong with a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where.
    pub place: Place,
    /// What.
    pub what: &'static str,
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { path, range } = &self.place;
        let (path, what) = (path.display(), self.what);
        write!(formatter, "{path}, offset {}: {what}", range.start)
    }
}

/// What is known of a journal.
#[derive(Default)]
pub struct Findings {
    /// How much of each file can be read, from its first byte.
    pub files: Vec<(PathBuf, SealedFile)>,
    /// What a crash does not leave.
    pub damages: Vec<Damage>,
    /// How many batches there are.
    pub batches: usize,
    /// What was being written when the process or the machine stopped, and was never
    /// acknowledged.
    pub torn: Vec<Place>,
}

/// Goes through the journal of a store, `records` of `directory`, and compares its seal.
pub fn examine(directory: &Path, records: &Path) -> io::Result<Findings> {
    match Seal::read(directory) {
        Ok(seal) => examine_by(seal.as_ref(), records),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            let mut findings = examine_by(None, records)?;
            findings.damages.push(Damage {
                place: Place {
                    path: Seal::path(directory),
                    range: 0..0,
                },
                what: "the seal of the journal cannot be read",
            });
            Ok(findings)
        }
        Err(error) => Err(error),
    }
}

/// Goes through a journal that has this seal, or none.
pub fn examine_by(seal: Option<&Seal>, records: &Path) -> io::Result<Findings> {
    let files = Journal::all(records)?;
    let mut findings = Findings {
        damages: missing(seal, &files, records),
        ..Findings::default()
    };
    let mut order = Order::default();
    for (id, path) in files {
        let journal = Journal::read(id, path)?;
        let mut readable = 0;
        for part in journal.parts() {
            match part {
                Part::Unreadable(range) => findings.torn.push(Place {
                    path: journal.path.clone(),
                    range,
                }),
                Part::Batch(batch) => {
                    readable = batch.range.end;
                    findings.batches += 1;
                    findings.torn_is_damage("what cannot be read has an intact batch behind it");
                    findings.damages.extend(order.next(&journal.path, batch));
                }
            }
        }
        let mut sealed = seal.into_iter().flat_map(|seal| &seal.files);
        if let Some(sealed) = sealed.find(|sealed| sealed.id == id)
            && !sealed.holds(&journal)
        {
            findings.unsealed(&journal, sealed.bytes);
        }
        let readable = SealedFile::of(&journal, readable);
        findings.files.push((journal.path, readable));
    }
    Ok(findings)
}

impl Findings {
    fn torn_is_damage(&mut self, what: &'static str) {
        let damages = self.torn.drain(..).map(|place| Damage { place, what });
        self.damages.extend(damages);
    }

    /// Notes that the first bytes of a file are not what they were.
    fn unsealed(&mut self, journal: &Journal, sealed_bytes: usize) {
        let is_known =
            |place: &Place| place.path == journal.path && place.range.start < sealed_bytes;
        if self.torn.iter().any(is_known) {
            self.torn_is_damage("it could be read when the store was last opened or closed");
        }
        if self.damages.iter().any(|damage| is_known(&damage.place)) {
            return;
        }
        let (start, what) = if journal.bytes.len() < sealed_bytes {
            (journal.bytes.len(), "it was cut off here")
        } else {
            (0, "somewhere from here on it is not what was written")
        };
        self.damages.push(Damage {
            place: Place {
                path: journal.path.clone(),
                range: start..sealed_bytes,
            },
            what,
        });
    }

    /// Whether a batch is damaged, though it can be read.
    pub fn is_damaged(&self, path: &Path, range: &Range<usize>) -> bool {
        let mut places = self.damages.iter().map(|damage| &damage.place);
        places.any(|place| place.path == path && place.range == *range)
    }

    /// The error of the first damage.
    pub fn refuse_damage(&self, directory: &Path) -> Result<(), StoreError> {
        let Some(damage) = self.damages.first() else {
            return Ok(());
        };
        let directory = directory.display();
        Err(StoreError::Corrupt(format!(
            "{damage}; nothing was changed: `bellwether repair {directory}` keeps a copy, cuts \
             out what cannot be read and says what is lost, or import the latest export into a \
             new directory"
        )))
    }

    /// Cuts off what was never acknowledged.
    pub fn cut_torn(&self) -> Result<(), StoreError> {
        for Place { path, range } in &self.torn {
            let bytes = range.len();
            let (file, offset) = (path.display(), range.start);
            tracing::warn!(%file, offset, bytes, "cutting off a write that was not finished");
            let cut = OpenOptions::new().write(true).open(path).and_then(|file| {
                file.set_len(offset as u64)?;
                file.sync_all()
            });
            cut.map_err(|error| unusable(path, &error))?;
        }
        Ok(())
    }

    /// What its files say, to be kept.
    pub fn seal(&self, is_closed: bool) -> Seal {
        Seal {
            is_closed,
            files: self.files.iter().map(|(_, file)| *file).collect(),
        }
    }
}

/// The files that are not there and that the engine cannot have deleted. Their numbers have no
/// gap, and it deletes the oldest.
fn missing(seal: Option<&Seal>, files: &[(u64, PathBuf)], records: &Path) -> Vec<Damage> {
    let sealed = seal.map_or(&[][..], |seal| &seal.files);
    let last_sealed = sealed.last().map_or(0, |file| file.id);
    let (first, last) = match (files.first(), files.last()) {
        (Some((first, _)), Some((last, _))) => (*first, *last),
        _ => (last_sealed, last_sealed),
    };
    // While the store is open the engine deletes what it has sorted; and an earlier version,
    // which knows no seal, may have begun a new file since.
    let some_may_be_deleted = last > last_sealed || seal.is_some_and(|seal| !seal.is_closed);
    let expected = match sealed.first() {
        Some(file) if !some_may_be_deleted => file.id.min(first),
        _ => first,
    };
    (expected..=last.max(last_sealed))
        .filter(|id| files.iter().all(|(other, _)| other != id))
        .map(|id| Damage {
            place: Place {
                path: Journal::path(records, id),
                range: 0..0,
            },
            what: "the file is missing",
        })
        .collect()
}

/// The order of the batches of a journal.
#[derive(Default)]
struct Order {
    /// The last two numbers, and where the last one stands.
    numbers: (u64, u64),
    last: Option<Place>,
}

impl Order {
    /// Takes the next batch; the one that does not fit when one does not.
    fn next(&mut self, path: &Path, batch: Batch) -> Option<Damage> {
        let place = Place {
            path: path.to_owned(),
            range: batch.range,
        };
        let number = batch.number;
        let (before, last) = self.numbers;
        let previous = self.last.replace(place.clone());
        let Some(previous) = previous.filter(|_| number <= last) else {
            self.numbers = (last, number);
            return None;
        };
        let what = "its number is not what was written";
        // The number that the other one fits without.
        if number > before {
            self.numbers = (before, number);
            return Some(Damage {
                place: previous,
                what,
            });
        }
        Some(Damage { place, what })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    /// A batch of one item as the engine writes it.
    fn batch(number: u64) -> Vec<u8> {
        let (key, value) = (b"tenant\0profile", [7; 40]);
        let mut item = vec![2, 0, 0];
        item.extend(1_u64.to_le_bytes());
        item.extend((key.len() as u16).to_le_bytes());
        item.extend((value.len() as u32).to_le_bytes());
        item.extend((value.len() as u32).to_le_bytes());
        item.extend(key);
        item.extend(value);
        let mut batch = vec![1];
        batch.extend(1_u32.to_le_bytes());
        batch.extend(number.to_le_bytes());
        batch.extend(&item);
        batch.push(3);
        batch.extend(xxh3_64(&item).to_le_bytes());
        batch.extend(b"FJL\x03");
        batch
    }

    /// A number of a file, and the numbers of its batches.
    type File<'a> = (u64, &'a [u64]);

    /// What is found in files with batches of these numbers; 0 stands for one that cannot be read.
    fn found(seal: Option<&Seal>, files: &[File<'_>]) -> Findings {
        let directory = tempfile::tempdir().unwrap();
        for (id, numbers) in files {
            let mut bytes = Vec::new();
            for number in *numbers {
                let mut batch = batch(*number);
                if *number == 0 {
                    batch[40] ^= 1;
                }
                bytes.extend(batch);
            }
            bytes.extend([0; 1_000]);
            fs::write(Journal::path(directory.path(), *id), bytes).unwrap();
        }
        examine_by(seal, directory.path()).unwrap()
    }

    fn places(findings: &Findings) -> Vec<(String, usize)> {
        let place = |damage: &Damage| {
            let name = damage.place.path.file_name().unwrap();
            let batch = damage.place.range.start / batch(1).len();
            (name.to_str().unwrap().to_owned(), batch)
        };
        findings.damages.iter().map(place).collect()
    }

    #[test]
    fn what_cannot_be_read_is_damage_when_a_batch_stands_behind_it_in_any_file() {
        let torn = found(None, &[(4, &[1, 2]), (5, &[3, 0])]);
        assert_eq!(
            (torn.damages.len(), torn.torn.len(), torn.batches),
            (0, 1, 3)
        );
        let within = found(None, &[(4, &[1, 0, 3])]);
        assert_eq!(places(&within), [("4.jnl".to_owned(), 1)]);
        let before = found(None, &[(4, &[1, 0]), (5, &[3])]);
        assert_eq!(places(&before), [("4.jnl".to_owned(), 1)]);
        // The file before was not written to its end when the process stopped.
        let unfinished = found(None, &[(4, &[1, 0]), (5, &[])]);
        assert_eq!((unfinished.damages.len(), unfinished.torn.len()), (0, 1));
    }

    #[test]
    fn a_number_that_breaks_the_order_is_damage_where_it_stands() {
        for (numbers, wrong) in [
            (&[1, 2, 900, 4, 5][..], 2),
            (&[10, 11, 3, 13, 14], 2),
            // Either could be.
            (&[10, 11, 11, 13], 1),
        ] {
            assert_eq!(
                places(&found(None, &[(0, numbers)])),
                [("0.jnl".to_owned(), wrong)]
            );
        }
        let across = found(None, &[(0, &[1, 9]), (1, &[4, 5])]);
        assert_eq!(places(&across), [("0.jnl".to_owned(), 1)]);
    }

    #[test]
    fn a_file_that_the_engine_cannot_have_deleted_is_missed() {
        let seal = |is_closed| Seal {
            is_closed,
            files: found(None, &[(3, &[1]), (4, &[2])]).seal(true).files,
        };
        let missing = |is_closed, files: &[File<'_>]| {
            let findings = found(Some(&seal(is_closed)), files);
            let what = findings.damages.iter().map(|damage| damage.what);
            what.filter(|what| what.contains("missing")).count()
        };
        let (first, second, new): (File<'_>, File<'_>, File<'_>) =
            ((3, &[1]), (4, &[2]), (5, &[3]));
        assert_eq!(missing(true, &[first, second]), 0);
        assert_eq!(missing(true, &[second]), 1);
        assert_eq!(missing(true, &[first]), 1);
        assert_eq!(missing(true, &[]), 2);
        assert_eq!(missing(false, &[second]), 0);
        assert_eq!(missing(false, &[first]), 1);
        // Begun by a version that knows no seal.
        assert_eq!(missing(true, &[new]), 0);
        assert_eq!(found(None, &[(3, &[1]), (5, &[2])]).damages.len(), 1);
        assert_eq!(found(None, &[]).damages.len(), 1);
    }
}
