//! Where the next page starts, in a form that callers hand back. A token is good for the
//! query and the model that it was made for, and for nothing else. It is sealed, and everything in
//! it is validated all the same.

use xxhash_rust::xxh3::Xxh3;

use super::seal::TokenSeal;
use crate::{
    limits::MAX_PAGE_TOKEN_BYTES,
    scoring::{Fingerprint, ProfileId, RankKey, Tenant, Timestamp},
    service::PageStart,
    store::Cursor,
};

/// Of a token for all of a list. Servers from the first version on read it.
const WHOLE: u8 = 1;
/// Of a token for a share of a list, which says how much of it is left.
const SHARE: u8 = 2;
const FIXED_BYTES: usize = 1 + 8 + 8 + 8 + 8;
const LEFT_BYTES: usize = 8;

/// What a page token carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageToken {
    /// The query that it continues.
    pub query: QueryHash,
    /// Where the page starts, for which instant and by which model.
    pub start: PageStart,
}

/// A token that this server did not make, or that was damaged on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a page token of this server; take next_page_token of the response as it is")]
pub struct Malformed;

impl PageToken {
    /// The token as text, safe in URLs.
    pub fn encode(&self, seal: &TokenSeal) -> String {
        seal.seal(self.bytes())
    }

    fn bytes(&self) -> Vec<u8> {
        let PageStart {
            after,
            left,
            as_of,
            model,
        } = &self.start;
        let profile_id = after.profile_id.as_str().as_bytes();
        let length = FIXED_BYTES + LEFT_BYTES + profile_id.len();
        let mut bytes = Vec::with_capacity(length);
        bytes.push(if left.is_some() { SHARE } else { WHOLE });
        bytes.extend(self.query.0.to_be_bytes());
        bytes.extend(model.0.to_be_bytes());
        bytes.extend(as_of.nanos().to_be_bytes());
        bytes.extend(after.key.value().to_bits().to_be_bytes());
        bytes.extend(left.iter().flat_map(|left| left.to_be_bytes()));
        bytes.extend(profile_id);
        bytes
    }

    /// Reads a token back.
    ///
    /// # Errors
    /// [`Malformed`] for every text that [`PageToken::encode`] does not write.
    pub fn decode(text: &str, seal: &TokenSeal) -> Result<Self, Malformed> {
        if text.len() > MAX_PAGE_TOKEN_BYTES {
            return Err(Malformed);
        }
        Self::read(&seal.open(text).ok_or(Malformed)?)
    }

    fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let (format, rest) = bytes.split_first().ok_or(Malformed)?;
        let (query, rest) = take(rest)?;
        let (model, rest) = take(rest)?;
        let (as_of, rest) = take(rest)?;
        let (key, rest) = take(rest)?;
        let (left, profile_id) = match *format {
            WHOLE => (None, rest),
            SHARE => {
                let (left, rest) = take(rest)?;
                (Some(left), rest)
            }
            _ => return Err(Malformed),
        };
        // A page of which nothing is left is never asked for.
        if left == Some(0) {
            return Err(Malformed);
        }
        let profile_id = str::from_utf8(profile_id).map_err(|_| Malformed)?;
        Ok(Self {
            query: QueryHash(query),
            start: PageStart {
                after: Cursor {
                    // A rank key is never NaN and never negative zero.
                    key: RankKey::new(f64::from_bits(key))
                        .filter(|read| read.value().to_bits() == key)
                        .ok_or(Malformed)?,
                    profile_id: ProfileId::stored(profile_id).ok_or(Malformed)?,
                },
                left,
                as_of: Timestamp::from_nanos(as_of.cast_signed()).ok_or(Malformed)?,
                model: Fingerprint(model),
            },
        })
    }
}

fn take(bytes: &[u8]) -> Result<(u64, &[u8]), Malformed> {
    let (number, rest) = bytes.split_first_chunk::<8>().ok_or(Malformed)?;
    Ok((u64::from_be_bytes(*number), rest))
}

/// A hash of everything in a query that its pages have in common, except the instant,
/// which the token itself carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryHash(u64);

