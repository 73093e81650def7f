//! The model of the tests: every construct at least once, each expression in both forms.
//!
//! Bounds stand where no sum of matches at one instant comes to lie, so that no rounding
//! decides on which side of them somebody stands.

use crate::table::{
    AttributeRule, Calibration, Confidence, Evidence, Influence, Model, QuarantineRule, SCORE,
    SEGMENT, SIGNAL, Said, Score, Segment, Signal, Stage, Topic,
};

/// Types of events of which a signal reads what an account did before.
pub const READS_ACCOUNTS: [&str; 1] = ["post"];

const SCORES: [Score; 5] = [
    Score {
        name: "fast",
        half_life: Some("6h"),
        ..SCORE
    },
    Score {
        name: "slow",
        half_life: Some("30d"),
        calibration: Some(Calibration::Logistic {
            midpoint: 6.0,
            slope: 0.3,
        }),
        ..SCORE
    },
    Score {
        name: "wide",
        half_life: Some("10d"),
        breadth: Some((2, 0.21)),
        ..SCORE
    },
    Score {
        name: "ever",
        base: 2.0,
        calibration: Some(Calibration::Table(&[(0.0, 0.02), (10.0, 0.1), (40.0, 0.6)])),
        ..SCORE
    },
    Score {
        name: "fit",
        ..SCORE
    },
];

