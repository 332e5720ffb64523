//! Whether the quotes of a table are closed, before its records are read.
//!
//! `body ─▶ [record: from its first cell to the line end outside of quotes] ─▶ csv-core`
//!
//! A quote that nobody closes makes one cell of all that is behind it, with values that nobody measured; one that a later
//! line closes by chance does so up to there. In both, text stands behind the closing quote, or there is none: such a
//! record is its first line, and reading goes on with the next. It reads no cells.

use memchr::{memchr, memchr2, memchr3};

/// So many times as many bytes as a body has are looked at again, behind lines whose quotes were wrong. What is beyond is
/// read without cells of several lines: a body of opening quotes would take the square of its length.
const AGAIN_MAX: usize = 4;

/// Finds where the records of one table end.
#[derive(Clone, Debug)]
pub struct RecordEnds<'t> {
    text: &'t [u8],
    delimiter: u8,
    /// The first quote at or behind the last record that was looked at; the length of the text where there is none.
    quote: usize,
    /// Bytes that may still be looked at again.
    again_left: usize,
}

/// What is wrong with the quotes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QuoteFault {
    /// Where its first line ends.
    pub(crate) line_end: usize,
    /// What is wrong, of a line: `line 3 …`.
    pub(crate) problem: &'static str,
}

/// How the quotes of a record go wrong.
enum Wrong {
    /// The last one that is opened is not closed.
    Open,
    /// Text stands behind a closing one, at this position.
    TextBehind(usize),
}

impl<'t> RecordEnds<'t> {
    /// Of a table whose cells stand apart by `delimiter`.
    pub fn new(delimiter: u8, text: &'t [u8]) -> Self {
        Self {
            text,
            delimiter,
            quote: memchr(b'"', text).unwrap_or(text.len()),
            again_left: text.len().saturating_mul(AGAIN_MAX),
        }
    }

    /// Returns where the record ends that begins at `start`, or its first line where its quotes are wrong; the line end is
    /// part of it. Records are asked for in their order.
    pub fn end(&mut self, start: usize) -> usize {
        let end = match self.check(start) {
            Ok(Some(end)) => end,
            Ok(None) => self.line_end(start),
            Err(fault) => fault.line_end,
        };
        let is_pair = self.text[end..].starts_with(b"\r\n");
        (end + if is_pair { 2 } else { 1 }).min(self.text.len())
    }

    /// Checks the quotes of the record that begins at `start`, which is no line end. Returns where it ends, none where its
    /// line has no quote.
    pub(crate) fn check(&mut self, start: usize) -> Result<Option<usize>, QuoteFault> {
        if self.quote < start {
            let next = memchr(b'"', &self.text[start..]);
            self.quote = next.map_or(self.text.len(), |at| start + at);
        }
        if self.quote == self.text.len() {
            return Ok(None);
        }
        let line_end = self.line_end(start);
        if self.quote >= line_end {
            return Ok(None);
        }
        let limit = if self.again_left == 0 {
            line_end
        } else {
            self.text.len()
        };
        let wrong = match self.record_end(start, limit) {
            Ok(end) => return Ok(Some(end)),
            Err(wrong) => wrong,
        };
        let (read, problem) = match wrong {
            Wrong::TextBehind(at) if at <= line_end => (
                line_end,
                "has text behind the quote that closes a cell; a quote within a cell is written twice",
            ),
            Wrong::TextBehind(at) => (at, OPEN),
            Wrong::Open => (limit, OPEN),
        };
        self.note_again(read - line_end);
        Err(QuoteFault { line_end, problem })
    }

    /// Notes that so many bytes, which were looked at, are looked at again.
    pub(crate) fn note_again(&mut self, bytes: usize) {
        self.again_left = self.again_left.saturating_sub(bytes);
    }

    /// Returns where the line ends that `start` is in.
    fn line_end(&self, start: usize) -> usize {
        let length = memchr2(b'\r', b'\n', &self.text[start..]);
        length.map_or(self.text.len(), |length| start + length)
    }

    /// Returns where the record ends that begins at `start`, looking no further than `limit`.
    fn record_end(&self, start: usize, limit: usize) -> Result<usize, Wrong> {
        let text = &self.text[..limit];
        let mut at = start;
        loop {
            if text.get(at) == Some(&b'"') {
                at = closed(text, at + 1).ok_or(Wrong::Open)?;
                // Blanks do no harm; a delimiter may be one.
                let is_end = |byte: u8| byte == self.delimiter || matches!(byte, b'\r' | b'\n');
                let is_blank = |byte: u8| !is_end(byte) && matches!(byte, b' ' | b'\t');
                let behind = text[at..].iter().copied();
                at += behind.take_while(|byte| is_blank(*byte)).count();
                if text.get(at).is_some_and(|byte| !is_end(*byte)) {
                    return Err(Wrong::TextBehind(at));
                }
            } else {
                // A quote within a cell that begins without one is a character like any other.
                let length = memchr3(self.delimiter, b'\r', b'\n', &text[at..]);
                at = length.map_or(text.len(), |length| at + length);
            }
            if text.get(at) != Some(&self.delimiter) {
                return Ok(at);
            }
            at += 1;
        }
    }
}

/// What is said of a line whose quote goes on.
const OPEN: &str =
    "opens a quote that is not closed at the end of a cell; a quote within a cell is written twice";

/// Returns the position behind the quote that closes the cell which goes on at `at`.
fn closed(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr(b'"', text.get(at..)?)? + 1;
        if text.get(at) != Some(&b'"') {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests;
