//! Records to and from bytes, formats 1 and 2. Equal records are equal bytes. Decoding takes any
//! bytes without a panic and returns nothing that breaks a promise of [`Record`].

mod counts;
mod held;

use std::ops::RangeInclusive;

use prost::Message as _;

use self::{
    counts::{
        count_groups, named_counts, named_counts_to_proto, seen_types, signal_count_to_proto,
    },
    held::{held_event, held_to_proto},
};
use super::StoreError;
use crate::{
    proto::{
        attributes::{OrderedStruct, from_struct, to_struct},
        record as proto,
    },
    scoring::{
        EventMemory, HalfLife, IdHash, InfluenceCell, ProfileId, Record, Timestamp, Touch,
        limits::{MAX_COUNT, MAX_KEY_BYTES, MAX_NAME_BYTES, MAX_TAG_BYTES, MAX_TYPE_BYTES},
    },
};

/// The formats that are read. The first that can say all of a record is written, so that
/// servers of the version before read every record of a model that they can read.
pub const FORMATS: RangeInclusive<u32> = 1..=2;
/// Bytes of an encoded record: several times the largest that the bounds of scoring
/// allow, so that damaged bytes cannot claim all memory.
pub const MAX_RECORD_BYTES: usize = 8 * 1024 * 1024;

/// The number of the field `attributes` of the stored record.
const ATTRIBUTES_FIELD: u32 = 2;

/// The bytes of a record. A count or credit of negative zero becomes zero.
pub fn encode(record: &Record) -> Vec<u8> {
    let message = without_attributes(record);
    let attributes =
        (!record.attributes.is_empty()).then(|| OrderedStruct::from(&record.attributes));
    let attribute_bytes = attributes.as_ref().map_or(0, |attributes| {
        prost::encoding::message::encoded_len(ATTRIBUTES_FIELD, attributes)
    });
    let mut bytes = Vec::with_capacity(message.encoded_len() + attribute_bytes);
    message.encode_raw(&mut bytes);
    if let Some(attributes) = attributes {
        prost::encoding::message::encode(ATTRIBUTES_FIELD, &attributes, &mut bytes);
    }
    bytes
}

/// The record of these bytes; [`StoreError::Corrupt`] when they are not one.
pub fn decode(bytes: &[u8]) -> Result<Record, StoreError> {
    if bytes.len() > MAX_RECORD_BYTES {
        return Err(corrupt(format!(
            "it takes {} bytes; at most {MAX_RECORD_BYTES} are allowed",
            bytes.len()
        )));
    }
    from_proto(proto::Record::decode(bytes).map_err(corrupt)?)
}

/// The stored form of a record, for an export.
pub fn to_proto(record: &Record) -> proto::Record {
    proto::Record {
        attributes: (!record.attributes.is_empty()).then(|| to_struct(record.attributes.clone())),
        ..without_attributes(record)
    }
}

/// The record of a stored form; [`StoreError::Corrupt`] when it is not one.
pub fn from_proto(message: proto::Record) -> Result<Record, StoreError> {
    if !FORMATS.contains(&message.format) {
        return Err(corrupt(format!(
            "its format is {}; this version reads formats {} and {}",
            message.format,
            FORMATS.start(),
            FORMATS.end()
        )));
    }
    let (influence_time, influence) = match message.influence {
        None => (Timestamp::EPOCH, Vec::new()),
        Some(influence) => (time(influence.time)?, influence_cells(influence.cells)?),
    };
    if message.first_seen_time > message.last_event_time {
        return Err(corrupt("its first event is later than its last"));
    }
    check_ascending(&message.last_counted, |counted| counted.signal.as_str())?;
    check_ascending(&message.seen_types, String::as_str)?;
    Ok(Record {
        attributes: match message.attributes {
            None => Default::default(),
            Some(attributes) => from_struct(attributes)
                .map_err(|mistake| corrupt(format!("its attributes: {mistake}")))?,
        },
        event_count: message.event_count,
        first_seen_time: time(message.first_seen_time)?,
        last_event_time: time(message.last_event_time)?,
        counts: count_groups(message.counts)?,
        last_counted: message
            .last_counted
            .into_iter()
            .map(|counted| Ok((name(counted.signal)?, time(counted.time)?)))
            .collect::<Result<_, StoreError>>()?,
        seen_types: seen_types(message.seen_types, &message.seen_counts)?,
        interests: named_counts(message.interests, topic)?,
        memory: EventMemory {
            remembered: remembered(&message.event_times, &message.event_hashes)?,
            horizon: message
                .horizon
                .map(|event| Ok::<_, StoreError>((time(event.time)?, IdHash(event.hash))))
                .transpose()?,
        },
        effects: message.credit_hashes.into_iter().map(IdHash).collect(),
        touches: touches(message.touches)?,
        reached_stages: message
            .reached_stages
            .into_iter()
            .map(name)
            .collect::<Result<_, _>>()?,
        influence_time,
        influence,
        quarantine: message
            .quarantine
            .into_iter()
            .map(held_event)
            .collect::<Result<_, _>>()?,
    })
}

