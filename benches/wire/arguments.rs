//! `--seconds S` for each side of a comparison (4), `--store embedded|redis` (both),
//! `--memory` for the memory of a Redis instead.

use std::time::Duration;

pub struct Arguments {
    pub time: Duration,
    pub embedded: bool,
    pub redis: bool,
    pub memory: bool,
}

impl Arguments {
    pub fn read() -> Self {
        let mut read = Self {
            time: Duration::from_secs(4),
            embedded: true,
            redis: true,
            memory: false,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--seconds" => {
                    let seconds = arguments.next().and_then(|seconds| seconds.parse().ok());
                    let seconds = seconds.unwrap_or_else(|| panic!("--seconds takes a number"));
                    read.time = Duration::from_secs_f64(seconds);
                }
                "--store" => {
                    let store = arguments.next().unwrap_or_default();
                    read.embedded = store == "embedded";
                    read.redis = store == "redis";
                    let is_known = read.embedded || read.redis;
                    assert!(is_known, "--store takes embedded or redis");
                }
                "--memory" => read.memory = true,
                // What cargo says to every bench.
                "--bench" => {}
                unknown => panic!("{unknown} is not known: --seconds, --store or --memory"),
            }
        }
        read
    }
}