fn signals() -> Vec<Signal> {
    vec![
        Signal {
            name: "visited",
            on: &["visit", "view"],
            points: &[("fast", 3.0), ("slow", 1.0), ("wide", 1.0), ("ever", 0.5)],
            ..SIGNAL
        },
        Signal {
            name: "spent",
            on: &["purchase"],
            when: Some(Said {
                text: r#"event.attributes.amount > 10 && "price" in event.topics"#,
                same: |moment| {
                    Some(moment.event.number("amount")? > 10.0 && moment.is_about("price"))
                },
            }),
            value: Some(Said {
                text: "event.attributes.amount",
                same: |moment| moment.event.number("amount"),
            }),
            points: &[("slow", 2.0), ("wide", 0.13), ("ever", 1.0)],
            ..SIGNAL
        },
        Signal {
            name: "joined",
            on: &["join"],
            per: Some(Said {
                text: "event.attributes.group",
                same: |moment| Some(vec![moment.event.text("group")?.to_owned()]),
            }),
            points: &[("slow", 0.75), ("ever", 0.25)],
            ..SIGNAL
        },
        Signal {
            name: "joined_most",
            on: &["join", "view"],
            per: Some(Said {
                text: "event.attributes.group",
                same: |moment| Some(vec![moment.event.text("group")?.to_owned()]),
            }),
            keys: Some(2),
            limit: Some(2.7),
            points: &[("slow", 0.5), ("ever", 0.125)],
            ..SIGNAL
        },
        Signal {
            name: "tagged",
            on: &["view", "post"],
            per: Some(Said {
                text: "event.tags",
                same: |moment| {
                    let tags = moment.event.tags.iter();
                    Some(tags.map(|tag| (*tag).to_owned()).collect())
                },
            }),
            keys: Some(2),
            points: &[("slow", 0.25), ("ever", 0.5)],
            ..SIGNAL
        },
        Signal {
            name: "looked_for",
            on: &["visit", "post", "share"],
            phrases: &["looking for", "dear"],
            when: Some(Said {
                text: r#"event.channel == "web""#,
                same: |moment| Some(moment.event.channel == "web"),
            }),
            points: &[("fast", 1.5), ("slow", 0.5)],
            ..SIGNAL
        },
        Signal {
            name: "spent_last",
            on: &["purchase", "view"],
            value: Some(Said {
                text: "event.attributes.amount",
                same: |moment| moment.event.number("amount"),
            }),
            latest: true,
            limit: Some(30.25),
            points: &[("slow", 0.3), ("ever", 0.25)],
            ..SIGNAL
        },
        Signal {
            name: "began_to_post",
            on: &["post"],
            once: true,
            points: &[("slow", 4.0), ("ever", 0.5)],
            ..SIGNAL
        },
        Signal {
            name: "of_the_house",
            on: &["join"],
            when: Some(Said {
                text: "domain(event.attributes.email) == domain(profile.attributes.email)",
                same: |moment| {
                    let facts = moment.facts();
                    let stated = facts.text("email").map(domain);
                    Some(domain(moment.event.text("email")?) == stated?)
                },
            }),
            points: &[("ever", 2.0)],
            reads_history: true,
            ..SIGNAL
        },
        Signal {
            name: "changed_habit",
            on: &["visit"],
            when: Some(Said {
                text: r#"rate("visited", "1d") > 2.3 * rate("visited", "30d")"#,
                same: |moment| {
                    Some(moment.rate("visited", "1d") > 2.3 * moment.rate("visited", "30d"))
                },
            }),
            points: &[("fast", 2.0)],
            reads_history: true,
            ..SIGNAL
        },
        Signal {
            name: "looks_around",
            on: &["view"],
            value: Some(Said {
                text: r#"count("joined", "3d") + count("joined")"#,
                same: |moment| {
                    Some(moment.count("joined", Some("3d")) + moment.count("joined", None))
                },
            }),
            points: &[("slow", 0.125)],
            reads_history: true,
            ..SIGNAL
        },
        Signal {
            name: "heard",
            on: &["reply"],
            value: Some(Said {
                text: r#"author.attributes.role == "manager" ? 3.0 : 1.0"#,
                same: |moment| {
                    let is_manager = moment.author_text("role")? == "manager";
                    Some(if is_manager { 3.0 } else { 1.0 })
                },
            }),
            points: &[("slow", 0.5)],
            reads_history: true,
            ..SIGNAL
        },
        Signal {
            name: "in_good_company",
            on: &["post"],
            when: Some(Said {
                text: "account.scores.slow > 1.9",
                same: |moment| Some(moment.account_points("slow") > 1.9),
            }),
            value: Some(Said {
                text: "min(account.scores.ever, 4.3)",
                same: |moment| Some(moment.account_points("ever").min(4.3)),
            }),
            points: &[("wide", 1.0)],
            reads_history: true,
            ..SIGNAL
        },
        Signal {
            name: "hurried",
            on: &["view", "join"],
            when: Some(Said {
                text: "event.seconds_since_last < 0.5",
                same: |moment| Some(moment.seconds_since_last() < 0.5),
            }),
            value: Some(Said {
                text: r#"1 + count("clicked", "1m")"#,
                same: |moment| Some(1.0 + moment.count("clicked", Some("1m"))),
            }),
            points: &[("fast", 0.5)],
            reads_history: true,
            ..SIGNAL
        },
        Signal {
            name: "clicked",
            on: &["other"],
            ..SIGNAL
        },
        Signal {
            name: "complained",
            on: &["complaint"],
            value: Some(Said {
                text: "event.sentiment < 0 ? -2.0 * event.sentiment : 0.0",
                same: |moment| {
                    let sentiment = moment.event.sentiment?;
                    Some(if sentiment < 0.0 {
                        -2.0 * sentiment
                    } else {
                        0.0
                    })
                },
            }),
            points: &[("slow", -4.0), ("wide", -0.5), ("ever", -1.0)],
            ..SIGNAL
        },
        Signal {
            name: "liked",
            on: &["reply", "share"],
            limit: Some(2.5),
            points: &[("fast", 2.0), ("wide", 0.7), ("ever", 1.0)],
            ..SIGNAL
        },
        Signal {
            name: "asked",
            on: &["post"],
            cooldown: Some("2h"),
            points: &[("slow", 2.0)],
            ..SIGNAL
        },
        Signal {
            name: "came_back",
            on: &["visit"],
            when: Some(Said {
                text: r#"seen("purchase") && scores.slow > 2.7 && event.channel != "mail""#,
                same: |moment| {
                    let back = moment.seen("purchase") && moment.points("slow") > 2.7;
                    Some(back && moment.event.channel != "mail")
                },
            }),
            value: Some(Said {
                text: "min(scores.ever, 5.3)",
                same: |moment| Some(moment.points("ever").min(5.3)),
            }),
            points: &[("fast", 1.0)],
            reads_history: true,
            ..SIGNAL
        },
        Signal {
            name: "advised",
            on: &["post", "share"],
            when: Some(Said {
                text: r#"stage in ["customer", "advocate"]"#,
                same: |moment| Some(["customer", "advocate"].contains(&moment.stage())),
            }),
            points: &[("slow", 3.0), ("fit", 0.5)],
            reads_history: true,
            ..SIGNAL
        },
        Signal {
            name: "of_the_trade",
            on: &["view", "reply"],
            when: Some(Said {
                text: r#"profile.attributes.industry == "retail""#,
                same: |moment| Some(moment.facts().text("industry")? == "retail"),
            }),
            points: &[("fit", 0.25)],
            reads_history: true,
            ..SIGNAL
        },
    ]
}

