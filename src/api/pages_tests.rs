//! Requests for pages: what the first and the later ones say.

use pbjson_types as wkt;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{page_token::PageToken, paging::Paged, *};
use crate::{
    proto::v1,
    scoring::{
        Fingerprint, ProfileId, RankKey, Timestamp,
        limits::{MAX_CONDITION_BYTES, MAX_TAG_BYTES},
    },
    service::{PageStart, SegmentQuery},
    store::Cursor,
};

fn seal() -> TokenSeal {
    TokenSeal::of_bytes([7; 32])
}

const MODEL: Fingerprint = Fingerprint(77);

fn instant_at(seconds: i64) -> Option<wkt::Timestamp> {
    Some(wkt::Timestamp { seconds, nanos: 0 })
}

fn request() -> v1::RankSegmentRequest {
    v1::RankSegmentRequest {
        segment: "buyers".into(),
        condition: "stage == \"consideration\"".into(),
        ..Default::default()
    }
}

fn token_after(paged: &Paged<SegmentQuery>) -> String {
    PageToken {
        query: paged.hash,
        start: PageStart {
            after: Cursor {
                key: RankKey::new(3.5).unwrap(),
                profile_id: ProfileId::new("ann").unwrap(),
            },
            left: paged.query.fraction.map(|_| 12),
            as_of: Timestamp::from_seconds(9),
            model: MODEL,
        },
    }
    .encode(&seal())
}

fn fields(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = status.get_details_bad_request().unwrap();
    let named = details.field_violations.into_iter();
    named.map(|violation| violation.field).collect()
}

#[test]
fn a_first_page_has_fifty_entries_and_no_instant_of_its_own() {
    let paged = segment_query(&seal(), request()).unwrap();
    assert_eq!(paged.query.paging.page_size, 50);
    assert_eq!(paged.query.paging.as_of, None);
    assert_eq!(paged.query.paging.start, None);
    assert_eq!(paged.query.fraction, None);
}

#[test]
fn a_later_page_goes_on_at_the_instant_of_the_first() {
    let page_token = token_after(&segment_query(&seal(), request()).unwrap());
    let paged = segment_query(
        &seal(),
        v1::RankSegmentRequest {
            page_token: page_token.clone(),
            page_size: 7,
            ..request()
        },
    )
    .unwrap();
    let paging = paged.query.paging;
    assert_eq!(paging.as_of, None);
    let start = paging.start.unwrap();
    assert_eq!(start.as_of, Timestamp::from_seconds(9));
    assert_eq!(start.after.profile_id.as_str(), "ann");

    let explicit = v1::RankSegmentRequest {
        page_token,
        as_of: instant_at(9),
        ..request()
    };
    let paging = segment_query(&seal(), explicit).unwrap().query.paging;
    assert_eq!(paging.as_of, Some(Timestamp::from_seconds(9)));
}

#[test]
fn a_token_of_another_query_is_refused() {
    let page_token = token_after(&segment_query(&seal(), request()).unwrap());
    let with_token = v1::RankSegmentRequest {
        page_token: page_token.clone(),
        ..request()
    };
    let others = [
        v1::RankSegmentRequest {
            tenant: "acme".into(),
            ..with_token.clone()
        },
        v1::RankSegmentRequest {
            segment: "leavers".into(),
            ..with_token.clone()
        },
        v1::RankSegmentRequest {
            condition: String::new(),
            ..with_token.clone()
        },
        v1::RankSegmentRequest {
            condition: "stage == \"decision\"".into(),
            ..with_token.clone()
        },
        v1::RankSegmentRequest {
            view: 2,
            ..with_token.clone()
        },
        v1::RankSegmentRequest {
            fraction: 0.1,
            ..with_token
        },
    ];
    for other in others {
        let status = segment_query(&seal(), other).unwrap_err();
        assert_eq!(fields(&status), ["page_token"]);
        assert!(status.message().contains("another query"));
    }
    let influencers = v1::TopInfluencersRequest {
        topic: "coverage".into(),
        page_token,
        ..Default::default()
    };
    let status = influencer_query(&seal(), influencers).unwrap_err();
    assert!(status.message().contains("another query"));
}

#[test]
fn a_later_page_asks_for_the_model_of_the_first() {
    let page_token = token_after(&segment_query(&seal(), request()).unwrap());
    let paged = segment_query(
        &seal(),
        v1::RankSegmentRequest {
            page_token,
            ..request()
        },
    )
    .unwrap();
    assert_eq!(paged.query.paging.start.unwrap().model, MODEL);
}