impl QueryHash {
    /// The hash of a query of `tenant`, for a method and what is asked for. Each part is
    /// hashed with its length, so that no two lists of parts read the same.
    pub fn new<'a>(
        method: &'a str,
        tenant: &'a Tenant,
        parts: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut hash = Xxh3::new();
        for part in [method, tenant.as_str()].into_iter().chain(parts) {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Self(hash.digest())
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;

    fn token(id: &str, key: f64, as_of: i64) -> PageToken {
        let tenant = Tenant::new("acme").unwrap();
        PageToken {
            query: QueryHash::new("RankSegment", &tenant, ["buyers", "1"]),
            start: PageStart {
                after: Cursor {
                    key: RankKey::new(key).unwrap(),
                    profile_id: ProfileId::new(id).unwrap(),
                },
                left: None,
                as_of: Timestamp::from_nanos(as_of).unwrap(),
                model: Fingerprint(0xFEED_F00D),
            },
        }
    }

    fn with_left(left: u64, mut token: PageToken) -> PageToken {
        token.start.left = Some(left);
        token
    }

    fn seal() -> TokenSeal {
        TokenSeal::of_bytes([7; 32])
    }

    #[test]
    fn a_token_of_the_longest_id_fits_and_reads_back() {
        let token = with_left(
            u64::MAX,
            token(&"i".repeat(256), f64::NEG_INFINITY, i64::MAX),
        );
        let seal = seal();
        assert_eq!(PageToken::decode(&token.encode(&seal), &seal), Ok(token));
    }

    #[test]
    fn every_change_of_one_character_and_every_cut_is_found() {
        let seal = seal();
        let text = token("ann", 4.25, 17).encode(&seal);
        for position in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[position] = if changed[position] == b'A' {
                b'B'
            } else {
                b'A'
            };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(
                PageToken::decode(&changed, &seal),
                Err(Malformed),
                "{changed}"
            );
            assert_eq!(PageToken::decode(&text[..position], &seal), Err(Malformed));
        }
    }

    #[test]
    fn a_token_says_nothing_without_the_key_and_is_good_for_every_server_that_has_it() {
        let made = token("ann", 4.25, 17);
        let text = made.encode(&seal());
        assert_eq!(text, made.encode(&seal()));
        assert_eq!(PageToken::decode(&text, &seal()), Ok(made));
        let other = TokenSeal::of_bytes([8; 32]);
        assert_eq!(PageToken::decode(&text, &other), Err(Malformed));
        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        assert!(!bytes.windows(3).any(|part| part == b"ann"));
        // What is alike begins alike nowhere.
        let next = token("ann", 4.5, 17).encode(&seal());
        assert_ne!(text[..8], next[..8]);
    }

    #[test]
    fn a_token_that_was_sealed_by_mistake_is_still_validated() {
        let bytes = token("ann", 4.25, 17).bytes();
        assert!(PageToken::read(&bytes).is_ok());
        let with = |at: usize, new: &[u8]| {
            let mut changed = bytes.clone();
            changed.splice(at..at + new.len(), new.iter().copied());
            changed
        };
        for forged in [
            with(0, &[3]),
            with(0, &[SHARE]),
            with_left(0, token("ann", 4.25, 17)).bytes(),
            with(17, &(-1_i64).to_be_bytes()),
            with(25, &f64::NAN.to_bits().to_be_bytes()),
            with(25, &(-0.0_f64).to_bits().to_be_bytes()),
            with(FIXED_BYTES, b"\n"),
            with(FIXED_BYTES, &[0xFF]),
            bytes[..FIXED_BYTES].to_vec(),
            Vec::new(),
        ] {
            assert_eq!(PageToken::read(&forged), Err(Malformed));
        }
    }

    #[test]
    fn queries_that_differ_in_one_part_have_different_hashes() {
        let [acme, other] = ["acme", "other"].map(|name| Tenant::new(name).unwrap());
        let hashes = [
            QueryHash::new("RankSegment", &acme, ["ab", "c"]),
            QueryHash::new("RankSegment", &acme, ["a", "bc"]),
            QueryHash::new("RankSegment", &acme, ["ab", "c", ""]),
            QueryHash::new("RankSegment", &other, ["ab", "c"]),
            QueryHash::new("TopInfluencers", &acme, ["ab", "c"]),
        ];
        for (index, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..index].contains(hash));
        }
    }

    proptest! {
        #[test]
        fn any_token_reads_back(
            id in "[^\\p{Cc}]{1,64}",
            key: f64,
            as_of in 0..=i64::MAX,
            left in prop::option::of(1..=u64::MAX),
        ) {
            prop_assume!(!key.is_nan());
            let mut token = token(&id, key, as_of);
            token.start.left = left;
            let seal = seal();
            prop_assert_eq!(PageToken::decode(&token.encode(&seal), &seal), Ok(token));
        }

        #[test]
        fn no_text_panics(text in ".{0,600}") {
            let _ = PageToken::decode(&text, &seal());
        }
    }
}
