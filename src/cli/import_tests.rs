//! What an import takes, and what it refuses.

use super::*;
use crate::{
    cli::export::export,
    scoring::{
        AttributeValue, CountGroup, EventMemory, IdHash, RememberedEvent, SignalCount, Timestamp,
    },
    store::{Commit, RecordStore, Rollout, Version, embedded::Embedded},
};

const CHECK: Mode = Mode::Check { replace: false };

fn tenant() -> Tenant {
    Tenant::new("acme").unwrap()
}

/// A record with numbers that only an exact form keeps, and with null.
fn record(seed: u64) -> Record {
    let value = 0.1 + 0.2 * seed as f64 + f64::EPSILON;
    let time = Timestamp::from_nanos(1_700_000_000_123_456_789 + seed as i64).unwrap();
    Record {
        attributes: [
            ("crm_id".to_owned(), AttributeValue::Number(value)),
            (
                "sizes".to_owned(),
                AttributeValue::List(vec![AttributeValue::Null]),
            ),
        ]
        .into(),
        event_count: u64::MAX - seed,
        counts: vec![CountGroup {
            half_life: None,
            counts: vec![SignalCount {
                signal: "asked".into(),
                value,
                keys: Vec::new(),
                capped: 0.0,
            }],
        }],
        memory: EventMemory {
            remembered: vec![RememberedEvent::new(time, IdHash(u64::MAX - seed), "ask")],
            ..EventMemory::default()
        },
        ..Record::default()
    }
}

async fn store(directory: &Path, profiles: u64) -> Embedded {
    let store = Embedded::open(directory).unwrap();
    let commits = (0..profiles)
        .map(|seed| Commit {
            profile_id: ProfileId::new(&format!("p{seed:04}")).unwrap(),
            expected: None,
            version: Version(seed + 1),
            record: Some(record(seed)),
            ranks: Vec::new(),
            totals: Vec::new(),
        })
        .collect();
    for committed in store.commit(&tenant(), &Rollout::default(), commits).await {
        committed.unwrap();
    }
    store
}

