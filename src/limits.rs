//! Every numeric bound of the shell, with its unit and its reason. The bounds of the core
//! are in [`crate::scoring::limits`]; what an operator may change is in [`crate::config`].

use std::time::Duration;

/// Events of one request of `ScoreEvents`.
pub const MAX_EVENTS_PER_REQUEST: usize = 1_000;
/// Requests of one `ScoreEvents` stream that are read and not yet answered: enough to hide a
/// round trip and a sync, few enough to bound what a reader that does not read costs.
pub const MAX_REQUESTS_IN_FLIGHT_PER_STREAM: usize = 16;
/// Encoded bytes of answers of one stream that are not taken yet, from which on no further
/// request of it is read. As messages in memory they take more.
pub const MAX_UNREAD_BYTES_PER_STREAM: usize = 1024 * 1024;
/// The same of all streams together, from which on the stream whose answers have waited longest
/// is ended.
pub const MAX_UNREAD_BYTES: usize = 32 * 1024 * 1024;
/// What of the calls, or events of streams, in work one tenant may have: another one finds room at
/// once.
pub const LARGEST_SHARE_OF_A_TENANT: (usize, usize) = (3, 4);

/// How long calls may wait beyond what they take alone before some are turned away: what a caller
/// does not notice.
pub const QUEUE_TARGET: Duration = Duration::from_millis(10);
/// The part of the calls of an interval that must be in time. Calls are not served in the order
/// in which they come, so a few are quick however long the others wait.
pub const LEAST_PART_IN_TIME: (u64, u64) = (1, 4);
/// The interval in which they are counted: longer than a burst that is done with by itself.
pub const ADMISSION_INTERVAL: Duration = Duration::from_millis(100);
/// Calls that found nothing else in work, after which what they take alone is learned anew.
pub const QUIET_LATENCY_SAMPLES: u32 = 16;
/// Calls of one class in work that are never too many: together they wait for a few
/// milliseconds, and fewer would leave a store idle that shares a sync among them.
pub const LEAST_CALLS_IN_WORK: usize = 96;
/// Calls of one class that may be in work before anything is known of how long they wait.
pub const START_CALLS_IN_WORK: usize = 256;
/// How long calls whose turn has come may wait for each other, beyond what they take alone, before
/// fewer of them are in work at once: a quiet tenant's call waits as long as those. The others wait
/// for the turn of their tenant. Only where several tenants call.
pub const TURN_TARGET: Duration = Duration::from_micros(500);
/// The part of them in an interval that must be in time.
pub const LEAST_PART_OF_TURNS_IN_TIME: (u64, u64) = (1, 2);
/// How long a call waits for its turn: several times as long as calls wait under load, and not so
/// long that a store that hangs is noticed late.
pub const MAX_TURN_WAIT: Duration = Duration::from_millis(250);
/// Calls at once that are never too many: fewer would leave a store idle.
pub const LEAST_CALLS_AT_ONCE: usize = 4;
/// Calls at once before anything is known of how long they wait for each other.
pub const START_CALLS_AT_ONCE: usize = 32;
/// Events of streams in work that are left to streams when single calls wait: one part in so
/// many of what they may have otherwise.
pub const LEAST_SHARE_OF_STREAMED_EVENTS: usize = 16;
/// When the first of those who were turned away should come back.
pub const MIN_RETRY_AFTER: Duration = Duration::from_millis(100);
/// When the last of them should.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Profiles of one `BatchGetProfiles` or `BatchUpdateProfiles`.
pub const MAX_BATCH_PROFILES: usize = 1_000;
/// Attributes that one update removes: as many as a profile has.
pub const MAX_REMOVED_ATTRIBUTES: usize = crate::scoring::limits::MAX_ATTRIBUTES;
/// Bytes of the name of one: as many as a name and its value may take together.
pub const MAX_REMOVED_NAME_BYTES: usize = crate::scoring::limits::MAX_ATTRIBUTE_BYTES;
/// Entries of a page when the caller does not say.
pub const DEFAULT_PAGE_SIZE: usize = 50;
/// Entries of a page.
pub const MAX_PAGE_SIZE: usize = 1_000;
/// Members of a segment that one call asks its condition about, for each entry of its page: enough
/// that a condition that one in twenty meets fills it.
pub const CONDITION_MEMBERS_PER_ENTRY: usize = 20;
/// And at least, so that small pages are not short all the time.
pub const MIN_CONDITION_MEMBERS: usize = 1_000;
/// And at most: ten pages of the greatest size.
pub const MAX_CONDITION_MEMBERS: usize = 10_000;
/// How long a call may take to ask its condition, reading apart: as long as calls may wait for each
/// other.
pub const MAX_CONDITION_TIME: Duration = QUEUE_TARGET;
/// Bytes of records, as they are stored, that a call reads to ask its condition about.
pub const MAX_CONDITION_RECORD_BYTES: usize = 4 * 1024 * 1024;
/// Members that are read at a time to ask a condition about: few enough that what follows the end
/// of a page is not read for nothing, enough that a store is not asked for each.
pub const CONDITION_BATCHES: (usize, usize) = (64, 512);
/// Calls with a condition in work at a time; others wait for their turn.
pub const MAX_CONDITIONS_IN_WORK: usize = 4;
/// Calls with a condition that wait for their turn: a second or so of them.
pub const MAX_CONDITIONS_WAITING: usize = 64;
/// Members of a segment whose interests are added up when the caller does not say.
pub const DEFAULT_TOPIC_MEMBERS: usize = 100;
/// Members of a segment whose interests are added up: as many as are loaded for a page.
pub const MAX_TOPIC_MEMBERS: usize = MAX_PAGE_SIZE;
/// Audit entries that are answered when the caller does not say how many.
pub const DEFAULT_AUDIT_ENTRIES: usize = 100;
/// Backups that are made at a time: each keeps files on disk that are no longer needed otherwise. A
/// second one, so that one whose reader is slow keeps no other one out.
pub const MAX_BACKUPS: usize = 2;
/// How long one may take, for the same reason: tens of millions of profiles.
pub const MAX_BACKUP_TIME: Duration = Duration::from_secs(3_600);
/// When who found no turn for one should try again.
pub const RETRY_BACKUP_AFTER: Duration = Duration::from_secs(10);
/// Bytes of one that are sent at once.
pub const BACKUP_PART_BYTES: usize = 64 * 1024;
/// Parts of one that wait for their reader.
pub const BACKUP_PARTS_WAITING: usize = 4;
/// Profiles that a comparison of models names for each score when the caller does not say.
pub const DEFAULT_MOVERS: usize = 10;
/// Profiles that a comparison of models names for each score.
pub const MAX_MOVERS: usize = 100;
/// Characters of a page token: a profile id of the greatest length and the fixed fields.
pub const MAX_PAGE_TOKEN_BYTES: usize = 512;

