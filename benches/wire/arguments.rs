//! `--seconds S` for each side of a comparison (4), `--store embedded|redis` (both),
//! `--only NAME` for the methods whose names begin so, `--events-per-profile N` that are there
//! before anything is measured (10). Instead: `--memory` for the memory of a Redis, `--overload`
//! for more calls than can be done, `--hot` for one profile that everybody writes, `--start` for
//! starts on a store of `--profiles N` (1,000,000; of memory at most 100,000), `--scale` for clusters of one to three primaries.

use std::time::Duration;

use crate::{clients::Method, events::EVENTS_PER_PROFILE};

pub struct Arguments {
    pub time: Duration,
    pub embedded: bool,
    pub redis: bool,
    pub events_per_profile: u64,
    pub memory: bool,
    pub overload: bool,
    pub hot: bool,
    /// What the names of the methods begin with that are measured.
    pub only: String,
    pub start: bool,
    pub scale: bool,
    pub profiles: u64,
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
            hot: false,
            only: String::new(),
            start: false,
            scale: false,
            profiles: 1_000_000,
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
                "--only" => read.only = arguments.next().unwrap_or_default(),
                "--memory" => read.memory = true,
                "--overload" => read.overload = true,
                "--hot" => read.hot = true,
                "--start" => read.start = true,
                "--scale" => read.scale = true,
                "--profiles" => read.profiles = number(&argument, arguments.next()),
                // What cargo says to every bench.
                "--bench" => {}
                unknown => panic!(
                    "{unknown} is not known: --seconds, --store, --events-per-profile, --only, --memory, --overload, --hot, --start, --scale or --profiles"
                ),
            }
        }
        read
    }

    /// The methods that are to be measured.
    pub fn methods(&self, all: &[Method]) -> impl Iterator<Item = Method> {
        let wanted = |method: &&Method| method.name().starts_with(&self.only);
        all.iter().filter(wanted).copied()
    }
}

fn number<T: std::str::FromStr>(flag: &str, value: Option<String>) -> T {
    let number = value.and_then(|value| value.parse().ok());
    number.unwrap_or_else(|| panic!("{flag} takes a number"))
}
