//! Personal data in texts: left out where foreign bytes are shown, and searched for where there must be none.
//!
//! ```text
//! foreign bytes ─▶ redact ───────▶ excerpt of a reject, text of an API      shapes, keys: whatever looks like it
//! log line ──────▶ redact_text ──▶ stderr                                   shapes, keys: what certainly is
//! what is stored ▶ find, Search ─▶ `meetnet privacy scan`                   the same as redact_text
//! ```
//!
//! Both go by the look of a text, because it did not parse, or nobody knows what it is: values behind telling keys, in
//! JSON, form encoding, line protocol and headers (`keys.rs`), and texts that look like hardware ids, addresses,
//! credentials or places whatever stands before them (`shapes.rs`). An excerpt errs on the side of `…`: it is there to
//! recognise a message, the bytes are in the journal. A search errs on the other side, or nobody would read what it says.
//! What an excerpt or a log line keeps, a search does not find.

use std::ops::Range;

mod find;
mod keys;
mod search;
mod shapes;

use keys::Reach;

pub use find::{Finding, find, redact_text};
pub use search::{Allowed, Leak, Search};

/// What personal data is, as far as its look tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PersonalKind {
    /// A MAC address (EUI-48).
    Mac,
    /// An EUI-64: DevEUI of LoRaWAN, IEEE address of Zigbee.
    Eui,
    /// The chip id of an airRohr box.
    ChipId,
    /// An e-mail address.
    Email,
    /// An Ecowitt PASSKEY, or another key of 128 bits.
    Passkey,
    /// A token, password or key of an API.
    Token,
    /// User and password in a URL.
    BasicAuth,
    /// A place finer than the publication grid.
    Coordinates,
}

impl PersonalKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Mac,
        Self::Eui,
        Self::ChipId,
        Self::Email,
        Self::Passkey,
        Self::Token,
        Self::BasicAuth,
        Self::Coordinates,
    ];

    /// Returns the name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mac => "mac",
            Self::Eui => "eui64",
            Self::ChipId => "chip_id",
            Self::Email => "email",
            Self::Passkey => "passkey",
            Self::Token => "token",
            Self::BasicAuth => "basic_auth",
            Self::Coordinates => "coordinates",
        }
    }
}

/// Characters of an excerpt at most.
pub const EXCERPT_CHARS_MAX: usize = 200;
/// Bytes that are looked at: what is left out shortens the text, so more than the excerpt; bounded, so that an envelope
/// of megabytes costs no more than a small one.
const HEAD_BYTES_MAX: usize = 2_048;
/// What stands for what was left out.
const MARK: char = '…';

/// Returns the head of `bytes` as text without personal data, at most [`EXCERPT_CHARS_MAX`] characters on one line.
///
/// Left out are credentials, hardware ids (MAC, EUI, chip ids), e-mail addresses and coordinates.
pub fn redact(bytes: &[u8]) -> String {
    let head = head(bytes);
    let text = String::from_utf8_lossy(head);
    let mut excerpt = Excerpt {
        text: String::with_capacity(EXCERPT_CHARS_MAX * 2),
        chars: 0,
        cut: false,
    };
    Scanner {
        text: &text,
        values_are_places: keys::holds_gps_values(&text),
    }
    .run(&mut excerpt);
    if head.len() < bytes.len() {
        excerpt.mark();
    }
    redact_text(&excerpt.finish()).into_owned()
}

/// Returns the bytes to look at. A cut falls behind a separator, so that half an id is not taken for a harmless word.
fn head(bytes: &[u8]) -> &[u8] {
    let Some(head) = bytes.get(..HEAD_BYTES_MAX) else {
        return bytes;
    };
    if head.len() == bytes.len() {
        return bytes;
    }
    let end = head
        .iter()
        .rposition(|b| matches!(b, b' ' | b',' | b'&' | b';' | b'\n' | b'{' | b'['));
    &head[..end.map_or(0, |position| position + 1)]
}

/// The text so far.
struct Excerpt {
    text: String,
    chars: usize,
    cut: bool,
}

impl Excerpt {
    fn push(&mut self, character: char) {
        // One less, for the mark of the cut.
        if self.chars + 1 >= EXCERPT_CHARS_MAX {
            self.cut = true;
            return;
        }
        // Line breaks and control characters would forge log lines and move cursors; indentation would fill the excerpt.
        let blank = character.is_control() || character.is_whitespace();
        if blank && self.text.ends_with(' ') {
            return;
        }
        self.text.push(if blank { ' ' } else { character });
        self.chars += 1;
    }

    fn push_str(&mut self, text: &str) {
        for character in text.chars() {
            if self.cut {
                return;
            }
            self.push(character);
        }
    }

    fn mark(&mut self) {
        if !self.text.ends_with(MARK) {
            self.push(MARK);
        }
    }

    fn finish(mut self) -> String {
        if self.cut && !self.text.ends_with(MARK) {
            self.text.push(MARK);
        }
        self.text
    }
}

/// Walks the text once from left to right.
struct Scanner<'a> {
    text: &'a str,
    /// Set where `{"value_type":"GPS_lat","value":"…"}` occurs: there the telling word is no key of its value.
    values_are_places: bool,
}

