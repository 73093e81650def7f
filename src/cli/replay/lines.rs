//! JSON Lines: a bounded reader that knows where it is, and what a line may say.

use std::{fmt, io};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, BufReader};
use tonic::Status;

use crate::{
    api,
    proto::{
        json::{Json, message},
        v1::{Event, UpdateProfileRequest, UpdateSubjectRequest},
    },
    service::ProfileUpdate,
};

/// Bytes of a line; a longer one is refused without being held in memory. Well above an
/// event with every field at its limit.
pub const MAX_LINE_BYTES: usize = 1024 * 1024;
/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;

/// How far a source has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Lines before this point, which is also the number of the last of them.
    pub line: u64,
    /// Bytes before this point.
    pub byte: u64,
}

/// One line of a source.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Just after the line.
    pub end: Position,
    /// What it says (nothing when it is blank), or why it cannot be read.
    pub content: Result<Option<Entry>, String>,
}

/// A last line that has no newline and cannot be read: whoever writes the file may be in the
/// middle of it, so it is left unread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutOff {
    /// The number of the line.
    pub line: u64,
    /// Why it cannot be read.
    pub reason: String,
}

impl fmt::Display for CutOff {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, reason } = self;
        write!(
            formatter,
            "line {line} was left unread: it is the last one, has no newline at its end, and is {reason}"
        )
    }
}

/// What a line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// To count an event.
    Event(Event),
    /// To change what a profile or a subject states.
    Update(Update),
}

/// A change of what is stated.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// Of a profile.
    Profile(UpdateProfileRequest),
    /// Of a subject.
    Subject(UpdateSubjectRequest),
}

impl Update {
    /// The tenant that it names; empty when it names none.
    pub fn tenant(&mut self) -> &mut String {
        match self {
            Self::Profile(update) => &mut update.tenant,
            Self::Subject(update) => &mut update.tenant,
        }
    }

    /// What it means, or why it is refused.
    pub fn read(self) -> Result<ProfileUpdate, Status> {
        let read = match self {
            Self::Profile(update) => api::update_profile(update),
            Self::Subject(update) => api::update_subject(update),
        };
        read.map(|(_, update, _)| update)
    }
}

/// Reads what a line says: nothing when it is blank.
pub fn parse(text: &str) -> Result<Option<Entry>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let entry = Json::parse(text).and_then(entry_of);
    entry
        .map(Some)
        .map_err(|reason| format!("not an event or an update: {reason}"))
}

/// An event, or an object with an update and nothing else.
fn entry_of(json: Json) -> Result<Entry, String> {
    let kind_of = |name: &str| match name {
        "updateProfile" | "update_profile" => Some("updateProfile"),
        "updateSubject" | "update_subject" => Some("updateSubject"),
        _ => None,
    };
    let is_update = |(name, _): &(String, Json)| kind_of(name).is_some();
    let entries = match json {
        Json::Map(entries) if entries.iter().any(is_update) => entries,
        event => return message("bellwether.v1.Event", event).map(Entry::Event),
    };
    let alone = "stands beside other fields; write it in a line of its own";
    let [(name, update)] = <[_; 1]>::try_from(entries).map_err(|entries| {
        let mut names = entries.iter().filter_map(|(name, _)| kind_of(name));
        format!("{}: {alone}", names.next().unwrap_or_default())
    })?;
    let update = match kind_of(&name) {
        Some("updateSubject") => {
            message("bellwether.v1.UpdateSubjectRequest", update).map(Update::Subject)
        }
        _ => message("bellwether.v1.UpdateProfileRequest", update).map(Update::Profile),
    };
    let named = kind_of(&name).unwrap_or_default();
    update
        .map(Entry::Update)
        .map_err(|error| format!("{named}.{error}"))
}

/// Reads the lines of a source one by one.
pub struct LineReader<R> {
    source: BufReader<R>,
    position: Position,
    limit: usize,
    /// Whether the line that was read last ends with a newline.
    is_whole: bool,
    cut_off: Option<CutOff>,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    /// Reads on from `position`, where the source already stands.
    pub fn new(source: R, position: Position) -> Self {
        Self::with_limit(source, position, MAX_LINE_BYTES)
    }

