//! The values wanted from a message, compiled into a tree: one walk over the body finds them all.

use crate::error::SetupProblem;
use crate::fields::Slot;
use crate::json::pointer::{Pointer, array_index};

/// Number of values that one shape can want.
const SLOTS_MAX: usize = 4096;

/// One step of a pointer: the member (or array position) and the node behind it.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) name: Box<str>,
    /// `name` as a position in an array.
    pub(crate) index: Option<usize>,
    pub(crate) node: u16,
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
    /// In the order in which they were added: messages mostly keep one order, and the walk expects it.
    children: Vec<Child>,
    /// By length of a name: whether a child has it, so that most names that nobody wants are compared with none.
    lengths: u64,
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

    /// Returns the number of the child with a name; it is looked for first where it is expected.
    #[inline]
    pub(crate) fn position(&self, name: &[u8], expected: usize) -> Option<usize> {
        let is_it = |child: &Child| is_same(child.name.as_bytes(), name);
        if self.children.get(expected).is_some_and(is_it) {
            return Some(expected);
        }
        if self.lengths & length_bit(name) == 0 {
            return None;
        }
        self.children.iter().position(is_it)
    }

    fn add(&mut self, child: Child) {
        self.lengths |= length_bit(child.name.as_bytes());
        self.has_positions |= child.index.is_some();
        self.children.push(child);
    }
}

/// Returns the bit of the length of a name; all from 63 bytes on have one.
#[inline]
fn length_bit(name: &[u8]) -> u64 {
    1 << name.len().min(63)
}

/// Returns true where two names are the same. Names are short, so they are compared by their two ends, which overlap or
/// meet: a call that compares memory costs more than all of it.
#[inline]
fn is_same(a: &[u8], b: &[u8]) -> bool {
    fn ends<const N: usize>(name: &[u8]) -> (Option<&[u8; N]>, Option<&[u8; N]>) {
        (name.first_chunk(), name.last_chunk())
    }
    a.len() == b.len()
        && match a.len() {
            0 => true,
            1 => ends::<1>(a) == ends(b),
            2..=3 => ends::<2>(a) == ends(b),
            4..=7 => ends::<4>(a) == ends(b),
            8..=16 => ends::<8>(a) == ends(b),
            _ => a == b,
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
                    let index = array_index(token);
                    self.nodes[at].add(Child {
                        name: token.clone(),
                        index,
                        node,
                    });
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
            self.nodes[0].add(Child {
                name: (*wrapper).into(),
                index: None,
                node: inner,
            });
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
