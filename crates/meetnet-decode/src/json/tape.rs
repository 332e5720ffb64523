//! One pass over a JSON text that notes where every value stands, so that no byte is looked at twice.
//!
//! text ─[`Tape::read`]─▶ a flat list of nodes, each before what it holds ─▶ [`Value`], [`Value::elements`]
//!
//! The list is kept from text to text, so a body costs no allocation. It takes what serde_json takes, to a depth of
//! 262,144 (nothing recurses), and serde_json says what is wrong with a text that is no JSON. A text of more than 262,144
//! values may have one for each four of its bytes beyond: a node is twelve times as large as `0,`, and real bodies have ten
//! bytes and more to a value. Values stay text: what one must be (number, text, list) is read later by the one who wants
//! it, so numbers keep every digit.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::fields::Span;

/// Nodes that there is room for in the next text: a body that has more is rare and must not hold its memory for good.
const NODES_KEPT_MAX: usize = 1 << 18;
/// Bytes of a text for each node that it may have beyond these.
const NODE_BYTES_MIN: usize = 4;
/// Objects and arrays inside each other.
const DEPTH_MAX: usize = 1 << 18;

/// Where the values of one text stand, and the room for those of the next.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    nodes: Vec<Node>,
    /// The objects and arrays around the place that is being read.
    open: Vec<Open>,
}

/// One value.
#[derive(Clone, Copy, Debug)]
struct Node {
    name: Name,
    text: Span,
    /// The node behind the value and all that it holds.
    next: u32,
}

/// The name of a member, between its quotes; that of an element is empty.
#[derive(Clone, Copy, Debug, Default)]
struct Name {
    text: Span,
    has_escapes: bool,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    node: u32,
    is_object: bool,
}

impl Tape {
    /// Reads a whole document.
    pub(crate) fn read<'t>(&'t mut self, text: &'t str) -> Result<Value<'t>, serde_json::Error> {
        self.give_back();
        self.open.clear();
        self.nodes.clear();
        let fault = {
            let mut reader = Reader {
                bytes: text.as_bytes(),
                at: 0,
                nodes_max: NODES_KEPT_MAX + text.len() / NODE_BYTES_MIN,
                excess: None,
                tape: self,
            };
            match reader.document() {
                Some(()) => None,
                None => Some(reader.excess.take().unwrap_or_else(|| fault_of(text))),
            }
        };
        if let Some(fault) = fault {
            return Err(fault);
        }
        Ok(Value {
            text,
            nodes: &self.nodes,
            at: 0,
        })
    }

    /// Gives back the memory that a large text took.
    pub(crate) fn give_back(&mut self) {
        if self.nodes.capacity() > NODES_KEPT_MAX {
            self.nodes = Vec::new();
        }
    }
}

/// A value of a text that was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'t> {
    text: &'t str,
    nodes: &'t [Node],
    at: usize,
}

impl<'t> Value<'t> {
    /// Returns where the value stands in the text.
    #[inline]
    pub(crate) fn span(self) -> Span {
        self.nodes[self.at].text
    }

    /// Returns the value as it is written.
    #[inline]
    pub(crate) fn text(self) -> &'t str {
        self.span().text(self.text).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn is_object(self) -> bool {
        self.begins_with(b'{')
    }

    #[inline]
    pub(crate) fn is_array(self) -> bool {
        self.begins_with(b'[')
    }

    #[inline]
    fn begins_with(self, byte: u8) -> bool {
        self.text.as_bytes().get(self.span().start as usize) == Some(&byte)
    }

