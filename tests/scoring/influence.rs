//! Who gets credit, for what, and how often.

use bellwether::scoring::{
    Credit, Effect, EffectKind, Event, IdHash, InfluenceCell, InfluenceQuestion, Model, ProfileId,
    Record, RecordEdit, influence_probability, influencer, limits::REMEMBERED_TOUCHES,
};

use crate::{DAY, at, context, event, model};

const MODEL: &str = r#"
[scores.interest]
half_life = "7d"
[[signals]]
name = "visited"
on = "visit"
points = { interest = 10 }
[[stages]]
name = "awareness"
[[stages]]
name = "decision"
min = { interest = 20 }
[[topics]]
name = "coverage"
[[topics]]
name = "price"
[influence]
event_types = { reply = 2, share = 5 }
half_life = "7d"
attribution_half_life = "1d"
advance = 10
"#;

fn reply(id: &str, author: &str, topics: &[&str]) -> Event {
    Event {
        author_id: ProfileId::new(author),
        tags: topics.iter().map(|topic| (*topic).into()).collect(),
        ..event(id, "reply")
    }
}

fn credits(model: &Model, events: &[(i64, Event)]) -> (Record, Vec<Credit>) {
    let ann = ProfileId::new("ann").unwrap();
    let mut edit = RecordEdit::new(model, ann, Record::default());
    for (time, event) in events {
        edit.apply(event, &context(at(*time)));
    }
    let outcome = edit.finish();
    let credits = outcome.effects.into_iter().map(|effect| match effect {
        Effect::Credit(credit) => credit,
        Effect::SubjectDelta(delta) => panic!("{delta:?}"),
    });
    (outcome.record, credits.collect())
}

#[test]
fn a_touch_credits_the_author_on_each_declared_topic_at_the_stage_of_the_actor() {
    let model = model(MODEL);
    let (_, credits) = credits(
        &model,
        &[(0, reply("1", "bob", &["price", "coverage", "other"]))],
    );
    let [credit] = credits.as_slice() else {
        panic!("{credits:?}");
    };
    assert_eq!(credit.author_id.as_str(), "bob");
    assert_eq!(credit.topics, ["coverage", "price"]);
    assert_eq!(credit.stage, "awareness");
    assert_eq!(
        (credit.credit, credit.touches, credit.advance_millionths),
        (2.0, 1, 0)
    );
}

#[test]
fn own_content_undeclared_topics_and_other_types_are_no_touch() {
    let model = model(MODEL);
    let own = reply("1", "ann", &["price"]);
    let elsewhere = reply("2", "bob", &["other"]);
    let unlisted = Event {
        event_type: "visit".to_owned(),
        ..reply("3", "bob", &["price"])
    };
    let (_, credits) = credits(&model, &[(0, own), (1, elsewhere), (2, unlisted)]);
    assert!(credits.is_empty(), "{credits:?}");
}

#[test]
fn a_first_arrival_shares_one_advance_by_recency_and_forgets_its_touches() {
    let model = model(MODEL);
    let events = [
        (0, reply("1", "bob", &["price"])),
        (DAY, reply("2", "eve", &["coverage"])),
        (DAY, event("3", "visit")),
        (DAY + 1, event("4", "visit")),
        (DAY + 2, event("5", "visit")),
    ];
    let (record, credits) = credits(&model, &events);
    let advances: Vec<(&str, u64, f64)> = credits
        .iter()
        .filter(|credit| credit.touches == 0)
        .map(|credit| {
            (
                credit.author_id.as_str(),
                credit.advance_millionths,
                credit.credit,
            )
        })
        .collect();
    assert_eq!(
        advances,
        [("bob", 333_333, 3.33333), ("eve", 666_667, 6.66667)]
    );
    assert!(record.touches.is_empty());
    assert_eq!(record.reached_stages, ["awareness", "decision"]);
}

#[test]
fn of_more_touches_than_are_remembered_the_oldest_shares_in_no_advance() {
    let model = model(MODEL);
    let mut events = vec![(0, reply("oldest", "bob", &["price"]))];
    for number in 0..REMEMBERED_TOUCHES {
        events.push((DAY, reply(&number.to_string(), "eve", &["price"])));
    }
    events.push((DAY, event("first", "visit")));
    events.push((DAY, event("second", "visit")));
    let (_, credits) = credits(&model, &events);
    let advanced = |author: &str| -> u64 {
        let own = credits
            .iter()
            .filter(|credit| credit.author_id.as_str() == author);
        own.map(|credit| credit.advance_millionths).sum()
    };
    assert_eq!((advanced("bob"), advanced("eve")), (0, 1_000_000));
}

