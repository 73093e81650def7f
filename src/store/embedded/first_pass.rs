//! The first pass over all records of a tenant, after the store was opened and before anybody
//! writes: what they add up to, and the ranks of a generation.

use std::collections::HashMap;

use super::{
    super::{IndexGeneration, StoreError, Stored},
    ids::{IdNumber, Ids},
    processors::on_all_processors,
    rank::Rank,
    ranks::{Built, Ranks},
    records::Records,
    sums::Sums,
};
use crate::scoring::{ProfileId, RankKey, RankName, Record, Tenant};

/// Adds up the records of a tenant, unless that was done.
pub fn add_up(records: &Records, ranks: &Ranks, tenant: &Tenant) -> Result<(), StoreError> {
    if !ranks.is_fresh(tenant)? {
        return Ok(());
    }
    let parts = records.read_all(tenant, |records| {
        let mut sums = Sums::default();
        for stored in &records {
            sums.add_record(&stored.record);
        }
        Ok(sums)
    })?;
    let sums = parts.into_iter().fold(Sums::default(), Sums::plus);
    ranks.set_sums(tenant, sums)
}

/// Adds up the records of a tenant and builds the ranks of a generation, where `entries_of` says
/// in which a record stands. Returns how many records there are; `None` when the first pass was
/// made before.
pub fn build(
    records: &Records,
    ranks: &Ranks,
    tenant: &Tenant,
    generation: IndexGeneration,
    entries_of: impl Fn(&ProfileId, &Record) -> Vec<(RankName, RankKey)> + Sync,
) -> Result<Option<u64>, StoreError> {
    if !ranks.is_fresh(tenant)? {
        return Ok(None);
    }
    let parts = records.read_all(tenant, |records| Part::of(&records, &entries_of))?;
    let mut whole = Part::default();
    for part in parts {
        whole.append(part)?;
    }
    let records = whole.records;
    let is_first = ranks.set_built(tenant, generation, whole.built()?)?;
    Ok(is_first.then_some(records))
}

/// What some records that follow each other come to.
#[derive(Default)]
struct Part {
    records: u64,
    sums: Sums,
    /// The ids of those who stand in ranks, in order.
    ids: Vec<Box<str>>,
    /// The entries in the order of ids, which have the positions in `ids` for numbers.
    ranks: HashMap<RankName, Vec<(RankKey, IdNumber)>>,
}

impl Part {
    fn of(
        records: &[Stored],
        entries_of: impl Fn(&ProfileId, &Record) -> Vec<(RankName, RankKey)>,
    ) -> Result<Self, StoreError> {
        let mut part = Self {
            records: records.len() as u64,
            ..Self::default()
        };
        for stored in records {
            part.sums.add_record(&stored.record);
            let entries = entries_of(&stored.profile_id, &stored.record);
            if entries.is_empty() {
                continue;
            }
            let number = IdNumber::at(part.ids.len())?;
            part.ids.push(stored.profile_id.as_str().into());
            for (rank, key) in entries {
                part.ranks.entry(rank).or_default().push((key, number));
            }
        }
        Ok(part)
    }

    /// Adds what the following records come to.
    fn append(&mut self, next: Self) -> Result<(), StoreError> {
        let known = self.ids.len();
        for (rank, entries) in next.ranks {
            let all = self.ranks.entry(rank).or_default();
            for (key, number) in entries {
                all.push((key, number.after(known)?));
            }
        }
        self.ids.extend(next.ids);
        self.records += next.records;
        self.sums = std::mem::take(&mut self.sums).plus(next.sums);
        Ok(())
    }

