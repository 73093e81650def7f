//! The model of the tests: every construct at least once.

mod signals;
mod standing;

use crate::table::{
    Calibration, Influence, Model, PHRASE, Phrase, QuarantineRule, SCORE, Said, Score, Topic,
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

/// The model with every construct.
pub fn model() -> Model {
    Model {
        scores: SCORES.to_vec(),
        signals: signals::signals(),
        attribute_rules: standing::attribute_rules(),
        identity: standing::identity(),
        stages: standing::stages(),
        segments: standing::segments(),
        topics: vec![
            Topic {
                name: "price",
                keywords: &[
                    Phrase {
                        forms: &["price", "too dear"],
                        ..PHRASE
                    },
                    Phrase {
                        forms: &["très cher"],
                        folds_diacritics: true,
                        ..PHRASE
                    },
                ],
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
            ("visited", None),
            ("joined", Some("3d")),
            ("joined", None),
            ("clicked", Some("1m")),
        ],
    }
}
/// The model with other half-lives: one beside which the old one is still asked for, one that
/// two scores had been near, and one that fades no more.
pub fn model_that_fades_otherwise() -> Model {
    let mut model = model();
    for score in &mut model.scores {
        score.half_life = match score.name {
            "fast" => Some("9h"),
            "slow" => Some("20d"),
            "wide" => None,
            _ => score.half_life,
        };
    }
    model
}
