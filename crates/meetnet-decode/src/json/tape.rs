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
use crate::json::scan::{byte, is_at, number_end, skip_space, string_end, word_end};

/// Nodes that there is room for in the next text: a body that has more is rare and must not hold its memory for good.
const NODES_KEPT_MAX: usize = 1 << 18;
/// Bytes of a text up to which it is kept.
const TEXT_KEPT_MAX: usize = 1 << 16;
/// Bytes of a text for each node that it may have beyond these.
const NODE_BYTES_MIN: usize = 4;
/// Objects and arrays inside each other.
const DEPTH_MAX: usize = 1 << 18;

/// Where the values of one text stand, and the room for those of the next.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    nodes: Vec<Node>,
    /// The text that they stand in, where it is short: the next one has mostly the same names in the same places.
    text: Vec<u8>,
}

/// One value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// The name of a member, between its quotes; one with escapes with them; that of an element is empty.
    name: Span,
    pub(super) text: Span,
    /// The node behind the value and all that it holds.
    pub(super) next: u32,
}

impl Node {
    /// Returns where the name of a member of `text` stands; none where that is written with escapes.
    #[inline]
    pub(super) fn plain_name(&self, text: &str) -> Option<Span> {
        // No name without escapes holds a quote.
        let first = text.as_bytes().get(self.name.start as usize);
        let has_escapes = first == Some(&b'"') && self.name.start < self.name.end;
        (!has_escapes).then_some(self.name)
    }

    /// Returns what stands before the value of a member of `text`, from the quote before its name on, and the length of
    /// the name; none where that is written with escapes.
    #[inline]
    fn label<'t>(&self, text: &'t [u8]) -> Option<(&'t [u8], usize)> {
        let start = (self.name.start as usize).checked_sub(1)?;
        let label = text.get(start..self.text.start as usize)?;
        // Of a name with escapes, this is what stands before its quote: no name begins so.
        let length = (self.name.end - self.name.start) as usize;
        (label.first() == Some(&b'"')).then_some((label, length))
    }

    /// Returns the name of a member of `text` that is written with escapes; none where it holds half a character.
    pub(super) fn escaped_name(&self, text: &str) -> Option<String> {
        serde_json::from_str(self.name.text(text)?).ok()
    }
}

impl Tape {
    /// Reads a whole document.
    pub(crate) fn read<'t>(&'t mut self, text: &'t str) -> Result<Value<'t>, serde_json::Error> {
        self.give_back();
        let mut excess = None;
        let count = read_document(text.as_bytes(), self, &mut excess);
        self.nodes.truncate(count.unwrap_or(0));
        self.text.clear();
        if text.len() <= TEXT_KEPT_MAX {
            self.text.extend_from_slice(text.as_bytes());
        }
        match count {
            Some(_) => Ok(Value {
                text,
                nodes: &self.nodes,
                at: 0,
            }),
            None => Err(match excess {
                None => fault_of(text),
                Some(Excess { what, most }) => {
                    serde_json::Error::custom(format!("there are more than {most} {what}"))
                }
            }),
        }
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

    /// Returns the name of the member that the value is; none where that is written with escapes.
    #[inline]
    pub(crate) fn plain_name(self) -> Option<&'t [u8]> {
        let name = self.nodes[self.at].plain_name(self.text)?;
        self.text
            .as_bytes()
            .get(name.start as usize..name.end as usize)
    }

