use super::*;

const METHOD: &str = "ScoreEvent";

/// A server that does a number of calls a second, one after the other, and callers that come
/// as they please.
struct Server {
    admission: Admission,
    begin: Instant,
    now: Duration,
    each: Duration,
    /// When the last call that was let in is done.
    busy_until: Duration,
    in_work: std::collections::VecDeque<(Duration, Entered, u64)>,
    done: HashMap<u64, u32>,
    refused: HashMap<u64, u32>,
    slowest: Duration,
}

impl Server {
    fn new(calls_per_second: u32) -> Self {
        Self {
            admission: Admission::new(4_096, 8_000),
            begin: Instant::now(),
            now: Duration::ZERO,
            each: Duration::from_secs(1) / calls_per_second,
            busy_until: Duration::ZERO,
            in_work: std::collections::VecDeque::new(),
            done: HashMap::new(),
            refused: HashMap::new(),
            slowest: Duration::ZERO,
        }
    }

    fn finish_until(&mut self, now: Duration) {
        while let Some((at, _, _)) = self.in_work.front()
            && *at <= now
        {
            let (at, entered, connection) = self.in_work.pop_front().unwrap();
            self.slowest = self.slowest.max(at - (entered.at - self.begin));
            self.admission.leave(&entered, true, self.begin + at);
            *self.done.entry(connection).or_default() += 1;
        }
        self.now = now;
    }

    fn call(&mut self, class: Class, connection: u64, tenant: &str) {
        let now = self.begin + self.now;
        let entered = self.admission.enter(class, METHOD, connection, now);
        let entered = entered.and_then(|mut entered| {
            let tenant = Tenant::new(tenant);
            match self.admission.identify(&mut entered, tenant, now) {
                Ok(()) => Ok(entered),
                Err(refused) => {
                    self.admission.leave(&entered, false, now);
                    Err(refused)
                }
            }
        });
        match entered {
            Ok(entered) => {
                self.busy_until = self.busy_until.max(self.now) + self.each;
                self.in_work
                    .push_back((self.busy_until, entered, connection));
            }
            Err(_) => *self.refused.entry(connection).or_default() += 1,
        }
    }

    /// Calls at a rate from several connections in turn, beside a quiet caller on one of its own.
    fn offer(&mut self, seconds: u32, rate: u32, connections: u64, quiet: (u64, &str)) {
        let calls = seconds * rate;
        let end = self.now + Duration::from_secs(u64::from(seconds));
        let begin = self.now;
        for number in 0..calls {
            self.finish_until(begin + Duration::from_secs(1) * number / rate);
            self.call(Class::Write, u64::from(number) % connections, "loud");
            if number % (rate / 10) == 0 {
                self.call(Class::Write, quiet.0, quiet.1);
            }
        }
        self.finish_until(end);
    }

    fn forget(&mut self) {
        self.done.clear();
        self.refused.clear();
        self.slowest = Duration::ZERO;
    }
}

const QUIET: (u64, &str) = (1_000_000, "quiet");

#[test]
fn who_can_be_served_is_never_refused() {
    let mut server = Server::new(10_000);
    server.offer(10, 9_000, 4, QUIET);
    assert!(server.refused.is_empty());
}

#[test]
fn at_four_times_the_load_calls_are_quick_the_server_stays_busy_and_the_quiet_are_served() {
    let mut server = Server::new(10_000);
    server.offer(2, 40_000, 4, QUIET);
    server.forget();
    server.offer(10, 40_000, 4, QUIET);
    let done: u32 = server.done.values().sum();
    assert!(done > 95_000, "{done}");
    let slowest = server.slowest;
    assert!(slowest < Duration::from_millis(20), "{slowest:?}");
    assert_eq!(server.refused.get(&QUIET.0), None);
    assert_eq!(server.done[&QUIET.0], 100);
    for connection in 0..4 {
        let share = f64::from(server.done[&connection]) / f64::from(done);
        assert!(share > 0.08, "{share}");
    }
}