    /// Returns the elements of an array; none where the value is another.
    #[inline]
    pub(crate) fn elements(self) -> Option<Values<'t>> {
        self.is_array().then(|| self.children())
    }

    /// Returns the values that the value holds, be they elements or members.
    #[inline]
    pub(crate) fn children(self) -> Values<'t> {
        Values {
            value: Value {
                at: self.at + 1,
                ..self
            },
            end: self.nodes[self.at].next as usize,
        }
    }

    /// Returns the value within this one that stands at `span`; none where no value begins there.
    pub(crate) fn at(self, span: Span) -> Option<Self> {
        if span == Span::default() {
            return None;
        }
        let within = &self.nodes[self.at..self.nodes[self.at].next as usize];
        let found = within.binary_search_by_key(&span.start, |node| node.text.start);
        found.ok().map(|found| Value {
            at: self.at + found,
            ..self
        })
    }

    /// Returns the name of a member as it is written; none where that is with escapes.
    #[inline]
    pub(crate) fn plain_name(self) -> Option<&'t str> {
        let Name { text, has_escapes } = self.nodes[self.at].name;
        if has_escapes {
            return None;
        }
        self.text.get(text.start as usize..text.end as usize)
    }

    /// Returns the name of a member that is written with escapes; none where it holds half a character.
    pub(crate) fn escaped_name(self) -> Option<String> {
        let name = self.nodes[self.at].name.text;
        let quoted = (name.start as usize).checked_sub(1)?..name.end as usize + 1;
        serde_json::from_str(self.text.get(quoted)?).ok()
    }

    /// Returns where the name of a member stands.
    pub(crate) fn name_span(self) -> Span {
        self.nodes[self.at].name.text
    }
}

/// Values that follow one another.
#[derive(Clone, Debug)]
pub(crate) struct Values<'t> {
    value: Value<'t>,
    end: usize,
}

impl Values<'_> {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.value.at >= self.end
    }
}

impl<'t> Iterator for Values<'t> {
    type Item = Value<'t>;

    #[inline]
    fn next(&mut self) -> Option<Value<'t>> {
        if self.is_empty() {
            return None;
        }
        let value = self.value;
        self.value.at = value.nodes[value.at].next as usize;
        Some(value)
    }
}

/// Reads one text. Its functions give none where the text is no JSON, or holds too much.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes_max: usize,
    /// What the text holds too much of.
    excess: Option<serde_json::Error>,
    tape: &'a mut Tape,
}