/// Bytes of an error in headers, message and details together: many clients take no more than
/// 8 KiB of headers, others 16 KiB.
pub const MAX_STATUS_BYTES: usize = 6 * 1024;
/// Bytes of the message of an error in a header, where a character takes 1 to 12 of them.
pub const MAX_MESSAGE_BYTES: usize = 1_600;
/// Bytes in a header of what an answer lists or repeats: it leaves room for the sentence.
pub const MAX_REPEATED_BYTES: usize = 1_000;
/// Wrong fields that one answer names, when there is room.
pub const MAX_FIELD_VIOLATIONS: usize = 16;
/// Characters of a wrong value that an answer repeats.
pub const MAX_SHOWN_CHARACTERS: usize = 32;
/// Bytes in a header of a mistake of a model that an answer repeats: it may quote the model.
pub const MAX_DIAGNOSTIC_BYTES: usize = 640;

/// Callers whose models wait to be read, which is done one at a time: each holds a file of up to
/// 1 MiB.
pub const MAX_MODELS_WAITING: usize = 8;
/// Steps of expressions that a round of work takes before others get a turn on its thread: less
/// than a millisecond. One event may take more, some milliseconds.
pub const STEPS_PER_TURN: usize = 50_000;

/// A delay between a half and one and a half of another one, a different one for each turn, so that
/// callers who are told one after the other do not come back together.
pub fn spread(delay: Duration, turn: u64) -> Duration {
    /// Its multiples fall evenly, however many there are.
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    delay.mul_f64(0.5 + (turn as f64 * GOLDEN).fract())
}

/// When a caller should try again after the store was unavailable, on average.
pub const RETRY_UNAVAILABLE_AFTER: Duration = Duration::from_millis(500);
/// When a caller should try again after losing to concurrent writers, on average: they take a few
/// milliseconds each.
pub const RETRY_CONTENDED_AFTER: Duration = Duration::from_millis(50);

