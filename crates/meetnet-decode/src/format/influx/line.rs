//! One line taken apart: where its tokens stand, and what is wrong with it. Nothing is copied.
//!
//! Escapes are followed (`\,` `\=` `\ ` in names and tags, `\"` `\\` in texts) and stay in the tokens.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memchr2};

use super::value;
use crate::fields::Span;

/// The lines of a body that hold something, in order.
#[derive(Debug)]
pub(super) struct Lines<'t> {
    text: &'t str,
    at: usize,
    /// The lines that began before `at`.
    begun: u32,
    position: u32,
}

impl<'t> Lines<'t> {
    /// Returns the lines of a text before which `begun` others stood.
    pub(super) fn new(text: &'t str, begun: u32) -> Self {
        Self {
            text,
            at: 0,
            begun,
            position: begun,
        }
    }

    /// Returns the position of the line that [`Lines::next`] has returned, 0 first.
    pub(super) fn position(&self) -> u32 {
        self.position
    }

    /// Returns the next line that is neither empty nor a comment, without its end.
    pub(super) fn next(&mut self) -> Option<Span> {
        let bytes = self.text.as_bytes();
        loop {
            let blanks = bytes.get(self.at..)?.iter();
            let blanks = blanks.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r'));
            let start = self.at + blanks.count();
            self.position = self.begun;
            let end = match bytes.get(start)? {
                b'#' => newline(bytes, start).unwrap_or(bytes.len()),
                _ => self.end_of(start),
            };
            self.at = end + 1;
            self.begun += 1;
            let line = &bytes[start..end];
            if line.is_empty() || line[0] == b'#' {
                continue;
            }
            let kept = line.strip_suffix(b"\r").unwrap_or(line).len();
            // Bodies beyond 4 GiB are turned away.
            return Some(Span {
                start: start as u32,
                end: (start + kept) as u32,
            });
        }
    }

    /// Returns where the line ends that begins at `start`: at the next newline outside of texts. A text that never
    /// ends takes no more than its own line with it.
    fn end_of(&mut self, start: usize) -> usize {
        let bytes = self.text.as_bytes();
        let end = newline(bytes, start).unwrap_or(bytes.len());
        if memchr(b'"', &bytes[start..end]).is_none() {
            return end;
        }
        // Before the fields a quote stands for itself.
        let Some(fields) = unescaped_blank(&bytes[start..end]) else {
            return end;
        };
        let mut at = start + fields;
        let mut newlines_within = 0;
        loop {
            // To the next byte that matters; the one at hand is a blank or the end of a text.
            let rest = bytes.get(at + 1..).unwrap_or_default();
            let Some(found) = memchr2(b'\n', b'"', rest) else {
                return bytes.len();
            };
            at += 1 + found;
            if bytes[at] == b'\n' {
                self.begun += newlines_within;
                return at;
            }
            // Only behind `=` does a quote begin a text.
            if bytes[at - 1] == b'=' {
                let Some(text_end) = text_end(bytes, at) else {
                    return end;
                };
                newlines_within += count_newlines(&bytes[at..text_end]);
                at = text_end;
            }
        }
    }
}

fn newline(bytes: &[u8], from: usize) -> Option<usize> {
    memchr(b'\n', &bytes[from..]).map(|at| from + at)
}

fn unescaped_blank(line: &[u8]) -> Option<usize> {
    let mut blanks = memchr_iter(b' ', line);
    blanks.find(|at| *at == 0 || line[at - 1] != b'\\')
}

fn count_newlines(bytes: &[u8]) -> u32 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u32
}

/// Returns where the quote stands that ends the text whose first quote stands at `start`.
fn text_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// Returns a token without the backslashes before the characters that may be `escaped`; any other backslash stands for
/// itself.
pub(super) fn without_escapes<'t>(token: &'t str, escaped: &[u8]) -> Cow<'t, str> {
    if !token.contains('\\') {
        return Cow::Borrowed(token);
    }
    let mut text = String::with_capacity(token.len());
    let mut rest = token;
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        match after.bytes().next() {
            // Those are ASCII, so what follows begins a character.
            Some(next) if escaped.contains(&next) => {
                text.push(char::from(next));
                rest = &after[1..];
            }
            _ => {
                text.push('\\');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// What is wrong with a line, in InfluxDB's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    MissingMeasurement,
    MissingTagKey,
    MissingTagValue,
    MissingFields,
    MissingFieldKey,
    MissingFieldValue,
    InvalidFieldFormat,
    InvalidNumber,
    InvalidBoolean,
    IntegerOutOfRange,
    UnbalancedQuotes,
    BadTimestamp,
}

impl Fault {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::MissingMeasurement => "missing measurement",
            Self::MissingTagKey => "missing tag key",
            Self::MissingTagValue => "missing tag value",
            Self::MissingFields => "missing fields",
            Self::MissingFieldKey => "missing field key",
            Self::MissingFieldValue => "missing field value",
            Self::InvalidFieldFormat => "invalid field format",
            Self::InvalidNumber => "invalid number",
            Self::InvalidBoolean => "invalid boolean",
            Self::IntegerOutOfRange => "unable to parse integer: value out of range",
            Self::UnbalancedQuotes => "unbalanced quotes",
            Self::BadTimestamp => "bad timestamp",
        }
    }
}