#[test]
fn a_condition_is_taken_as_it_is_up_to_its_greatest_length_and_none_is_none() {
    let ask = |condition: String| {
        let request = v1::RankSegmentRequest {
            condition,
            ..request()
        };
        segment_query(&seal(), request)
    };
    let long = "x".repeat(MAX_CONDITION_BYTES);
    for (sent, read) in [
        (String::new(), None),
        (" ".to_owned(), Some(" ".to_owned())),
        (long.clone(), Some(long)),
    ] {
        assert_eq!(ask(sent).unwrap().query.condition, read);
    }
    let too_long = ask("x".repeat(MAX_CONDITION_BYTES + 1)).unwrap_err();
    assert_eq!(fields(&too_long), ["condition"]);
    assert!(too_long.message().contains("at most 4096"));
}

#[test]
fn a_fraction_is_above_zero_and_at_most_one_or_zero_for_all() {
    let ask = |fraction| {
        segment_query(
            &seal(),
            v1::RankSegmentRequest {
                fraction,
                ..request()
            },
        )
    };
    for (fraction, is_share) in [(0.0, false), (-0.0, false), (1e-9, true), (1.0, true)] {
        assert_eq!(ask(fraction).unwrap().query.fraction.is_some(), is_share);
    }
    for fraction in [-0.1, 1.01, 10.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(fields(&ask(fraction).unwrap_err()), ["fraction"]);
    }
}

#[test]
fn a_later_page_of_a_share_knows_what_is_left_and_is_of_the_same_share() {
    let of = |fraction| v1::RankSegmentRequest {
        fraction,
        ..request()
    };
    let page_token = token_after(&segment_query(&seal(), of(0.1)).unwrap());
    let ask = |fraction| {
        let page_token = page_token.clone();
        segment_query(
            &seal(),
            v1::RankSegmentRequest {
                page_token,
                page_size: 3,
                ..of(fraction)
            },
        )
    };
    assert_eq!(ask(0.1).unwrap().query.paging.start.unwrap().left, Some(12));
    for other in [0.0, 0.2] {
        assert_eq!(fields(&ask(other).unwrap_err()), ["page_token"]);
    }
}

#[test]
fn topics_are_added_up_over_a_hundred_members_or_up_to_a_thousand() {
    for (sent, read) in [
        (0, Some(100)),
        (1, Some(1)),
        (1_000, Some(1_000)),
        (1_001, Some(1_000)),
        (-1, None),
    ] {
        let result = segment_topics_query(v1::GetSegmentTopicsRequest {
            segment: "buyers".into(),
            members: sent,
            ..Default::default()
        });
        match read {
            Some(members) => assert_eq!(result.unwrap().1.members, members),
            None => assert_eq!(fields(&result.unwrap_err()), ["members"]),
        }
    }
    let status = segment_topics_query(v1::GetSegmentTopicsRequest {
        tenant: "A".into(),
        members: -1,
        as_of: instant_at(-1),
        ..Default::default()
    });
    assert_eq!(
        fields(&status.unwrap_err()),
        ["tenant", "segment", "members", "as_of"]
    );
}

#[test]
fn a_topic_may_have_the_longest_name_that_a_model_may_give() {
    let ask = |bytes| {
        influencer_query(
            &seal(),
            v1::TopInfluencersRequest {
                topic: "t".repeat(bytes),
                ..Default::default()
            },
        )
    };
    assert!(ask(MAX_TAG_BYTES).is_ok());
    assert_eq!(fields(&ask(MAX_TAG_BYTES + 1).unwrap_err()), ["topic"]);
}

#[test]
fn a_page_size_above_the_greatest_is_the_greatest_and_below_0_is_refused() {
    for (sent, read) in [
        (0, Some(50)),
        (1, Some(1)),
        (1_000, Some(1_000)),
        (-1, None),
        (1_001, Some(1_000)),
        (i32::MIN, None),
    ] {
        let result = segment_query(
            &seal(),
            v1::RankSegmentRequest {
                page_size: sent,
                ..request()
            },
        );
        match read {
            Some(size) => assert_eq!(result.unwrap().query.paging.page_size, size),
            None => assert_eq!(fields(&result.unwrap_err()), ["page_size"]),
        }
    }
}

#[test]
fn everything_that_is_wrong_with_a_page_is_named_at_once() {
    let status = segment_query(
        &seal(),
        v1::RankSegmentRequest {
            tenant: "A".into(),
            segment: String::new(),
            page_size: -1,
            page_token: "garbage".into(),
            condition: "x".repeat(MAX_CONDITION_BYTES + 1),
            view: -4,
            as_of: instant_at(-1),
            fraction: -0.5,
        },
    )
    .unwrap_err();
    let found = fields(&status);
    for field in [
        "tenant",
        "segment",
        "page_size",
        "page_token",
        "condition",
        "view",
        "as_of",
        "fraction",
    ] {
        assert!(found.iter().any(|found| found == field), "{field}");
    }

    let status = influencer_query(
        &seal(),
        v1::TopInfluencersRequest {
            stage: "s".repeat(65),
            ..Default::default()
        },
    )
    .unwrap_err();
    assert_eq!(fields(&status), ["topic", "stage"]);
}
