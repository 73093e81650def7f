//! What commands print: tables for people, JSON for programs.

use std::{
    fmt::Display,
    io::{ErrorKind, Write as _},
};

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use prost::{Message, Name};
use prost_reflect::{DynamicMessage, SerializeOptions};

use super::failure::Failure;
use crate::proto::DESCRIPTOR_POOL;

/// Decimals of points at most.
const MAX_DECIMALS: usize = 4;

/// Prints to standard output. A reader that has had enough, such as `head`, is no failure.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    match output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
    {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::io("standard output", &error))
        }
        _ => Ok(()),
    }
}

/// Tells a person something beside what was asked for, on standard error. Whoever does not listen any
/// more is told nothing.
pub fn tell(text: &str) {
    // Nobody is left to tell that it cannot be told.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Tells what a format says, as [`tell`] does.
macro_rules! note {
    ($($part:tt)*) => {
        $crate::cli::output::tell(&format!($($part)*))
    };
}
pub(crate) use note;

/// The message in JSON over several lines, keys in alphabetical order: the proto's form, for programs
/// that know no proto. Zeros are written, and all numbers are numbers.
pub fn json<T: Message + Name>(message: &T) -> Result<String, Failure> {
    let unwritable =
        |error: &dyn Display| Failure::new(format!("the response has no JSON form: {error}"));
    let descriptor = DESCRIPTOR_POOL
        .get_message_by_name(&T::full_name())
        .ok_or_else(|| unwritable(&T::full_name()))?;
    let message = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())
        .map_err(|error| unwritable(&error))?;
    let options = SerializeOptions::new()
        .skip_default_fields(false)
        .stringify_64_bit_integers(false);
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .and_then(|value| serde_json::to_string_pretty(&value))
        .map(|text| text + "\n")
        .map_err(|error| unwritable(&error))
}

/// Which way a column of a table leans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    heading: String,
    alignment: CellAlignment,
}

impl Column {
    /// A column of words.
    pub fn words(heading: impl Into<String>) -> Self {
        Self {
            heading: heading.into(),
            alignment: CellAlignment::Left,
        }
    }

    /// A column of numbers, which stand under each other.
    pub fn numbers(heading: impl Into<String>) -> Self {
        Self {
            heading: heading.into(),
            alignment: CellAlignment::Right,
        }
    }
}

/// A table with a line under its headings, and nothing else between the cells. Each cell stands
/// in one line, so that a program may go by lines.
pub fn table<R: IntoIterator<Item = String>>(
    columns: &[Column],
    rows: impl IntoIterator<Item = R>,
) -> String {
    arranged(Table::new(), columns, rows)
}

/// The same for long texts: at most so many characters wide, what does not fit goes on in the
/// lines below.
pub fn wrapped_table<R: IntoIterator<Item = String>>(
    width: u16,
    columns: &[Column],
    rows: impl IntoIterator<Item = R>,
) -> String {
    let mut table = Table::new();
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width);
    arranged(table, columns, rows)
}

fn arranged<R: IntoIterator<Item = String>>(
    mut table: Table,
    columns: &[Column],
    rows: impl IntoIterator<Item = R>,
) -> String {
    table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')));
    table.set_header(columns.iter().map(|column| &column.heading));
    for row in rows {
        table.add_row(row.into_iter().collect::<Vec<_>>());
    }
    for (index, column) in columns.iter().enumerate() {
        if let Some(cells) = table.column_mut(index) {
            cells.set_cell_alignment(column.alignment);
        }
    }
    table.trim_fmt() + "\n"
}

/// Points to one decimal, small ones with as many as it takes to see them.
pub fn points(value: f64) -> String {
    points_to(value, 1)
}

/// Points to some decimals, small ones with as many as it takes to see them.
pub fn points_to(value: f64, decimals: usize) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if value.abs() < 0.1 {
        format!("{value:.0$}", decimals.max(4))
    } else {
        format!("{value:.decimals$}")
    }
}