async fn exported(store: &Embedded) -> String {
    let mut bytes = Vec::new();
    export(store, Some(&tenant()), &mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

async fn import(store: &Embedded, text: &str, mode: Mode) -> Result<Counts, Failure> {
    visit(store, Some(&tenant()), text.as_bytes(), mode).await
}

#[tokio::test]
async fn an_imported_tenant_is_exported_as_the_same_bytes_and_a_second_import_writes_nothing() {
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let text = exported(&store(directories[0].path(), 1_203).await).await;
    assert_eq!(text.lines().count(), 1_205);
    let copy = store(directories[1].path(), 0).await;
    import(&copy, &text, CHECK).await.unwrap();
    let first = import(&copy, &text, Mode::Write).await.unwrap();
    assert_eq!((first.written, first.unchanged), (1_203, 0));
    assert_eq!(exported(&copy).await, text);
    let second = import(&copy, &text, Mode::Write).await.unwrap();
    assert_eq!((second.written, second.unchanged), (0, 1_203));
    let id = ProfileId::new("p0007").unwrap();
    let stored = copy
        .load(&tenant(), &[id])
        .await
        .remove(0)
        .unwrap()
        .unwrap();
    assert_eq!(*stored.record, record(7));
}

#[tokio::test]
async fn a_profile_with_another_record_is_refused_unless_it_may_be_replaced() {
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let text = exported(&store(directories[0].path(), 2).await).await;
    let other = store(directories[1].path(), 2).await;
    let changed = text.replacen("asked", "answered", 1);
    let failure = import(&other, &changed, CHECK)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        failure.contains("line 2") && failure.contains("--replace"),
        "{failure}"
    );
    assert_eq!(exported(&other).await, text);
    import(&other, &changed, Mode::Check { replace: true })
        .await
        .unwrap();
    let counts = import(&other, &changed, Mode::Write).await.unwrap();
    assert_eq!((counts.written, counts.unchanged), (1, 1));
    assert_eq!(exported(&other).await, changed);
}

#[tokio::test]
async fn bad_lines_are_named_with_their_numbers() {
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let text = exported(&store(directories[0].path(), 3).await).await;
    let empty = store(directories[1].path(), 0).await;
    let lines: Vec<_> = text.lines().collect();
    let refusal = async |lines: &[&str]| {
        import(&empty, &lines.join("\n"), CHECK)
            .await
            .unwrap_err()
            .to_string()
    };
    let cut = refusal(&lines[..4]).await;
    assert!(cut.contains("cut off"), "{cut}");
    let missing = refusal(&[lines[0], lines[1], lines[2], lines[4]]).await;
    assert!(
        missing.contains("line 4") && missing.contains("counts 3"),
        "{missing}"
    );
    let twice = refusal(&[lines[0], lines[1], lines[1], lines[2], lines[4]]).await;
    assert!(
        twice.contains("line 3: profile p0000 is out of order"),
        "{twice}"
    );
    let headless = refusal(&lines[1..]).await;
    assert!(headless.contains("line 1: not the header"), "{headless}");
    let broken = refusal(&[lines[0], "{", lines[2], lines[3], lines[4]]).await;
    assert!(broken.contains("line 2: not a profile"), "{broken}");
    let newer = lines[0].replace("\"format\":1", "\"format\":2");
    let newer = refusal(&[&newer, lines[1], lines[2], lines[3], lines[4]]).await;
    assert!(newer.contains("format 2"), "{newer}");
}

/// A file of two tenants, each with some profiles.
async fn exported_of_all(directory: &Path) -> String {
    let store = store(directory, 3).await;
    let other = Tenant::new("other").unwrap();
    let commits = (0..2).map(|seed| Commit {
        profile_id: ProfileId::new(&format!("p{seed:04}")).unwrap(),
        expected: None,
        version: Version(seed + 100),
        record: Some(record(seed + 50)),
        ranks: Vec::new(),
        totals: Vec::new(),
    });
    for committed in store
        .commit(&other, &Rollout::default(), commits.collect())
        .await
    {
        committed.unwrap();
    }
    let mut bytes = Vec::new();
    let exported = export(&store, None, &mut bytes).await.unwrap();
    assert_eq!((exported.tenants, exported.profiles), (2, 5));
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn every_tenant_of_a_file_is_written_under_its_name_or_one_alone() {
    let directories = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let text = exported_of_all(directories[0].path()).await;
    let names =
        |counts: &Counts| -> Vec<String> { counts.tenants.iter().map(Tenant::to_string).collect() };

    let all = store(directories[1].path(), 0).await;
    visit(&all, None, text.as_bytes(), CHECK).await.unwrap();
    let counts = visit(&all, None, text.as_bytes(), Mode::Write)
        .await
        .unwrap();
    assert_eq!(
        (counts.written, names(&counts)),
        (5, vec!["acme".to_owned(), "other".to_owned()])
    );
    let mut copied = Vec::new();
    export(&all, None, &mut copied).await.unwrap();
    assert_eq!(String::from_utf8(copied).unwrap(), text);

    let one = store(directories[2].path(), 0).await;
    let other = Tenant::new("other").unwrap();
    let wanted = Some(&other);
    visit(&one, wanted, text.as_bytes(), CHECK).await.unwrap();
    let counts = visit(&one, wanted, text.as_bytes(), Mode::Write)
        .await
        .unwrap();
    assert_eq!(
        (counts.written, names(&counts)),
        (2, vec!["other".to_owned()])
    );
    assert_eq!(one.tenants().await.unwrap(), [other]);
    let nobody = Tenant::new("nobody").unwrap();
    let refused = visit(&one, Some(&nobody), text.as_bytes(), CHECK).await;
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("no tenant nobody; it holds acme, other"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_file_of_one_tenant_is_written_under_its_name_or_another_that_is_given() {
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let text = exported(&store(directories[0].path(), 2).await).await;
    let copy = store(directories[1].path(), 0).await;
    let other = Tenant::new("other").unwrap();
    for wanted in [None, Some(&other)] {
        let counts = visit(&copy, wanted, text.as_bytes(), Mode::Write)
            .await
            .unwrap();
        assert_eq!(counts.tenants, [wanted.cloned().unwrap_or_else(tenant)]);
    }
    assert_eq!(copy.tenants().await.unwrap(), [tenant(), other]);
}
