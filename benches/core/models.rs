//! Reading models, and the search for the topics of one.

use std::hint::black_box;

use bellwether::scoring::{Model, Record, apply};
use criterion::Criterion;

use crate::subjects::{context, event, signals};

const FORUM: &str = include_str!("../../models/forum.toml");

/// 280 characters without a keyword of the forum's topics, as most texts are.
const QUIET_TEXT: &str = "I have been reading about this for some weeks now and I still wonder \
    whether anybody here has tried it at home, with the usual parts that one finds in a nice \
    shop, and how long it took until the first result could be seen. Mine did nothing at all \
    for days and then it worked again";

/// 280 characters with two of them.
const TOPICAL_TEXT: &str = "I have been reading about entanglement for some weeks now and I still \
    wonder whether anybody here has tried it at home, with all the usual parts that one finds in a \
    tutorial, and how long it took until the first result could be seen. Mine did nothing for \
    days, and then it worked.";

pub fn read_models(criterion: &mut Criterion) {
    criterion.bench_function("compile/forum", |bencher| {
        bencher.iter(|| Model::parse(black_box(FORUM)).unwrap());
    });
    let source = "[scores.interest]\nhalf_life = \"7d\"\n[scores.loyalty]\nhalf_life = \"90d\"\n"
        .to_owned()
        + &signals(200, |number| number % 10);
    criterion.bench_function("compile/200 signals", |bencher| {
        bencher.iter(|| Model::parse(black_box(&source)).unwrap());
    });
}

/// With the topics and keywords of the forum and nothing else that an event could match.
pub fn find_topics(criterion: &mut Criterion) {
    let topics = FORUM.find("# What the community talks about.").unwrap();
    let influence = FORUM.find("# Who moves others along.").unwrap();
    let source = "[scores.engagement]\nhalf_life = \"4w\"\n".to_owned() + &FORUM[topics..influence];
    let model = Model::parse(&source).unwrap();
    for (case, text, topics) in [
        ("no text", "", 0),
        ("no keyword", QUIET_TEXT, 0),
        ("2 keywords", TOPICAL_TEXT, 2),
    ] {
        let mut event = event(0, "comment");
        event.text = text.to_owned();
        let counted = apply(&model, Record::default(), &event, &context(0)).1;
        assert_eq!(counted.record.interests.len(), topics);
        criterion.bench_function(&format!("topics/{case}"), |bencher| {
            bencher.iter_with_large_drop(|| apply(&model, Record::default(), &event, &context(0)));
        });
    }
}