#[test]
fn a_tenant_with_very_many_connections_does_not_shut_out_another_one() {
    let mut server = Server::new(10_000);
    server.offer(2, 40_000, 4_000, QUIET);
    server.forget();
    server.offer(10, 40_000, 4_000, QUIET);
    assert_eq!(server.refused.get(&QUIET.0), None);
}

#[test]
fn a_server_that_was_overloaded_takes_everything_again() {
    let mut server = Server::new(10_000);
    server.offer(5, 40_000, 4, QUIET);
    server.offer(1, 5_000, 4, QUIET);
    server.forget();
    server.offer(5, 9_000, 4, QUIET);
    assert!(server.refused.is_empty());
}

#[test]
fn a_burst_waits_and_is_not_refused() {
    let mut server = Server::new(10_000);
    server.offer(2, 2_000, 4, QUIET);
    for number in 0..200 {
        server.call(Class::Write, number % 4, "loud");
    }
    server.offer(2, 2_000, 4, QUIET);
    assert!(server.refused.is_empty());
}

#[test]
fn streams_give_way_first_then_writes_then_reads() {
    let mut admission = Admission::new(4_096, 8_000);
    let begin = Instant::now();
    let mut now = begin;
    let mut held = Vec::new();
    for class in [Class::Read, Class::Write] {
        for _ in 0..200 {
            held.push(admission.enter(class, METHOD, 1, now).unwrap());
        }
    }
    admission.streamed_limit(8_000, now);
    let mut shrunk = Vec::new();
    let limits = |admission: &Admission| {
        [
            admission.streamed.now(),
            admission.writes.limit.now(),
            admission.reads.limit.now(),
        ]
    };
    let mut before = limits(&admission);
    // A call in each interval that has waited long.
    let quick = admission.enter(Class::Read, METHOD, 2, now).unwrap();
    admission.leave(&quick, true, now + Duration::from_millis(1));
    now += ADMISSION_INTERVAL;
    admission.tick(now);
    for _ in 0..60 {
        let late = admission.enter(Class::Read, METHOD, 2, now);
        // A call that had company when it began.
        let late = late.unwrap_or_else(|_| held[1].clone());
        // The others are still in work.
        admission.reads.limit.saw(200);
        admission.writes.limit.saw(200);
        now += ADMISSION_INTERVAL / 2;
        admission.leave(&late, true, now);
        now += ADMISSION_INTERVAL / 2;
        admission.tick(now);
        let after = limits(&admission);
        let which = (0..3).find(|&which| after[which] < before[which]);
        if let Some(which) = which
            && shrunk.last() != Some(&which)
        {
            shrunk.push(which);
        }
        before = after;
    }
    assert_eq!(shrunk, [0, 1, 2]);
    let least_streamed = 8_000 / LEAST_SHARE_OF_STREAMED_EVENTS;
    assert_eq!(
        before,
        [least_streamed, LEAST_CALLS_IN_WORK, LEAST_CALLS_IN_WORK]
    );
}

#[test]
fn tenants_that_nobody_knows_share_one_share() {
    let mut admission = Admission::new(4_096, 8_000);
    let now = Instant::now();
    for connection in 0..1_000 {
        let mut entered = admission
            .enter(Class::Other, METHOD, connection, now)
            .unwrap();
        admission.identify(&mut entered, None, now).unwrap();
    }
    assert_eq!(admission.tenants.len(), 1);
    assert!(!admission.tenants.is_below(&None, 64));
    assert!(admission.tenants.is_below(&Tenant::new("known"), 64));
}

#[test]
fn the_more_is_offered_the_later_callers_are_told_to_come_back_and_not_together() {
    let mut server = Server::new(1_000);
    let wait_after = |server: &mut Server, rate| {
        server.offer(3, rate, 4, QUIET);
        let told: Vec<Duration> = (0..100)
            .map(|_| server.admission.refusal().retry_after)
            .collect();
        let distinct: std::collections::HashSet<_> = told.iter().collect();
        assert!(distinct.len() > 20);
        told.iter().sum::<Duration>() / 100
    };
    let twice = wait_after(&mut server, 2_000);
    let often = wait_after(&mut server, 20_000);
    assert!(often > twice * 3, "{twice:?} {often:?}");
    assert!(often <= MAX_RETRY_AFTER);
}

