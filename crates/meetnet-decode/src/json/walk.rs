//! From a document that was read to the values that a shape wants of it, building nothing.
//!
//! A value is kept as the span of its raw text; what it must be (number, text, list) is read later by the one who
//! wants it. So numbers keep every digit, `"1.5"`, `1.5`, `""` and `null` can all be accepted, and a field that
//! nobody wants costs a step. Of a repeated member the last value counts. The walk goes as deep as pointers do.

use crate::fields::{Slot, Span};
use crate::json::shape::{Node, Shape};
use crate::json::tape::Value;

/// Stands for "there is an object"; its text is not kept.
const OBJECT_NOTED: Span = Span { start: 0, end: 1 };

/// Notes into `spans` where the values that `shape` wants stand, of a document that is `value`.
pub(crate) fn walk(shape: &Shape, value: Value<'_>, spans: &mut Vec<Span>) {
    spans.clear();
    spans.resize(shape.slots(), Span::default());
    Walk { shape, spans }.value(shape.root(), value);
}

/// Notes, beside what `spans` holds, what is wanted of `value` if it were the value of the root's member of that number:
/// for formats that write an object as a list of names and a list of values.
#[inline]
pub(crate) fn walk_member(shape: &Shape, member: usize, value: Value<'_>, spans: &mut [Span]) {
    let Some(child) = shape.root().children().get(member) else {
        return;
    };
    let child = shape.node(child);
    match child.slot {
        Some(slot) if child.is_leaf() => spans[usize::from(slot.0)] = value.span(),
        _ => Walk { shape, spans }.value(child, value),
    }
}

struct Walk<'a> {
    shape: &'a Shape,
    spans: &'a mut [Span],
}

impl Walk<'_> {
    fn value(&mut self, node: &Node, value: Value<'_>) {
        if let Some(slot) = node.slot {
            self.keep(slot, value.span());
            if node.children().is_empty() {
                return;
            }
        }
        if value.is_object() {
            self.members(node, value);
        } else if value.is_array() {
            self.elements(node, value);
        }
        // A scalar where the pointers go on: nothing of what is wanted is there.
    }

    fn members(&mut self, node: &Node, value: Value<'_>) {
        let text = value.whole().as_bytes();
        let members = value.children();
        if let Some(slot) = node.object
            && !members.is_empty()
        {
            self.keep(slot, OBJECT_NOTED);
        }
        for member in members {
            let position = match member.plain_name() {
                Some(name) => node.position(text, name),
                None => member.escaped_name().and_then(|name| {
                    let span = Span::of(&name, &name);
                    node.position(name.as_bytes(), span)
                }),
            };
            let Some(position) = position else {
                self.note_unknown(node, member);
                continue;
            };
            let child = self.shape.node(&node.children()[position]);
            match child.slot {
                Some(slot) if child.is_leaf() => self.keep(slot, member.span()),
                _ => self.value(child, member),
            }
        }
    }

    fn elements(&mut self, node: &Node, value: Value<'_>) {
        if !node.has_positions() {
            return;
        }
        for (index, element) in value.children().enumerate() {
            let mut children = node.children().iter();
            if let Some(child) = children.find(|child| child.index == Some(index)) {
                self.value(self.shape.node(child), element);
            }
        }
    }

    /// Keeps the name of a member that nobody wants, where that is wanted.
    fn note_unknown(&mut self, node: &Node, member: Value<'_>) {
        let Some((slot, is_odd)) = node.unknown else {
            return;
        };
        if self.spans[usize::from(slot.0)] != Span::default() {
            return;
        }
        match member.plain_name() {
            Some(name) if is_odd(name.text(member.whole()).unwrap_or_default()) => {
                self.keep(slot, name);
            }
            Some(_) => {}
            None => self.keep(slot, OBJECT_NOTED),
        }
    }

    fn keep(&mut self, slot: Slot, span: Span) {
        self.spans[usize::from(slot.0)] = span;
    }
}