/// Bytes of all headers of a request.
pub const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// Bytes that a caller may send on one stream before the server has read them.
pub const STREAM_WINDOW_BYTES: u32 = 128 * 1024;
/// Bytes that a caller may send on one connection before the server has read them. Far more
/// than for a stream: h2 ends a connection with ENHANCE_YOUR_CALM when the unread frames
/// below 256 bytes lack more than half of this to 256 bytes each, and a stream of small
/// events that waits for the store would do so. With this, one stream of 30-byte requests
/// takes a fifth of it. An adaptive window is the same for both, so it cannot be used.
pub const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// Bytes of answers that h2 holds for one stream on their way to the socket: enough to keep a
/// socket busy, few enough that a caller with many streams who reads nothing costs little.
pub const MAX_SEND_BUFFER_BYTES: usize = 32 * 1024;
/// Bytes of an answer that are handed to HTTP/2 at once: a frame of the usual size.
pub const SENT_AT_ONCE_BYTES: usize = 16 * 1024;
/// Bytes kept free for each profile of a page before it is made: what its attributes may take.
pub const ANSWER_ENTRY_BYTES: usize = crate::scoring::limits::MAX_ATTRIBUTE_BYTES;
/// How long a call waits for others to make room for its answer: pages take milliseconds.
pub const ANSWER_ROOM_WAIT: Duration = Duration::from_secs(1);
/// What a caller who sends a message slowly must send each second once it has begun.
pub const MIN_UPLOAD_BYTES_PER_SECOND: u64 = 16 * 1024;
/// How many times larger a message may become when it is decompressed: a thousand events that
/// differ in their ids become some thirty times as large.
pub const MAX_INFLATION: usize = 200;
/// Bytes that any message may become when it is decompressed.
pub const INFLATED_FREELY_BYTES: usize = 64 * 1024;
/// Bytes that are decompressed before other calls have their turn: a fraction of a millisecond.
pub const INFLATED_AT_ONCE_BYTES: usize = 128 * 1024;
/// How long decompressing a message may take in all; a megabyte takes some milliseconds.
pub const MAX_INFLATION_TIME: Duration = Duration::from_secs(1);
/// Bytes of a message that is read from JSON, or told in it, between other calls; larger ones take
/// turns.
pub const TRANSCODED_AT_ONCE_BYTES: usize = 16 * 1024;
/// What TLS may have encrypted of a connection and not sent. More would count as read by callers who
/// read nothing.
pub const MAX_UNSENT_TLS_BYTES: usize = 16 * 1024;
/// How long the first bytes of a connection may take: a round trip or two, even to the other
/// side of the world and with a packet lost.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a caller who is told to use another connection may take to leave this one.
pub const GOODBYE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long no connection is taken in after the system could give none: it is out of
/// descriptors or memory, and asking again at once would only burn a core.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Descriptors that connections leave to the store, the models and the log.
pub const DESCRIPTORS_KEPT_BACK: usize = 256;
/// How often an idle connection is asked whether it still lives.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);
/// How long it may take to answer that.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// How often TCP asks within that time, for callers over HTTP/1.1.
pub const KEEPALIVE_PROBES: u32 = 4;
/// Connections of the admin address at a time: probes, and a few who scrape.
pub const MAX_ADMIN_CONNECTIONS: usize = 64;
/// How long one of them may take in all; it asks once.
pub const ADMIN_CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of the head of what it asks: the least that hyper reads at a time.
pub const MAX_ADMIN_HEAD_BYTES: usize = 8 * 1024;
/// How often the health of the store is asked for.
pub const HEALTH_INTERVAL: Duration = Duration::from_secs(2);
/// How long the store may take to answer that.
pub const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);
/// How far back a failover may reach that loses writes: a fence that is younger may have been lost
/// alone, and when an older one is missing, so is what it stood with.
pub const FAILOVER_LOSES: Duration = Duration::from_secs(60);
/// Looks of a server at what others have changed, one in [`ROLLOUT_INTERVAL`], after which a tenant
/// that nobody asks for is forgotten: ten minutes.
pub const IDLE_LOOKS: u32 = 300;
/// How long a model that nobody needs is kept: who has just saved it may be about to use it.
pub const MODEL_KEPT_FOR: Duration = Duration::from_secs(600);
/// How long a store that has no room for a further tenant is believed to have none.
pub const TENANTS_COUNTED_FOR: Duration = Duration::from_secs(2);
/// How long every write must have failed before a server says that it does not serve: what is
/// shorter, such as a failover, callers get over by sending again.
pub const WRITES_FAILING_AFTER: Duration = Duration::from_secs(4);
/// When failed writes are forgotten because no further one came: nobody sends any to a server
/// that does not serve, and only one that is tried again can show that it does.
pub const WRITES_FORGOTTEN_AFTER: Duration = Duration::from_secs(10);
/// Records that are indexed at a time when ranks are built.
pub const INDEX_BATCH: usize = 500;
/// How often the rollouts of models are looked at.
pub const ROLLOUT_INTERVAL: Duration = Duration::from_secs(2);
/// How often a server that cannot be ready yet looks whether another one has built the ranks.
pub const ROLLOUT_RETRY_INTERVAL: Duration = Duration::from_millis(250);
/// How often the model files are read again: a few kilobytes, and no file system that mounts
/// them tells of changes in the same way.
pub const FILES_INTERVAL: Duration = Duration::from_secs(3);
/// Within what time all servers see the same change of a file: a kubelet may take two minutes
/// for a ConfigMap.
pub const FILES_SPREAD: Duration = Duration::from_secs(600);
/// How long the right to build ranks lasts when its holder is not heard of: far longer than
/// a batch takes.
pub const LEASE_PERIOD: Duration = Duration::from_secs(10);
/// How long a writer waits while a tenant comes to another number of partitions: tens of
/// milliseconds, or until it is noticed that whoever changes it has died.
pub const MAX_SWITCH_WAIT: Duration = Duration::from_secs(6);
/// How often it is looked whether that is over.
pub const SWITCH_LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// How often it is looked whether whoever changes it has died.
pub const REOPEN_INTERVAL: Duration = Duration::from_millis(500);
/// How long the right to have writers go on lasts: one step.
pub const REOPEN_LEASE_PERIOD: Duration = Duration::from_secs(1);
/// How long a server counts as there when it is not heard of.
pub const ANNOUNCED_FOR: Duration = Duration::from_secs(10);
/// How long a collector of traces and metrics may take to answer at the start. A wrong address
/// is said in the log within ten seconds.
pub const COLLECTOR_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the last traces and metrics may take to leave.
pub const TELEMETRY_FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Names of event types, of signals, of stages and of rules that a metric tells apart, of each kind
/// so many: models of many tenants may have more, and whoever may apply a model makes up any.
pub const MAX_NAMES: usize = 200;
/// Event types that the model does not name and that a metric or a summary tells apart: a
/// caller may send any number of them, and a person reads a few.
pub const MAX_UNMATCHED_TYPES: usize = 100;