fn without_attributes(record: &Record) -> proto::Record {
    let mut previous = 0;
    proto::Record {
        format: format_of(record),
        attributes: None,
        event_count: record.event_count,
        first_seen_time: record.first_seen_time.nanos(),
        last_event_time: record.last_event_time.nanos(),
        counts: record
            .counts
            .iter()
            .map(|group| proto::CountGroup {
                half_life: group.half_life.map_or(0, HalfLife::nanos),
                counts: group.counts.iter().map(signal_count_to_proto).collect(),
            })
            .collect(),
        last_counted: record
            .last_counted
            .iter()
            .map(|(signal, time)| proto::LastCounted {
                signal: signal.clone(),
                time: time.nanos(),
            })
            .collect(),
        seen_types: record
            .seen_types
            .iter()
            .map(|seen| seen.name.clone())
            .collect(),
        seen_counts: record.seen_types.iter().map(|seen| seen.count).collect(),
        interests: named_counts_to_proto(&record.interests),
        event_times: record
            .memory
            .remembered
            .iter()
            .map(|(time, _)| time.nanos() - std::mem::replace(&mut previous, time.nanos()))
            .collect(),
        event_hashes: record
            .memory
            .remembered
            .iter()
            .map(|(_, id)| id.0)
            .collect(),
        horizon: record
            .memory
            .horizon
            .map(|(time, id)| proto::RememberedEvent {
                time: time.nanos(),
                hash: id.0,
            }),
        credit_hashes: record.effects.iter().map(|id| id.0).collect(),
        touches: record
            .touches
            .iter()
            .map(|touch| proto::Touch {
                event_hash: touch.event.0,
                time: touch.time.nanos(),
                author_id: touch.author_id.as_str().to_owned(),
                topics: touch.topics.clone(),
                stage: touch.stage.clone(),
            })
            .collect(),
        reached_stages: record.reached_stages.clone(),
        influence: (record.influence_time != Timestamp::EPOCH || !record.influence.is_empty())
            .then(|| proto::Influence {
                time: record.influence_time.nanos(),
                cells: record.influence.iter().map(cell_to_proto).collect(),
            }),
        quarantine: record.quarantine.iter().map(held_to_proto).collect(),
    }
}

/// The first format that can say all of a record.
fn format_of(record: &Record) -> u32 {
    let mut counts = record.counts.iter().flat_map(|group| &group.counts);
    let is_new = !record.quarantine.is_empty() || counts.any(|count| !count.key.is_empty());
    if is_new {
        *FORMATS.end()
    } else {
        *FORMATS.start()
    }
}

fn cell_to_proto(cell: &InfluenceCell) -> proto::InfluenceCell {
    proto::InfluenceCell {
        topic: cell.topic.clone(),
        stage: cell.stage.clone(),
        credit: cell.credit,
        touches: cell.touches,
        advance_millionths: cell.advance_millionths,
    }
}

