//! What a profile states.

use std::collections::BTreeMap;

use super::{super::bounds::corrupt, reader::Reader, writer::Writer};
use crate::{
    scoring::{AttributeValue, Attributes, check_attributes, limits::MAX_ATTRIBUTE_DEPTH},
    store::StoreError,
};

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const NUMBER: u8 = 3;
const TEXT: u8 = 4;
const LIST: u8 = 5;
const MAP: u8 = 6;

pub(super) fn write_attributes(attributes: &Attributes, writer: &mut Writer<'_>) {
    writer.list(attributes.iter(), |writer, (name, value)| {
        writer.text(name);
        write_value(value, writer);
    });
}

fn write_value(value: &AttributeValue, writer: &mut Writer<'_>) {
    match value {
        AttributeValue::Null => writer.byte(NULL),
        AttributeValue::Bool(false) => writer.byte(FALSE),
        AttributeValue::Bool(true) => writer.byte(TRUE),
        AttributeValue::Number(number) => {
            writer.byte(NUMBER);
            writer.decimal(*number);
        }
        AttributeValue::String(text) => {
            writer.byte(TEXT);
            writer.text(text);
        }
        AttributeValue::List(values) => {
            writer.byte(LIST);
            writer.list(values.iter(), |writer, value| write_value(value, writer));
        }
        AttributeValue::Map(values) => {
            writer.byte(MAP);
            write_attributes(values, writer);
        }
    }
}

pub(super) fn read_attributes(reader: &mut Reader<'_>) -> Result<Attributes, StoreError> {
    let attributes = read_map(reader, 1)?;
    check_attributes(&attributes)
        .map_err(|mistake| corrupt(format!("its attributes: {mistake}")))?;
    Ok(attributes)
}

/// Entries by name, each once and in order; what is null is not stated.
fn read_map(reader: &mut Reader<'_>, depth: usize) -> Result<Attributes, StoreError> {
    let mut entries = BTreeMap::new();
    for _ in 0..reader.count(2)? {
        let name = reader.text()?.to_owned();
        let is_next = entries
            .last_key_value()
            .is_none_or(|(last, _)| *last < name);
        let value = read_value(reader, depth)?;
        if !is_next || value == AttributeValue::Null {
            return Err(corrupt("its attributes are not in order, or not stated"));
        }
        entries.insert(name, value);
    }
    Ok(entries)
}

fn read_value(reader: &mut Reader<'_>, depth: usize) -> Result<AttributeValue, StoreError> {
    if depth > MAX_ATTRIBUTE_DEPTH {
        return Err(corrupt("its attributes are nested too deep"));
    }
    Ok(match reader.byte()? {
        NULL => AttributeValue::Null,
        FALSE => AttributeValue::Bool(false),
        TRUE => AttributeValue::Bool(true),
        NUMBER => AttributeValue::Number(reader.decimal()?),
        TEXT => AttributeValue::String(reader.text()?.to_owned()),
        LIST => AttributeValue::List(reader.list(1, |reader| read_value(reader, depth + 1))?),
        MAP => AttributeValue::Map(read_map(reader, depth + 1)?),
        other => return Err(corrupt(format!("{other} is no kind of attribute"))),
    })
}
