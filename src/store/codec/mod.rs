//! Records to and from bytes. Equal records are equal bytes. Decoding takes any bytes without a
//! panic and returns nothing that breaks a promise of [`Record`].

mod bounds;
mod line;
mod packed;
mod positions;
mod readable;

use self::bounds::corrupt;
pub use self::{
    line::{MAX_LINE_BYTES, from_line, to_line},
    readable::{from_proto, to_proto},
};
use super::{StoreError, Version};
use crate::scoring::Record;

/// The format of records, packed as they are stored, or as they are exported.
pub const FORMAT: u32 = 7;
/// Bytes of an encoded record: more than any but a model of a thousand signals by long keys comes
/// to, whose writes are refused then, so that damaged bytes cannot claim all memory.
pub const MAX_RECORD_BYTES: usize = 8 * 1024 * 1024;

/// What a packed record begins with, before the number of its format.
const FORMAT_TAG: u8 = 0x08;

/// The bytes of a record. A count or credit of negative zero becomes zero.
pub fn encode(record: &Record) -> Vec<u8> {
    packed::pack(&[], record)
}

/// What a store keeps of a record: the version of the write in eight bytes, the highest first,
/// then the bytes of the record.
pub fn encode_value(version: Version, record: &Record) -> Vec<u8> {
    packed::pack(&version.0.to_be_bytes(), record)
}

/// The version and the bytes of the record of a value.
pub fn split_value(value: &[u8]) -> Result<(Version, &[u8]), StoreError> {
    let (version, record) = value
        .split_first_chunk()
        .ok_or_else(|| StoreError::Corrupt("a value is too short to be a record".to_owned()))?;
    Ok((Version(u64::from_be_bytes(*version)), record))
}

/// The record of these bytes; [`StoreError::Corrupt`] when they are not one.
pub fn decode(bytes: &[u8]) -> Result<Record, StoreError> {
    if bytes.len() > MAX_RECORD_BYTES {
        return Err(corrupt(format!(
            "it takes {} bytes; at most {MAX_RECORD_BYTES} are allowed",
            bytes.len()
        )));
    }
    // Before the rest, which another format may say in another way.
    let (format, rest) = match bytes {
        [FORMAT_TAG, format, rest @ ..] => (u32::from(*format), rest),
        _ => (0, bytes),
    };
    check_format(format)?;
    packed::unpack(rest)
}