impl Reader<'_> {
    fn document(&mut self) -> Option<()> {
        let mut name = Name::default();
        self.skip_space();
        'value: loop {
            let start = self.at;
            match self.byte() {
                opening @ (b'{' | b'[') => {
                    let is_object = opening == b'{';
                    let node = self.tape.nodes.len() as u32;
                    self.add(name, start)?;
                    self.at += 1;
                    self.skip_space();
                    let closing = if is_object { b'}' } else { b']' };
                    if self.byte() == closing {
                        self.close(node);
                    } else if self.tape.open.len() == DEPTH_MAX {
                        return self.refuse("objects and arrays inside each other", DEPTH_MAX);
                    } else {
                        self.tape.open.push(Open { node, is_object });
                        name = if is_object {
                            self.name()?
                        } else {
                            Name::default()
                        };
                        continue 'value;
                    }
                }
                b'"' => {
                    self.string()?;
                    self.add(name, start)?;
                }
                b'-' | b'0'..=b'9' => {
                    self.number()?;
                    self.add(name, start)?;
                }
                b't' => self.word(b"true", name)?,
                b'f' => self.word(b"false", name)?,
                b'n' => self.word(b"null", name)?,
                _ => return None,
            }
            loop {
                self.skip_space();
                let Some(Open { node, is_object }) = self.tape.open.last().copied() else {
                    return (self.at == self.bytes.len()).then_some(());
                };
                match (self.byte(), is_object) {
                    (b',', is_object) => {
                        self.at += 1;
                        self.skip_space();
                        name = if is_object {
                            self.name()?
                        } else {
                            Name::default()
                        };
                        continue 'value;
                    }
                    (b'}', true) | (b']', false) => {
                        self.tape.open.pop();
                        self.close(node);
                    }
                    _ => return None,
                }
            }
        }
    }

    /// Adds the value from `start` to here.
    fn add(&mut self, name: Name, start: usize) -> Option<()> {
        if self.tape.nodes.len() == self.tape.nodes.capacity() {
            self.make_room()?;
        }
        let next = self.tape.nodes.len() as u32 + 1;
        self.tape.nodes.push(Node {
            name,
            text: span(start, self.at),
            next,
        });
        Some(())
    }

    /// Makes room for as many nodes again, up to those that the text may have. What is kept of earlier texts is no more
    /// than any may have, so a text is taken or refused whatever was read before it.
    #[cold]
    fn make_room(&mut self) -> Option<()> {
        const FIRST: usize = 64;
        let nodes = &mut self.tape.nodes;
        let left = self.nodes_max.saturating_sub(nodes.len());
        if left == 0 {
            return self.refuse("values in a text of its length", self.nodes_max);
        }
        nodes.reserve_exact(nodes.len().max(FIRST).min(left));
        Some(())
    }

    fn refuse(&mut self, what: &str, most: usize) -> Option<()> {
        let message = format!("there are more than {most} {what}");
        self.excess = Some(serde_json::Error::custom(message));
        None
    }

    /// Ends an object or array at the closing character here.
    fn close(&mut self, node: u32) {
        self.at += 1;
        let next = self.tape.nodes.len() as u32;
        let node = &mut self.tape.nodes[node as usize];
        node.text.end = self.at as u32;
        node.next = next;
    }

    /// Returns the byte here; at the end one that is in no JSON.
    fn byte(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    fn skip_space(&mut self) {
        while matches!(self.byte(), b' ' | b'\n' | b'\t' | b'\r') {
            self.at += 1;
        }
    }

    /// Reads a name and its colon, up to the value.
    fn name(&mut self) -> Option<Name> {
        if self.byte() != b'"' {
            return None;
        }
        let start = self.at;
        let is_plain = self.string()?;
        let name = Name {
            text: span(start + 1, self.at - 1),
            has_escapes: !is_plain,
        };
        self.skip_space();
        if self.byte() != b':' {
            return None;
        }
        self.at += 1;
        self.skip_space();
        Some(name)
    }

    /// Passes a text; returns whether it has no escapes.
    fn string(&mut self) -> Option<bool> {
        self.at += 1;
        let mut is_plain = true;
        loop {
            self.at = special_from(self.bytes, self.at);
            match self.byte() {
                b'"' => {
                    self.at += 1;
                    return Some(is_plain);
                }
                b'\\' => {
                    is_plain = false;
                    self.at += 1;
                    self.escape()?;
                }
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        match self.byte() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                let digits = self.bytes.get(self.at + 1..self.at + 5)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return None;
                }
                self.at += 5;
            }
            _ => return None,
        }
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        if self.byte() == b'-' {
            self.at += 1;
        }
        if self.byte() == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.byte(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    /// Passes digits, at least one.
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.byte().is_ascii_digit() {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn word(&mut self, word: &[u8], name: Name) -> Option<()> {
        let start = self.at;
        if !self.bytes[start..].starts_with(word) {
            return None;
        }
        self.at += word.len();
        self.add(name, start)
    }
}

fn span(start: usize, end: usize) -> Span {
    // Bodies beyond 4 GiB are turned away before they are read.
    Span {
        start: start as u32,
        end: end as u32,
    }
}

/// Returns the place of the first quote, backslash or control character from `at` on, else the end.
fn special_from(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::MAX / 255;
    // Eight bytes at once (Mycroft): the lowest bit found is right, those above it need not be.
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let zero_in = |word: u64| word.wrapping_sub(ONES) & !word;
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = zero_in(word ^ (ONES * u64::from(b'"')));
        let backslash = zero_in(word ^ (ONES * u64::from(b'\\')));
        let found = (control | quote | backslash) & (ONES << 7);
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let is_special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    at + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// Returns what serde_json says of a text that is no JSON.
fn fault_of(text: &str) -> serde_json::Error {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = (&mut deserializer)
        .deserialize_any(Anything)
        .and_then(|()| deserializer.end());
    read.err()
        .unwrap_or_else(|| serde_json::Error::custom("a reader of ours does not take it"))
}

/// Passes a document.
struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<Cow<'_, str>, IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
