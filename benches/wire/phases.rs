//! Callers that keep calls in flight for a time, and the turns that the sides of a
//! comparison take, so that drift of the machine cancels.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

pub const CALLS_IN_FLIGHT: usize = 64;
/// Of callers to one service, and streams at a time, one on each.
pub const CONNECTIONS: usize = 4;
/// How often the sides of a comparison take turns: enough for a median that one disturbed turn
/// does not move.
pub const TURNS: u32 = 5;

type Answered<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// One call of a caller with this number.
pub type Call = Arc<dyn Fn(usize) -> Answered<()> + Send + Sync>;
/// Calls of a caller with this number until then.
pub type Stream = Arc<dyn Fn(usize, Instant) -> Answered<Latencies> + Send + Sync>;

/// How long calls took, in microseconds.
pub struct Latencies(Histogram<u64>);

impl Latencies {
    pub fn new() -> Self {
        Self(Histogram::new(3).unwrap())
    }

    pub fn add(&mut self, other: &Self) {
        self.0.add(&other.0).unwrap();
    }

    /// A call that began then has ended.
    pub fn record(&mut self, called: Instant) {
        let taken = called.elapsed().as_micros() as u64;
        self.0.record(taken).unwrap();
    }
}

/// What one side did in one turn.
struct Turn {
    calls: u64,
    latencies: Latencies,
    taken: Duration,
    /// Of client and server, which are this process, and of Redis.
    worked: Duration,
    redis_worked: Duration,
}

/// What was measured on one side, turn by turn.
pub struct Measured {
    latencies: Latencies,
    turns: Vec<Turn>,
}

impl Measured {
    fn new() -> Self {
        Self {
            latencies: Latencies::new(),
            turns: Vec::new(),
        }
    }

    /// How many calls were made in all.
    pub fn all_calls(&self) -> u64 {
        self.turns.iter().map(|turn| turn.calls).sum()
    }

    /// Calls per second in each turn.
    pub fn rates(&self) -> Spread {
        Spread::of(self.turns.iter().map(Turn::rate))
    }

    /// How much work of the processors a call is, in microseconds: of client and server, and
    /// of Redis. Less is changed by what else the machine does than calls per second are.
    pub fn work(&self) -> (f64, f64) {
        let each = |worked: fn(&Turn) -> Duration| {
            let each = |turn: &Turn| worked(turn).as_micros() as f64 / turn.calls as f64;
            Spread::of(self.turns.iter().map(each)).median
        };
        (each(|turn| turn.worked), each(|turn| turn.redis_worked))
    }

    /// How many times that of another side a quantile of the latencies is.
    pub fn latency_of(&self, other: &Self, quantile: f64) -> Spread {
        let turns = self.turns.iter().zip(&other.turns);
        let of = |turn: &Turn| turn.latencies.0.value_at_quantile(quantile) as f64;
        Spread::of(turns.map(|(turn, other)| of(turn) / of(other)))
    }

    /// A quantile of the latencies in microseconds.
    pub fn latency(&self, quantile: f64) -> u64 {
        self.latencies.0.value_at_quantile(quantile)
    }

    /// Rates as a part of those of another side, each turn beside the other's same turn.
    pub fn of(&self, other: &Self) -> Spread {
        let turns = self.turns.iter().zip(&other.turns);
        Spread::of(turns.map(|(turn, other)| turn.rate() / other.rate()))
    }

    /// Rates as a part of those that a call would have which does what two other sides do, one
    /// after the other.
    pub fn of_both(&self, one: &Self, other: &Self) -> Spread {
        let others = one.turns.iter().zip(&other.turns);
        let both = others.map(|(one, other)| 1.0 / (1.0 / one.rate() + 1.0 / other.rate()));
        let turns = self.turns.iter().zip(both);
        Spread::of(turns.map(|(turn, both)| turn.rate() / both))
    }
}

impl Turn {
    fn rate(&self) -> f64 {
        self.calls as f64 / self.taken.as_secs_f64()
    }
}

/// The median of some turns, with the lowest and the highest.
pub struct Spread {
    pub median: f64,
    pub lowest: f64,
    pub highest: f64,
}