/// Keys and certificates of a keys file.
pub const MAX_KEYS_OF_A_FILE: usize = 10_000;
/// Profiles that a quota may allow: more than a store has room for.
pub const MAX_QUOTA_PROFILES: usize = 1 << 40;
/// Characters of the name of a key or role.
pub const MAX_KEY_NAME_BYTES: usize = 64;
/// Bytes of a text of a keys file, such as an address.
pub const MAX_KEY_TEXT_BYTES: usize = 1024;
/// How far apart the clocks of this server and of who issues tokens may be.
pub const TOKEN_LEEWAY_SECONDS: i64 = 60;
/// How often the public keys of issuers are fetched.
pub const KEY_SET_INTERVAL: Duration = Duration::from_secs(300);
/// How often at most, when tokens name keys that are not known.
pub const KEY_SET_RETRY_INTERVAL: Duration = Duration::from_secs(60);
/// How long fetching them may take.
pub const KEY_SET_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a set of public keys, or of a secret of tokens.
pub const MAX_KEY_SET_BYTES: u64 = 256 * 1024;
/// Tokens whose bearers are remembered, so that a signature is checked once and not with each call.
pub const MAX_REMEMBERED_TOKENS: usize = 1_000;
/// Characters of the name of a token's bearer that the log keeps.
pub const MAX_SUBJECT_CHARACTERS: usize = 64;
/// Pairs of a role and a model of which it is remembered what is seen.
pub const MAX_REMEMBERED_SIGHTS: usize = 1_000;
/// Calls that wait at a time for the keys of issuers.
pub const MAX_WAITING_FOR_KEYS: usize = 64;
/// How long a stream is held back by its tenant's quota before it is ended.
pub const MAX_QUOTA_WAIT: Duration = Duration::from_secs(10);
/// Bytes of a keys file: some 300 for each key that it may have.
pub const MAX_KEYS_BYTES: u64 = 4 * 1024 * 1024;

/// Bytes of a configuration file.
pub const MAX_CONFIG_BYTES: u64 = 1024 * 1024;
