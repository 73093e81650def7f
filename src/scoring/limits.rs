//! Every numeric bound of the scoring core, with its unit and its reason.

use std::time::Duration;

/// Bytes of a tenant's name: it is part of every key of a store.
pub const MAX_TENANT_BYTES: usize = 64;
/// Bytes of the id of a profile, an event or a piece of content.
pub const MAX_ID_BYTES: usize = 256;
/// Bytes of an event type or a channel.
pub const MAX_TYPE_BYTES: usize = 64;
/// Bytes of the text of an event: longer than any post, shorter than a denial of service.
pub const MAX_TEXT_BYTES: usize = 64 * 1024;
/// Tags of an event.
pub const MAX_TAGS: usize = 64;
/// Bytes of a tag.
pub const MAX_TAG_BYTES: usize = 128;
/// Entries of the attributes of an event or a profile, at the top.
pub const MAX_ATTRIBUTES: usize = 64;
/// How deep attributes may nest, the top counted.
pub const MAX_ATTRIBUTE_DEPTH: usize = 8;
/// Values of attributes in all, those within lists and maps counted: a condition may go
/// through all of them for each of them.
pub const MAX_ATTRIBUTE_VALUES: usize = 1_000;
/// Bytes of all names and values of attributes together.
pub const MAX_ATTRIBUTE_BYTES: usize = 16 * 1024;

/// The shortest half-life: below it a rank key loses precision to the age of the epoch.
pub const MIN_HALF_LIFE: Duration = Duration::from_secs(60);
/// The longest half-life: beyond it a score may as well not fade.
pub const MAX_HALF_LIFE: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// The longest cooldown.
pub const MAX_COOLDOWN: Duration = MAX_HALF_LIFE;
/// What one match may add to a count.
pub const MAX_VALUE: f64 = 1e6;
/// The greatest count or credit that a record may hold. Events never get there, because a
/// double that is this great no longer grows by what one of them adds; a greater one in what
/// is read is damage, and would make points infinite.
pub const MAX_COUNT: f64 = 1e30;
/// The greatest weight, base, limit or bound of a model, in magnitude.
pub const MAX_POINTS: f64 = 1e9;
/// Below this a fading score is zero and holds no rank, in points.
pub const NOISE_FLOOR: f64 = 1.0 / (1 << 20) as f64;
/// What rounding leaves of terms that cancel each other out, as a share of what they are without
/// their signs: less is nothing.
pub const DUST_SHARE: f64 = 1.0 / (1_u64 << 36) as f64;
/// How far below a bound a rank key still meets it, in log2 of points: far above the
/// rounding of a rank key, far below what anybody could see.
pub const RANK_SLACK: f64 = 1e-6;

/// What a signal must give to count for the breadth of a score, as a share of what the
/// greatest one gives, unless the model says otherwise.
pub const DEFAULT_BREADTH_SHARE: f64 = 0.05;
/// Signals that a score may ask for at least.
pub const MAX_BREADTH: usize = 16;
/// How far below its share a signal still counts for the breadth, relative to the share: far
/// above the rounding of a count.
pub const BREADTH_SLACK: f64 = 1e-6;
/// The confidence of an identity is rounded to one in so many.
pub const CONFIDENCE_STEPS: f64 = 1e12;
/// Steps of the table of a calibration.
pub const MAX_CALIBRATION_STEPS: usize = 64;