/// Refuses a record of another format.
fn check_format(format: u32) -> Result<(), StoreError> {
    if format == FORMAT {
        return Ok(());
    }
    Err(corrupt(format!(
        "its format is {format}; this version reads format {FORMAT}"
    )))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::vec, option, prelude::*};

    use super::*;
    use crate::proto::record as proto;
    use crate::scoring::{
        AttributeValue, Attributes, ChangeCause, CountDelta, CountGroup, CountedKeys, CountedValue,
        Credit, Effect, EffectKind, EffectMemory, EventMemory, HalfLife, HeldEvent, HeldMatch,
        IdHash, Incarnation, InfluenceCell, MatchedSignals, Name, NamedCount, ProfileId,
        RememberedEvent, SeenType, SignalCount, StageChange, SubjectDelta, Timestamp, Touch,
        TypeMark,
        limits::{
            MAX_ATTRIBUTE_DEPTH, MAX_ATTRIBUTES, MAX_COUNT, MAX_ID_BYTES, MAX_KEY_BYTES, MAX_KEYS,
            MAX_RULES, MAX_TAG_BYTES, REMEMBERED_STAGE_CHANGES,
        },
    };

    /// Up to 64 bytes of whatever a name can hold.
    fn any_name() -> impl Strategy<Value = Name> {
        let name = prop_oneof![3 => "[a-zé]{1,6}", 1 => "(?s).{1,16}"];
        name.prop_map(Name::from)
    }

    /// A key, or the name of a stage; empty for none.
    fn any_name_or_none() -> impl Strategy<Value = Name> {
        "[a-z]{0,3}".prop_map(Name::from)
    }

    fn any_id() -> impl Strategy<Value = ProfileId> {
        let id = prop_oneof![3 => "[a-zé]{1,6}", 1 => "\\PC{1,64}"];
        id.prop_map(|id| ProfileId::new(&id).unwrap())
    }

    fn any_subject() -> impl Strategy<Value = ProfileId> {
        let kind = prop_oneof![Just("account"), Just("brand_2")];
        (kind, any_id()).prop_map(|(kind, id)| ProfileId::of_subject(kind, id.as_str()).unwrap())
    }

    /// Of a person or of a subject.
    fn any_profile_id() -> impl Strategy<Value = ProfileId> {
        prop_oneof![any_id(), any_subject()]
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
            "(?s).{0,8}".prop_map(AttributeValue::String),
        ];
        let stated = |mut attributes: Attributes| {
            attributes.retain(|_, value| *value != AttributeValue::Null);
            attributes
        };
        let value = leaf.prop_recursive(4, 16, 4, move |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(AttributeValue::List),
                prop::collection::btree_map("(?s).{0,6}", inner, 0..4)
                    .prop_map(move |map| AttributeValue::Map(stated(map))),
            ]
        });
        prop::collection::btree_map("(?s).{1,6}", value, 0..5).prop_map(stated)
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
        let count = |(signal, (value, keys, capped))| SignalCount {
            signal,
            value,
            keys,
            capped,
        };
        let capped = prop_oneof![Just(0.0), any_amount()];
        let kept = (any_amount(), any_counts(), capped);
        prop::collection::btree_map(any_name(), kept, 0..5)
            .prop_map(move |counts| counts.into_iter().map(count).collect())
    }

    fn any_seen_types() -> impl Strategy<Value = Vec<SeenType>> {
        let seen = |(name, count)| SeenType { name, count };
        prop::collection::btree_map(any_name(), 1..=u32::MAX, 0..4)
            .prop_map(move |types| types.into_iter().map(seen).collect())
    }

    fn any_held_event() -> impl Strategy<Value = HeldEvent> {
        let matched = (any_name(), any_amount(), vec(any_name_or_none(), 0..3)).prop_map(
            |(signal, value, keys)| HeldMatch {
                signal,
                value,
                keys,
            },
        );
        let of_two = || prop_oneof![Just(Name::new("a")), any_name()];
        let names = (of_two(), of_two(), vec(any_name(), 0..3));
        let ids = (
            option::of(any_id()),
            vec(any_subject(), 0..3),
            option::of(any_id()),
        );
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
                author_id: ids.0,
                subjects: ids.1,
                origin: ids.2,
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
        let subjects = vec(any_subject(), 0..3);
        let event = (
            any::<u8>().prop_map(TypeMark),
            option::of(any_id()),
            subjects,
        );
        let events = prop::collection::btree_map((any_time(), any_hash()), event, 0..6);
        (events, option::of((any_time(), any_hash()))).prop_map(|(events, horizon)| {
            let mut memory = EventMemory {
                horizon,
                ..EventMemory::default()
            };
            for ((time, id), (type_mark, origin, subjects)) in events {
                let event = RememberedEvent {
                    time,
                    id,
                    type_mark,
                };
                memory.remember(event, origin, subjects, usize::MAX);
            }
            memory
        })
    }

    fn any_touches() -> impl Strategy<Value = Vec<Touch>> {
        let touch = (
            any_hash(),
            any_time(),
            any_id(),
            vec(any_name(), 0..3),
            any_name_or_none(),
            any_change(),
            option::of(any_id()),
        )
            .prop_map(
                |(event, time, author_id, topics, stage, credit, origin)| Touch {
                    event,
                    time,
                    author_id,
                    topics,
                    stage,
                    credit,
                    origin,
                },
            );
        vec(touch, 0..4).prop_map(|mut touches| {
            touches.sort_by_key(|touch| touch.time);
            touches
        })
    }

    fn any_counted_keys() -> impl Strategy<Value = CountedKeys> {
        prop::collection::btree_map(any_hash(), any_time(), 0..4)
    }

    /// What is added or taken.
    fn any_change() -> impl Strategy<Value = f64> {
        -MAX_COUNT..=MAX_COUNT
    }

    fn any_effect_memory() -> impl Strategy<Value = EffectMemory> {
        let pairs = vec((any_time(), any_hash()), 0..4);
        (pairs, option::of((any_time(), any_hash()))).prop_map(|(remembered, horizon)| {
            EffectMemory {
                remembered,
                horizon,
            }
        })
    }

    fn any_effect() -> impl Strategy<Value = Effect> {
        let kind = prop_oneof![
            Just(EffectKind::Apply),
            Just(EffectKind::Revert),
            Just(EffectKind::Withhold)
        ];
        let half_life = option::of(60_000_000_000..=i64::MAX)
            .prop_map(|nanos| nanos.and_then(HalfLife::from_nanos));
        let change = (half_life, any_name(), any_name_or_none(), any_change()).prop_map(
            |(half_life, signal, key, amount)| CountDelta {
                half_life,
                signal,
                key,
                amount,
            },
        );
        let known = (any_hash(), kind, any_id(), any_time());
        let names = (vec(any_name(), 0..3), any_name(), any_name_or_none());
        let credit = (any_change(), -1..=1_i64, any::<u64>());
        let is_share = any::<bool>();
        (known, names, vec(change, 0..3), credit, is_share).prop_map(
            |(
                (id, kind, subject, time),
                (topics, event_type, stage),
                changes,
                credit,
                is_share,
            )| {
                if is_share {
                    let subject_id = ProfileId::of_subject("account", subject.as_str()).unwrap();
                    return Effect::SubjectDelta(SubjectDelta {
                        id,
                        kind,
                        subject_id,
                        time,
                        changes,
                        topics,
                        event_type,
                    });
                }
                Effect::Credit(Credit {
                    id,
                    kind,
                    author_id: subject,
                    time,
                    topics,
                    stage,
                    credit: credit.0,
                    touches: credit.1,
                    advance_millionths: credit.2,
                })
            },
        )
    }

    fn any_influence() -> impl Strategy<Value = Vec<InfluenceCell>> {
        let names = (any_name(), any_name_or_none());
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

    fn any_stage() -> impl Strategy<Value = Option<Name>> {
        option::of(any_name())
    }

    /// Some were answered to events that are remembered.
    fn stage_changes_of(
        memory: &EventMemory,
        changes: Vec<(usize, Option<Name>, Option<Name>, Timestamp)>,
    ) -> Vec<StageChange> {
        let events = &memory.remembered;
        let changes = changes.into_iter();
        let changes = changes.map(|(position, from_stage, to_stage, time)| StageChange {
            from_stage,
            to_stage,
            time,
            cause: match position % 3 {
                0 => ChangeCause::Fading,
                1 if !events.is_empty() => {
                    ChangeCause::Write(Some(events[position % events.len()].pair()))
                }
                _ => ChangeCause::Write(None),
            },
        });
        changes.collect()
    }

    fn matched_of(memory: &EventMemory, matched: Vec<(usize, Vec<Name>)>) -> Vec<MatchedSignals> {
        let events = &memory.remembered;
        let matched = matched.into_iter().filter(|_| !events.is_empty());
        let matched = matched.map(|(position, signals)| MatchedSignals {
            event: events[position % events.len()].pair(),
            signals,
        });
        matched.collect()
    }

    fn counted_values_of(
        memory: &EventMemory,
        counted: Vec<(usize, Name, f64)>,
    ) -> Vec<CountedValue> {
        let events = &memory.remembered;
        let counted = counted.into_iter().filter(|_| !events.is_empty());
        let counted = counted.map(|(position, signal, value)| CountedValue {
            event: events[position % events.len()].pair(),
            signal,
            value,
        });
        counted.collect()
    }

    fn any_record() -> impl Strategy<Value = Record> {
        let times = (any_time(), any_time(), any_time());
        let sets = (
            prop::collection::btree_map(any_name(), any_time(), 0..4),
            any_seen_types(),
            prop::collection::btree_map(any_name(), any_counted_keys(), 0..3),
        );
        let lists = (
            (any_effect_memory(), vec(any_effect(), 0..4)),
            vec(any_name(), 0..3),
            vec(any_held_event(), 0..8),
            vec((any::<usize>(), any_stage(), any_stage(), any_time()), 0..3),
            vec((any::<usize>(), vec(any_name(), 1..3)), 0..3),
            prop::collection::btree_map(any_name(), any_name(), 0..3),
            vec((any::<usize>(), any_name(), any_amount()), 0..3),
        );
        let parts = (
            any_groups(),
            any_counts(),
            any_memory(),
            any_touches(),
            any_influence(),
        );
        let numbers = (any::<u64>(), any::<u64>(), any::<bool>(), any::<bool>());
        (any_attributes(), numbers, times, sets, lists, parts).prop_map(
            |(attributes, numbers, times, sets, lists, parts): (
                _,
                _,
                _,
                (BTreeMap<_, _>, _, BTreeMap<_, _>),
                _,
                _,
            )| Record {
                incarnation: Incarnation(numbers.0),
                attributes,
                event_count: numbers.1,
                was_stated: numbers.2,
                has_forgotten_caused: numbers.3,
                first_seen_time: times.0.min(times.1),
                last_event_time: times.0.max(times.1),
                influence_time: times.2,
                last_counted: sets.0,
                seen_types: sets.1,
                counted_keys: sets.2,
                effects: lists.0.0,
                caused: lists.0.1,
                reached_stages: lists.1,
                stage_changes: stage_changes_of(&parts.2, lists.3),
                matched: matched_of(&parts.2, lists.4),
                counted_values: counted_values_of(&parts.2, lists.6),
                kept_stages: lists.5,
                counts: parts.0,
                interests: parts.1,
                memory: parts.2,
                touches: parts.3,
                influence: parts.4,
                quarantine: lists.2,
            },
        )
    }

    #[test]
    fn a_value_gives_back_its_version_and_record() {
        let (version, record) = (Version(u64::MAX - 1), Record::default());
        let value = encode_value(version, &record);
        let encoded = encode(&record);
        assert_eq!(split_value(&value), Ok((version, encoded.as_slice())));
        assert!(matches!(
            split_value(&value[..7]),
            Err(StoreError::Corrupt(_))
        ));
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
        fn every_record_is_read_back_from_its_line(id in any_profile_id(), record in any_record()) {
            let line = to_line(&id, &record).unwrap();
            prop_assert!(!line.contains('\n'));
            prop_assert_eq!(from_line(&line), Ok((id, record)));
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
        match from_proto(message) {
            Err(StoreError::Corrupt(reason)) => reason,
            other => panic!("should be refused: {other:?}"),
        }
    }

    fn corrupt_reason(bytes: &[u8]) -> String {
        match decode(bytes) {
            Err(StoreError::Corrupt(reason)) => reason,
            other => panic!("should be refused: {other:?}"),
        }
    }

    #[test]
    fn another_format_is_refused_by_its_number() {
        assert!(refused(|message| message.format = 3).contains("format is 3"));
        assert!(refused(|message| message.format = 0).contains("format is 0"));
        assert!(corrupt_reason(b"").contains("format is 0"));
        let mut packed = encode(&Record::default());
        packed[1] = 3;
        assert!(corrupt_reason(&packed).contains("format is 3"));
    }

    fn counted(keys: &[&str]) -> Record {
        let keys = keys.iter().map(|name| NamedCount {
            name: (*name).into(),
            value: 0.5,
        });
        let count = SignalCount {
            signal: "visited".into(),
            value: 1.5,
            keys: keys.collect(),
            capped: 0.25,
        };
        Record {
            counts: vec![CountGroup {
                half_life: None,
                counts: vec![count],
            }],
            seen_types: vec![SeenType {
                name: "visit".into(),
                count: 3,
            }],
            ..Record::default()
        }
    }

    #[test]
    fn a_touch_by_an_event_that_is_not_remembered_survives() {
        let time = |nanos| Timestamp::from_nanos(nanos).unwrap();
        let touch = |event| Touch {
            event,
            time: time(5),
            author_id: ProfileId::new("bob").unwrap(),
            topics: vec!["price".into()],
            stage: "awareness".into(),
            credit: 2.0,
            origin: None,
        };
        let remembered = [7, 8].map(|id| RememberedEvent {
            time: time(5),
            id: IdHash(id),
            type_mark: TypeMark(1),
        });
        let record = Record {
            memory: EventMemory {
                remembered: remembered.to_vec(),
                ..EventMemory::default()
            },
            touches: vec![touch(IdHash(8).at(time(5))), touch(IdHash(9).at(time(5)))],
            last_event_time: time(6),
            ..Record::default()
        };
        assert_eq!(decode(&encode(&record)), Ok(record));
    }

    /// Nothing is looked at when a record is written, so that it can be written with any promise
    /// broken.
    #[test]
    fn what_breaks_a_promise_of_a_packed_record_is_refused() {
        fn refused(change: impl FnOnce(&mut Record)) -> String {
            let mut record = counted(&["a", "b"]);
            change(&mut record);
            corrupt_reason(&encode(&record))
        }
        let time = |nanos| Timestamp::from_nanos(nanos).unwrap();
        let event = |nanos, id| RememberedEvent::new(time(nanos), IdHash(id), "visit");
        let named = |name: &str, value| NamedCount {
            name: name.into(),
            value,
        };
        refused(|record| record.first_seen_time = time(1));
        refused(|record| record.counts[0].counts[0].value = f64::NAN);
        refused(|record| record.counts[0].counts[0].capped = f64::NAN);
        refused(|record| record.counts[0].counts[0].signal = Name::default());
        refused(|record| record.counts[0].counts[0].keys.swap(0, 1));
        refused(|record| record.counts[0].counts[0].keys[1].value = -1.0);
        refused(|record| record.counts[0].counts[0].keys[0].name = Name::default());
        refused(|record| record.counts.push(record.counts[0].clone()));
        refused(|record| record.seen_types[0].count = 0);
        refused(|record| record.seen_types[0].name = "v".repeat(129).into());
        refused(|record| record.interests = vec![named("b", 1.0), named("a", 1.0)]);
        refused(|record| record.interests = vec![named("a", f64::INFINITY)]);
        refused(|record| record.reached_stages = vec![Name::default()]);
        refused(|record| record.reached_stages = vec!["a".into(); 2_000_000]);
        refused(|record| {
            record.last_event_time = time(2);
            record.memory.remembered = vec![event(2, 2), event(2, 1)];
        });
        refused(|record| {
            record.attributes = [("deep".to_owned(), AttributeValue::Null)].into();
        });
        refused(|record| {
            let nested = |value| AttributeValue::List(vec![value]);
            let deep =
                (0..MAX_ATTRIBUTE_DEPTH).fold(AttributeValue::Bool(true), |value, _| nested(value));
            record.attributes = [("deep".to_owned(), deep)].into();
        });
        let unknown = (time(5), IdHash(7));
        refused(|record| {
            record.matched = vec![MatchedSignals {
                event: unknown,
                signals: vec!["visited".into()],
            }];
        });
        refused(|record| {
            record.counted_values = vec![CountedValue {
                event: unknown,
                signal: "visited".into(),
                value: 1.0,
            }];
        });
        refused(|record| {
            let change = StageChange {
                from_stage: None,
                to_stage: None,
                time: time(0),
                cause: ChangeCause::Fading,
            };
            record.stage_changes = vec![change; REMEMBERED_STAGE_CHANGES + 1];
        });
        refused(|record| {
            record.influence = vec![InfluenceCell {
                topic: "price".into(),
                stage: Name::default(),
                credit: -1.0,
                touches: 1,
                advance_millionths: 0,
            }];
        });
    }

    #[test]
    fn as_many_events_of_1970_as_quarantine_holds_survive() {
        let held = (0..64).map(|number| HeldEvent {
            rule: "bots".into(),
            id: IdHash(number),
            known_by: Timestamp::EPOCH,
            time: Timestamp::EPOCH,
            event_type: "view".into(),
            matches: Vec::new(),
            topics: Vec::new(),
            author_id: None,
            subjects: Vec::new(),
            origin: None,
        });
        let record = Record {
            quarantine: held.collect(),
            ..Record::default()
        };
        assert_eq!(decode(&encode(&record)), Ok(record));
    }

    /// A subject takes a few bytes, and may be that of every event.
    #[test]
    fn damaged_bytes_that_name_every_event_of_many_subjects_claim_no_memory() {
        let events = (0..5_000).map(|number| {
            let time = Timestamp::from_nanos(number).unwrap();
            RememberedEvent::new(time, IdHash(7), "visit")
        });
        let mut record = Record {
            last_event_time: Timestamp::from_nanos(4_999).unwrap(),
            memory: EventMemory {
                remembered: events.collect(),
                ..EventMemory::default()
            },
            ..Record::default()
        };
        let pairs = record.memory.remembered.iter().map(RememberedEvent::pair);
        let pairs: Vec<_> = pairs.collect();
        for number in 0..500 {
            let subject = ProfileId::of_subject("brand", &number.to_string()).unwrap();
            record.memory.subjects.insert(subject, pairs.clone());
        }
        assert!(corrupt_reason(&encode(&record)).contains("refers to more"));
    }

    #[test]
    fn a_packed_record_that_ends_early_or_goes_on_is_refused() {
        let bytes = encode(&counted(&["a", "b"]));
        for end in 2..bytes.len() {
            corrupt_reason(&bytes[..end]);
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(corrupt_reason(&longer).contains("1 bytes follow it"));
    }

    /// Times of whole seconds take fewer bytes than such of nanoseconds.
    #[test]
    fn times_between_events_are_in_the_longest_unit_of_all() {
        let size = |unit: i64| {
            let events = (0..40).map(|number| {
                let time = Timestamp::from_nanos(7 + number * 3_600 * unit).unwrap();
                RememberedEvent::new(time, IdHash(number as u64), "visit")
            });
            let remembered: Vec<_> = events.collect();
            let record = Record {
                first_seen_time: remembered[0].time,
                last_event_time: remembered[39].time,
                memory: EventMemory {
                    remembered,
                    ..EventMemory::default()
                },
                ..Record::default()
            };
            let bytes = encode(&record);
            let read = decode(&bytes).unwrap();
            assert_eq!(read.memory, record.memory);
            bytes.len()
        };
        assert_eq!(size(1_000_000_000), size(1));
        assert_eq!(size(1_000_000), size(1));
        assert!(size(1_000_000_001) > size(1) + 3 * 39);
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
        refused(|message| message.effect_times = vec![1]);
        let effect = |change: fn(&mut proto::CausedEffect)| {
            let mut effect = proto::CausedEffect {
                subject_id: "ann".to_owned(),
                ..proto::CausedEffect::default()
            };
            change(&mut effect);
            refused(|message| message.caused.push(effect));
        };
        effect(|effect| effect.subject_id.clear());
        effect(|effect| effect.kind = 3);
        effect(|effect| effect.touches = 2);
        effect(|effect| effect.credit = f64::NAN);
        effect(|effect| effect.subject_id = "\u{1}acme".to_owned());
    }

    #[test]
    fn a_topic_of_the_longest_name_survives() {
        let topic = Name::from("t".repeat(MAX_TAG_BYTES));
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
                stage: String::new().into(),
                credit: 0.0,
                origin: None,
            }],
            influence: vec![InfluenceCell {
                topic,
                stage: String::new().into(),
                credit: 1.0,
                touches: 1,
                advance_millionths: 0,
            }],
            ..Record::default()
        };
        assert_eq!(decode(&encode(&record)), Ok(record));
    }

    /// Control characters take six times their room in a line, and a name that a packed record
    /// has once stands in the line with every count.
    #[test]
    fn a_record_at_its_limits_is_read_back_from_its_line() {
        let keys = (0..MAX_KEYS).map(|number| NamedCount {
            name: format!("{}{number:02}", "\u{1}".repeat(MAX_KEY_BYTES - 2)).into(),
            value: 0.1 + number as f64,
        });
        let counts = (0..MAX_RULES / 3).map(|number| SignalCount {
            signal: format!("{number:064}").into(),
            value: f64::MIN_POSITIVE,
            keys: keys.clone().collect(),
            capped: MAX_COUNT,
        });
        let stated = (0..MAX_ATTRIBUTES).map(|number| {
            let text = "\u{7f}\u{0}".repeat(100);
            let values = vec![AttributeValue::Null, AttributeValue::String(text)];
            (format!("{number}\u{1f}"), AttributeValue::List(values))
        });
        let record = Record {
            attributes: stated.collect(),
            counts: vec![CountGroup {
                half_life: None,
                counts: counts.collect(),
            }],
            ..Record::default()
        };
        assert!(encode(&record).len() < MAX_RECORD_BYTES);
        let id = ProfileId::of_subject("account", &"é".repeat(MAX_ID_BYTES / 2)).unwrap();
        let line = to_line(&id, &record).unwrap();
        assert!(line.len() > 2 * MAX_RECORD_BYTES, "{}", line.len());
        assert_eq!(from_line(&line), Ok((id, record)));
    }

    #[test]
    fn a_line_that_is_no_profile_says_why() {
        for (line, reason) in [
            ("{", "not a profile"),
            ("{\"profileId\":\"a\\u0000\"}", "no profile id"),
            ("{\"profileId\":\"a\"}", "the record is missing"),
            (
                "{\"profileId\":\"a\",\"record\":{\"format\":9}}",
                "its format is 9",
            ),
        ] {
            let refused = from_line(line).unwrap_err().to_string();
            assert!(refused.contains(reason), "{line}: {refused}");
        }
    }

    #[test]
    fn more_bytes_than_any_record_takes_are_refused() {
        let bytes = vec![0; MAX_RECORD_BYTES + 1];
        assert!(matches!(decode(&bytes), Err(StoreError::Corrupt(_))));
    }
}
