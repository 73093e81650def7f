//! What is printed: one line for each call, with the sides beside each other. Rates are medians
//! of the turns; a ratio stands with its lowest and highest turn.

use crate::{clients::Method, phases::Measured};

/// The line of names over a table.
pub fn print_heading(store: &str, has_bare: bool) {
    print!(
        "\n{store:<23} {:>8} {:>7} {:>7} {:>7}",
        "no-op/s", "real/s", "p50 us", "p99 us"
    );
    if has_bare {
        print!(" {:>7} {:>7}", "bare/s", "p50 us");
    }
    print!("  {:<16}", "of no-op");
    if has_bare {
        print!("  {:<16}  {:<16}", "of bare", "of both");
    }
    println!("  processor us per call (+ Redis)");
}

/// A line. The last of its ratios compares with a call that costs what the no-op call and the
/// bare commands do, one after the other: what is missing to 1 is our own work.
pub fn print_line(method: Method, noop: &Measured, real: &Measured, bare: Option<&Measured>) {
    let rate = |measured: &Measured| measured.rates().median * method.events() as f64;
    print!(
        "{:<23} {:>8.0} {:>7.0} {:>7} {:>7}",
        method.name(),
        rate(noop),
        rate(real),
        real.latency(0.5),
        real.latency(0.99)
    );
    if let Some(bare) = bare {
        print!(" {:>7.0} {:>7}", rate(bare), bare.latency(0.5));
    }
    print!("  {}", real.of(noop));
    if let Some(bare) = bare {
        let both = real.of_both(noop, bare);
        print!("  {}  {}", real.of(bare), both);
    }
    print!("  no-op {:.0}, real {}", noop.work().0, work_of(real));
    if let Some(bare) = bare {
        print!(", bare {}", work_of(bare));
    }
    println!();
}

fn work_of(measured: &Measured) -> String {
    match measured.work() {
        (own, 0.0) => format!("{own:.0}"),
        (own, redis) => format!("{own:.0} + {redis:.0}"),
    }
}