impl Spread {
    /// So many times as much.
    pub fn times(self, factor: f64) -> Self {
        Self {
            median: self.median * factor,
            lowest: self.lowest * factor,
            highest: self.highest * factor,
        }
    }

    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        Self {
            median: values[values.len() / 2],
            lowest: values[0],
            highest: values[values.len() - 1],
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            median,
            lowest,
            highest,
        } = self;
        f.pad(&format!("{median:.2} ({lowest:.2}-{highest:.2})"))
    }
}

/// What one side of a comparison does.
#[derive(Clone)]
pub enum Side {
    Calls(Call),
    Streams(Stream),
    /// Calls that come at so many a second.
    Paced(Call, f64),
}

impl Side {
    /// Works for a time.
    async fn run(&self, time: Duration, redis: Option<u32>, measured: &mut Measured) {
        let work = || {
            (
                processor_time(std::process::id()),
                redis.map(processor_time),
            )
        };
        let (worked, redis_worked) = work();
        let started = Instant::now();
        let end = started + time;
        let workers: Vec<Answered<Latencies>> = match self {
            Self::Calls(call) => (0..CALLS_IN_FLIGHT)
                .map(|caller| Box::pin(keep_calling(Arc::clone(call), caller, end)) as _)
                .collect(),
            Self::Streams(stream) => (0..CONNECTIONS).map(|caller| stream(caller, end)).collect(),
            Self::Paced(call, rate) => {
                let period = Duration::from_secs_f64(CALLS_IN_FLIGHT as f64 / rate);
                (0..CALLS_IN_FLIGHT)
                    .map(|caller| Box::pin(pace(Arc::clone(call), caller, (end, period))) as _)
                    .collect()
            }
        };
        let workers: Vec<_> = workers.into_iter().map(tokio::spawn).collect();
        let mut latencies = Latencies::new();
        for worker in workers {
            latencies.add(&worker.await.unwrap());
        }
        let taken = started.elapsed();
        let (works, redis_works) = work();
        measured.latencies.add(&latencies);
        measured.turns.push(Turn {
            calls: latencies.0.len(),
            latencies,
            taken,
            worked: works - worked,
            redis_worked: redis_works.unwrap_or_default() - redis_worked.unwrap_or_default(),
        });
    }
}

/// How long a process has worked: user and system time. Zero where there is no `/proc`.
pub fn processor_time(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // After the name in brackets, which may hold spaces, the twelfth and thirteenth fields.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

async fn keep_calling(call: Call, caller: usize, end: Instant) -> Latencies {
    let mut latencies = Latencies::new();
    while Instant::now() < end {
        let called = Instant::now();
        call(caller).await;
        latencies.record(called);
    }
    latencies
}

/// Calls once in a period, to the millisecond that the runtime's timer knows, so that calls of several
/// callers come together, whoever answers them. A call that is late because the one before took longer than that is
/// timed from when it was due.
async fn pace(call: Call, caller: usize, (end, period): (Instant, Duration)) -> Latencies {
    let mut latencies = Latencies::new();
    // Callers do not begin together.
    let mut due = Instant::now() + period * caller as u32 / CALLS_IN_FLIGHT as u32;
    while due < end {
        let is_late = due < Instant::now();
        tokio::time::sleep_until(due.into()).await;
        let called = if is_late { due } else { Instant::now() };
        call(caller).await;
        latencies.record(called);
        due += period;
    }
    latencies
}

/// Measures one side for a time, without a turn to warm up.
pub async fn measure_once(time: Duration, side: &Side) -> Measured {
    let mut measured = Measured::new();
    side.run(time, None, &mut measured).await;
    measured
}

/// Measures sides in turns, for this time each, together with the work of a Redis.
pub async fn compare<const SIDES: usize>(
    time: Duration,
    redis: Option<u32>,
    sides: [Side; SIDES],
) -> [Measured; SIDES] {
    let turn = time / TURNS;
    // The first turns warm up and do not count.
    for side in &sides {
        side.run(turn / 2, redis, &mut Measured::new()).await;
    }
    let mut measured = std::array::from_fn(|_| Measured::new());
    for _ in 0..TURNS {
        for (side, measured) in sides.iter().zip(&mut measured) {
            side.run(turn, redis, measured).await;
        }
    }
    measured
}