/// The tokens of one line, from left to right: measurement, tags, fields, time.
#[derive(Debug)]
pub(super) struct Tokens<'t> {
    bytes: &'t [u8],
    at: usize,
}

impl<'t> Tokens<'t> {
    /// Returns the tokens of the line at `line` in `text`.
    pub(super) fn new(text: &'t str, line: Span) -> Self {
        Self {
            bytes: &text.as_bytes()[..line.end as usize],
            at: line.start as usize,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Takes bytes until an unescaped one of `stops`, or the end of the line.
    fn until(&mut self, stops: impl Fn(u8) -> bool) -> Span {
        let start = self.at;
        let mut at = start;
        while let Some(&byte) = self.bytes.get(at) {
            if stops(byte) {
                break;
            }
            let is_escaped =
                byte == b'\\' && matches!(self.bytes.get(at + 1), Some(b',' | b'=' | b' '));
            at += if is_escaped { 2 } else { 1 };
        }
        self.at = at;
        Span {
            start: start as u32,
            end: at as u32,
        }
    }

    pub(super) fn measurement(&mut self) -> Result<Span, Fault> {
        let name = self.until(|byte| matches!(byte, b',' | b' '));
        if name.start == name.end {
            return Err(Fault::MissingMeasurement);
        }
        Ok(name)
    }

    /// Reads what follows the measurement: hands key and value of each tag and field to `note`, and returns the time
    /// behind them, none where there is none. The value of a text is what stands between its quotes.
    pub(super) fn rest(&mut self, mut note: impl FnMut(Span, Span)) -> Result<Option<i64>, Fault> {
        while let Some((key, value)) = self.tag()? {
            note(key, value);
        }
        self.fields(&mut note)?;
        self.time()
    }

    /// Returns key and value of the next tag; none where the fields begin.
    fn tag(&mut self) -> Result<Option<(Span, Span)>, Fault> {
        if self.peek() != Some(b',') {
            return Ok(None);
        }
        self.at += 1;
        let key = self.until(|byte| matches!(byte, b'=' | b',' | b' '));
        if key.start == key.end {
            return Err(Fault::MissingTagKey);
        }
        if self.peek() != Some(b'=') {
            return Err(Fault::MissingTagValue);
        }
        self.at += 1;
        let value = self.until(|byte| matches!(byte, b',' | b' '));
        if value.start == value.end {
            return Err(Fault::MissingTagValue);
        }
        Ok(Some((key, value)))
    }

    /// Hands key and value of each field to `note`.
    fn fields(&mut self, note: &mut impl FnMut(Span, Span)) -> Result<(), Fault> {
        self.skip_blanks();
        if self.peek().is_none() {
            return Err(Fault::MissingFields);
        }
        loop {
            let key = self.until(|byte| matches!(byte, b'=' | b',' | b' '));
            if self.peek() != Some(b'=') {
                return Err(Fault::InvalidFieldFormat);
            }
            if key.start == key.end {
                return Err(Fault::MissingFieldKey);
            }
            self.at += 1;
            note(key, self.value()?);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b' ') | None => return Ok(()),
                Some(_) => return Err(Fault::InvalidFieldFormat),
            }
        }
    }

    fn value(&mut self) -> Result<Span, Fault> {
        let start = self.at;
        if self.peek() == Some(b'"') {
            let end = text_end(self.bytes, start).ok_or(Fault::UnbalancedQuotes)?;
            self.at = end + 1;
            return Ok(Span {
                start: start as u32 + 1,
                end: end as u32,
            });
        }
        let rest = &self.bytes[start..];
        let length = rest.iter().position(|byte| matches!(byte, b',' | b' '));
        let written = &rest[..length.unwrap_or(rest.len())];
        self.at = start + written.len();
        let kept = value::check(written)?;
        Ok(Span {
            start: start as u32,
            end: (start + kept) as u32,
        })
    }

    /// Returns the time behind the fields; none where there is none.
    fn time(&mut self) -> Result<Option<i64>, Fault> {
        self.skip_blanks();
        let rest = self.bytes[self.at..].trim_ascii_end();
        if rest.is_empty() {
            return Ok(None);
        }
        value::integer(rest).map(Some).ok_or(Fault::BadTimestamp)
    }

    fn skip_blanks(&mut self) {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
    }
}
