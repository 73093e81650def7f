//! Any text as a page token, as it is and sealed.

use std::sync::LazyLock;

use bellwether::{
    api::{self, TokenSeal, page_token::PageToken},
    proto::v1,
    store::TokenKey,
};

static SEAL: LazyLock<TokenSeal> =
    LazyLock::new(|| TokenSeal::new(&TokenKey::from_bytes([7; 32])).expect("a key"));

/// Asks with the bytes as a token.
pub fn run(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        ask(text);
    }
    // Nobody guesses what is sealed, and what is behind it is to be tested too.
    ask(&SEAL.seal(data.to_vec()));
}

fn ask(text: &str) {
    let decoded = PageToken::decode(text, &SEAL);
    if let Ok(token) = &decoded {
        assert_eq!(token.encode(&SEAL), text, "two texts for one token");
        assert!(!token.start.after.key.value().is_nan());
    }
    let segment = api::segment_query(
        &SEAL,
        v1::RankSegmentRequest {
            segment: "buyers".to_owned(),
            page_token: text.to_owned(),
            ..Default::default()
        },
    );
    let influencers = api::influencer_query(
        &SEAL,
        v1::TopInfluencersRequest {
            topic: "coverage".to_owned(),
            page_token: text.to_owned(),
            ..Default::default()
        },
    );
    let taken = [
        segment.ok().map(|paged| (paged.hash, paged.query.paging)),
        influencers
            .ok()
            .map(|paged| (paged.hash, paged.query.paging)),
    ];
    for (hash, paging) in taken.into_iter().flatten() {
        match &decoded {
            Ok(token) => {
                assert_eq!(hash, token.query, "a token of another query was taken");
                assert_eq!(paging.start.as_ref(), Some(&token.start));
            }
            Err(_) => {
                assert!(text.is_empty(), "what is no token was taken");
                assert_eq!(paging.start, None);
            }
        }
    }
}
