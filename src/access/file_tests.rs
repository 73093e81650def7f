use super::*;
use crate::access::{Denied, Secret};

const SECRET: [u8; 32] = [7; 32];

fn at(text: &str) -> Timestamp {
    let (seconds, nanos) = parse_instant(text).unwrap();
    Timestamp::from_parts(seconds, nanos).unwrap()
}

fn mistakes(text: &str) -> Vec<String> {
    read_keys("keys.toml", text, &[]).unwrap_err().0
}

fn entry(rest: &str) -> String {
    let sha256 = Secret::new(SECRET).sha256();
    format!("[[keys]]\nname = \"crm\"\nsha256 = \"{sha256}\"\n{rest}\n")
}

#[test]
fn the_shipped_roles_are_read_and_are_those_that_are_promised() {
    let roles = read_roles(include_str!("roles.toml")).unwrap();
    let names: Vec<&str> = roles.keys().map(String::as_str).collect();
    let promised = [
        "admin",
        "community_manager",
        "legal",
        "product_marketing",
        "reader",
        "sales",
        "writer",
    ];
    assert_eq!(names, promised);
    let admin = &roles["admin"];
    for (call, _) in crate::access::PERMISSIONS {
        assert!(admin.may(call), "{call}");
        let anonymous = Principal::anonymous();
        assert!(anonymous.role.may(call), "{call}");
    }
    assert!(!admin.may("Nope"));
    assert!(roles["reader"].may("RankSegment") && !roles["reader"].may("ScoreEvent"));
    assert!(!roles["product_marketing"].may("GetProfile"));
    assert!(!roles["product_marketing"].sight.attributes.has("email"));
}

#[test]
fn a_secret_finds_its_key_until_it_expires() {
    let text = entry("tenants = [\"acme\"]\nrole = \"sales\"\nexpires = 2026-12-01T10:00:00+01:00");
    let keys = read_keys("keys.toml", &text, &[]).unwrap();
    let secret = Secret::new(SECRET);
    let digest = crate::access::digest_of(secret.expose());
    let found = keys.by_digest(&digest, at("2026-12-01T08:59:59Z")).unwrap();
    assert_eq!(found.name, "key \"crm\"");
    assert_eq!(found.role.name, "sales");
    found.check_call("RankSegment").unwrap();
    let denied = found.check_call("ScoreEvent").unwrap_err();
    assert!(matches!(denied, Denied::Call { .. }), "{denied:?}");
    found.check_tenant(Tenant::new("acme").as_ref()).unwrap();
    for other in [Tenant::new("other"), None] {
        let denied = found.check_tenant(other.as_ref()).unwrap_err();
        assert!(matches!(denied, Denied::Tenant { .. }), "{denied:?}");
    }
    let denied = keys.by_digest(&digest, at("2026-12-01T09:00:00Z"));
    assert!(matches!(denied, Err(Denied::Expired { .. })), "{denied:?}");
    let other = crate::access::digest_of("bellwether_other");
    let denied = keys.by_digest(&other, at("2026-12-01T08:00:00Z"));
    assert_eq!(denied, Err(Denied::UnknownKey));
}

#[test]
fn keys_whose_digests_begin_alike_are_told_apart() {
    let sha256 = |last: char| "0".repeat(63) + &last.to_string();
    let text: String = ['1', '2']
        .map(|last| {
            format!(
                "[[keys]]\nname = \"k{last}\"\nsha256 = \"{}\"\ntenants = [\"*\"]\nrole = \"reader\"\n",
                sha256(last)
            )
        })
        .concat();
    let keys = read_keys("keys.toml", &text, &[]).unwrap();
    let mut digest = [0; 32];
    for last in [1, 2] {
        digest[31] = last;
        let found = keys.by_digest(&digest, Timestamp::default()).unwrap();
        assert_eq!(found.name, format!("key \"k{last}\""));
        assert_eq!(found.tenants, Tenants::All);
    }
    digest[31] = 3;
    let denied = keys.by_digest(&digest, Timestamp::default());
    assert_eq!(denied, Err(Denied::UnknownKey));
}