impl Scanner<'_> {
    fn run(&self, excerpt: &mut Excerpt) {
        let mut at = 0;
        // The value of a telling key. The key itself is looked at first: it may be an id.
        let mut secret: Option<Range<usize>> = None;
        while let Some(first) = self.text[at..].chars().next() {
            if excerpt.cut {
                return;
            }
            if let Some(value) = secret.take_if(|value| at >= value.start) {
                excerpt.mark();
                at = at.max(value.end);
                continue;
            }
            if shapes::may_begin(&self.text[at..])
                && let Some(look) = shapes::look(&self.text[..at], &self.text[at..])
            {
                excerpt.push_str(&self.text[at..at + look.range.start]);
                excerpt.mark();
                at += look.range.end;
                continue;
            }
            if !is_word(first) {
                excerpt.push(first);
                at += first.len_utf8();
                continue;
            }
            let word = word_at(&self.text[at..]);
            if secret.is_none() {
                secret = self.secret_value(word, at + word.len());
            }
            let length = shapes::harmless_length(word);
            excerpt.push_str(&self.text[at..at + length]);
            at += length;
        }
    }

    /// Returns where the value of a telling key stands, given the key and its end.
    fn secret_value(&self, key: &str, key_end: usize) -> Option<Range<usize>> {
        let reach = keys::telling(key)
            .map(|telling| telling.reach)
            .or_else(|| (self.values_are_places && key == "value").then_some(Reach::Value))?;
        let rest = &self.text[key_end..];
        if reach == Reach::Geometry {
            // `POINT (4.7 50.9)`: the numbers follow without a sign between.
            if let Some(open) = skip_blanks(rest, 0).filter(|at| rest[*at..].starts_with('(')) {
                return Some(key_end + open..key_end + nested_end(rest, open));
            }
        }
        let value = value_range(rest, value_start(rest)?, reach);
        (!value.is_empty()).then_some(key_end + value.start..key_end + value.end)
    }
}

/// Returns true for the characters of keys and ids.
fn is_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | '.' | '@' | '%' | '+')
}

fn word_at(text: &str) -> &str {
    &text[..text.find(|c: char| !is_word(c)).unwrap_or(text.len())]
}

fn skip_blanks(text: &str, from: usize) -> Option<usize> {
    text[from..]
        .find(|c: char| !c.is_whitespace())
        .map(|length| from + length)
}

/// Returns where the value begins that belongs to a key ending at 0: behind quote, `:` or `=`, and blanks.
fn value_start(text: &str) -> Option<usize> {
    let quotes = |c: char| matches!(c, '"' | '\'' | '\\');
    let key_end = skip_colours(text, 0);
    let after_quote = key_end + text[key_end..].find(|c: char| !quotes(c))?;
    let sign = skip_colours(text, skip_blanks(text, after_quote)?);
    if !text[sign..].starts_with([':', '=']) {
        return None;
    }
    skip_blanks(text, skip_colours(text, sign + 1))
}

/// Returns the position behind the escape sequences of a terminal that stand at `at`: log lines have some around keys.
fn skip_colours(text: &str, mut at: usize) -> usize {
    let is_parameter = |b: &u8| b.is_ascii_digit() || *b == b';';
    while let Some(rest) = text[at..].strip_prefix("\u{1b}[") {
        let parameters = rest.bytes().take_while(is_parameter).count();
        if !rest[parameters..].starts_with('m') {
            break;
        }
        at += "\u{1b}[m".len() + parameters;
    }
    at
}

/// Returns where the value stands that begins at `start`, without its quotes.
fn value_range(text: &str, start: usize, reach: Reach) -> Range<usize> {
    let value = &text[start..];
    // JSON within JSON escapes its quotes.
    let escapes = value.bytes().take_while(|b| *b == b'\\').count();
    match value[escapes..].chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let inner = start + escapes + 1;
            inner..inner + closing_quote(&text[inner..], quote, escapes)
        }
        Some('[' | '{' | '(') => start..nested_end(text, start),
        _ => {
            let whole_line = reach == Reach::Header;
            let ends = |c: char| match c {
                '\n' | '\r' | '"' => true,
                ',' | ';' | '&' | '}' | ']' | ')' => !whole_line,
                c => !whole_line && c.is_whitespace(),
            };
            start..start + value.find(ends).unwrap_or(value.len())
        }
    }
}

/// Returns the position of the closing quote, which is preceded by exactly `escapes` backslashes, or the end.
fn closing_quote(text: &str, quote: char, escapes: usize) -> usize {
    let mut backslashes = 0;
    for (at, character) in text.char_indices() {
        if character == '\\' {
            backslashes += 1;
            continue;
        }
        if character == quote && backslashes <= escapes {
            return at - backslashes;
        }
        backslashes = 0;
    }
    text.len()
}

/// Returns the position behind the bracket that closes the one at `start`, or the end.
fn nested_end(text: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    let mut in_text = false;
    for (at, character) in text[start..].char_indices() {
        match character {
            '"' => in_text = !in_text,
            '[' | '{' | '(' if !in_text => depth += 1,
            ']' | '}' | ')' if !in_text => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return start + at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests;
