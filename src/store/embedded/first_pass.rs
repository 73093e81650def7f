//! The first pass over all records of a tenant, after the store was opened and before anybody
//! writes: what they add up to, and the ranks of a generation.

use std::collections::HashMap;

use super::{
    super::{IndexGeneration, StoreError, Stored},
    ids::{IdNumber, Ids},
    processors::on_all_processors,
    rank::Rank,
    ranks::{Built, Ranks, RanksByName},
    records::Records,
    sums::Sums,
};
use crate::scoring::{ProfileId, RankKey, RankName, Record, Tenant};

/// Adds up the records of a tenant, unless that was done.
pub fn add_up(records: &Records, ranks: &Ranks, tenant: &Tenant) -> Result<(), StoreError> {
    if !ranks.is_fresh(tenant)? {
        return Ok(());
    }
    let parts = records.read_all(tenant, |sums: &mut Sums, stored| {
        sums.add_record(&stored.record);
        Ok(())
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
    let parts = records.read_all(tenant, |part: &mut Part, stored| {
        part.add(&stored, entries_of(&stored.profile_id, &stored.record))
    })?;
    let records = parts.iter().map(|part| part.records).sum();
    let is_first = ranks.set_built(tenant, generation, put_together(parts)?)?;
    Ok(is_first.then_some(records))
}

type Entries = Vec<(RankKey, IdNumber)>;

/// What some records that follow each other come to.
#[derive(Default)]
struct Part {
    records: u64,
    sums: Sums,
    /// The ids of those who stand in ranks, in order.
    ids: Vec<Box<str>>,
    /// In the order of ids, with the positions in `ids` for numbers.
    ranks: HashMap<RankName, Entries>,
}

impl Part {
    fn add(
        &mut self,
        stored: &Stored,
        entries: Vec<(RankName, RankKey)>,
    ) -> Result<(), StoreError> {
        self.records += 1;
        self.sums.add_record(&stored.record);
        if entries.is_empty() {
            return Ok(());
        }
        let number = IdNumber::at(self.ids.len())?;
        self.ids.push(stored.profile_id.as_str().into());
        for (rank, key) in entries {
            self.ranks.entry(rank).or_default().push((key, number));
        }
        Ok(())
    }
}

/// What parts that follow each other come to together.
fn put_together(parts: Vec<Part>) -> Result<Built, StoreError> {
    let mut sums = Sums::default();
    let mut ids = Vec::with_capacity(parts.iter().map(|part| part.ids.len()).sum());
    // Each part with the number of ids of the parts before it.
    let mut ranks: HashMap<RankName, Vec<(usize, Entries)>> = HashMap::new();
    for part in parts {
        for (rank, entries) in part.ranks {
            ranks.entry(rank).or_default().push((ids.len(), entries));
        }
        ids.extend(part.ids);
        sums = sums.plus(part.sums);
    }
    let ranks = on_all_processors(ranks.into_iter(), |(rank, parts)| {
        let mut all = Vec::with_capacity(parts.iter().map(|(_, some)| some.len()).sum());
        for (before, entries) in parts {
            for (key, number) in entries {
                all.push((key, number.after(before)?));
            }
        }
        // Equals stay in the order of ids.
        all.sort_by(|(one, _), (other, _)| other.cmp(one));
        Ok((rank, Rank::of(&all)))
    })?;
    let ranks: RanksByName = ranks.into_iter().collect();
    let mut ids = Ids::of(ids);
    for numbers in ranks.values().flat_map(Rank::ids) {
        numbers.iter().for_each(|number| ids.hold(*number));
    }
    Ok(Built { sums, ids, ranks })
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            super::{
                Cursor, RankPage, RankRange, Rollout, TopicTotals, TotalsChange, Version, codec,
            },
            keys,
            sums::SumsChange,
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
            let value = codec::encode_value(Version(1), &record(number));
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
            let sums = SumsChange {
                records: 1,
                totals: &totals,
                latest_counted: record.latest_counted().up_to_second(),
            };
            ranks.apply(tenant, &id(number), &changes, &sums).unwrap();
        }
        ranks
    }

    fn picture(ranks: &Ranks, tenant: &Tenant) -> (Vec<RankPage>, Vec<TopicTotals>, u64) {
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
        let records = ranks.record_count(tenant).unwrap();
        (pages.into_iter().flatten().collect(), totals, records)
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
        assert_eq!(
            (expected.0[0].total, expected.2),
            (RECORDS * 2 / 5, RECORDS)
        );
        assert_eq!(picture(&ranks, &one), expected);
        let again = build(&records, &ranks, &one, GENERATION, entries);
        assert_eq!(again, Ok(None));
        add_up(&records, &ranks, &one).unwrap();
        assert_eq!(picture(&ranks, &one), expected);

        assert!(ranks.is_fresh(&other).unwrap());
        add_up(&records, &ranks, &other).unwrap();
        let expected = picture(&committed(&other, 7..9), &other);
        let found = picture(&ranks, &other);
        assert_eq!((found.1, found.2), (expected.1, 2));
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
        let damaged = [&[0; 8][..], b"\xff\xff\xff"].concat();
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
