//! Any text as a page token, as it is and with a good checksum.
#![no_main]

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bellwether::{api, api::page_token::PageToken, proto::v1};
use libfuzzer_sys::fuzz_target;
use xxhash_rust::xxh3::xxh3_64;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        ask(text);
    }
    // Nobody guesses a checksum, and what is behind it is to be tested too.
    let mut sealed = data.to_vec();
    sealed.extend(xxh3_64(data).to_be_bytes());
    ask(&URL_SAFE_NO_PAD.encode(sealed));
});

fn ask(text: &str) {
    let decoded = PageToken::decode(text);
    if let Ok(token) = &decoded {
        assert_eq!(token.encode(), text, "two texts for one token");
        assert!(!token.start.after.key.value().is_nan());
    }
    let segment = api::segment_query(v1::RankSegmentRequest {
        segment: "buyers".to_owned(),
        page_token: text.to_owned(),
        ..Default::default()
    });
    let influencers = api::influencer_query(v1::TopInfluencersRequest {
        topic: "coverage".to_owned(),
        page_token: text.to_owned(),
        ..Default::default()
    });
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
                assert_eq!(paging.as_of, Some(token.as_of));
            }
            Err(_) => {
                assert!(text.is_empty(), "what is no token was taken");
                assert_eq!(paging.start, None);
            }
        }
    }
}
