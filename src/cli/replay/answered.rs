//! Which lines of a replay have their answer: what a checkpoint may rest on.

use std::collections::VecDeque;

use super::lines::Position;

/// Which lines have their answer, and up to where all of them have.
pub(super) struct AnsweredLines {
    /// Everything before it is answered.
    position: Position,
    /// The last line that was read.
    read: Position,
    /// Where each line after `position` ends, and whether it is answered.
    lines: VecDeque<(Position, bool)>,
    has_advanced: bool,
}

impl AnsweredLines {
    pub(super) fn new(position: Position) -> Self {
        Self {
            position,
            read: position,
            lines: VecDeque::new(),
            has_advanced: false,
        }
    }

    pub(super) fn read(&mut self, end: Position) {
        self.read = end;
        self.lines.push_back((end, false));
    }

    pub(super) fn answered(&mut self, line: u64) {
        let index = line
            .checked_sub(self.position.line + 1)
            .and_then(|index| usize::try_from(index).ok());
        if let Some((_, answered)) = index.and_then(|index| self.lines.get_mut(index)) {
            *answered = true;
        }
        while let Some((end, true)) = self.lines.front() {
            self.position = *end;
            self.has_advanced = true;
            self.lines.pop_front();
        }
    }

    /// The new position when it has advanced since the last call.
    pub(super) fn advanced(&mut self) -> Option<Position> {
        std::mem::take(&mut self.has_advanced).then_some(self.position)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.lines.is_empty()
    }

    /// How many lines from the first without an answer on have been read.
    pub(super) fn unanswered_lines(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn unanswered_bytes(&self) -> u64 {
        self.read.byte - self.position.byte
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u64) -> Position {
        Position {
            line,
            byte: line * 10,
        }
    }

    #[test]
    fn the_position_stops_before_the_first_line_without_an_answer() {
        let mut lines = AnsweredLines::new(at(5));
        for line in 6..=8 {
            lines.read(at(line));
        }
        lines.answered(7);
        assert_eq!(lines.advanced(), None);
        lines.answered(6);
        assert_eq!(lines.advanced(), Some(at(7)));
        assert_eq!(lines.advanced(), None);
        assert_eq!(lines.unanswered_bytes(), 10);
        lines.answered(8);
        assert_eq!(lines.advanced(), Some(at(8)));
        assert!(lines.is_complete());
    }
}
