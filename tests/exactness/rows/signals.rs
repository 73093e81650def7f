//! What counts, each expression in both forms.

use crate::table::{Near, PHRASE, Phrase, SIGNAL, Said, Signal};

pub fn signals() -> Vec<Signal> {
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
            value: Some(Said {
                text: r#"1 + get(event.attributes, "amount", 0) / 64"#,
                same: |moment| Some(1.0 + moment.event.number("amount").unwrap_or(0.0) / 64.0),
            }),
            keys: Some(2),
            limit: Some(2.703125),
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
            value: Some(Said {
                text: "event.attributes.amount",
                same: |moment| moment.event.number("amount"),
            }),
            keys: Some(2),
            points: &[("slow", 0.25), ("ever", 0.5)],
            ..SIGNAL
        },
        Signal {
            name: "paid",
            on: &["purchase"],
            value: Some(Said {
                text: "1.5",
                same: |_| Some(1.5),
            }),
            per: Some(Said {
                text: "event.attributes.amount",
                same: |moment| Some(vec![moment.event.number("amount")?.to_string()]),
            }),
            keys: Some(1),
            points: &[("slow", 0.25), ("ever", 0.125)],
            ..SIGNAL
        },
        Signal {
            name: "called_out",
            on: &["reply", "share", "visit"],
            when: Some(Said {
                text: r#"event.author_id != "" && event.type != "visit" && event.content_id != "home" && event.campaign_id != "spring" && (lower(event.text).contains("dear") || event.tags.exists(tag, tag == "shoes"))"#,
                same: |moment| {
                    let event = moment.event;
                    let is_said = event.text.to_lowercase().contains("dear");
                    let is_elsewhere = event.kind != "visit"
                        && event.content != "home"
                        && event.campaign != "spring";
                    let is_about = is_said || event.tags.contains(&"shoes");
                    Some(event.author.is_some() && is_elsewhere && is_about)
                },
            }),
            value: Some(Said {
                text: "max(1.25, number(event.attributes.amount) / 16)",
                same: |moment| Some((moment.event.number("amount")? / 16.0).max(1.25)),
            }),
            points: &[("fast", 0.75), ("slow", 0.5), ("wide", 0.25)],
            ..SIGNAL
        },
        Signal {
            name: "surely_steady",
            on: &["purchase", "complaint"],
            when: Some(Said {
                text: "identity.confidence > 0.35",
                same: |moment| Some(moment.facts().identity() > 0.35),
            }),
            value: Some(Said {
                text: r#"rate("visited") + rate("joined")"#,
                same: |moment| Some(moment.rate("visited", None) + moment.rate("joined", None)),
            }),
            points: &[("slow", 0.5), ("ever", 0.25)],
            reads_history: true,
            ..SIGNAL
        },
        Signal {
            name: "looked_for",
            on: &["visit", "post", "share"],
            phrases: &[
                Phrase {
                    forms: &["dear"],
                    ..PHRASE
                },
                Phrase {
                    forms: &["looking for", "a la recherche de", "aimerais"],
                    folds_diacritics: true,
                    near: Some(Near {
                        words: &["shoes", "des bottes"],
                        negation: false,
                        before: 1,
                        after: 2,
                    }),
                    unless_near: Some(Near {
                        words: &["bientot"],
                        negation: true,
                        before: 2,
                        after: 1,
                    }),
                },
            ],
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
            name: "first_read",
            on: &["view", "post"],
            per: Some(Said {
                text: "event.tags",
                same: |moment| {
                    let tags = moment.event.tags.iter();
                    Some(tags.map(|tag| (*tag).to_owned()).collect())
                },
            }),
            once: true,
            once_keys: Some((2, false)),
            keys: Some(1),
            points: &[("fast", 0.75), ("ever", 0.25)],
            ..SIGNAL
        },
        Signal {
            name: "new_sum",
            on: &["purchase", "view"],
            per: Some(Said {
                text: "event.attributes.amount",
                same: |moment| Some(vec![moment.event.number("amount")?.to_string()]),
            }),
            once: true,
            once_keys: Some((2, true)),
            points: &[("slow", 0.375), ("ever", 0.25)],
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
                    Some(
                        moment.rate("visited", Some("1d"))
                            > 2.3 * moment.rate("visited", Some("30d")),
                    )
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
                text: "subjects.account.scores.slow > 1.9",
                same: |moment| Some(moment.account_points("slow") > 1.9),
            }),
            value: Some(Said {
                text: "min(subjects.account.scores.ever, 4.3)",
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
