//! Bare Redis: the commands that calls of the real server send, overheard and sent again by
//! the same client, on a copy of its keys. What is new in each sending is made new: the
//! versions that a commit expects and writes.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use redis::{Cmd, Value, aio::MultiplexedConnection};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::TcpStream,
};

use crate::{
    clients::{BATCHES_IN_FLIGHT, Clients, Method},
    events::{EVENTS_PER_BATCH, Events},
    phases::{Call, Latencies, Side, Stream},
    redis_server::RedisServer,
};

/// What the keys of partitions begin with, those of the server and those of the copy.
const SERVED: &[u8] = b"{default:";
const COPY: &[u8] = b"{bare:";
const END_OF_CALL: &str = "end-of-call";
const VERSION_BYTES: usize = 8;
/// Keys of a script call before those of its records.
const FIRST_RECORD: usize = 3;
/// Where a commit's arguments begin among those of a script call, after its keys.
const FIRST_COMMIT: usize = 5;

/// Calls that are overheard for each second that they are sent again: so many that two in flight
/// meet on a profile rarely.
const HEARD_CALLS_PER_SECOND: f64 = 500.0;
/// As many events as calls.
const HEARD_BATCHES_PER_SECOND: f64 = HEARD_CALLS_PER_SECOND / EVENTS_PER_BATCH as f64;

type Command = Vec<Vec<u8>>;

/// Makes a copy of all keys that the server keeps profiles in.
pub async fn copy_keys(server: &RedisServer) {
    let mut connection = server.connect().await;
    let mut keys = redis::cmd("KEYS");
    keys.arg([SERVED, b"*"].concat());
    let keys: Vec<Vec<u8>> = keys.query_async(&mut connection).await.unwrap();
    let copies = keys.iter().map(|key| {
        let mut copy = redis::cmd("COPY");
        copy.arg(key).arg(renamed(key));
        let mut connection = connection.clone();
        async move { copy.query_async::<bool>(&mut connection).await.unwrap() }
    });
    assert!(join_all(copies).await.into_iter().all(|copied| copied));
}

fn renamed(key: &[u8]) -> Vec<u8> {
    match key.strip_prefix(SERVED) {
        Some(rest) => [COPY, rest].concat(),
        None => key.to_vec(),
    }
}

/// Hears every command that a Redis is sent.
pub struct Ear {
    lines: Lines<BufReader<TcpStream>>,
    connection: MultiplexedConnection,
}

/// When commands of a call are sent.
#[derive(Clone, Copy)]
enum Order {
    /// Each after the answer to the one before.
    OneByOne,
    /// Those of one name that follow each other together.
    Together,
}

impl Ear {
    pub async fn new(server: &RedisServer) -> Self {
        let address = server.address();
        let address = address.strip_prefix("redis://").unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"MONITOR\r\n").await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        assert_eq!(lines.next_line().await.unwrap().unwrap(), "+OK");
        Self {
            lines,
            connection: server.connect().await,
        }
    }

    /// What the store is sent for a method, to be sent again.
    pub async fn hear(
        &mut self,
        clients: &Clients,
        method: Method,
        events: &Arc<Events>,
        time: Duration,
    ) -> Side {
        let (per_second, order) = match method {
            Method::ScoreEvent => (HEARD_CALLS_PER_SECOND, Order::OneByOne),
            Method::GetProfile { .. } | Method::RankSegment { .. } => {
                (HEARD_CALLS_PER_SECOND, Order::Together)
            }
            Method::ScoreEvents => (HEARD_BATCHES_PER_SECOND, Order::Together),
        };
        let calls = (time.as_secs_f64() * per_second).ceil() as usize;
        let call = clients.call(method, events);
        let mut heard = Vec::with_capacity(calls);
        for _ in 0..calls {
            call(0).await;
            heard.push(in_steps(self.heard_until_now().await, order));
        }
        let replay = Replay {
            connection: self.connection.clone(),
            calls: heard,
            next: AtomicUsize::new(0),
            sent: AtomicUsize::new(0),
        };
        match method {
            Method::ScoreEvents => Side::Streams(replay.streams()),
            _ => Side::Calls(replay.calls()),
        }
    }

    async fn heard_until_now(&mut self) -> Vec<Command> {
        let mut echo = redis::cmd("ECHO");
        echo.arg(END_OF_CALL);
        let _: String = echo.query_async(&mut self.connection).await.unwrap();
        let mut commands = Vec::new();
        loop {
            let line = self.lines.next_line().await.unwrap().unwrap();
            // What scripts do themselves is done again by the scripts.
            if line.contains(" lua] ") {
                continue;
            }
            let command = command_of(&line);
            if command
                .last()
                .is_some_and(|last| last == END_OF_CALL.as_bytes())
            {
                return commands;
            }
            if command.iter().any(|argument| argument.starts_with(SERVED)) {
                commands.push(command.iter().map(|argument| renamed(argument)).collect());
            }
        }
    }
}