    /// Returns such a name where it is written with escapes; none where it holds half a character.
    pub(crate) fn escaped_name(self) -> Option<String> {
        self.nodes[self.at].escaped_name(self.text)
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

    /// Returns the text that the value stands in, the nodes of that text, and which of them is the value's.
    pub(super) fn parts(self) -> (&'t str, &'t [Node], usize) {
        (self.text, self.nodes, self.at)
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

/// What a text holds too much of.
struct Excess {
    what: &'static str,
    most: usize,
}

/// Stands for "within nothing" where the node of an object or array is named.
const NOWHERE: u32 = u32::MAX;

/// Reads a document and returns the number of its nodes; none where it is no JSON, or where there is an excess. While an
/// object or array is open, its `next` is the node that it lies in.
///
/// The nodes of the text before are overwritten one by one, so that where a member comes, the name that came there before
/// is still known. Messages of a source are much alike, and to compare a name costs less than to look for its end.
fn read_document(bytes: &[u8], tape: &mut Tape, excess: &mut Option<Excess>) -> Option<usize> {
    let Tape {
        nodes,
        text: before,
    } = tape;
    let mut count = 0;
    let nodes_max = NODES_KEPT_MAX + bytes.len() / NODE_BYTES_MIN;
    // The innermost object or array that is open, and how many are.
    let (mut open, mut is_object, mut depth) = (NOWHERE, false, 0);
    let mut at = skip_space(bytes, 0);
    'value: loop {
        let mut name = Span::default();
        if is_object {
            let known = nodes.get(count).and_then(|node| node.label(before));
            (name, at) = match known {
                // Behind the colon there may be more blanks than there were before.
                Some((label, length)) if is_at(bytes, at, label) => (
                    span(at + 1, at + 1 + length),
                    skip_space(bytes, at + label.len()),
                ),
                _ => name_of_value(bytes, at)?,
            };
        }
        let start = at;
        let opening = byte(bytes, start);
        at = match opening {
            b'"' => string_end(bytes, start)?.0,
            b'-' | b'0'..=b'9' => number_end(bytes, start)?,
            b'{' | b'[' => start + 1,
            b't' => word_end(bytes, start, b"true")?,
            b'f' => word_end(bytes, start, b"false")?,
            b'n' => word_end(bytes, start, b"null")?,
            _ => return None,
        };
        let node = Node {
            name,
            text: span(start, at),
            next: count as u32 + 1,
        };
        match nodes.get_mut(count) {
            Some(before) => *before = node,
            None => {
                if count == nodes.capacity() {
                    *excess = make_room(nodes, nodes_max);
                    if excess.is_some() {
                        return None;
                    }
                }
                nodes.push(node);
            }
        }
        count += 1;
        if let b'{' | b'[' = opening {
            at = skip_space(bytes, at);
            // The closing character is two behind the opening one.
            if byte(bytes, at) == opening + 2 {
                at += 1;
                nodes[count - 1].text.end = at as u32;
            } else if depth == DEPTH_MAX {
                *excess = Some(Excess {
                    what: "objects and arrays inside each other",
                    most: DEPTH_MAX,
                });
                return None;
            } else {
                nodes[count - 1].next = open;
                (open, is_object, depth) = (count as u32 - 1, opening == b'{', depth + 1);
                continue 'value;
            }
        }
        loop {
            at = skip_space(bytes, at);
            if open == NOWHERE {
                return (at == bytes.len()).then_some(count);
            }
            match (byte(bytes, at), is_object) {
                (b',', _) => {
                    at = skip_space(bytes, at + 1);
                    continue 'value;
                }
                (b'}', true) | (b']', false) => {
                    at += 1;
                    let next = count as u32;
                    let closed = &mut nodes[open as usize];
                    closed.text.end = at as u32;
                    open = std::mem::replace(&mut closed.next, next);
                    depth -= 1;
                    // None is open where the number is that of no node.
                    let around = nodes.get(open as usize);
                    is_object =
                        around.is_some_and(|node| byte(bytes, node.text.start as usize) == b'{');
                }
                _ => return None,
            }
        }
    }
}

/// Makes room for as many nodes again, up to those that the text may have. What is kept of earlier texts is no more
/// than any may have, so a text is taken or refused whatever was read before it.
#[cold]
fn make_room(nodes: &mut Vec<Node>, nodes_max: usize) -> Option<Excess> {
    const FIRST: usize = 64;
    let left = nodes_max.saturating_sub(nodes.len());
    if left == 0 {
        return Some(Excess {
            what: "values in a text of its length",
            most: nodes_max,
        });
    }
    nodes.reserve_exact(nodes.len().max(FIRST).min(left));
    None
}

/// Reads the name and the colon before a value; returns the place of the value, too.
#[inline]
fn name_of_value(bytes: &[u8], at: usize) -> Option<(Span, usize)> {
    let (end, has_escapes) = string_end(bytes, at)?;
    let quotes = usize::from(!has_escapes);
    let name = span(at + quotes, end - quotes);
    let colon = skip_space(bytes, end);
    (byte(bytes, colon) == b':').then(|| (name, skip_space(bytes, colon + 1)))
}

fn span(start: usize, end: usize) -> Span {
    // Bodies beyond 4 GiB are turned away before they are read.
    Span {
        start: start as u32,
        end: end as u32,
    }
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