    /// Reads lines of up to `limit` bytes.
    pub fn with_limit(source: R, position: Position, limit: usize) -> Self {
        Self {
            source: BufReader::with_capacity(READ_BYTES, source),
            position,
            limit,
            is_whole: true,
            cut_off: None,
        }
    }

    /// The text of the next line and where it ends, or why it has none; `None` at the end.
    pub async fn next_text(&mut self) -> io::Result<Option<(Position, Result<String, String>)>> {
        let Read {
            length,
            bytes,
            is_whole,
        } = read_bounded(&mut self.source, self.limit).await?;
        if length == 0 {
            return Ok(None);
        }
        self.position.line += 1;
        self.position.byte += length;
        self.is_whole = is_whole;
        let text = match bytes {
            None => Err(format!(
                "too long: it has {length} bytes, and at most {} are allowed",
                self.limit
            )),
            Some(bytes) => String::from_utf8(bytes).map_err(|error| {
                let at = error.utf8_error().valid_up_to() + 1;
                format!("not UTF-8 at byte {at}")
            }),
        };
        Ok(Some((
            self.position,
            text.map(|text| self.without_mark(text)),
        )))
    }

    /// A byte order mark is no part of what the first line says.
    fn without_mark(&self, text: String) -> String {
        match text.strip_prefix('\u{feff}') {
            Some(rest) if self.position.line == 1 => rest.to_owned(),
            _ => text,
        }
    }

    /// The next line; `None` at the end, and at a last line that is [cut off](Self::cut_off).
    pub async fn next(&mut self) -> io::Result<Option<Line>> {
        let Some((end, text)) = self.next_text().await? else {
            return Ok(None);
        };
        match text.and_then(|text| parse(&text)) {
            Err(reason) if !self.is_whole => {
                let line = end.line;
                self.cut_off = Some(CutOff { line, reason });
                Ok(None)
            }
            content => Ok(Some(Line { end, content })),
        }
    }

    /// The last line, when it was left unread.
    pub fn cut_off(self) -> Option<CutOff> {
        self.cut_off
    }
}

/// What was read up to and including a newline.
struct Read {
    /// How many bytes that was.
    length: u64,
    /// The bytes, unless they are too many.
    bytes: Option<Vec<u8>>,
    /// Whether the newline came before the end.
    is_whole: bool,
}

