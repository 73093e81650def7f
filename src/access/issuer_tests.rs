use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use serde_json::json;

use super::*;
use crate::access::{NamedFile, files_named, read_keys};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW: i64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_parts(NOW, 0).unwrap()
}

fn encoded(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token that is signed as `sign` says.
fn token(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fn claims() -> Value {
    json!({
        "iss": "https://idp", "aud": ["bellwether", "other"], "exp": NOW + 60, "sub": "ann",
        "tenants": ["acme"], "role": "reader",
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn issuer_of(entry: &str, files: &[Vec<u8>]) -> Issuer {
    let text = format!(
        "[[issuers]]\nname = \"idp\"\nissuer = \"https://idp\"\naudience = \"bellwether\"\n{entry}"
    );
    let files: Vec<NamedFile> = files.iter().cloned().map(Ok).collect();
    let keys = read_keys("keys.toml", &text, &files).unwrap();
    assert!(files_named(&text).len() <= 1);
    keys.issuer("https://idp").unwrap().clone()
}

fn by_secret() -> Issuer {
    let entry = "algorithms = [\"HS256\"]\nsecret_file = \"hs.key\"\n";
    issuer_of(entry, &[[SECRET, b"\n"].concat()])
}

fn hs256(claims: &Value) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    let sign = |message: &[u8]| hmac::sign(&key, message).as_ref().to_vec();
    token(&json!({"alg": "HS256", "typ": "JWT"}), claims, sign)
}

fn reason(denied: Result<Principal, Denied>) -> String {
    match denied {
        Err(Denied::BadToken { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_says_role_tenants_and_until_when() {
    let bearer = by_secret().bearer(&hs256(&claims()), None, now()).unwrap();
    assert_eq!(bearer.name, "a token of \"idp\"");
    assert_eq!(bearer.role.name, "reader");
    let acme = Tenant::new("acme").unwrap();
    assert_eq!(bearer.tenants, Tenants::Only([acme].into()));
    // The clocks of two machines differ.
    let expires = Timestamp::from_parts(NOW + 60 + TOKEN_LEEWAY_SECONDS, 0).unwrap();
    assert_eq!(bearer.expires, Some(expires));
    let late = by_secret().bearer(&hs256(&claims()), None, expires);
    assert!(matches!(late, Err(Denied::Expired { .. })), "{late:?}");
}

#[test]
fn a_token_that_says_too_little_or_something_else_is_refused() {
    for (claims, expected) in [
        (with("iss", json!("https://other")), "another issuer"),
        (with("aud", json!("other")), "somebody else"),
        (without("aud"), "aud is missing"),
        (without("exp"), "exp is missing"),
        (with("exp", json!("soon")), "exp"),
        (with("nbf", json!(NOW + 120)), "not good yet"),
        (without("role"), "names no role"),
        (with("role", json!("boss")), "names no role"),
        (
            with("role", json!(["reader", "admin"])),
            "more than one role",
        ),
        (without("tenants"), "names no tenant"),
        (with("tenants", json!([])), "names no tenant"),
        (
            with("tenants", json!([7, "", "No Tenant"])),
            "names no tenant",
        ),
    ] {
        let said = reason(by_secret().bearer(&hs256(&claims), None, now()));
        assert!(said.contains(expected), "{claims}: {said}");
    }
    let list = with("role", json!(["offline_access", "reader"]));
    assert!(by_secret().bearer(&hs256(&list), None, now()).is_ok());
    let all = with("tenants", json!("*"));
    let bearer = by_secret().bearer(&hs256(&all), None, now()).unwrap();
    assert_eq!(bearer.tenants, Tenants::All);
}

#[test]
fn claims_may_stand_within_others_or_have_dots_in_their_names() {
    let entry = "algorithms = [\"HS256\"]\nsecret_file = \"hs.key\"\n\
        tenants_claim = \"https://shop.example/tenants\"\nrole_claim = \"realm_access.roles\"\n";
    let issuer = issuer_of(entry, &[SECRET.to_vec()]);
    let mut claims = with("https://shop.example/tenants", json!(["shop"]));
    claims["realm_access"] = json!({"roles": ["x", "sales"]});
    let bearer = issuer.bearer(&hs256(&claims), None, now()).unwrap();
    assert_eq!(bearer.role.name, "sales");
    assert_eq!(
        bearer.tenants,
        Tenants::Only([Tenant::new("shop").unwrap()].into())
    );
}

#[test]
fn a_signature_is_checked_by_the_algorithm_that_the_issuer_states() {
    let good = hs256(&claims());
    let (message, _) = good.rsplit_once('.').unwrap();
    for wrong in [
        format!("{message}."),
        format!("{message}.AAAA"),
        "a.b.c".to_owned(),
        "..".to_owned(),
    ] {
        assert!(by_secret().bearer(&wrong, None, now()).is_err(), "{wrong}");
    }
    for algorithm in ["none", "HS512", "RS256"] {
        let header = json!({"alg": algorithm, "typ": "JWT"});
        let forged = token(&header, &claims(), |_| Vec::new());
        assert!(
            by_secret().bearer(&forged, None, now()).is_err(),
            "{algorithm}"
        );
    }
}

/// Two keys of an issuer, and the set of them.
fn key_pairs() -> (EcdsaKeyPair, Ed25519KeyPair, JwkSet) {
    let random = SystemRandom::new();
    let ec = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let ec = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, ec.as_ref(), &random);
    let ec = ec.unwrap();
    let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let ed = Ed25519KeyPair::from_pkcs8(ed.as_ref()).unwrap();
    let point = ec.public_key().as_ref();
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let set = json!({"keys": [
        {"kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig", "alg": "ES256",
         "x": encode(&point[1..33]), "y": encode(&point[33..])},
        {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": encode(ed.public_key().as_ref())},
        {"kty": "oct", "kid": "shared", "k": encode(SECRET)},
    ]});
    let set = read_key_set(set.to_string().as_bytes()).unwrap();
    (ec, ed, set)
}

#[test]
fn the_key_that_a_token_names_is_found_in_the_set_of_its_issuer() {
    let (ec, ed, set) = key_pairs();
    let url = "algorithms = [\"ES256\", \"EdDSA\", \"RS256\"]\njwks = \"https://idp/keys\"\n";
    let issuer = issuer_of(url, &[]);
    let random = SystemRandom::new();
    let by_ec = |header: Value| {
        let sign = |message: &[u8]| ec.sign(&random, message).unwrap().as_ref().to_vec();
        token(&header, &claims(), sign)
    };
    let by_ed = |header: Value| {
        token(&header, &claims(), |message| {
            ed.sign(message).as_ref().to_vec()
        })
    };
    for good in [
        by_ec(json!({"alg": "ES256", "kid": "ec"})),
        by_ed(json!({"alg": "EdDSA", "kid": "ed"})),
    ] {
        assert!(issuer.bearer(&good, Some(&set), now()).is_ok());
        // The address may tell what is not known yet.
        let unknown = issuer.bearer(&good, None, now());
        assert!(matches!(unknown, Err(Denied::UnknownTokenKey { .. })));
    }
    let renewed = by_ed(json!({"alg": "EdDSA", "kid": "next"}));
    let unknown = issuer.bearer(&renewed, Some(&set), now());
    assert!(matches!(unknown, Err(Denied::UnknownTokenKey { .. })));
    for (wrong, expected) in [
        (by_ed(json!({"alg": "EdDSA"})), "names no key"),
        (
            by_ed(json!({"alg": "ES256", "kid": "ec"})),
            "signature is wrong",
        ),
        (
            by_ed(json!({"alg": "EdDSA", "kid": "ec"})),
            "another algorithm",
        ),
        (
            by_ed(json!({"alg": "RS256", "kid": "ed"})),
            "another algorithm",
        ),
    ] {
        let said = reason(issuer.bearer(&wrong, Some(&set), now()));
        assert!(said.contains(expected), "{said}");
    }
    // A public key is no secret, and a secret is no public key.
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    let sign = |message: &[u8]| hmac::sign(&key, message).as_ref().to_vec();
    let forged = token(&json!({"alg": "HS256", "kid": "shared"}), &claims(), sign);
    assert!(issuer.bearer(&forged, Some(&set), now()).is_err());
}

#[test]
fn mistakes_of_an_issuer_are_told_with_their_lines() {
    let entry = |rest: &str| {
        format!("[[issuers]]\nname = \"idp\"\nissuer = \"https://idp\"\naudience = \"b\"\n{rest}")
    };
    let (_, _, set) = key_pairs();
    let set = serde_json::to_vec(&set).unwrap();
    for (rest, file, line, expected) in [
        (
            "algorithms = []\njwks = \"k.json\"",
            &set[..],
            5,
            "algorithms is empty",
        ),
        (
            "algorithms = [\"none\"]\njwks = \"k.json\"",
            &set,
            5,
            "no algorithm",
        ),
        (
            "algorithms = [\"HS256\"]\njwks = \"k.json\"",
            &set,
            5,
            "go with secret_file",
        ),
        (
            "algorithms = [\"RS256\"]\nsecret_file = \"s\"",
            SECRET,
            5,
            "all others with jwks",
        ),
        (
            "algorithms = [\"RS256\"]\njwks = \"k.json\"",
            b"{}",
            6,
            "no set of keys",
        ),
        (
            "algorithms = [\"RS256\"]\njwks = \"k.json\"",
            b"{\"keys\": []}",
            6,
            "no public key",
        ),
        (
            "algorithms = [\"RS256\"]\njwks = \"http://idp/keys\"",
            b"",
            6,
            "at https://",
        ),
        ("algorithms = [\"RS256\"]", b"", 1, "an issuer has jwks"),
        (
            "algorithms = [\"HS256\"]\nsecret_file = \"s\"",
            b"short",
            6,
            "at least 32 bytes",
        ),
    ] {
        let read = read_keys("keys.toml", &entry(rest), &[Ok(file.to_vec())]);
        let mistakes = read.unwrap_err().0;
        let place = format!("keys.toml:{line}:");
        let is_told = mistakes
            .iter()
            .any(|told| told.starts_with(&place) && told.contains(expected));
        assert!(is_told, "{rest}: {mistakes:?}");
    }
}
