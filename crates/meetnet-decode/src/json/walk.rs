//! One pass over a JSON text that notes where the wanted values stand, building nothing.
//!
//! A value is kept as the span of its raw text; what it must be (number, text, list) is read later by the one who
//! wants it. So numbers keep every digit, `"1.5"`, `1.5`, `""` and `null` can all be accepted, and a field that
//! nobody wants costs a scan. Of a repeated member the last value counts. Unwanted values may nest to any depth
//! (they are skipped without recursion); wanted ones nest as deep as their pointers.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use crate::fields::{Slot, Span};
use crate::json::shape::{Child, Node, Shape};

/// Stands for "there is an object"; its text is not kept.
const OBJECT_NOTED: Span = Span { start: 0, end: 1 };

/// Notes into `spans` where the values that `shape` wants stand in `part`, a whole JSON document within `whole`.
pub(crate) fn walk(
    shape: &Shape,
    part: &str,
    whole: &str,
    spans: &mut Vec<Span>,
) -> Result<(), serde_json::Error> {
    spans.clear();
    spans.resize(shape.slots(), Span::default());
    let mut deserializer = serde_json::Deserializer::from_str(part);
    Walk {
        shape,
        node: shape.root(),
        whole,
        spans,
    }
    .deserialize(&mut deserializer)?;
    deserializer.end()
}

/// Notes, beside what `spans` holds, what is wanted of `part` if it were the value of the root's member of that number:
/// for formats that write an object as a list of names and a list of values.
pub(crate) fn walk_member(
    shape: &Shape,
    member: usize,
    part: &str,
    whole: &str,
    spans: &mut [Span],
) -> Result<(), serde_json::Error> {
    let Some(child) = shape.root().children.get(member) else {
        return Ok(());
    };
    let mut deserializer = serde_json::Deserializer::from_str(part);
    Walk {
        shape,
        node: shape.node(child),
        whole,
        spans,
    }
    .deserialize(&mut deserializer)?;
    deserializer.end()
}

/// Notes the spans of the elements of a JSON array; returns false where `part` is no array.
pub(crate) fn elements(
    part: &str,
    whole: &str,
    spans: &mut Vec<Span>,
) -> Result<bool, serde_json::Error> {
    spans.clear();
    if !part.trim_start().starts_with('[') {
        return Ok(false);
    }
    let mut deserializer = serde_json::Deserializer::from_str(part);
    (&mut deserializer).deserialize_seq(Elements { whole, spans })?;
    deserializer.end()?;
    Ok(true)
}

struct Elements<'f, 'de> {
    whole: &'de str,
    spans: &'f mut Vec<Span>,
}

impl<'de> Visitor<'de> for Elements<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(raw) = seq.next_element::<&'de RawValue>()? {
            self.spans.push(Span::of(raw.get(), self.whole));
        }
        Ok(())
    }
}

/// The walk below one node.
struct Walk<'s, 'f, 'de> {
    shape: &'s Shape,
    node: &'s Node,
    whole: &'de str,
    spans: &'f mut [Span],
}

impl<'de> Walk<'_, '_, 'de> {
    /// Keeps the name of a member that nobody wants, where that is wanted.
    fn note_unknown(&mut self, name: Option<&'de str>) {
        let Some((slot, is_odd)) = self.node.unknown else {
            return;
        };
        let kept = &mut self.spans[usize::from(slot.0)];
        if *kept == Span::default() && name.is_none_or(is_odd) {
            *kept = name.map_or(OBJECT_NOTED, |name| Span::of(name, self.whole));
        }
    }

    fn keep(&mut self, slot: Slot, raw: &'de str) {
        self.spans[usize::from(slot.0)] = Span::of(raw, self.whole);
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(mut self, deserializer: D) -> Result<(), D::Error> {
        let Some(slot) = self.node.slot else {
            return deserializer.deserialize_any(self);
        };
        let raw = <&'de RawValue as serde::Deserialize>::deserialize(deserializer)?.get();
        self.keep(slot, raw);
        if self.node.children.is_empty() || !raw.starts_with(['{', '[']) {
            return Ok(());
        }
        // Wanted as a whole and in parts: a second look at this part of the body only.
        serde_json::Deserializer::from_str(raw)
            .deserialize_any(self)
            .map_err(D::Error::custom)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let children = &self.node.children;
        let mut expected = 0;
        while let Some(found) = map.next_key_seed(Member { children, expected })? {
            if let Some(slot) = self.node.object {
                self.spans[usize::from(slot.0)] = OBJECT_NOTED;
            }
            let position = match found {
                Name::Child(position) => position,
                Name::Unknown(name) => {
                    self.note_unknown(name);
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            expected = position + 1;
            map.next_value_seed(Walk {
                shape: self.shape,
                node: self.shape.node(&children[position]),
                whole: self.whole,
                spans: self.spans,
            })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        for index in 0.. {
            let child = self
                .node
                .children
                .iter()
                .find(|child| child.index == Some(index));
            let more = match child {
                None => seq.next_element::<IgnoredAny>()?.is_some(),
                Some(child) => seq
                    .next_element_seed(Walk {
                        shape: self.shape,
                        node: self.shape.node(child),
                        whole: self.whole,
                        spans: self.spans,
                    })?
                    .is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    // A scalar where the pointers go on: nothing of what is wanted is there.
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

/// Finds a member's name among the children, first where the last one was found.
struct Member<'s> {
    children: &'s [Child],
    expected: usize,
}

/// The name of a member.
enum Name<'de> {
    /// The position among the children.
    Child(usize),
    /// A name that is no child; none where it is written with escapes.
    Unknown(Option<&'de str>),
}

impl Member<'_> {
    fn position(&self, name: &str) -> Option<usize> {
        let (before, after) = self
            .children
            .split_at(self.expected.min(self.children.len()));
        let position = |children: &[Child]| children.iter().position(|c| &*c.name == name);
        position(after)
            .map(|at| at + before.len())
            .or_else(|| position(before))
    }
}

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = Name<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(self
            .position(name)
            .map_or(Name::Unknown(Some(name)), Name::Child))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.position(name).map_or(Name::Unknown(None), Name::Child))
    }
}
