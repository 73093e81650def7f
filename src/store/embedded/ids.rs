//! The ids of those who stand in ranks, each under a number: an entry of a rank takes four bytes
//! of it, whatever the id. A number is its id's for as long as somebody holds it.

use super::super::StoreError;

/// What an id goes by in the ranks of its tenant. An id may have several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdNumber(u32);

impl IdNumber {
    /// The number at a position.
    pub fn at(position: usize) -> Result<Self, StoreError> {
        let too_many =
            |_| StoreError::Unavailable("there are too many profiles to rank".to_owned());
        u32::try_from(position).map(Self).map_err(too_many)
    }

    /// The number that many positions on.
    pub fn after(self, positions: usize) -> Result<Self, StoreError> {
        Self::at(self.position() + positions)
    }

    const fn position(self) -> usize {
        self.0 as usize
    }
}

/// Ids by number.
#[derive(Default)]
pub struct Ids {
    texts: Vec<Box<str>>,
    /// How many hold each number.
    uses: Vec<u32>,
    /// Numbers that nobody holds.
    free: Vec<IdNumber>,
}

impl Ids {
    /// These ids under their positions, which nobody holds yet.
    pub fn of(texts: Vec<Box<str>>) -> Self {
        Self {
            uses: vec![0; texts.len()],
            texts,
            free: Vec::new(),
        }
    }

    /// A number for an id, held once.
    pub fn add(&mut self, text: &str) -> Result<IdNumber, StoreError> {
        if let Some(number) = self.free.pop() {
            self.texts[number.position()] = text.into();
            self.uses[number.position()] = 1;
            return Ok(number);
        }
        let number = IdNumber::at(self.texts.len())?;
        self.texts.push(text.into());
        self.uses.push(1);
        Ok(number)
    }

    /// The id of a number.
    pub fn text(&self, number: IdNumber) -> &str {
        &self.texts[number.position()]
    }

    /// Holds a number once more.
    pub fn hold(&mut self, number: IdNumber) {
        self.uses[number.position()] += 1;
    }

    /// Holds a number once less.
    pub fn release(&mut self, number: IdNumber) {
        let position = number.position();
        self.uses[position] -= 1;
        if self.uses[position] == 0 {
            self.texts[position] = Box::default();
            self.free.push(number);
        }
    }
}