#[test]
fn bulk_work_leaves_the_line_of_its_method_and_says_nothing_of_how_long_reads_wait() {
    let begin = Instant::now();
    let mut admission = Admission::new(4_096, 8_000);
    let mut in_work = Vec::new();
    for connection in 0..1_000 {
        let entered = admission.enter(Class::Read, METHOD, connection, begin);
        let mut entered = entered.unwrap();
        admission.becomes(&mut entered, Class::Other);
        assert_eq!(
            (admission.reads.in_work, admission.calls),
            (0, connection as usize + 1)
        );
        admission.identify(&mut entered, None, begin).unwrap();
        in_work.push(entered);
    }
    let limit = admission.reads.limit.now();
    for (number, entered) in in_work.iter().enumerate() {
        let later = begin + Duration::from_millis(500 + 10 * number as u64);
        admission.leave(entered, true, later);
    }
    assert_eq!((admission.reads.in_work, admission.calls), (0, 0));
    assert!(admission.reads.limit.now() >= limit, "reads never waited");
}

#[test]
fn calls_in_work_are_told_by_what_they_are() {
    let now = Instant::now();
    let mut admission = Admission::new(4_096, 8_000);
    let classes = [Class::Read, Class::Read, Class::Write, Class::Other];
    let entered = classes.map(|class| admission.enter(class, METHOD, 1, now).unwrap());
    assert_eq!(admission.in_work(), [2, 1, 1]);
    for entered in &entered {
        admission.leave(entered, true, now);
    }
    assert_eq!(admission.in_work(), [0, 0, 0]);
}

/// A call of each of some tenants in each of so many intervals, which takes so long from its turn on.
fn intervals(
    admission: &mut Admission,
    now: &mut Instant,
    (tenants, count): (&[&str], u32),
    latency: Duration,
) {
    for _ in 0..count {
        for tenant in tenants {
            let mut entered = admission.enter(Class::Read, METHOD, 1, *now).unwrap();
            let identified = admission.identify(&mut entered, Tenant::new(tenant), *now);
            identified.unwrap();
            let at_once = admission.most_at_once().min(1_000);
            admission.begin(&mut entered, at_once, true, *now);
            admission.leave(&entered, true, *now + latency);
        }
        *now += ADMISSION_INTERVAL;
    }
}

#[test]
fn fewer_calls_are_worked_on_at_once_while_they_slow_each_other_down() {
    let quick = Duration::from_micros(200);
    let slow = quick * 3 + TURN_TARGET + quick;
    let mut admission = Admission::new(4_096, 8_000);
    let mut now = Instant::now();
    intervals(&mut admission, &mut now, (&["loud"], 5), quick);
    // From now on no call is the only one, so what they take alone is known.
    let held = admission.enter(Class::Other, METHOD, 2, now);
    intervals(&mut admission, &mut now, (&["loud"], 50), slow);
    assert_eq!(
        admission.most_at_once(),
        usize::MAX,
        "who is alone waits for nobody"
    );
    intervals(&mut admission, &mut now, (&["loud", "quiet"], 1), quick);
    let begun = admission.most_at_once();
    assert!(
        begun >= START_CALLS_AT_ONCE,
        "nothing was learned from who was alone: {begun}"
    );
    intervals(&mut admission, &mut now, (&["loud", "quiet"], 40), slow);
    assert_eq!(admission.most_at_once(), LEAST_CALLS_AT_ONCE);
    intervals(&mut admission, &mut now, (&["loud", "quiet"], 100), quick);
    let grown = admission.most_at_once();
    assert!(grown > START_CALLS_AT_ONCE, "{grown}");
    admission.leave(&held.unwrap(), false, now);
}
