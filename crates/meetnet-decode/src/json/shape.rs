//! The values wanted from a message, compiled into a tree: one walk over the body finds them all.

use crate::error::SetupProblem;
use crate::fields::{Slot, Span};
use crate::json::pointer::{Pointer, array_index};

/// Number of values that one shape can want.
const SLOTS_MAX: usize = 4096;

/// Stands for no child: nodes, of which each child has one, are numbered below it.
const NO_CHILD: u16 = u16::MAX;

/// One step of a pointer: the member (or array position) and the node behind it.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) name: Box<str>,
    key: Key,
    /// `name` as a position in an array.
    pub(crate) index: Option<usize>,
    pub(crate) node: u16,
}

/// What nearly all names differ by: their first eight bytes, and their length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    head: u64,
    length: u32,
}

impl Key {
    /// Returns the key of the name at `name` in `text`.
    #[inline]
    fn of(text: &[u8], name: Span) -> Self {
        let length = name.end - name.start;
        let behind = text.get(name.start as usize..).unwrap_or_default();
        let head = match behind.first_chunk::<8>() {
            Some(head) => u64::from_le_bytes(*head),
            None => {
                let mut head = [0; 8];
                head[..behind.len()].copy_from_slice(behind);
                u64::from_le_bytes(head)
            }
        };
        // What stands behind a short name does not count.
        let head = match length {
            0 => 0,
            1..8 => head << (64 - 8 * length) >> (64 - 8 * length),
            _ => head,
        };
        Self { head, length }
    }

    /// Returns a number below 2^64 that differs in its highest bits from those of most other keys.
    #[inline]
    fn hash(self) -> u64 {
        (self.head ^ u64::from(self.length)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// Says of a member's name whether it must not go unnoticed.
pub(crate) type IsOdd = fn(&str) -> bool;

/// One node of the tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    /// Where the value at this node is kept, if it is wanted.
    pub(crate) slot: Option<Slot>,
    /// Where it is noted that an object with at least one member stands here, if that is wanted.
    pub(crate) object: Option<Slot>,
    /// Where the name of the first member is kept that is no child and that the test holds for, if that is wanted.
    pub(crate) unknown: Option<(Slot, IsOdd)>,
    children: Vec<Child>,
    /// By the highest bits of a name's hash: the child to begin with, and behind it those that share its place; then
    /// [`NO_CHILD`]. It has two places for each child, and a power of two.
    by_hash: Box<[u16]>,
    has_positions: bool,
}

impl Node {
    #[inline]
    pub(crate) fn children(&self) -> &[Child] {
        &self.children
    }

    /// Returns true where a child is the position in an array.
    pub(crate) fn has_positions(&self) -> bool {
        self.has_positions
    }

    /// Returns true where only the value at this node may be wanted, and nothing that it holds.
    #[inline]
    pub(crate) fn is_leaf(&self) -> bool {
        self.children.is_empty() && self.object.is_none() && self.unknown.is_none()
    }

    /// Returns the child whose name stands at `name` in `text`.
    #[inline(always)]
    pub(crate) fn child(&self, text: &[u8], name: Span) -> Option<&Child> {
        let key = Key::of(text, name);
        let mut place = self.first_place(key);
        loop {
            // Empty where there are no children.
            let number = usize::from(*self.by_hash.get(place)?);
            // No child has the number that stands for none.
            let child = self.children.get(number)?;
            if child.key == key && child.has_rest(text, name) {
                return Some(child);
            }
            place = (place + 1) & (self.by_hash.len() - 1);
        }
    }

    #[inline]
    fn first_place(&self, key: Key) -> usize {
        let bits = self.by_hash.len().trailing_zeros();
        key.hash().checked_shr(64 - bits).unwrap_or(0) as usize
    }

    fn add(&mut self, name: &str, node: u16) {
        let index = array_index(name);
        self.has_positions |= index.is_some();
        self.children.push(Child {
            name: name.into(),
            key: Key::of(name.as_bytes(), Span::of(name, name)),
            index,
            node,
        });
        let places = (2 * self.children.len()).next_power_of_two();
        let known = if places > self.by_hash.len() {
            self.by_hash = vec![NO_CHILD; places].into();
            0
        } else {
            self.children.len() - 1
        };
        for number in known..self.children.len() {
            let mut place = self.first_place(self.children[number].key);
            while self.by_hash[place] != NO_CHILD {
                place = (place + 1) & (places - 1);
            }
            self.by_hash[place] = number as u16;
        }
    }
}

impl Child {
    /// Returns true where a name of the same key is the same to its end.
    #[inline]
    fn has_rest(&self, text: &[u8], name: Span) -> bool {
        fn tail(name: Option<&[u8]>) -> Option<u64> {
            Some(u64::from_le_bytes(*name?.last_chunk()?))
        }
        let (start, end) = (name.start as usize, name.end as usize);
        match self.name.len() {
            ..=8 => true,
            // What lies behind the head lies within the last eight bytes.
            9..=16 => tail(text.get(..end)) == tail(Some(self.name.as_bytes())),
            _ => text.get(start..end) == Some(self.name.as_bytes()),
        }
    }
}

/// A set of pointers as a tree.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    nodes: Vec<Node>,
    slots: u16,
}

impl Shape {
    /// Returns a shape that wants nothing.
    pub(crate) fn new() -> Self {
        Self {
            nodes: vec![Node::default()],
            slots: 0,
        }
    }

