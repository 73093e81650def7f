//! Any bytes as a stored record. What is taken for one must keep the promises of a record,
//! be judged by a model that has never seen it, and take events and credits.

use std::sync::LazyLock;

use bellwether::{
    scoring::{Credit, Effect, EffectKind, IdHash, Model, Name, ProfileId, Timestamp},
    store::codec,
};

use super::person::{ARRIVAL, Person, event, survives};

static MODELS: LazyLock<[Model; 2]> = LazyLock::new(|| {
    [
        include_str!("../../models/forum.toml"),
        include_str!("../model.toml"),
    ]
    .map(|source| Model::parse(source).unwrap_or_else(|mistakes| panic!("{mistakes:#?}")))
});

/// Reads the bytes as a record, and uses it.
pub fn run(data: &[u8]) {
    let Ok(record) = codec::decode(data) else {
        return;
    };
    survives(&record);
    assert_eq!(
        codec::from_proto(codec::to_proto(&record)).as_ref(),
        Ok(&record)
    );
    for model in &*MODELS {
        let mut person = Person::new(model, "ann", record.clone());
        person.read();
        let mut author = Person::new(model, "bob", record.clone());
        for (position, event_type) in ["question", "buy", "v", "r"].into_iter().enumerate() {
            let mut event = event(event_type, position as u64, ARRIVAL);
            event.tags = model.topic_names().take(2).map(Name::new).collect();
            author.take(&person.score(&event));
            author.take(&person.retract(&event));
        }
        author.take(&[Effect::Credit(credit(model))]);
        author.take(&person.release());
        person.update(Default::default());
        person.read();
        author.read();
    }
}

/// The greatest credit that one event can give.
fn credit(model: &Model) -> Credit {
    Credit {
        id: IdHash(1),
        kind: EffectKind::Apply,
        author_id: ProfileId::new("bob").expect("an id"),
        time: Timestamp::from_nanos(ARRIVAL).expect("an instant"),
        topics: model.topic_names().take(2).map(Name::new).collect(),
        stage: "warm".into(),
        credit: 1e9,
        touches: 1,
        advance_millionths: 1_000_000,
    }
}