fn remembered(times: &[i64], hashes: &[u64]) -> Result<Vec<(Timestamp, IdHash)>, StoreError> {
    if times.len() != hashes.len() {
        return Err(corrupt(format!(
            "it remembers {} times for {} events",
            times.len(),
            hashes.len()
        )));
    }
    let mut previous = 0_i64;
    let mut pairs = Vec::with_capacity(times.len());
    for (&difference, &hash) in times.iter().zip(hashes) {
        previous = previous
            .checked_add(difference)
            .ok_or_else(|| corrupt("it remembers an event beyond the end of time"))?;
        pairs.push((time(previous)?, IdHash(hash)));
    }
    check_ascending(&pairs, |pair| *pair)?;
    Ok(pairs)
}

fn touches(touches: Vec<proto::Touch>) -> Result<Vec<Touch>, StoreError> {
    let decoded = touches
        .into_iter()
        .map(|touch| {
            Ok(Touch {
                event: IdHash(touch.event_hash),
                time: time(touch.time)?,
                author_id: ProfileId::new(&touch.author_id)
                    .ok_or_else(|| corrupt("it was touched by a malformed profile id"))?,
                topics: touch
                    .topics
                    .into_iter()
                    .map(topic)
                    .collect::<Result<_, _>>()?,
                stage: name_or_empty(touch.stage)?,
            })
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    if !decoded.is_sorted_by_key(|touch| touch.time) {
        return Err(corrupt("its touches are not in order"));
    }
    Ok(decoded)
}

fn influence_cells(cells: Vec<proto::InfluenceCell>) -> Result<Vec<InfluenceCell>, StoreError> {
    check_ascending(&cells, |cell| (cell.topic.as_str(), cell.stage.as_str()))?;
    cells
        .into_iter()
        .map(|cell| {
            Ok(InfluenceCell {
                topic: topic(cell.topic)?,
                stage: name_or_empty(cell.stage)?,
                credit: amount(cell.credit)?,
                touches: cell.touches,
                advance_millionths: cell.advance_millionths,
            })
        })
        .collect()
}

fn check_ascending<'a, T, K: PartialOrd>(
    items: &'a [T],
    key: impl Fn(&'a T) -> K,
) -> Result<(), StoreError> {
    if items.is_sorted_by(|first, second| key(first) < key(second)) {
        Ok(())
    } else {
        Err(corrupt("its entries are not in order"))
    }
}

fn name(text: String) -> Result<String, StoreError> {
    bounded(text, MAX_NAME_BYTES)
}

fn key(text: String) -> Result<String, StoreError> {
    if text.is_empty() {
        Ok(text)
    } else {
        bounded(text, MAX_KEY_BYTES)
    }
}

fn name_or_empty(text: String) -> Result<String, StoreError> {
    if text.is_empty() {
        Ok(text)
    } else {
        name(text)
    }
}

fn topic(text: String) -> Result<String, StoreError> {
    bounded(text, MAX_TAG_BYTES)
}

fn event_type(text: String) -> Result<String, StoreError> {
    bounded(text, MAX_TYPE_BYTES)
}

fn bounded(text: String, max_bytes: usize) -> Result<String, StoreError> {
    if text.is_empty() || text.len() > max_bytes {
        return Err(corrupt(format!(
            "it has a name of {} bytes; 1 to {max_bytes} are allowed",
            text.len()
        )));
    }
    Ok(text)
}

/// A count or a credit.
fn amount(value: f64) -> Result<f64, StoreError> {
    if (0.0..=MAX_COUNT).contains(&value) {
        Ok(value + 0.0)
    } else {
        Err(corrupt(format!("{value} is no count")))
    }
}

fn time(nanos: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_nanos(nanos).ok_or_else(|| corrupt("it has an instant before 1970"))
}

fn corrupt(reason: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("a record cannot be read: {reason}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::vec, option, prelude::*};

    use super::*;
    use crate::scoring::{
        AttributeValue, Attributes, CountGroup, HeldEvent, HeldMatch, NamedCount, SeenType,
        SignalCount,
    };

    fn any_name() -> impl Strategy<Value = String> {
        "[a-zé]{1,6}"
    }

    fn any_time() -> impl Strategy<Value = Timestamp> {
        prop_oneof![0..4_i64, 0..=i64::MAX].prop_map(|nanos| Timestamp::from_nanos(nanos).unwrap())
    }

    fn any_hash() -> impl Strategy<Value = IdHash> {
        any::<u64>().prop_map(IdHash)
    }

    fn any_number() -> impl Strategy<Value = f64> {
        any::<f64>().prop_filter_map("a finite number", |number| {
            number.is_finite().then_some(number + 0.0)
        })
    }

    fn any_attributes() -> impl Strategy<Value = Attributes> {
        let leaf = prop_oneof![
            Just(AttributeValue::Null),
            any::<bool>().prop_map(AttributeValue::Bool),
            any_number().prop_map(AttributeValue::Number),
            "\\PC{0,8}".prop_map(AttributeValue::String),
        ];
        let value = leaf.prop_recursive(4, 16, 4, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(AttributeValue::List),
                prop::collection::btree_map(any_name(), inner, 0..4).prop_map(AttributeValue::Map),
            ]
        });
        prop::collection::btree_map(any_name(), value, 0..5)
    }

    fn any_amount() -> impl Strategy<Value = f64> {
        0.0..=MAX_COUNT
    }

    fn any_counts() -> impl Strategy<Value = Vec<NamedCount>> {
        let named = |(name, value)| NamedCount { name, value };
        prop::collection::btree_map(any_name(), any_amount(), 0..5)
            .prop_map(move |counts| counts.into_iter().map(named).collect())
    }

    fn any_signal_counts() -> impl Strategy<Value = Vec<SignalCount>> {
        let count = |((signal, key), value)| SignalCount { signal, key, value };
        let names = (any_name(), "[a-zé]{0,3}");
        prop::collection::btree_map(names, any_amount(), 0..5)
            .prop_map(move |counts| counts.into_iter().map(count).collect())
    }

    fn any_seen_types() -> impl Strategy<Value = Vec<SeenType>> {
        let seen = |(name, count)| SeenType { name, count };
        prop::collection::btree_map(any_name(), any::<u32>(), 0..4)
            .prop_map(move |types| types.into_iter().map(seen).collect())
    }

    fn any_held_event() -> impl Strategy<Value = HeldEvent> {
        let matched = (any_name(), any_amount(), vec("[a-z]{0,3}", 0..3)).prop_map(
            |(signal, value, keys)| HeldMatch {
                signal,
                value,
                keys,
            },
        );
        let names = (any_name(), any_name(), vec(any_name(), 0..3));
        let ids = (option::of(any_name()), option::of(any_name()));
        let times = (any_time(), any_time());
        (names, any_hash(), times, vec(matched, 0..3), ids).prop_map(
            |((rule, event_type, topics), id, (known_by, time), matches, ids)| HeldEvent {
                rule,
                id,
                known_by,
                time,
                event_type,
                matches,
                topics,
                author_id: ids.0.and_then(|id| ProfileId::new(&id)),
                account_id: ids.1.and_then(|id| ProfileId::of_account(&id)),
            },
        )
    }

    fn any_groups() -> impl Strategy<Value = Vec<CountGroup>> {
        let half_life = option::of(60_000_000_000..=i64::MAX)
            .prop_map(|nanos| nanos.and_then(HalfLife::from_nanos));
        let group = |(half_life, counts)| CountGroup { half_life, counts };
        prop::collection::btree_map(half_life, any_signal_counts(), 0..3)
            .prop_map(move |groups| groups.into_iter().map(group).collect())
    }

    fn any_memory() -> impl Strategy<Value = EventMemory> {
        let pairs = prop::collection::btree_set((any_time(), any_hash()), 0..6);
        (pairs, option::of((any_time(), any_hash()))).prop_map(|(pairs, horizon)| EventMemory {
            remembered: pairs.into_iter().collect(),
            horizon,
        })
    }

    fn any_touches() -> impl Strategy<Value = Vec<Touch>> {
        let touch = (
            any_hash(),
            any_time(),
            any_name(),
            vec(any_name(), 0..3),
            "[a-z]{0,3}",
        )
            .prop_map(|(event, time, author, topics, stage)| Touch {
                event,
                time,
                author_id: ProfileId::new(&author).unwrap(),
                topics,
                stage,
            });
        vec(touch, 0..4).prop_map(|mut touches| {
            touches.sort_by_key(|touch| touch.time);
            touches
        })
    }

    fn any_influence() -> impl Strategy<Value = Vec<InfluenceCell>> {
        let names = (any_name(), "[a-z]{0,3}");
        let numbers = (any_amount(), any::<u64>(), any::<u64>());
        prop::collection::btree_map(names, numbers, 0..4).prop_map(|cells| {
            cells
                .into_iter()
                .map(
                    |((topic, stage), (credit, touches, advance_millionths))| InfluenceCell {
                        topic,
                        stage,
                        credit,
                        touches,
                        advance_millionths,
                    },
                )
                .collect()
        })
    }

    fn any_record() -> impl Strategy<Value = Record> {
        let times = (any_time(), any_time(), any_time());
        let sets = (
            prop::collection::btree_map(any_name(), any_time(), 0..4),
            any_seen_types(),
        );
        let lists = (
            vec(any_hash(), 0..4),
            vec(any_name(), 0..3),
            vec(any_held_event(), 0..2),
        );
        let parts = (
            any_groups(),
            any_counts(),
            any_memory(),
            any_touches(),
            any_influence(),
        );
        (any_attributes(), any::<u64>(), times, sets, lists, parts).prop_map(
            |(attributes, event_count, times, sets, lists, parts): (
                _,
                _,
                _,
                (BTreeMap<_, _>, _),
                _,
                _,
            )| Record {
                attributes,
                event_count,
                first_seen_time: times.0.min(times.1),
                last_event_time: times.0.max(times.1),
                influence_time: times.2,
                last_counted: sets.0,
                seen_types: sets.1,
                effects: lists.0,
                reached_stages: lists.1,
                counts: parts.0,
                interests: parts.1,
                memory: parts.2,
                touches: parts.3,
                influence: parts.4,
                quarantine: lists.2,
            },
        )
    }

    proptest! {
        #[test]
        fn a_record_survives_bit_for_bit(record in any_record()) {
            let bytes = encode(&record);
            let decoded = decode(&bytes).unwrap();
            prop_assert_eq!(&decoded, &record);
            prop_assert_eq!(encode(&decoded), bytes);
            prop_assert_eq!(from_proto(to_proto(&record)), Ok(record));
        }

        #[test]
        fn garbage_is_refused_or_read_without_a_panic(bytes in vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn a_damaged_record_is_refused_or_keeps_every_promise(
            record in any_record(),
            position in any::<prop::sample::Index>(),
            flip in 1..=255_u8,
        ) {
            let mut bytes = encode(&record);
            let position = position.index(bytes.len());
            bytes[position] ^= flip;
            if let Ok(read) = decode(&bytes) {
                prop_assert_eq!(decode(&encode(&read)), Ok(read));
            }
        }
    }

    fn refused(change: impl FnOnce(&mut proto::Record)) -> String {
        let mut message = to_proto(&Record::default());
        change(&mut message);
        match decode(&message.encode_to_vec()) {
            Err(StoreError::Corrupt(reason)) => reason,
            other => panic!("should be refused: {other:?}"),
        }
    }

    #[test]
    fn another_format_is_refused_by_its_number() {
        assert!(refused(|message| message.format = 3).contains("format is 3"));
        assert!(refused(|message| message.format = 0).contains("format is 0"));
        assert!(matches!(decode(b""), Err(StoreError::Corrupt(_))));
    }

    fn counted(key: &str) -> Record {
        let count = SignalCount {
            signal: "visited".to_owned(),
            key: key.to_owned(),
            value: 1.5,
        };
        Record {
            counts: vec![CountGroup {
                half_life: None,
                counts: vec![count],
            }],
            seen_types: vec![SeenType {
                name: "visit".to_owned(),
                count: 3,
            }],
            ..Record::default()
        }
    }

    #[test]
    fn a_record_of_format_1_is_read_and_how_often_a_type_was_seen_is_unknown() {
        let mut message = to_proto(&counted(""));
        message.format = 1;
        message.seen_counts.clear();
        let mut expected = counted("");
        expected.seen_types[0].count = 0;
        assert_eq!(decode(&message.encode_to_vec()), Ok(expected));
    }

    #[test]
    fn the_format_is_the_first_that_can_say_all_of_the_record() {
        let held = HeldEvent {
            rule: "too_fast".to_owned(),
            id: IdHash(1),
            known_by: Timestamp::EPOCH,
            time: Timestamp::EPOCH,
            event_type: "visit".to_owned(),
            matches: Vec::new(),
            topics: Vec::new(),
            author_id: None,
            account_id: None,
        };
        let quarantined = Record {
            quarantine: vec![held],
            ..counted("")
        };
        for (record, format) in [(counted(""), 1), (counted("a"), 2), (quarantined, 2)] {
            assert_eq!(to_proto(&record).format, format, "{record:?}");
            assert_eq!(decode(&encode(&record)), Ok(record));
        }
    }

    #[test]
    fn what_breaks_a_promise_of_the_record_is_refused() {
        let count = |name: &str, value| proto::NamedCount {
            name: name.to_owned(),
            value,
        };
        refused(|message| message.last_event_time = -1);
        refused(|message| message.first_seen_time = 1);
        refused(|message| message.interests = vec![count("b", 1.0), count("a", 1.0)]);
        refused(|message| message.interests = vec![count("a", 1.0), count("a", 1.0)]);
        for value in [f64::NAN, f64::INFINITY, -1.0, 2.0 * MAX_COUNT] {
            refused(|message| message.interests = vec![count("a", value)]);
        }
        refused(|message| message.interests = vec![count("", 1.0)]);
        refused(|message| message.interests = vec![count(&"a".repeat(129), 1.0)]);
        refused(|message| message.reached_stages = vec!["a".repeat(65)]);
        refused(|message| message.seen_types = vec!["b".to_owned(), "a".to_owned()]);
        refused(|message| message.event_times = vec![1]);
        refused(|message| {
            message.event_times = vec![i64::MAX, 1];
            message.event_hashes = vec![1, 2];
        });
        refused(|message| {
            message.event_times = vec![1, 0];
            message.event_hashes = vec![2, 2];
        });
        refused(|message| {
            message.counts.push(proto::CountGroup {
                half_life: 1,
                counts: vec![],
            })
        });
        refused(|message| {
            let group = proto::CountGroup {
                half_life: 0,
                counts: vec![],
            };
            message.counts = vec![group.clone(), group];
        });
        refused(|message| {
            let group = |half_life| proto::CountGroup {
                half_life,
                counts: vec![],
            };
            message.counts = vec![group(60_000_000_000), group(0)];
        });
        refused(|message| message.touches.push(proto::Touch::default()));
    }

    #[test]
    fn a_topic_of_the_longest_name_survives() {
        let topic = "t".repeat(MAX_TAG_BYTES);
        let record = Record {
            interests: vec![NamedCount {
                name: topic.clone(),
                value: 1.0,
            }],
            touches: vec![Touch {
                event: IdHash(1),
                time: Timestamp::EPOCH,
                author_id: ProfileId::new("bob").unwrap(),
                topics: vec![topic.clone()],
                stage: String::new(),
            }],
            influence: vec![InfluenceCell {
                topic,
                stage: String::new(),
                credit: 1.0,
                touches: 1,
                advance_millionths: 0,
            }],
            ..Record::default()
        };
        assert_eq!(decode(&encode(&record)), Ok(record));
    }

    #[test]
    fn more_bytes_than_any_record_takes_are_refused() {
        let bytes = vec![0; MAX_RECORD_BYTES + 1];
        assert!(matches!(decode(&bytes), Err(StoreError::Corrupt(_))));
    }
}