    /// Wants the value at `pointer`; the same pointer always has the same slot.
    pub(crate) fn want(&mut self, pointer: &Pointer) -> Result<Slot, SetupProblem> {
        let at = self.node_at(pointer)?;
        if let Some(slot) = self.nodes[at].slot {
            return Ok(slot);
        }
        let slot = self.reserve()?;
        self.nodes[at].slot = Some(slot);
        Ok(slot)
    }

    /// Wants to know whether an object with at least one member stands at `pointer`; its text is not kept, so that
    /// what is wanted from within it is found in the same pass.
    pub(crate) fn want_object(&mut self, pointer: &Pointer) -> Result<Slot, SetupProblem> {
        let at = self.node_at(pointer)?;
        let slot = self.reserve()?;
        self.nodes[at].object = Some(slot);
        Ok(slot)
    }

    fn node_at(&mut self, pointer: &Pointer) -> Result<usize, SetupProblem> {
        let mut at = 0;
        for token in pointer.tokens() {
            let known = self.nodes[at]
                .children
                .iter()
                .find(|child| child.name == *token);
            at = match known {
                Some(child) => usize::from(child.node),
                None => {
                    let node = u16::try_from(self.nodes.len())
                        .map_err(|_| SetupProblem::TooManyValues(SLOTS_MAX))?;
                    self.nodes.push(Node::default());
                    self.nodes[at].add(token, node);
                    usize::from(node)
                }
            };
        }
        Ok(at)
    }

    /// Returns a slot that no pointer has: for a value that is found otherwise.
    pub(crate) fn reserve(&mut self) -> Result<Slot, SetupProblem> {
        if usize::from(self.slots) == SLOTS_MAX {
            return Err(SetupProblem::TooManyValues(SLOTS_MAX));
        }
        self.slots += 1;
        Ok(Slot(self.slots - 1))
    }

    /// Wants the name of the first member of the root that nobody wants and that `is_odd` holds for: in some formats a
    /// member that is not understood changes what the others mean.
    pub(crate) fn want_unknown(&mut self, is_odd: IsOdd) -> Result<Slot, SetupProblem> {
        let slot = self.reserve()?;
        self.nodes[0].unknown = Some((slot, is_odd));
        Ok(slot)
    }

    /// Wants the value of a member of the root.
    pub(crate) fn want_member(&mut self, name: &str) -> Result<Slot, SetupProblem> {
        self.want(&Pointer::member(name))
    }

    /// Returns the number of a member of the root, wanted for itself or for what lies in it.
    pub(crate) fn member(&self, name: &str) -> Option<usize> {
        let mut children = self.root().children.iter();
        children.position(|child| &*child.name == name)
    }

    /// Reads a document that lies inside a member called `wrapper` as if it were the document itself.
    /// To be called once everything is wanted; a wrapper inside a wrapper is not opened.
    pub(crate) fn unwrap_members(&mut self, wrappers: &[&str]) -> Result<(), SetupProblem> {
        let inner =
            u16::try_from(self.nodes.len()).map_err(|_| SetupProblem::TooManyValues(SLOTS_MAX))?;
        let root = self.nodes[0].clone();
        self.nodes.push(Node {
            slot: None,
            object: None,
            unknown: None,
            ..root
        });
        for wrapper in wrappers {
            self.nodes[0].add(wrapper, inner);
        }
        Ok(())
    }

    /// Returns true where the root is read as an array by position.
    pub(crate) fn indexes_root(&self) -> bool {
        self.root().has_positions
    }

    /// Returns the number of slots.
    pub(crate) fn slots(&self) -> usize {
        usize::from(self.slots)
    }

    pub(crate) fn root(&self) -> &Node {
        &self.nodes[0]
    }

    pub(crate) fn node(&self, child: &Child) -> &Node {
        &self.nodes[usize::from(child.node)]
    }
}
