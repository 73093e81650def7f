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
        ("2:8", "letters, digits"),
        ("3:10", "the secret itself belongs nowhere"),
        ("4:11", "tenants is empty"),
        ("5:8", "there is no role \"boss\"; known: admin"),
        ("10:12", "\"Acme\" is no tenant"),
        ("12:11", "an offset"),
        ("16:7", "\"san\" must be 1 to"),
        ("21:10", "\"GetProfiles\"; did you mean \"GetProfile\"?"),
        ("23:1", "calls on models"),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for ((place, part), found) in expected.iter().zip(&found) {
        let is_told = found.starts_with(&format!("keys.toml:{place}: ")) && found.contains(part);
        assert!(is_told, "{place} {part}: {found}");
    }
    assert!(!found.concat().contains("hush"));
}

#[test]
fn what_is_unknown_missing_or_of_another_kind_is_told_all_at_once() {
    let text = "\
[[kees]]

[[keys]]
name = \"a\"
tenants = \"acme\"
rol = \"reader\"
sha256 = 7

[roles.seller]
calls = [\"red\"]
scors = [\"fit\"]
derived = \"no\"

[quotas.acme]
calls_per_second = 0
[quotas.Acme]
events_per_minute = 5
";
    let expected = [
        (
            "1:3",
            "the file has no key \"kees\"; did you mean \"keys\"?",
        ),
        (
            "3:1",
            "[[keys]] lacks \"role\": what it may, such as role = \"reader\"",
        ),
        ("5:11", "\"tenants\" must be a list of strings, not string"),
        ("6:1", "[[keys]] has no key \"rol\"; did you mean \"role\"?"),
        ("7:10", "\"sha256\" must be a string, not integer"),
        (
            "10:10",
            "no permission or method \"red\"; did you mean \"read\"?",
        ),
        (
            "11:1",
            "[roles.seller] has no key \"scors\"; did you mean \"scores\"?",
        ),
        ("12:11", "\"derived\" must be true or false, not string"),
        ("15:20", "from 1 to"),
        ("16:9", "\"Acme\" is no tenant"),
        ("17:1", "[quotas.Acme] has no key \"events_per_minute\""),
    ];
    let found = mistakes(text);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for ((place, part), found) in expected.iter().zip(&found) {
        let is_told = found.starts_with(&format!("keys.toml:{place}: ")) && found.contains(part);
        assert!(is_told, "{place} {part}: {found}");
    }
}

#[test]
fn a_quota_of_profiles_is_a_whole_number_above_zero() {
    let quotas = |written: &str| {
        let key = "[[keys]]\nname = \"a\"\nrole = \"admin\"\ntenants = [\"*\"]";
        let sha256 = "0".repeat(64);
        format!("{key}\nsha256 = \"{sha256}\"\n[quotas.acme]\nprofiles = {written}\n")
    };
    let keys = read_keys("keys.toml", &quotas("1_000"), &[]).unwrap();
    let most = |tenant: &str| keys.quotas.profiles(&Tenant::new(tenant).unwrap());
    assert_eq!(most("acme").map(u64::from), Some(1_000));
    assert_eq!(most("other"), None);
    for wrong in ["0", "-1", "1.5", "nan", "\"ten\"", "true", "9e15"] {
        let found = mistakes(&quotas(wrong));
        let place = found.first().is_some_and(|told| told.contains(":7:12: "));
        let names = found
            .first()
            .is_some_and(|told| told.contains("\"profiles\""));
        assert!(found.len() == 1 && place && names, "{wrong}: {found:?}");
    }
}

#[test]
fn a_secret_where_a_name_belongs_is_not_told() {
    let secret = Secret::new(SECRET);
    let secret = secret.expose();
    let text = format!(
        "[[keys]]\nname = \"{secret}\"\nsha256 = \"{secret}\"\ntenants = [\"{secret}\"]\nrole = \"{secret}\"\n{secret} = true\n[roles.{secret}]\ncalls = [\"{secret}\"]\n"
    );
    let found = mistakes(&text).join("\n");
    assert!(
        found.contains("bellwether_…") && !found.contains(secret),
        "{found}"
    );
}

#[test]
fn what_is_no_toml_is_told_with_its_places_and_without_the_lines() {
    for (text, places) in [
        ("[[keys]]\nname = \"hush\n", &["2:"][..]),
        ("[[keys]]\nname = hush\nrole = hush\n", &["2:", "3:"]),
        ("a = \"hush\"\na = \"hush\"\n", &["2:"]),
    ] {
        let found = mistakes(text);
        assert!(!found.concat().contains("hush"), "{found:?}");
        for place in places {
            let place = format!("keys.toml:{place}");
            assert!(
                found.iter().any(|told| told.starts_with(&place)),
                "{found:?}"
            );
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_a_mistake_among_the_others() {
    let text = entry("tenants = [\"*\"]\nrole = \"boss\"")
        + "[[issuers]]\nname = \"idp\"\nissuer = \"i\"\naudience = \"b\"\nalgorithms = [\"RS256\"]\njwks = \"idp.json\"\n";
    assert_eq!(files_named(&text), ["idp.json"]);
    let files = [Err("cannot read idp.json: it is not there".to_owned())];
    let found = read_keys("keys.toml", &text, &files).unwrap_err().0;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[1].starts_with("keys.toml:11:8: cannot read idp.json"),
        "{found:?}"
    );
}

#[test]
fn names_that_no_model_has_are_told_with_what_may_be_meant() {
    let text = entry("tenants = [\"*\"]\nrole = \"seller\"")
        + "[roles.seller]\ncalls = [\"read\"]\nscores = [\"fit\", \"intrest\"]\nattributes = [\"any\"]\nsegments = [\"buyers\"]\ntopics = []\n";
    let keys = read_keys("keys.toml", &text, &[]).unwrap();
    let model = |text| Arc::new(crate::scoring::Model::parse(text).unwrap());
    let models = [model("[scores.fit]\n"), model("[scores.interest]\n")];
    let unknown = keys.unknown_names(&models);
    let told: Vec<String> = unknown.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "8:18: role \"seller\" lists the score \"intrest\", which no model has; did you mean \"interest\"?",
            "10:13: role \"seller\" lists the segment \"buyers\", which no model has; none is declared",
        ]
    );
}

fn warnings(keys: &Keys, now: &str) -> Vec<String> {
    let found = keys.warnings(at(now));
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn keys_that_have_expired_or_soon_do_are_told() {
    let text = entry("tenants = [\"*\"]\nrole = \"reader\"\nexpires = 2026-12-20T12:00:00Z")
        + "[[certificates]]\nname = \"mailer\"\nsan = \"m\"\ntenants = [\"*\"]\nrole = \"writer\"\nexpires = 2026-12-31T12:00:00Z\n";
    let keys = read_keys("keys.toml", &text, &[]).unwrap();
    for (now, told) in [
        ("2026-12-06T12:00:00Z", &[][..]),
        (
            "2026-12-06T12:00:01Z",
            &["6:11: key \"crm\" expires within 14 days; make another"],
        ),
        (
            "2026-12-19T12:00:01Z",
            &[
                "6:11: key \"crm\" expires within a day; make another",
                "12:11: certificate \"mailer\" expires within 12 days; make another",
            ],
        ),
        (
            "2027-01-01T00:00:00Z",
            &[
                "6:11: key \"crm\" has expired; make another, or take it out",
                "12:11: certificate \"mailer\" has expired; make another, or take it out",
            ],
        ),
    ] {
        assert_eq!(warnings(&keys, now), told, "{now}");
    }
}

#[test]
fn roles_that_nobody_has_and_quotas_for_nobody_are_told() {
    let own = "[roles.seller]\ncalls = [\"read\"]\n[roles.reader]\ncalls = [\"GetFunnel\"]\n[quotas.acme]\nevents_per_second = 5\n[quotas.globex]\nevents_per_second = 5\n[quotas.\"*\"]\ncalls_per_second = 9\n";
    let issuer = "[[issuers]]\nname = \"idp\"\nissuer = \"i\"\naudience = \"b\"\nalgorithms = [\"HS256\"]\nsecret_file = \"s\"\n";
    let told = |text: String| {
        let secret = Ok(b"0123456789abcdef0123456789abcdef".to_vec());
        let keys = read_keys("keys.toml", &text, &[secret]).unwrap();
        warnings(&keys, "2026-12-01T00:00:00Z")
    };
    let unused =
        "no key, certificate or issuer has the role \"seller\"; give it to one, or take it out";
    let unheard = "nobody may call for the tenant \"globex\", so that its quota does nothing";
    let key = entry("tenants = [\"acme\"]\nrole = \"reader\"");
    assert_eq!(
        told(format!("{key}{own}")),
        [format!("6:8: {unused}"), format!("12:9: {unheard}")]
    );
    // Whoever signs tokens may give any role, and for any tenant, unless it is said which.
    let none: [String; 0] = [];
    assert_eq!(told(format!("{key}{issuer}{own}")), none);
    let bounded = format!("{issuer}roles = [\"seller\"]\ntenants = [\"globex\"]\n");
    assert_eq!(told(format!("{key}{bounded}{own}")), none);
    let other = format!("{issuer}roles = [\"reader\"]\n");
    assert_eq!(
        told(format!("{key}{other}{own}")),
        [format!("13:8: {unused}")]
    );
}

#[test]
fn names_and_digests_stand_once() {
    let twice = entry("tenants = [\"*\"]\nrole = \"reader\"").repeat(2);
    let found = mistakes(&twice).concat();
    assert!(found.contains("another key is named \"crm\""), "{found}");
    assert!(found.contains("the same sha256"), "{found}");
}
