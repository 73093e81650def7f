//! `--seconds S` for each side of a comparison (4), `--store embedded|redis` (both),
//! `--events-per-profile N` that are there before anything is measured (10), `--memory` for the
//! memory of a Redis instead, `--overload` for more calls than can be done.

use std::time::Duration;

use crate::events::EVENTS_PER_PROFILE;

pub struct Arguments {
    pub time: Duration,
    pub embedded: bool,
    pub redis: bool,
    pub events_per_profile: u64,
    pub memory: bool,
    pub overload: bool,
}

impl Arguments {
    pub fn read() -> Self {
        let mut read = Self {
            time: Duration::from_secs(4),
            embedded: true,
            redis: true,
            events_per_profile: EVENTS_PER_PROFILE,
            memory: false,
            overload: false,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--seconds" => {
                    read.time = Duration::from_secs_f64(number(&argument, arguments.next()));
                }
                "--store" => {
                    let store = arguments.next().unwrap_or_default();
                    read.embedded = store == "embedded";
                    read.redis = store == "redis";
                    let is_known = read.embedded || read.redis;
                    assert!(is_known, "--store takes embedded or redis");
                }
                "--events-per-profile" => {
                    read.events_per_profile = number(&argument, arguments.next());
                }
                "--memory" => read.memory = true,
                "--overload" => read.overload = true,
                // What cargo says to every bench.
                "--bench" => {}
                unknown => panic!(
                    "{unknown} is not known: --seconds, --store, --events-per-profile, --memory or --overload"
                ),
            }
        }
        read
    }
}

fn number<T: std::str::FromStr>(flag: &str, value: Option<String>) -> T {
    let number = value.and_then(|value| value.parse().ok());
    number.unwrap_or_else(|| panic!("{flag} takes a number"))
}
