//! One line as it is edited: bytes of a terminal become keys, keys change the line. Knows no terminal and does no I/O
//! but reading bytes from what it is given.
//!
//! Keys are those of readline: Ctrl-A, Ctrl-E, Ctrl-K, Ctrl-U, Ctrl-W, Ctrl-L, Ctrl-D, the arrows, Home, End, Delete,
//! Alt-B and Alt-F.

use std::io;

use super::history::History;

#[cfg(test)]
mod tests;

/// What a person pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Enter,
    Tab,
    Backspace,
    /// Delete, and Ctrl-D in a line that has something.
    Delete,
    Left,
    Right,
    WordLeft,
    WordRight,
    Home,
    End,
    Up,
    Down,
    /// To the end of the line.
    KillRight,
    /// To the beginning of the line.
    KillLeft,
    /// The word before the cursor.
    KillWord,
    ClearScreen,
    Interrupt,
    /// Ctrl-D.
    EndOfInput,
    /// A key that does nothing here.
    Other,
}

/// Reads one key; None at the end of the input.
pub(super) fn read_key(
    bytes: &mut impl Iterator<Item = io::Result<u8>>,
) -> io::Result<Option<Key>> {
    let Some(first) = bytes.next().transpose()? else {
        return Ok(None);
    };
    let key = match first {
        b'\r' | b'\n' => Key::Enter,
        b'\t' => Key::Tab,
        0x7f | 0x08 => Key::Backspace,
        0x01 => Key::Home,
        0x02 => Key::Left,
        0x03 => Key::Interrupt,
        0x04 => Key::EndOfInput,
        0x05 => Key::End,
        0x06 => Key::Right,
        0x0b => Key::KillRight,
        0x0c => Key::ClearScreen,
        0x0e => Key::Down,
        0x10 => Key::Up,
        0x15 => Key::KillLeft,
        0x17 => Key::KillWord,
        0x1b => read_escape(bytes)?,
        0x00..0x20 => Key::Other,
        0x20..0x80 => Key::Char(char::from(first)),
        _ => read_wide(first, bytes)?,
    };
    Ok(Some(key))
}

/// Reads what follows ESC: `[A`, `OH`, `[3~`, `[1;5C`, or a letter with Alt.
fn read_escape(bytes: &mut impl Iterator<Item = io::Result<u8>>) -> io::Result<Key> {
    match bytes.next().transpose()? {
        Some(b'[' | b'O') => {}
        Some(b'b') => return Ok(Key::WordLeft),
        Some(b'f') => return Ok(Key::WordRight),
        Some(0x7f) => return Ok(Key::KillWord),
        _ => return Ok(Key::Other),
    }
    let mut parameters = Vec::new();
    let last = loop {
        match bytes.next().transpose()? {
            Some(byte @ (b'0'..=b'9' | b';')) => parameters.push(byte),
            Some(byte) => break byte,
            None => return Ok(Key::Other),
        }
    };
    // `;5` is Ctrl, `;3` is Alt.
    let by_word = parameters.ends_with(b";5") || parameters.ends_with(b";3");
    Ok(match (last, parameters.as_slice()) {
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'C', _) if by_word => Key::WordRight,
        (b'D', _) if by_word => Key::WordLeft,
        (b'C', _) => Key::Right,
        (b'D', _) => Key::Left,
        (b'H', _) | (b'~', b"1" | b"7") => Key::Home,
        (b'F', _) | (b'~', b"4" | b"8") => Key::End,
        (b'~', b"3") => Key::Delete,
        _ => Key::Other,
    })
}

/// Reads a character of several bytes.
fn read_wide(first: u8, bytes: &mut impl Iterator<Item = io::Result<u8>>) -> io::Result<Key> {
    let length = match first {
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0..0xf8 => 4,
        _ => return Ok(Key::Other),
    };
    let mut read = vec![first];
    while read.len() < length {
        match bytes.next().transpose()? {
            Some(byte) => read.push(byte),
            None => return Ok(Key::Other),
        }
    }
    let character = std::str::from_utf8(&read).ok();
    let character = character.and_then(|text| text.chars().next());
    Ok(character.map_or(Key::Other, Key::Char))
}