/// The command of a line of `MONITOR`: `+time [database address] "name" "argument"`.
fn command_of(line: &str) -> Command {
    let (_, quoted) = line.split_once("] ").unwrap();
    let mut command = Vec::new();
    let mut argument: Option<Vec<u8>> = None;
    let mut characters = quoted.bytes();
    while let Some(character) = characters.next() {
        match (character, &mut argument) {
            (b'"', None) => argument = Some(Vec::new()),
            (b'"', Some(_)) => command.extend(argument.take()),
            (b'\\', Some(argument)) => argument.push(match characters.next().unwrap() {
                b'x' => {
                    let digits = [characters.next().unwrap(), characters.next().unwrap()];
                    let digits = std::str::from_utf8(&digits).unwrap();
                    u8::from_str_radix(digits, 16).unwrap()
                }
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'a' => 7,
                b'b' => 8,
                itself => itself,
            }),
            (character, Some(argument)) => argument.push(character),
            (_, None) => {}
        }
    }
    command
}

fn in_steps(commands: Vec<Command>, order: Order) -> Vec<Vec<Command>> {
    let mut steps: Vec<Vec<Command>> = Vec::new();
    for command in commands {
        match (order, steps.last_mut()) {
            (Order::Together, Some(step)) if step[0][0] == command[0] => step.push(command),
            _ => steps.push(vec![command]),
        }
    }
    assert!(!steps.is_empty(), "nothing was heard");
    steps
}

/// Calls to make again.
struct Replay {
    connection: MultiplexedConnection,
    calls: Vec<Vec<Vec<Command>>>,
    next: AtomicUsize,
    /// How often calls were sent, for versions that nobody wrote before.
    sent: AtomicUsize,
}

impl Replay {
    /// Each call by a caller of its own.
    fn calls(self) -> Call {
        let replay = Arc::new(self);
        Arc::new(move |_| {
            let replay = Arc::clone(&replay);
            Box::pin(async move { replay.send_next().await })
        })
    }

    /// As many calls in flight as a stream has.
    fn streams(self) -> Stream {
        let replay = Arc::new(self);
        Arc::new(move |_, end| {
            let replay = Arc::clone(&replay);
            Box::pin(async move { replay.keep_sending(end).await })
        })
    }

    async fn keep_sending(&self, end: Instant) -> Latencies {
        let all = join_all((0..BATCHES_IN_FLIGHT).map(|_| async {
            let mut latencies = Latencies::new();
            while Instant::now() < end {
                let called = Instant::now();
                self.send_next().await;
                latencies.record(called);
            }
            latencies
        }));
        let mut sum = Latencies::new();
        for latencies in all.await {
            sum.add(&latencies);
        }
        sum
    }

    /// Sends the commands of the next call, again where another call was faster with a record.
    async fn send_next(&self) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        while !self.send(&self.calls[number % self.calls.len()]).await {}
    }

    /// Sends the commands of a call. Returns whether every record of its commits was written.
    async fn send(&self, call: &[Vec<Command>]) -> bool {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        let mut versions = HashMap::new();
        // A record may be committed twice in a call, where the first time came to nothing.
        let mut unwritten = HashSet::new();
        for step in call {
            let sent = step.iter().enumerate().map(|(place, command)| {
                let version = (((number as u64) << 16) | place as u64).to_be_bytes();
                let packed = packed(command, &versions, &version);
                let mut connection = self.connection.clone();
                async move { connection.send_packed_command(&packed).await.unwrap() }
            });
            let answers = join_all(sent).await;
            for (command, answer) in step.iter().zip(answers) {
                match Script::of(command) {
                    Some(commit) if commit.is_commit() => commit.note(answer, &mut unwritten),
                    _ => note_versions(command, answer, &mut versions),
                }
            }
        }
        unwritten.is_empty()
    }
}

