//! What is printed: one line for each call, with the sides beside each other.

use crate::{clients::Method, phases::Measured};

/// The line of names over a table.
pub fn print_heading(store: &str, has_bare: bool) {
    print!(
        "\n{store:<24} {:>9} {:>8} {:>8} {:>8}",
        "no-op/s", "real/s", "p50 us", "p99 us"
    );
    if has_bare {
        print!(" {:>8} {:>8}", "bare/s", "p50 us");
    }
    print!(" {:>8}", "of no-op");
    if has_bare {
        print!(" {:>8} {:>8}", "of bare", "of both");
    }
    println!();
}

/// A line. The last of its ratios compares with a call that costs what the no-op call and the
/// bare commands do, one after the other: what is missing to 1 is our own work.
pub fn print_line(method: Method, noop: &Measured, real: &Measured, bare: Option<&Measured>) {
    let rate = |measured: &Measured| measured.rate() * method.events() as f64;
    print!(
        "{:<24} {:>9.0} {:>8.0} {:>8} {:>8}",
        method.name(),
        rate(noop),
        rate(real),
        real.latency(0.5),
        real.latency(0.99)
    );
    if let Some(bare) = bare {
        print!(" {:>8.0} {:>8}", rate(bare), bare.latency(0.5));
    }
    print!(" {:>8.2}", real.rate() / noop.rate());
    if let Some(bare) = bare {
        let both = 1.0 / (1.0 / noop.rate() + 1.0 / bare.rate());
        print!(
            " {:>8.2} {:>8.2}",
            real.rate() / bare.rate(),
            real.rate() / both
        );
    }
    println!();
}