    fn built(self) -> Result<Built, StoreError> {
        let mut ids = Ids::of(self.ids);
        for (_, number) in self.ranks.values().flatten() {
            ids.hold(*number);
        }
        let ranks = on_all_processors(self.ranks.into_iter(), |(name, mut entries)| {
            // Equals stay in the order of ids.
            entries.sort_by(|(one, _), (other, _)| other.cmp(one));
            Ok((name, Rank::of(&entries)))
        })?;
        Ok(Built {
            sums: self.sums,
            ids,
            ranks: ranks.into_iter().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            super::{
                Cursor, RankPage, RankRange, Rollout, TopicTotals, TotalsChange, Version, codec,
            },
            keys,
        },
        *,
    };
    use crate::scoring::{Fingerprint, InfluenceCell, KeyRange, Name, RankChange, Timestamp};

    const GENERATION: IndexGeneration = IndexGeneration {
        number: 1,
        model: Fingerprint(1),
    };
    /// More than two processors take at a time.
    const RECORDS: u64 = 3_500;

    fn tenant(name: &str) -> Tenant {
        Tenant::new(name).unwrap()
    }

    fn id(number: u64) -> ProfileId {
        ProfileId::new(&format!("p{}", number * 7_919 % RECORDS)).unwrap()
    }

    fn record(number: u64) -> Record {
        Record {
            event_count: number,
            last_event_time: Timestamp::from_seconds(number),
            influence: vec![InfluenceCell {
                topic: format!("topic-{}", number % 3).into(),
                stage: Name::default(),
                credit: 1.0,
                touches: number,
                advance_millionths: 0,
            }],
            ..Record::default()
        }
    }

    /// Everybody in one rank, where many are equal; some in another; a few in none.
    fn entries(_: &ProfileId, record: &Record) -> Vec<(RankName, RankKey)> {
        let number = record.event_count;
        let key = |number: u64| RankKey::new(number as f64).unwrap();
        match number % 5 {
            0 => Vec::new(),
            1 => vec![(RankName::new("all"), key(number % 4))],
            _ => vec![
                (RankName::new("all"), key(number % 4)),
                (RankName::new("some"), key(number)),
            ],
        }
    }

    fn write(records: &Records, tenant: &Tenant, numbers: impl Iterator<Item = u64>) {
        let values = numbers.map(|number| {
            let value = keys::value(Version(1), &codec::encode(&record(number)));
            (keys::key(tenant, &id(number)), Some(value))
        });
        records.write(values).unwrap();
    }

    /// What commits of the records make of ranks.
    fn committed(tenant: &Tenant, numbers: impl Iterator<Item = u64>) -> Ranks {
        let ranks = Ranks::default();
        for number in numbers {
            let record = record(number);
            let changes = entries(&id(number), &record).into_iter();
            let changes = changes.map(|(rank, key)| RankChange {
                rank,
                old: None,
                new: Some(key),
            });
            let changes = [(GENERATION, changes.collect())];
            let totals: Vec<_> = record.topic_deltas().map(TotalsChange::adding).collect();
            let latest = record.latest_counted().up_to_second();
            ranks
                .apply(tenant, &id(number), &changes, &totals, latest)
                .unwrap();
        }
        ranks
    }

    fn picture(ranks: &Ranks, tenant: &Tenant) -> (Vec<RankPage>, Vec<TopicTotals>) {
        let from_two = |rank: &str| RankRange {
            rank: RankName::new(rank),
            keys: KeyRange {
                from: RankKey::new(2.0).unwrap(),
                below: None,
            },
        };
        let cursor = Cursor {
            key: RankKey::new(2.0).unwrap(),
            profile_id: id(2),
        };
        let pages = ["all", "some", "none"].map(|rank| {
            let range = from_two(rank);
            [None, Some(&cursor)].map(|after| {
                let page = ranks.page(tenant, GENERATION, &range, after, 2_000);
                page.unwrap()
            })
        });
        let topics = ["topic-0", "topic-1", "topic-2", "other"].map(str::to_owned);
        let totals = ranks.totals(tenant, &topics).unwrap();
        (pages.into_iter().flatten().collect(), totals)
    }

    #[test]
    fn the_first_pass_gives_what_commits_give_and_is_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let records = Records::open(directory.path()).unwrap();
        let (one, other) = (tenant("one"), tenant("other"));
        write(&records, &one, 0..RECORDS);
        write(&records, &other, 7..9);
        let ranks = Ranks::of(records.tenants().unwrap());
        let built = build(&records, &ranks, &one, GENERATION, entries);
        assert_eq!(built, Ok(Some(RECORDS)));
        let expected = picture(&committed(&one, 0..RECORDS), &one);
        assert_eq!(expected.0[0].total, RECORDS * 2 / 5);
        assert_eq!(picture(&ranks, &one), expected);
        let again = build(&records, &ranks, &one, GENERATION, entries);
        assert_eq!(again, Ok(None));
        add_up(&records, &ranks, &one).unwrap();
        assert_eq!(picture(&ranks, &one), expected);

        assert!(ranks.is_fresh(&other).unwrap());
        add_up(&records, &ranks, &other).unwrap();
        let expected = picture(&committed(&other, 7..9), &other);
        assert_eq!(picture(&ranks, &other).1, expected.1);
        let late = build(&records, &ranks, &other, GENERATION, entries);
        assert_eq!(late, Ok(None));
    }

    #[test]
    fn a_generation_that_is_not_maintained_is_not_built() {
        let directory = tempfile::tempdir().unwrap();
        let records = Records::open(directory.path()).unwrap();
        let one = tenant("one");
        write(&records, &one, 0..9);
        let ranks = Ranks::of(records.tenants().unwrap());
        let other = IndexGeneration {
            number: 2,
            ..GENERATION
        };
        ranks.raise(&one, &Rollout::begin(other, 1)).unwrap();
        let built = build(&records, &ranks, &one, GENERATION, entries);
        assert_eq!(built, Err(StoreError::Superseded));
        let built = build(&records, &ranks, &one, other, entries);
        assert_eq!(built, Ok(Some(9)));
    }

    #[test]
    fn a_record_that_cannot_be_read_is_damage() {
        let directory = tempfile::tempdir().unwrap();
        let records = Records::open(directory.path()).unwrap();
        let one = tenant("one");
        write(&records, &one, 0..RECORDS);
        let damaged = keys::value(Version(1), b"\xff\xff\xff");
        let value = (keys::key(&one, &id(3_000)), Some(damaged));
        records.write([value].into_iter()).unwrap();
        let ranks = Ranks::of(records.tenants().unwrap());
        let built = build(&records, &ranks, &one, GENERATION, entries);
        assert!(matches!(built, Err(StoreError::Corrupt(_))), "{built:?}");
        let added = add_up(&records, &ranks, &one);
        assert!(matches!(added, Err(StoreError::Corrupt(_))), "{added:?}");
        assert!(ranks.is_fresh(&one).unwrap());
    }
}
