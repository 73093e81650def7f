//! What counts once for each key, however long ago that was.

use bellwether::scoring::{
    Context, Detail, Event, EventOutcome, IdHash, Model, ProfileId, Record, RecordEdit, Selection,
};

use crate::{DAY, at, event, model};

/// Opened e-mails, each of which counts once.
fn opening(lines: &str) -> Model {
    model(&format!(
        r#"
[scores.interest]
half_life = "7d"
[scores.ever]
[[signals]]
name = "opened"
on = "open"
per = 'event.tags'
once = true
points = {{ interest = 1, ever = 1 }}
{lines}
[[quarantine]]
name = "robots"
when = 'event.channel == "robot"'
"#
    ))
}

fn opened(id: &str, tags: &[&str]) -> Event {
    Event {
        tags: tags.iter().map(|tag| (*tag).into()).collect(),
        ..event(id, "open")
    }
}

struct Reader<'m> {
    edit: RecordEdit<'m>,
}

impl<'m> Reader<'m> {
    fn new(model: &'m Model) -> Self {
        let ann = ProfileId::new("ann").unwrap();
        let edit = RecordEdit::new(model, ann, Record::default());
        Self { edit }
    }

    fn opens(&mut self, day: i64, event: &Event) -> bool {
        let outcome = self.edit.apply(event, &Context::at(at(day * DAY), 256));
        match outcome {
            EventOutcome::Applied {
                matched_signals, ..
            } => !matched_signals.is_empty(),
            _ => false,
        }
    }

    /// How much has ever counted.
    fn ever(&self) -> f64 {
        self.edit.profile(at(100 * DAY), Detail::Points).scores[1].points
    }
}

#[test]
fn a_key_counts_once_however_much_of_it_has_faded() {
    let model = opening("");
    let mut reader = Reader::new(&model);
    let days = [0, 30, 60].map(|day| reader.opens(day, &opened(&day.to_string(), &["spring"])));
    assert_eq!(days, [true, false, false]);
    assert!(reader.opens(61, &opened("61", &["spring", "summer"])));
    assert_eq!(reader.ever(), 2.0);
}

#[test]
fn a_key_counts_once_when_records_keep_fewer_counts_by_key() {
    let model = opening("keys = 1");
    let mut reader = Reader::new(&model);
    for (day, tag) in ["a", "b", "c", "a", "b"].iter().enumerate() {
        reader.opens(day as i64, &opened(&day.to_string(), &[tag]));
    }
    assert_eq!(reader.ever(), 3.0);
}

#[test]
fn keys_beyond_those_that_are_remembered_are_ignored_or_counted() {
    for (beyond, ever) in [
        ("", 2.0),
        ("once_beyond = \"ignore\"", 2.0),
        ("once_beyond = \"count\"", 5.0),
    ] {
        let model = opening(&format!("once_keys = 2\n{beyond}"));
        let mut reader = Reader::new(&model);
        reader.opens(0, &opened("0", &["a", "b", "c"]));
        reader.opens(1, &opened("1", &["a", "c"]));
        reader.opens(2, &opened("2", &["b", "d"]));
        assert_eq!(reader.ever(), ever, "{beyond}");
    }
}

#[test]
fn an_event_that_is_taken_back_lets_another_count() {
    for beyond in ["", "once_keys = 1\nonce_beyond = \"count\""] {
        let model = opening(beyond);
        let mut reader = Reader::new(&model);
        let first = opened("0", &["a"]);
        assert!(reader.opens(0, &first));
        let second = opened("1", &["a"]);
        assert!(!reader.opens(1, &second));
        let context = Context::at(at(DAY), 256);
        reader.edit.retract(&second, &context);
        assert_eq!(reader.ever(), 1.0);
        reader.edit.retract(&first, &Context::at(at(0), 256));
        assert_eq!(reader.ever(), 0.0);
        assert!(reader.edit.record().counted_keys.is_empty());
        assert!(reader.opens(2, &opened("2", &["a"])));
        assert_eq!(reader.ever(), 1.0);
    }
}

#[test]
fn of_two_events_that_are_released_one_counts() {
    let model = opening("");
    let mut reader = Reader::new(&model);
    for id in ["0", "1"] {
        let held = Event {
            channel: "robot".to_owned(),
            ..opened(id, &["a"])
        };
        reader.opens(0, &held);
    }
    assert_eq!(reader.edit.release(&Selection::default(), 9), 2);
    assert_eq!(reader.ever(), 1.0);
    let keys = &reader.edit.record().counted_keys["opened"];
    assert_eq!(keys.len(), 1);
    assert!(keys.contains_key(&IdHash::of_event("a")));
}
