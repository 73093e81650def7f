//! How much room a profile takes.

use bellwether::{
    scoring::{AttributeValue, Model, ProfileId, Record, RecordEdit},
    store::codec,
};

use crate::{DAY, at, context, event, model};

/// Ten signals on two half-lives, the first of them by tag or not.
fn typical_model(per: &str) -> Model {
    let mut source = "[scores.interest]\nhalf_life = \"7d\"\n[scores.habit]\nhalf_life = \"60d\"\n[[signals]]\nname = \"read_about\"\non = \"view\"\npoints = { interest = 1 }\n".to_owned() + per;
    let names = [
        ("visited", "visit", "interest"),
        ("joined_group", "join", "interest"),
        ("downloaded", "download", "interest"),
        ("asked_price", "quote", "interest"),
        ("viewed_page", "view", "habit"),
        ("came_back", "visit", "habit"),
        ("invited_friend", "invite", "habit"),
        ("took_part", "join", "habit"),
        ("read_paper", "download", "habit"),
    ];
    for (name, on, score) in names {
        source +=
            &format!("[[signals]]\nname = \"{name}\"\non = \"{on}\"\npoints = {{ {score} = 1 }}\n");
    }
    for topic in ["coverage", "price", "roaming", "support"] {
        source += &format!("[[topics]]\nname = \"{topic}\"\n");
    }
    source += "[[stages]]\nname = \"awareness\"\n[[stages]]\nname = \"decision\"\nmin = { interest = 500 }\n[influence]\nevent_types = { join = 1 }\nhalf_life = \"7d\"\nattribution_half_life = \"7d\"\n";
    model(&source)
}

fn typical_record(per: &str) -> Record {
    let model = typical_model(per);
    let ann = ProfileId::new("ann").unwrap();
    let mut edit = RecordEdit::new(&model, ann, Record::default());
    let text = |text: &str| AttributeValue::String(text.to_owned());
    edit.update(
        [
            ("industry".to_owned(), text("retail")),
            ("country".to_owned(), text("CH")),
            ("employees".to_owned(), AttributeValue::Number(250.0)),
        ]
        .into(),
        crate::at(0),
    );
    let types = ["visit", "join", "download", "quote", "view", "invite"];
    let tags = [
        "coverage", "price", "roaming", "support", "tariffs", "phones", "business", "fibre",
    ];
    for number in 0..40 {
        let mut event = event(&number.to_string(), types[number % types.len()]);
        let of_tag = [number % 8, number % 5, (number / 6 + 2) % 8];
        event.tags = of_tag.map(|tag| tags[tag].into()).to_vec();
        event.author_id = (number % 12 == 1)
            .then(|| ProfileId::new(&format!("author-{number}")))
            .flatten();
        // Instants as they are, not whole days.
        let time = at(number as i64 * (DAY + 1_234_567_891));
        edit.apply(&event, &context(time));
    }
    edit.finish().record
}

/// Bytes beside the ids of the remembered events and their times.
fn bytes_beside_ids(record: &Record) -> usize {
    let ids = Record {
        memory: record.memory.clone(),
        first_seen_time: record.first_seen_time,
        last_event_time: record.last_event_time,
        ..Record::default()
    };
    codec::encode(record).len() - codec::encode(&ids).len()
}

#[test]
fn an_active_profile_takes_less_than_650_bytes_beside_the_ids_of_its_events() {
    let record = typical_record("");
    let counts = record.counts.iter().flat_map(|group| &group.counts);
    assert_eq!((counts.count(), record.counts.len()), (10, 2));
    assert_eq!((record.seen_types.len(), record.interests.len()), (6, 4));
    assert_eq!(
        (record.touches.len(), record.memory.remembered.len()),
        (4, 40)
    );
    let bytes = bytes_beside_ids(&record);
    assert!(bytes < 650, "{bytes} bytes");
}

#[test]
fn eight_keys_of_a_signal_take_less_than_150_bytes_more() {
    let keyed = typical_record("per = 'event.tags'\n");
    let counts = keyed.counts.iter().flat_map(|group| &group.counts);
    assert_eq!(counts.map(|count| count.keys.len()).sum::<usize>(), 8);
    let more = bytes_beside_ids(&keyed) - bytes_beside_ids(&typical_record(""));
    assert!(more < 150, "{more} bytes");
}