/// A call of a script: `EVALSHA hash number-of-keys keys arguments`.
struct Script<'a> {
    keys: &'a [Vec<u8>],
    arguments: &'a [Vec<u8>],
}

impl<'a> Script<'a> {
    fn of(command: &'a Command) -> Option<Self> {
        let [name, _, keys, rest @ ..] = command.as_slice() else {
            return None;
        };
        (name == b"EVALSHA").then(|| {
            let (keys, arguments) = rest.split_at(number(keys));
            Self { keys, arguments }
        })
    }

    /// Of all scripts that the calls run only that of commits is given the ids of a partition.
    fn is_commit(&self) -> bool {
        self.keys.get(1).is_some_and(|key| key.ends_with(b":ids"))
    }

    /// The records of a commit.
    fn records(&self) -> &'a [Vec<u8>] {
        let count = number(&self.arguments[FIRST_COMMIT - 1]);
        &self.keys[FIRST_RECORD..FIRST_RECORD + count]
    }

    /// Notes which records of a commit are still to be written: another call was faster with them.
    fn note(&self, answer: Value, unwritten: &mut HashSet<&'a [u8]>) {
        let Value::Array(results) = answer else {
            panic!("{answer:?} to a commit");
        };
        let records = self.records();
        assert_eq!(results.len(), records.len());
        for (record, result) in records.iter().zip(results) {
            match result {
                Value::Int(1) => unwritten.remove(record.as_slice()),
                Value::Int(0) => unwritten.insert(record),
                other => panic!("{other:?} to a commit"),
            };
        }
    }
}

fn number(text: &[u8]) -> usize {
    std::str::from_utf8(text).unwrap().parse().unwrap()
}

type Versions<'a> = HashMap<&'a [u8], Vec<u8>>;

/// Remembers the versions of records that were read.
fn note_versions<'a>(command: &'a Command, answer: Value, versions: &mut Versions<'a>) {
    let values = match (command[0].as_slice(), answer) {
        (b"GET", value) => vec![value],
        (b"MGET", Value::Array(values)) => values,
        (_, Value::ServerError(error)) => panic!("{error:?}"),
        _ => return,
    };
    for (key, value) in command[1..].iter().zip(values) {
        if let Value::BulkString(value) = value {
            versions.insert(key, value[..VERSION_BYTES].to_vec());
        }
    }
}

fn packed(command: &Command, versions: &Versions<'_>, new: &[u8; VERSION_BYTES]) -> Cmd {
    let mut packed = Cmd::with_capacity(command.len(), command.iter().map(Vec::len).sum());
    let Some(commit) = Script::of(command).filter(Script::is_commit) else {
        for argument in command {
            packed.arg(argument);
        }
        return packed;
    };

    let (head, mut commits) = commit.arguments.split_at(FIRST_COMMIT);
    for argument in command[..3].iter().chain(commit.keys).chain(head) {
        packed.arg(argument);
    }
    for record in commit.records() {
        let [_expected, _version, value, id, _instant, changes, ..] = commits else {
            panic!("a commit is cut off");
        };
        let totals = 6 + 2 * number(changes);
        let end = totals + 1 + 2 * number(&commits[totals]);
        packed.arg(
            versions
                .get(record.as_slice())
                .map_or(&[][..], Vec::as_slice),
        );
        packed.arg(&new[..]);
        packed.arg([&new[..], &value[VERSION_BYTES..]].concat());
        packed.arg(id);
        for argument in &commits[4..end] {
            packed.arg(argument);
        }
        commits = &commits[end..];
    }
    assert!(commits.is_empty(), "a commit has another form");
    packed
}