#[test]
fn arriving_again_is_no_advance() {
    let model = model(MODEL);
    let events = [
        (0, event("1", "visit")),
        (0, event("2", "visit")),
        (30 * DAY, reply("3", "bob", &["price"])),
        (30 * DAY, event("4", "visit")),
        (30 * DAY, event("5", "visit")),
        (30 * DAY, event("6", "visit")),
    ];
    let (_, credits) = credits(&model, &events);
    assert_eq!(
        credits
            .iter()
            .map(|credit| credit.advance_millionths)
            .sum::<u64>(),
        0
    );
}

#[test]
fn a_credit_counts_once_and_fades() {
    let model = model(MODEL);
    let bob = ProfileId::new("bob").unwrap();
    let credit = Credit {
        id: IdHash(7),
        kind: EffectKind::Apply,
        author_id: bob.clone(),
        time: at(0),
        topics: vec!["price".into()],
        stage: "awareness".into(),
        credit: 2.0,
        touches: 1,
        advance_millionths: 0,
    };
    let mut edit = RecordEdit::new_profile(&model, bob);
    assert!(edit.apply_effect(&Effect::Credit(credit.clone())));
    assert!(!edit.apply_effect(&Effect::Credit(credit.clone())));
    let later = Credit {
        id: IdHash(8),
        time: at(7 * DAY),
        ..credit
    };
    assert!(edit.apply_effect(&Effect::Credit(later)));
    let outcome = edit.finish();
    assert_eq!(outcome.record.influence[0].credit, 3.0);
    assert_eq!(outcome.record.influence[0].touches, 2);
    assert_eq!(outcome.record.event_count, 0);
    let ranks: Vec<&str> = outcome
        .ranks
        .iter()
        .map(|change| change.rank.as_str())
        .collect();
    assert!(ranks.contains(&"influence::price"), "{ranks:?}");
    assert!(ranks.contains(&"influence:awareness:price"), "{ranks:?}");
}

#[test]
fn one_lucky_touch_does_not_win() {
    let topic = (1_000, 100_000_000);
    let lucky = influence_probability((1, 1_000_000), topic);
    let steady = influence_probability((200, 60_000_000), topic);
    assert!((lucky - 2.0 / 11.0).abs() < 1e-12);
    assert!(steady > lucky, "{steady} {lucky}");
    assert_eq!(influence_probability((0, 0), (0, 0)), 0.0);
}

#[test]
fn totals_at_the_end_of_their_range_stay_there() {
    let model = model(MODEL);
    let (_, mut credits) = credits(&model, &[(0, reply("1", "bob", &["price"]))]);
    let mut credit = credits.remove(0);
    credit.advance_millionths = 1;
    let mut record = Record {
        event_count: u64::MAX,
        ..Record::default()
    };
    for stage in ["", "awareness"] {
        record.influence.push(InfluenceCell {
            topic: "price".into(),
            stage: stage.into(),
            credit: 1.0,
            touches: u64::MAX,
            advance_millionths: u64::MAX,
        });
    }
    let bob = ProfileId::new("bob").unwrap();
    let mut edit = RecordEdit::new(&model, bob.clone(), record);
    assert!(edit.apply_effect(&Effect::Credit(credit.clone())));
    edit.apply(&event("2", "visit"), &context(at(0)));
    let record = edit.finish().record;
    assert_eq!(record.event_count, u64::MAX);
    let question = InfluenceQuestion {
        topic: "price",
        stage: None,
        totals: (u64::MAX, u64::MAX),
        at: at(0),
    };
    let influencer = influencer(&model, &bob, &record, &question);
    assert_eq!(influencer.touches, u64::MAX);
    assert!(influencer.influence_probability.is_finite());
}

#[test]
fn one_id_at_two_times_is_two_events_and_two_credits() {
    let model = model(MODEL);
    let sent = |time: i64| Event {
        time: Some(at(time)),
        ..reply("1", "bob", &["price"])
    };
    let (record, credits) = credits(&model, &[(0, sent(0)), (DAY, sent(DAY))]);
    assert_eq!(record.event_count, 2);
    assert_ne!(credits[0].id, credits[1].id);
}
