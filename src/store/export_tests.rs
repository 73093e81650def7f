//! What an export says, and that nothing less passes for it.

use std::sync::Arc;

use super::*;
use crate::store::Version;

fn tenant(name: &str) -> Tenant {
    Tenant::new(name).unwrap()
}

fn stored(id: &str) -> Stored {
    Stored {
        profile_id: ProfileId::new(id).unwrap(),
        version: Version(1),
        record: Arc::new(Record {
            event_count: 7,
            ..Record::default()
        }),
        bytes: 1,
    }
}

fn exported(of: Option<&str>, profiles: &[(&str, &str)]) -> (String, Exported) {
    let mut text = String::new();
    let of = of.map(tenant);
    let mut writer = ExportWriter::begin(of.as_ref(), &mut text);
    for (name, id) in profiles {
        writer.add(&tenant(name), &stored(id), &mut text).unwrap();
    }
    let exported = writer.end(&mut text);
    (text, exported)
}

/// The profiles of a text with the names of their tenants, or what is wrong with it.
fn read(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut reader = ExportReader::default();
    let mut profiles = Vec::new();
    for line in text.lines() {
        if let Some((profile_id, record)) = reader.read(line)? {
            assert_eq!(record.event_count, 7);
            let tenant = reader.tenants().last().unwrap();
            profiles.push((tenant.to_string(), profile_id.to_string()));
        }
    }
    reader.end().map(|()| profiles)
}

const PROFILES: [(&str, &str); 4] = [("a", "ann"), ("a", "bob"), ("a-b", "ann"), ("b", "zoe")];

#[test]
fn what_is_written_is_read() {
    let (text, written) = exported(None, &PROFILES);
    assert_eq!((written.tenants, written.profiles), (3, 4));
    let expected = PROFILES.map(|(tenant, id)| (tenant.to_owned(), id.to_owned()));
    assert_eq!(read(&text).unwrap(), expected);
    let (text, written) = exported(Some("a"), &PROFILES[..2]);
    assert_eq!((written.tenants, written.profiles), (1, 2));
    assert_eq!(read(&text).unwrap(), expected[..2]);
}

#[test]
fn nobody_is_written_too() {
    let (text, written) = exported(None, &[]);
    assert_eq!(written, Exported::default());
    assert_eq!(read(&text), Ok(Vec::new()));
    let (text, written) = exported(Some("a"), &[]);
    assert_eq!((written.tenants, written.profiles), (1, 0));
    assert_eq!(read(&text), Ok(Vec::new()));
    assert!(read("").unwrap_err().contains("empty"));
}

#[test]
fn a_file_of_all_holds_the_files_of_each() {
    let (all, _) = exported(None, &PROFILES);
    for (name, range) in [("a", 0..2), ("a-b", 2..3), ("b", 3..4)] {
        let (one, _) = exported(Some(name), &PROFILES[range]);
        assert!(all.contains(&one), "{one}");
    }
}

#[test]
fn a_file_that_is_cut_off_anywhere_or_lacks_a_line_is_refused() {
    for text in [
        exported(None, &PROFILES).0,
        exported(Some("a"), &PROFILES[..2]).0,
    ] {
        // The last line break alone may be missing.
        for length in 0..text.len() - 1 {
            assert!(read(&text[..length]).is_err(), "{}", &text[..length]);
        }
        let lines: Vec<&str> = text.lines().collect();
        for left_out in 0..lines.len() {
            let rest = [&lines[..left_out], &lines[left_out + 1..]].concat();
            assert!(read(&rest.join("\n")).is_err(), "{rest:?}");
        }
        assert!(read(&format!("{text}{}", lines[0])).is_err());
    }
}

#[test]
fn what_is_wrong_is_said() {
    let (text, _) = exported(None, &PROFILES);
    for (from, to, expected) in [
        (
            "\"format\":2",
            "\"format\":3",
            "has format 3; this version reads formats 1 and 2",
        ),
        ("\"format\":1", "\"format\":2", "format 2 stands once"),
        (
            "\"tenants\":3",
            "\"tenants\":4",
            "counts 4 tenants, and 3 came before it",
        ),
        (
            "\"profiles\":2",
            "\"profiles\":3",
            "counts 3 profiles, and 2 came before it",
        ),
        (
            "\"tenant\":\"a-b\"",
            "\"tenant\":\"a\"",
            "tenant a is out of order",
        ),
        (
            "\"tenant\":\"b\"",
            "\"tenant\":\"B\"",
            "\"B\" is no name of a tenant",
        ),
        (
            "\"tenant\":\"b\"",
            "\"tenant\":\"\"",
            "\"\" is no name of a tenant",
        ),
        (",\"tenant\":\"a\"", "", "it names no tenant"),
    ] {
        assert!(text.contains(from), "{from}");
        let refused = read(&text.replacen(from, to, 1)).unwrap_err();
        assert!(refused.contains(expected), "{refused}");
    }
}