/// What a key asks of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The line is shown anew.
    Show,
    /// The line is complete.
    Enter,
    /// The word before the cursor is to be completed.
    Complete,
    ClearScreen,
    /// The line is given up.
    Interrupt,
    /// There is no more to read.
    End,
}

/// A line and the cursor in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    text: String,
    /// Bytes before the cursor.
    cursor: usize,
    /// Which entry of the history is shown, and what was typed before it was.
    recalled: Option<(usize, String)>,
}

impl Line {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn cursor(&self) -> usize {
        self.cursor
    }

    /// Replaces what is between `start` and the cursor.
    pub(super) fn replace(&mut self, start: usize, with: &str) {
        self.text.replace_range(start..self.cursor, with);
        self.cursor = start + with.len();
    }

    /// Does what a key says.
    pub(super) fn press(&mut self, key: Key, history: &History) -> Step {
        match key {
            Key::Char(c) => {
                self.text.insert(self.cursor, c);
                self.cursor += c.len_utf8();
            }
            Key::Enter => return Step::Enter,
            Key::Tab => return Step::Complete,
            Key::ClearScreen => return Step::ClearScreen,
            Key::Interrupt => return Step::Interrupt,
            Key::EndOfInput if self.text.is_empty() => return Step::End,
            Key::EndOfInput | Key::Delete => {
                let end = self.right();
                self.text.replace_range(self.cursor..end, "");
            }
            Key::Backspace => self.replace(self.left(), ""),
            Key::Left => self.cursor = self.left(),
            Key::Right => self.cursor = self.right(),
            Key::WordLeft => self.cursor = self.word_left(),
            Key::WordRight => self.cursor = self.word_right(),
            Key::Home => self.cursor = 0,
            Key::End => self.cursor = self.text.len(),
            Key::KillRight => self.text.truncate(self.cursor),
            Key::KillLeft => self.replace(0, ""),
            Key::KillWord => self.replace(self.word_left(), ""),
            Key::Up => self.recall_older(history),
            Key::Down => self.recall_newer(history),
            Key::Other => {}
        }
        Step::Show
    }

    fn left(&self) -> usize {
        let mut before = self.text[..self.cursor].char_indices();
        before.next_back().map_or(0, |(at, _)| at)
    }

    fn right(&self) -> usize {
        let next = self.text[self.cursor..].chars().next();
        next.map_or(self.cursor, |c| self.cursor + c.len_utf8())
    }

    fn word_left(&self) -> usize {
        let before = self.text[..self.cursor].trim_end_matches(|c: char| !is_of_word(c));
        before.trim_end_matches(is_of_word).len()
    }

    fn word_right(&self) -> usize {
        let after = self.text[self.cursor..].trim_start_matches(|c: char| !is_of_word(c));
        self.text.len() - after.trim_start_matches(is_of_word).len()
    }

    fn recall_older(&mut self, history: &History) {
        let at = match &self.recalled {
            Some((at, _)) => *at,
            None => history.entries().len(),
        };
        let Some(older) = at.checked_sub(1) else {
            return;
        };
        let draft = match self.recalled.take() {
            Some((_, draft)) => draft,
            None => std::mem::take(&mut self.text),
        };
        self.recalled = Some((older, draft));
        self.set(history.entries()[older].clone());
    }

    fn recall_newer(&mut self, history: &History) {
        let Some((at, draft)) = self.recalled.take() else {
            return;
        };
        match history.entries().get(at + 1) {
            Some(entry) => {
                self.recalled = Some((at + 1, draft));
                self.set(entry.clone());
            }
            None => self.set(draft),
        }
    }

    fn set(&mut self, text: String) {
        self.cursor = text.len();
        self.text = text;
    }

    /// Returns what of the line is shown in so many characters, and how many of those are before the cursor.
    pub(super) fn window(&self, width: usize) -> (String, usize) {
        let width = width.max(1);
        let before = self.text[..self.cursor].chars().count();
        // The cursor needs a place of its own at the end.
        let from = (before + 1).saturating_sub(width);
        let shown = self.text.chars().skip(from).take(width);
        // A control character, from a paste or a history, would steer the terminal.
        let shown = shown.map(|c| if c.is_control() { ' ' } else { c });
        (shown.collect(), before - from)
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