/// To how many decimals the terms of a sum are shown: one, or more where terms that are rounded
/// to one would not add up to the sum as it is shown. Thirds of it never do, and have one.
pub fn decimals_of(terms: &[f64]) -> usize {
    let rounded = |value: f64, decimals: usize| format!("{value:.decimals$}");
    let add_up = |decimals: &usize| {
        let shown = terms.iter().map(|term| {
            let term = rounded(*term, *decimals);
            term.parse().unwrap_or(f64::NAN)
        });
        rounded(shown.sum(), *decimals) == rounded(terms.iter().sum(), *decimals)
    };
    (1..=MAX_DECIMALS).find(add_up).unwrap_or(1)
}

/// A number that the model gives, as it is written there.
pub fn given(value: f64) -> String {
    format!("{value:?}")
}

/// Such as `1 member` and `1,234 members`.
pub fn counted(count: i64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", signed_count(count))
}

/// A whole number with a comma between thousands.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count of a response, which the proto declares signed.
pub fn signed_count(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    sign.to_owned() + &count(value.unsigned_abs())
}

/// A part of a whole, in percent.
pub fn share(part: i64, whole: i64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    format!("{:.1}%", part as f64 / whole as f64 * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::Profile;

    #[test]
    fn thousands_are_told_apart() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(signed_count(-1_000), "-1,000");
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!(
            [0, 1, 1_234].map(|count| counted(count, "member")),
            ["0 members", "1 member", "1,234 members"]
        );
    }

    #[test]
    fn json_has_zeros_and_numbers_and_times_in_utc() {
        let instant = pbjson_types::Timestamp {
            seconds: 1_767_225_600,
            nanos: 500_000_000,
        };
        let stated = [("time".to_owned(), "2026-01-01T00:00:00+00:00".into())];
        let profile = Profile {
            profile_id: "ann".to_owned(),
            as_of: Some(instant),
            attributes: Some(pbjson_types::Struct {
                fields: stated.into(),
            }),
            ..Profile::default()
        };
        let text = json(&profile).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["asOf"], "2026-01-01T00:00:00.500Z");
        // What callers state is theirs.
        assert_eq!(value["attributes"]["time"], "2026-01-01T00:00:00+00:00");
        assert_eq!(
            (&value["eventCount"], &value["exists"]),
            (&0.into(), &false.into())
        );
        assert_eq!(value["scores"], serde_json::json!([]));
        assert_eq!(value["stage"], "");
        // What is absent is not 0.
        assert_eq!(value.get("identityConfidence"), None);
    }

    #[test]
    fn small_points_stay_visible() {
        assert_eq!(
            [0.0, 0.0123, 12.34, -3.0].map(points),
            ["0", "0.0123", "12.3", "-3.0"]
        );
    }

    #[test]
    fn terms_have_the_decimals_with_which_they_add_up() {
        for (terms, decimals) in [
            (&[][..], 1),
            (&[3.1, 1.5, 0.5, 0.4], 1),
            // 3.1 + 1.5 + 0.5 + 0.4 would be 5.5, and the sum is 5.4.
            (&[3.07, 1.46, 0.47, 0.37], 2),
            (&[3.07, -1.46], 1),
            (&[0.25, 0.25], 2),
            (&[1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0], 1),
        ] {
            assert_eq!(decimals_of(terms), decimals, "{terms:?}");
        }
        assert_eq!(
            [points_to(5.374, 2), points_to(0.05, 2), points_to(0.0, 2)],
            ["5.37", "0.0500", "0"]
        );
    }

    #[test]
    fn a_table_leans_numbers_to_the_right() {
        let columns = [Column::words("stage"), Column::numbers("people")];
        let rows = [["a", "1"], ["bb", "1,000"]].map(|row| row.map(str::to_owned));
        let text = table(&columns, rows);
        let ends: Vec<&str> = text.lines().skip(2).map(|line| line.trim_end()).collect();
        assert_eq!(ends[0].len(), ends[1].len(), "{text}");
        assert!(
            ends[0].ends_with(" 1") && ends[1].ends_with(" 1,000"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'));
    }
}
