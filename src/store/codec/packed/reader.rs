//! The bytes of a packed record, as they are read: any bytes, which may be damaged.

use super::{
    super::{
        MAX_RECORD_BYTES,
        bounds::{corrupt, half_life},
    },
    writer::{FIRST_NAME, NEW_NAME, NO_NAME},
};
use crate::{
    scoring::{HalfLife, Name},
    store::StoreError,
};

/// What a record refers to may take in memory together: what refers to a name, or to an event,
/// takes a byte, and the name or the event many.
const MAX_REFERRED_BYTES: usize = 4 * MAX_RECORD_BYTES;
/// Names of a typical record.
const NAMES: usize = 32;
/// Items that a list gets room for before any of them is read: damaged bytes may say many.
const MOST_AT_ONCE: usize = 1_024;

/// Bytes that are read one after the other.
pub(super) struct Reader<'b> {
    rest: &'b [u8],
    names: Vec<Name>,
    referred_bytes: usize,
}

impl<'b> Reader<'b> {
    pub fn new(bytes: &'b [u8]) -> Self {
        Self {
            rest: bytes,
            names: Vec::with_capacity(NAMES),
            referred_bytes: 0,
        }
    }

    /// Whether all has been read, and nothing follows.
    pub fn finish(self) -> Result<(), StoreError> {
        match self.rest {
            [] => Ok(()),
            rest => Err(corrupt(format!("{} bytes follow it", rest.len()))),
        }
    }

    pub fn byte(&mut self) -> Result<u8, StoreError> {
        let (byte, rest) = self.rest.split_first().ok_or_else(too_short)?;
        self.rest = rest;
        Ok(*byte)
    }

    pub fn fixed(&mut self) -> Result<u64, StoreError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(too_short)?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    pub fn decimal(&mut self) -> Result<f64, StoreError> {
        self.fixed().map(f64::from_bits)
    }

    #[inline]
    pub fn number(&mut self) -> Result<u64, StoreError> {
        match self.rest {
            // Most are small.
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_number(),
        }
    }

    fn long_number(&mut self) -> Result<u64, StoreError> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(corrupt("it has a number without an end"))
    }

    pub fn small(&mut self) -> Result<u32, StoreError> {
        let number = self.number()?;
        u32::try_from(number).map_err(|_| corrupt(format!("{number} is too large")))
    }

    pub fn signed(&mut self) -> Result<i64, StoreError> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    pub fn half_life(&mut self) -> Result<Option<HalfLife>, StoreError> {
        let nanos = i64::try_from(self.number()?).map_err(corrupt)?;
        half_life(nanos)
    }

    pub fn text(&mut self) -> Result<&'b str, StoreError> {
        let length = self.count(1)?;
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        str::from_utf8(text).map_err(corrupt)
    }

    /// How many items follow that take at least so many bytes each.
    pub fn count(&mut self, least_bytes: usize) -> Result<usize, StoreError> {
        let count = self.number()?;
        let most = self.rest.len() / least_bytes.max(1);
        let fitting = usize::try_from(count).ok().filter(|count| *count <= most);
        fitting.ok_or_else(too_short)
    }

    /// A name, which is not empty.
    pub fn name(&mut self) -> Result<Name, StoreError> {
        let name = self.optional_name()?;
        if name.is_empty() {
            return Err(corrupt("it lacks a name"));
        }
        Ok(name)
    }

    /// A name that may be empty.
    pub fn optional_name(&mut self) -> Result<Name, StoreError> {
        let position = match self.number()? {
            NO_NAME => return Ok(Name::default()),
            NEW_NAME => {
                let name = Name::new(self.text()?);
                self.names.push(name.clone());
                return Ok(name);
            }
            position => (position - FIRST_NAME) as usize,
        };
        self.refer(size_of::<Name>())?;
        let (name, count) = (self.names.get(position), self.names.len());
        let name =
            name.ok_or_else(|| corrupt(format!("it refers to name {position} of {count}")))?;
        Ok(name.clone())
    }

    /// Names, none of them empty, that pass a check.
    pub fn names(
        &mut self,
        check: impl Fn(Name) -> Result<Name, StoreError>,
    ) -> Result<Vec<Name>, StoreError> {
        self.list(1, |reader| check(reader.name()?))
    }

    /// Notes that what is referred to takes so many bytes in memory.
    pub fn refer(&mut self, bytes: usize) -> Result<(), StoreError> {
        self.referred_bytes = self.referred_bytes.saturating_add(bytes);
        if self.referred_bytes > MAX_REFERRED_BYTES {
            return Err(corrupt("it refers to more than any record does"));
        }
        Ok(())
    }

    /// Items that take at least so many bytes each.
    pub fn list<T>(
        &mut self,
        least_bytes: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let count = self.count(least_bytes)?;
        let mut items = Vec::with_capacity(count.min(MOST_AT_ONCE));
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(items)
    }
}

fn too_short() -> StoreError {
    corrupt("it ends too early")
}