/// Bytes of a model file.
pub const MAX_MODEL_BYTES: usize = 1024 * 1024;
/// Scores of a model: each holds a rank.
pub const MAX_SCORES: usize = 16;
/// Signals, and attribute rules, of a model.
pub const MAX_RULES: usize = 1_000;
/// Changes of stage that a record remembers.
pub const REMEMBERED_STAGE_CHANGES: usize = 16;
/// Events whose matched signals a record remembers, for the answer to an event that is sent again.
pub const REMEMBERED_MATCHES: usize = 8;
/// Values that follow the order of arrival that a record remembers, for the retraction of their
/// events.
pub const REMEMBERED_VALUES: usize = 64;
/// Stages of a model.
pub const MAX_STAGES: usize = 16;
/// Distinct conditions of stages: each doubles the indexes of the funnel.
pub const MAX_STAGE_CONDITIONS: usize = 6;
/// Indexes of the stages of a model: one for each combination of conditions, and one more for each
/// stage above it that is easier to keep than to reach.
pub const MAX_STAGE_RANKS: usize = 128;
/// Segments of a model: each may hold a rank.
pub const MAX_SEGMENTS: usize = 64;
/// Quarantine rules of a model: each holds a rank, and looks at every event.
pub const MAX_QUARANTINE_RULES: usize = 64;
/// Kinds of subjects of a model: an event may count for one of each, and each kind has a rank for
/// every score.
pub const MAX_SUBJECT_KINDS: usize = 4;
/// Bytes of the name of a kind of subjects.
pub const MAX_KIND_BYTES: usize = 32;
/// Subjects that one event counts for: each is one more record that is written.
pub const MAX_EVENT_SUBJECTS: usize = 8;
/// Topics of a model.
pub const MAX_TOPICS: usize = 1_000;
/// Keywords of a topic, phrases of a signal, and words of a list.
pub const MAX_KEYWORDS: usize = 1_000;
/// Phrases and keywords of a model that look at what stands near them: each may look at every
/// place of its forms.
pub const MAX_NEAR_CONDITIONS: usize = 1_000;
/// Lists of words that phrases share.
pub const MAX_WORD_LISTS: usize = 64;
/// Words before or after a phrase that it looks at.
pub const MAX_NEAR_DISTANCE: usize = 32;
/// What phrases look at near them in one text, in bytes: some milliseconds. Where more would be
/// needed, a phrase that has not been found is not there.
pub const MAX_NEAR_LOOKS: usize = 250_000;
/// Bytes of a name in a model.
pub const MAX_NAME_BYTES: usize = 64;
/// Bytes of what a model says of a thing that it declares: a few sentences.
pub const MAX_DESCRIPTION_BYTES: usize = 500;
/// Bytes of a condition.
pub const MAX_CONDITION_BYTES: usize = 4 * 1024;
/// Steps that the expressions of a model may take for one event, or for what no clock changes in one
/// record; a step is the reading of one part of an expression. These are some milliseconds, in
/// which nothing else is done on the thread.
pub const MAX_EVENT_STEPS: usize = 250_000;
/// Steps that one expression may take on the largest event that is allowed: what would take more
/// is refused, and what takes more than an event may is cut off. A loop over a list that looks for
/// each element in another one takes half of them.
pub const MAX_EXPRESSION_STEPS: usize = 2_500_000;
/// Steps that the key of a kind of subjects may take on the largest event that is allowed: it is
/// read a few times for an event, outside of what the event may take.
pub const MAX_KEY_STEPS: usize = 10_000;
/// Bytes of a text that one step looks through.
pub const READ_BYTES_PER_STEP: usize = 64;
/// Bytes that one step makes, of a text or a list: an event makes 4 MB at most.
pub const MADE_BYTES_PER_STEP: usize = 16;
/// Mistakes of a file that are told; who has more mends these first.
pub const MAX_DIAGNOSTICS: usize = 100;

/// Events that a record remembers, unless configured.
pub const DEFAULT_REMEMBERED_EVENTS: usize = 256;
/// Effects of others' events that a record remembers, by arrival: credits of an author, deltas
/// of a subject. The service lets no more be unsettled on it at once, so a retry after a crash finds
/// all that counted.
pub const REMEMBERED_EFFECTS: usize = 256;
/// Effects of own events on others that a record remembers, by arrival: those of 8 events for 8
/// subjects each, or of 60 for one, which is more than a person causes within the second or so that a
/// failover loses; each is written with every event.
pub const REMEMBERED_CAUSED: usize = 64;
/// Changes of counts in these effects, unless the latest alone has more: each event can have every
/// key of many signals.
pub const MAX_CAUSED_CHANGES: usize = 1_024;
/// Touches that a record keeps for the next advance.
pub const REMEMBERED_TOUCHES: usize = 32;
/// Bytes of a key that a signal is counted by.
pub const MAX_KEY_BYTES: usize = 128;
/// Keys of one signal that a record keeps, unless the model says otherwise.
pub const DEFAULT_KEYS: usize = 16;
/// Keys of one signal that a record may keep.
pub const MAX_KEYS: usize = 64;
/// Keys that a record remembers to have counted of a signal that counts each once, unless the
/// model says otherwise: 16 bytes each.
pub const DEFAULT_ONCE_KEYS: usize = 256;
/// Keys that a record may remember to have counted, of each such signal.
pub const MAX_ONCE_KEYS: usize = 1_000;
/// Events of one profile that quarantine rules hold.
pub const MAX_HELD_EVENTS: usize = 64;
/// Bytes of names and keys in the events that are held, unless the latest alone takes more: each
/// can have every key of many signals, and all of them are written with each further event.
pub const MAX_HELD_BYTES: usize = 64 * 1024;
/// Event types that a record remembers as seen beside those that the model names.
pub const MAX_SEEN_TYPES: usize = 64;
/// Topics and stages on which a record remembers influence.
pub const MAX_INFLUENCE_CELLS: usize = 4_096;
/// Touches at the topic's mean that an author's own touches are weighed against.
pub const PRIOR_TOUCHES: f64 = 10.0;