/// What stands behind the last `@`, in lower case.
fn domain(address: &str) -> String {
    let found = address.rsplit_once('@');
    found.map_or_else(String::new, |(_, domain)| domain.to_lowercase())
}

fn attribute_rules() -> Vec<AttributeRule> {
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

fn quarantine() -> Vec<QuarantineRule> {
    vec![
        QuarantineRule {
            name: "robots",
            on: &[],
            when: Said {
                text: r#"event.attributes.agent == "robot""#,
                same: |moment| Some(moment.event.text("agent")? == "robot"),
            },
            reads_history: false,
        },
        QuarantineRule {
            name: "hasty",
            on: &["other", "view"],
            when: Said {
                text: r#"count("clicked", "1m") > 1.7 || event.seconds_since_last < 0.5"#,
                same: |moment| {
                    let clicked = moment.count("clicked", Some("1m"));
                    Some(clicked > 1.7 || moment.seconds_since_last() < 0.5)
                },
            },
            reads_history: true,
        },
    ]
}

const HAS_BOUGHT: Said<fn(&crate::plain::Facts<'_>) -> Option<bool>> = Said {
    text: r#"seen("purchase")"#,
    same: |facts| Some(facts.seen("purchase")),
};

fn stages() -> Vec<Stage> {
    vec![
        Stage {
            name: "awareness",
            when: None,
            min: Some(("slow", 0.9)),
        },
        Stage {
            name: "consideration",
            when: None,
            min: Some(("slow", 5.3)),
        },
        Stage {
            name: "customer",
            when: Some(HAS_BOUGHT),
            min: None,
        },
        Stage {
            name: "advocate",
            when: Some(HAS_BOUGHT),
            min: Some(("ever", 15.3)),
        },
    ]
}

fn identity() -> Vec<Evidence> {
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

fn segments() -> Vec<Segment> {
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

/// The model with every construct.
pub fn model() -> Model {
    Model {
        scores: SCORES.to_vec(),
        signals: signals(),
        attribute_rules: attribute_rules(),
        identity: identity(),
        stages: stages(),
        segments: segments(),
        topics: vec![
            Topic {
                name: "price",
                keywords: &["price", "too dear"],
            },
            Topic {
                name: "quality",
                keywords: &[],
            },
        ],
        interests_half_life: "12d",
        influence: Influence {
            event_types: &[("reply", 2.0), ("share", 5.0)],
            half_life: "7d",
            attribution_half_life: "2d",
            advance: 4.0,
            reach: "followers",
        },
        quarantine: quarantine(),
        accounts: Some("company"),
        asked: vec![
            ("visited", Some("1d")),
            ("visited", Some("30d")),
            ("joined", Some("3d")),
            ("joined", None),
            ("clicked", Some("1m")),
        ],
    }
}
