//! From a document that was read to the values that a shape wants of it, building nothing.
//!
//! A value is kept as the span of its raw text; what it must be (number, text, list) is read later by the one who
//! wants it. So numbers keep every digit, `"1.5"`, `1.5`, `""` and `null` can all be accepted, and a field that
//! nobody wants costs a step. Of a repeated member the last value counts. The walk goes as deep as pointers do.

use std::ops::Range;

use crate::fields::{Slot, Span};
use crate::json::shape::{self, Shape};
use crate::json::tape::{Node, Value};

/// Stands for "there is an object"; its text is not kept.
const OBJECT_NOTED: Span = Span { start: 0, end: 1 };

/// Notes into `spans` where the values that `shape` wants stand, of a document that is `value`.
pub(crate) fn walk(shape: &Shape, value: Value<'_>, spans: &mut Vec<Span>) {
    spans.clear();
    spans.resize(shape.slots(), Span::default());
    Walk::new(shape, value, spans).value(shape.root(), value);
}

/// What a shape wants of the value of one member of its root.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    Nothing,
    /// The value itself.
    Value(Slot),
    /// What it holds, by the number of the member.
    Within(usize),
}

impl Wanted {
    /// Returns what `shape` wants of the root's member of that number.
    pub(crate) fn of_member(shape: &Shape, member: Option<usize>) -> Self {
        let child = member.and_then(|member| Some((member, shape.root().children().get(member)?)));
        let Some((member, child)) = child else {
            return Self::Nothing;
        };
        let node = shape.node(child);
        match node.slot {
            Some(slot) if node.is_leaf() => Self::Value(slot),
            _ => Self::Within(member),
        }
    }
}

/// Notes, beside what `spans` holds, what is wanted of `value` if it were the value of a member of the root: for formats
/// that write an object as a list of names and a list of values.
#[inline]
pub(crate) fn walk_member(shape: &Shape, wanted: Wanted, value: Value<'_>, spans: &mut [Span]) {
    match wanted {
        Wanted::Nothing => {}
        Wanted::Value(slot) => spans[usize::from(slot.0)] = value.span(),
        Wanted::Within(member) => {
            if let Some(child) = shape.root().children().get(member) {
                Walk::new(shape, value, spans).value(shape.node(child), value);
            }
        }
    }
}

struct Walk<'a> {
    shape: &'a Shape,
    text: &'a str,
    nodes: &'a [Node],
    spans: &'a mut [Span],
}

impl<'a> Walk<'a> {
    fn new(shape: &'a Shape, value: Value<'a>, spans: &'a mut [Span]) -> Self {
        let (text, nodes, _) = value.parts();
        Self {
            shape,
            text,
            nodes,
            spans,
        }
    }

    fn value(&mut self, wanted: &shape::Node, value: Value<'_>) {
        let (_, _, at) = value.parts();
        self.node(wanted, at);
    }

    /// Walks through the value at node `at`.
    fn node(&mut self, wanted: &shape::Node, at: usize) {
        let Some(node) = self.nodes.get(at) else {
            return;
        };
        if let Some(slot) = wanted.slot {
            self.keep(slot, node.text);
            if wanted.children().is_empty() {
                return;
            }
        }
        let children = at + 1..node.next as usize;
        match self.text.as_bytes().get(node.text.start as usize) {
            Some(b'{') => self.members(wanted, children),
            Some(b'[') if wanted.has_positions() => self.elements(wanted, children),
            // A scalar where the pointers go on: nothing of what is wanted is there.
            _ => {}
        }
    }

    fn members(&mut self, wanted: &shape::Node, members: Range<usize>) {
        if let Some(slot) = wanted.object
            && !members.is_empty()
        {
            self.keep(slot, OBJECT_NOTED);
        }
        let (text, nodes) = (self.text, self.nodes);
        let mut at = members.start;
        while at < members.end {
            let Some(member) = nodes.get(at) else {
                return;
            };
            let child = match member.plain_name(text) {
                Some(name) => wanted.child(text.as_bytes(), name),
                None => {
                    let name = member.escaped_name(text);
                    name.and_then(|name| wanted.child(name.as_bytes(), Span::of(&name, &name)))
                }
            };
            match child {
                None => self.note_unknown(wanted, member),
                Some(child) => {
                    let child = self.shape.node(child);
                    match child.slot {
                        Some(slot) if child.is_leaf() => self.keep(slot, member.text),
                        _ => self.node(child, at),
                    }
                }
            }
            at = member.next as usize;
        }
    }

    fn elements(&mut self, wanted: &shape::Node, elements: Range<usize>) {
        let mut at = elements.start;
        let mut index = 0;
        while at < elements.end {
            let Some(element) = self.nodes.get(at) else {
                return;
            };
            let next = element.next as usize;
            let mut children = wanted.children().iter();
            if let Some(child) = children.find(|child| child.index == Some(index)) {
                self.node(self.shape.node(child), at);
            }
            (at, index) = (next, index + 1);
        }
    }

    /// Keeps the name of a member that nobody wants, where that is wanted.
    #[inline]
    fn note_unknown(&mut self, wanted: &shape::Node, member: &Node) {
        if let Some((slot, is_odd)) = wanted.unknown
            && self.spans[usize::from(slot.0)] == Span::default()
        {
            match member.plain_name(self.text) {
                Some(name) if is_odd(name.text(self.text).unwrap_or_default()) => {
                    self.keep(slot, name);
                }
                Some(_) => {}
                None => self.keep(slot, OBJECT_NOTED),
            }
        }
    }

    #[inline]
    fn keep(&mut self, slot: Slot, span: Span) {
        self.spans[usize::from(slot.0)] = span;
    }
}
