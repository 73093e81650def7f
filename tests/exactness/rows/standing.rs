//! What the facts about somebody say, each condition in both forms.
//!
//! Bounds stand where no sum of matches at one instant comes to lie, so that no rounding
//! decides on which side of them somebody stands.

use crate::table::{
    AttributeRule, Calibration, Confidence, Evidence, SEGMENT, Said, Segment, Stage, Standing,
};

pub fn attribute_rules() -> Vec<AttributeRule> {
    vec![
        AttributeRule {
            name: "in_retail",
            when: Said {
                text: r#"profile.attributes.industry == "retail""#,
                same: |facts| Some(facts.text("industry")? == "retail"),
            },
            value: None,
            points: &[("fit", 3.0), ("ever", -1.0)],
        },
        AttributeRule {
            name: "manages",
            when: Said {
                text: r#"profile.attributes.role == "manager""#,
                same: |facts| Some(facts.text("role")? == "manager"),
            },
            value: Some(Said {
                text: "2.5",
                same: |_| Some(2.5),
            }),
            points: &[("fit", 0.5), ("ever", 0.25)],
        },
        AttributeRule {
            name: "complete",
            when: Said {
                text: "has(profile.attributes.industry)",
                same: |facts| Some(facts.has("industry")),
            },
            value: Some(Said {
                text: r#"completeness(["industry", "seats", "role"])"#,
                same: |facts| Some(facts.completeness(&["industry", "seats", "role"])),
            }),
            points: &[("fit", 2.0)],
        },
        AttributeRule {
            name: "buys",
            when: Said {
                text: r#"seen("purchase") && has(profile.attributes.seats)"#,
                same: |facts| Some(facts.seen("purchase") && facts.has("seats")),
            },
            value: Some(Said {
                text: "profile.attributes.seats * identity.confidence",
                same: |facts| Some(facts.number("seats")? * facts.identity()),
            }),
            points: &[("fit", 1.0)],
        },
    ]
}

const HAS_BOUGHT: Standing = Said {
    text: r#"seen("purchase")"#,
    same: |facts| Some(facts.seen("purchase")),
};

pub fn stages() -> Vec<Stage> {
    vec![
        Stage {
            name: "awareness",
            when: None,
            min: Some(("slow", 0.9)),
            keep: None,
        },
        Stage {
            name: "consideration",
            when: None,
            min: Some(("slow", 9.3)),
            keep: Some(4.1),
        },
        Stage {
            name: "suited",
            when: Some(Said {
                text: "scores.fit > 1.117 && scores.ever > 2.6",
                same: |facts| Some(facts.points("fit") > 1.117 && facts.points("ever") > 2.6),
            }),
            min: None,
            keep: None,
        },
        Stage {
            name: "customer",
            when: Some(HAS_BOUGHT),
            min: None,
            keep: None,
        },
        Stage {
            name: "advocate",
            when: Some(HAS_BOUGHT),
            min: Some(("ever", 45.3)),
            keep: Some(31.7),
        },
    ]
}

pub fn identity() -> Vec<Evidence> {
    vec![
        Evidence {
            name: "has_seats",
            when: Said {
                text: "has(profile.attributes.seats)",
                same: |facts| Some(facts.has("seats")),
            },
            confidence: Confidence::Number(0.6),
        },
        Evidence {
            name: "is_followed",
            when: Said {
                text: r#"profile.attributes.followers > 10 && !seen("complaint")"#,
                same: |facts| Some(facts.number("followers")? > 10.0 && !facts.seen("complaint")),
            },
            confidence: Confidence::Expression(Said {
                text: "profile.attributes.followers / 1000",
                same: |facts| Some(facts.number("followers")? / 1000.0),
            }),
        },
    ]
}

pub fn segments() -> Vec<Segment> {
    vec![
        Segment {
            name: "lively",
            rank_by: &["fast"],
            ..SEGMENT
        },
        Segment {
            name: "broad",
            when: Some(Said {
                text: "identity.confidence < 0.65",
                same: |facts| Some(facts.identity() < 0.65),
            }),
            rank_by: &["wide"],
            max: Some(40.3),
            calibration: Some(Calibration::Table(&[(1.0, 0.9), (9.0, 0.2)])),
            ..SEGMENT
        },
        Segment {
            name: "hot",
            rank_by: &["slow", "ever"],
            min: Some(3.3),
            max: Some(60.3),
            calibration: Some(Calibration::Logistic {
                midpoint: 20.0,
                slope: -0.1,
            }),
            ..SEGMENT
        },
        Segment {
            name: "known",
            min_confidence: Some(0.5),
            rank_by: &["ever", "fit", "fast"],
            ..SEGMENT
        },
        Segment {
            name: "lively_accounts",
            rank_by: &["slow"],
            min: Some(1.3),
            of_accounts: true,
            ..SEGMENT
        },
        Segment {
            name: "stated_accounts",
            when: Some(Said {
                text: "has(profile.attributes.seats)",
                same: |facts| Some(facts.has("seats")),
            }),
            rank_by: &["ever", "wide"],
            of_accounts: true,
            ..SEGMENT
        },
        Segment {
            name: "unknown_buyers",
            when: Some(Said {
                text: r#"seen("purchase") && !has(profile.attributes.seats)"#,
                same: |facts| Some(facts.seen("purchase") && !facts.has("seats")),
            }),
            rank_by: &["ever"],
            ..SEGMENT
        },
        Segment {
            name: "not_for_ever",
            when: Some(Said {
                text: "!(scores.ever > 6.35)",
                same: |facts| Some(facts.points("ever") <= 6.35),
            }),
            rank_by: &["fast"],
            ..SEGMENT
        },
        Segment {
            name: "accounts_for_ever",
            when: Some(Said {
                text: "scores.ever > 6.35",
                same: |facts| Some(facts.points("ever") > 6.35),
            }),
            rank_by: &["slow"],
            of_accounts: true,
            ..SEGMENT
        },
        Segment {
            name: "gone_quiet",
            when: Some(Said {
                text: "scores.ever > 4.6",
                same: |facts| Some(facts.points("ever") > 4.6),
            }),
            rank_by: &["fast / slow"],
            min: Some(1e-9),
            max: Some(0.203),
            ..SEGMENT
        },
        Segment {
            name: "in_the_trade",
            when: Some(Said {
                text: r#"profile.attributes.industry == "retail""#,
                same: |facts| Some(facts.text("industry")? == "retail"),
            }),
            rank_by: &["fit"],
            min: Some(0.1),
            ..SEGMENT
        },
    ]
}