/// Reads up to and including the next newline, and keeps at most `limit` bytes.
async fn read_bounded<R: AsyncBufRead + Unpin>(source: &mut R, limit: usize) -> io::Result<Read> {
    let mut length = 0;
    let mut bytes = Some(Vec::new());
    loop {
        let available = source.fill_buf().await?;
        if available.is_empty() {
            return Ok(Read {
                length,
                bytes,
                is_whole: false,
            });
        }
        let newline = available.iter().position(|byte| *byte == b'\n');
        let taken = newline.map_or(available.len(), |index| index + 1);
        bytes = bytes
            .filter(|bytes| bytes.len() + taken <= limit)
            .map(|mut bytes| {
                bytes.extend_from_slice(&available[..taken]);
                bytes
            });
        source.consume(taken);
        length += taken as u64;
        if newline.is_some() {
            return Ok(Read {
                length,
                bytes,
                is_whole: true,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(text: &str) -> Event {
        match parse(text).unwrap() {
            Some(Entry::Event(event)) => event,
            other => panic!("{other:?}"),
        }
    }

    async fn lines(text: &[u8], limit: usize) -> Vec<(Position, Result<String, String>)> {
        let mut reader = LineReader::with_limit(text, Position::default(), limit);
        let mut lines = Vec::new();
        while let Some(line) = reader.next_text().await.unwrap() {
            lines.push(line);
        }
        lines
    }

    #[test]
    fn both_spellings_of_a_field_are_read() {
        let camel =
            event(r#"{"eventId":"e","profileId":"p","type":"t","time":"2026-01-01T00:00:00Z"}"#);
        let snake =
            event(r#"{"event_id":"e","profile_id":"p","type":"t","time":"2026-01-01T00:00:00Z"}"#);
        assert_eq!(camel, snake);
        assert_eq!(camel.time.unwrap().seconds, 1_767_225_600);
    }

    #[test]
    fn both_spellings_of_an_update_are_read() {
        for key in ["updateProfile", "update_profile"] {
            let text = format!(r#"{{ "{key}": {{"profileId":"p","attributes":{{"a":1}}}}}}"#);
            let Some(Entry::Update(Update::Profile(update))) = parse(&text).unwrap() else {
                panic!("{text}");
            };
            assert_eq!(update.profile_id, "p");
            assert_eq!(update.attributes.unwrap().fields.len(), 1);
        }
    }

    #[test]
    fn blank_lines_say_nothing() {
        assert_eq!(parse("  \r\n"), Ok(None));
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said_with_its_field() {
        let unknown = parse(r#"{"eventId":"e","colour":"red"}"#).unwrap_err();
        assert!(unknown.contains("colour: is no field"), "{unknown}");
        let nested = parse(r#"{"updateProfile":{"profileId":7}}"#).unwrap_err();
        assert!(nested.contains("updateProfile.profileId: is 7"), "{nested}");
        let cut = parse(r#"{"eventId":"e"#).unwrap_err();
        assert!(!cut.contains("line 1"), "{cut}");
        assert!(parse(r#"{"updateProfile":{},"eventId":"e"}"#).is_err());
        assert!(parse(r#"{"eventId":"e"} {"eventId":"f"}"#).is_err());
        assert!(parse("[]").is_err());
    }

    #[tokio::test]
    async fn positions_count_every_line_and_byte() {
        let lines = lines(b"ab\n\nc", 10).await;
        let ends: Vec<_> = lines.iter().map(|(end, _)| (end.line, end.byte)).collect();
        assert_eq!(ends, [(1, 3), (2, 4), (3, 5)]);
    }

    #[tokio::test]
    async fn a_line_over_the_limit_is_refused_and_the_next_one_is_read() {
        let lines = lines(b"123456789\nab\n", 4).await;
        assert!(lines[0].1.as_ref().unwrap_err().contains("10 bytes"));
        assert_eq!(lines[1].1.as_deref(), Ok("ab\n"));
        assert_eq!(lines[1].0.byte, 13);
    }

    #[tokio::test]
    async fn a_line_that_is_not_utf8_is_refused() {
        let lines = lines(b"a\xff\n", 10).await;
        assert!(lines[0].1.as_ref().unwrap_err().contains("at byte 2"));
    }

    #[tokio::test]
    async fn a_last_line_without_newline_is_read_when_it_can_be_and_left_unread_otherwise() {
        let read = async |text: &str| {
            let mut reader = LineReader::new(text.as_bytes(), Position::default());
            let mut lines = Vec::new();
            while let Some(line) = reader.next().await.unwrap() {
                lines.push((line.end.line, line.content.is_ok()));
            }
            (lines, reader.cut_off())
        };
        let whole = r#"{"eventId":"e"}"#;
        let (lines, cut_off) = read(&format!("{whole}\n{whole}")).await;
        assert_eq!((lines, cut_off), (vec![(1, true), (2, true)], None));
        for end in 1..whole.len() {
            let (lines, cut_off) = read(&format!("{whole}\n{}", &whole[..end])).await;
            assert_eq!(lines, [(1, true)], "{end}");
            assert_eq!(cut_off.unwrap().line, 2, "{end}");
        }
        let (lines, cut_off) = read("{\n{").await;
        assert_eq!(lines, [(1, false)], "with a newline it is a bad line");
        let told = cut_off.unwrap().to_string();
        assert!(told.contains("line 2 was left unread"), "{told}");
    }

    #[tokio::test]
    async fn a_byte_order_mark_is_skipped_at_the_start_only() {
        let text = "\u{feff}{\"eventId\":\"e\"}\n\u{feff}{\"eventId\":\"e\"}\n";
        let mut reader = LineReader::new(text.as_bytes(), Position::default());
        assert!(
            reader
                .next()
                .await
                .unwrap()
                .unwrap()
                .content
                .unwrap()
                .is_some()
        );
        assert!(reader.next().await.unwrap().unwrap().content.is_err());
    }
}