#[test]
fn a_certificate_is_known_by_any_name_in_it() {
    let text = "[[certificates]]\nname = \"mail\"\nsan = \"spiffe://shop/mail\"\ntenants = [\"acme\"]\nrole = \"writer\"\n";
    let keys = read_keys("keys.toml", text, &[]).unwrap();
    let now = Timestamp::default();
    let found = keys.by_certificate(["mail.local", "spiffe://shop/mail"], now);
    assert_eq!(found.unwrap().name, "certificate \"mail\"");
    let denied = keys.by_certificate(["spiffe://shop/mail/2"], now);
    assert_eq!(denied, Err(Denied::UnknownCertificate));
}

#[test]
fn a_role_of_the_file_takes_the_place_of_a_shipped_one() {
    let text = entry("tenants = [\"acme\"]\nrole = \"sales\"")
        + "[roles.sales]\ncalls = [\"GetProfile\"]\nscores = [\"fit\"]\n";
    let keys = read_keys("keys.toml", &text, &[]).unwrap();
    let digest = crate::access::digest_of(Secret::new(SECRET).expose());
    let found = keys.by_digest(&digest, Timestamp::default()).unwrap();
    assert!(found.role.may("GetProfile") && !found.role.may("RankSegment"));
    assert!(found.role.sight.scores.has("fit") && !found.role.sight.scores.has("interest"));
    assert!(!found.role.sight.is_whole());
}

#[test]
fn every_mistake_is_told_with_its_line_and_without_what_may_be_a_secret() {
    let text = "\
[[keys]]
name = \"a b\"
sha256 = \"bellwether_hush\"
tenants = []
role = \"boss\"

[[keys]]
name = \"late\"
sha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"
tenants = [\"Acme\", \"*\"]
role = \"reader\"
expires = 2027-01-01

[[certificates]]
name = \"c\"
san = \"\"
tenants = [\"acme\"]
role = \"reader\"

[roles.odd]
calls = [\"GetProfiles\"]

[roles.narrow]
calls = [\"model\"]
scores = []
";
    let found = mistakes(text);
    let expected = [
        ("keys.toml:18: ", "there is no call \"GetProfiles\""),
        ("keys.toml:20: ", "calls on models"),
        ("keys.toml:2: ", "letters, digits"),
        ("keys.toml:2: ", "tenants is empty"),
        ("keys.toml:5: ", "there is no role \"boss\"; known: admin"),
        ("keys.toml:3: ", "the secret itself belongs nowhere"),
        ("keys.toml:10: ", "\"Acme\" is no tenant"),
        ("keys.toml:12: ", "an offset"),
        ("keys.toml:16: ", "san is empty"),
    ];
    for (place, part) in expected {
        let is_told = found.iter().any(|mistake| {
            mistake.contains(part)
                && (mistake.starts_with(place)
                    || place.ends_with("18: ")
                    || place.ends_with("20: "))
        });
        assert!(is_told, "{place}{part} in {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    assert!(!found.concat().contains("hush"));
}

#[test]
fn what_is_no_keys_file_is_told_with_its_line_and_without_the_line() {
    for (text, line) in [
        ("[[keys]]\nsecret = \"hush\"\n", 2),
        ("[[keys]]\nname = \"hush\n", 2),
        ("keys = [\"hush\"]\n", 1),
        ("[[keys]]\nname = \"a\"\ntenants = \"hush\"\n", 3),
        ("\n\n[kees]\n", 3),
    ] {
        let found = mistakes(text);
        assert_eq!(found.len(), 1, "{found:?}");
        let place = format!("keys.toml:{line}: ");
        assert!(found[0].starts_with(&place), "{found:?}");
        assert!(!found[0].contains("hush"), "{found:?}");
    }
}

#[test]
fn names_and_digests_stand_once() {
    let twice = entry("tenants = [\"*\"]\nrole = \"reader\"").repeat(2);
    let found = mistakes(&twice).concat();
    assert!(found.contains("another key is named \"crm\""), "{found}");
    assert!(found.contains("the same sha256"), "{found}");
}
