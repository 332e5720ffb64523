//! Which values of JSON bodies a declaration wants: places become slots of a [`Shape`].

use hashbrown::HashMap;
use meetnet_model::source::{PairsDeclaration, Place};

use crate::error::SetupProblem;
use crate::fields::{Slot, Span, WantedPlaces};
use crate::json::pointer::Pointer;
use crate::json::shape::Shape;

/// Places in JSON documents that lie at `root` in the body; a field is a member of such a document.
pub(crate) struct JsonPlaces<'a> {
    pub(crate) shape: &'a mut Shape,
    pub(crate) root: &'a Pointer,
}

impl WantedPlaces for JsonPlaces<'_> {
    fn want(&mut self, place: Place<'_>) -> Result<Slot, SetupProblem> {
        let inner = match place {
            Place::Pointer(text) if split_at_star(&Pointer::parse(text)?).is_some() => {
                return Err(SetupProblem::ArrayNotHere(text.to_owned()));
            }
            Place::Pointer(text) => Pointer::parse(text)?,
            Place::Field(name) => Pointer::member(name),
        };
        self.shape.want(&self.root.join(&inner))
    }
}

/// Places in JSON documents that keep values in a list of pairs: a field is the value of the pair with that name.
pub(crate) struct PairPlaces<'a> {
    pub(crate) shape: &'a mut Shape,
    /// The names that are wanted, and the slots of their values.
    pub(crate) names: &'a mut HashMap<Box<str>, Slot>,
}

impl WantedPlaces for PairPlaces<'_> {
    fn want(&mut self, place: Place<'_>) -> Result<Slot, SetupProblem> {
        match place {
            Place::Pointer(text) => {
                let pointer = Pointer::parse(text)?;
                if split_at_star(&pointer).is_some() {
                    return Err(SetupProblem::ArrayNotHere(text.to_owned()));
                }
                self.shape.want(&pointer)
            }
            Place::Field(name) => {
                if let Some(slot) = self.names.get(name) {
                    return Ok(*slot);
                }
                let slot = self.shape.reserve()?;
                self.names.insert(name.into(), slot);
                Ok(slot)
            }
        }
    }
}

/// The array of a document whose elements are read as messages: that of the pointers with `*`.
#[derive(Clone, Debug)]
pub(crate) struct Each {
    /// The pointer to the array, for messages.
    pub(crate) name: Box<str>,
    /// Where the array stands.
    pub(crate) array: Slot,
    /// What is wanted of an element.
    pub(crate) element: Shape,
    /// The slot of a value in the element, and its slot among those of the document.
    links: Vec<(Slot, Slot)>,
    pointer: Pointer,
}

impl Each {
    /// Notes the values of an element among those of the document.
    pub(crate) fn note(&self, element: &[Span], document: &mut [Span]) {
        for (from, to) in &self.links {
            document[usize::from(to.0)] = element[usize::from(from.0)];
        }
    }
}

/// Places in JSON documents whose pointers may lead, with `*`, into the elements of one array.
pub(crate) struct ArrayPlaces<'a> {
    pub(crate) shape: &'a mut Shape,
    pub(crate) each: &'a mut Option<Each>,
}

impl WantedPlaces for ArrayPlaces<'_> {
    fn want(&mut self, place: Place<'_>) -> Result<Slot, SetupProblem> {
        let text = match place {
            Place::Pointer(text) => text,
            Place::Field(name) => return self.shape.want(&Pointer::member(name)),
        };
        let pointer = Pointer::parse(text)?;
        let Some((array, inner)) = split_at_star(&pointer) else {
            return self.shape.want(&pointer);
        };
        if split_at_star(&inner).is_some() {
            return Err(SetupProblem::ArrayNotHere(text.to_owned()));
        }
        if array.tokens().is_empty() {
            // A body that is an array is one document per element anyway.
            return self.shape.want(&inner);
        }
        let name = text.split_once("/*").map_or(text, |(array, _)| array);
        let each = match &mut *self.each {
            Some(each) if each.pointer != array => {
                return Err(SetupProblem::TwoArrays(
                    each.name.to_string(),
                    name.to_owned(),
                ));
            }
            Some(each) => each,
            unset => unset.insert(Each {
                name: name.into(),
                array: self.shape.want(&array)?,
                element: Shape::new(),
                links: Vec::new(),
                pointer: array,
            }),
        };
        let inner = each.element.want(&inner)?;
        if let Some((_, known)) = each.links.iter().find(|(slot, _)| *slot == inner) {
            return Ok(*known);
        }
        let slot = self.shape.reserve()?;
        each.links.push((inner, slot));
        Ok(slot)
    }
}

/// The array of a document that holds pairs of name and value.
#[derive(Clone, Debug)]
pub(crate) struct Pairs {
    /// The pointer to the array, for messages.
    pub(crate) name: Box<str>,
    /// Where the array stands.
    pub(crate) array: Slot,
    /// What is wanted of an element.
    pub(crate) element: Shape,
    pub(crate) pair_name: Slot,
    pub(crate) pair_value: Slot,
    /// The names that are wanted, and the slots of their values among those of the document.
    pub(crate) names: HashMap<Box<str>, Slot>,
}

impl Pairs {
    /// Returns the declared pairs; the array is one of `shape`. Which names are wanted is added by [`PairPlaces`].
    pub(crate) fn compile(
        declared: &PairsDeclaration,
        shape: &mut Shape,
    ) -> Result<Self, SetupProblem> {
        let name = Pointer::parse(&declared.name)?;
        let value = Pointer::parse(&declared.value)?;
        let (Some((array, name)), Some((same, value))) =
            (split_at_star(&name), split_at_star(&value))
        else {
            return Err(SetupProblem::Pairs);
        };
        let nested = |pointer| split_at_star(pointer).is_some();
        if array != same || name == value || nested(&name) || nested(&value) {
            return Err(SetupProblem::Pairs);
        }
        let text = declared
            .name
            .split_once("/*")
            .map_or("", |(array, _)| array);
        let mut element = Shape::new();
        Ok(Self {
            name: text.into(),
            array: shape.want(&array)?,
            pair_name: element.want(&name)?,
            pair_value: element.want(&value)?,
            element,
            names: HashMap::new(),
        })
    }
}

/// Returns the pointer to the array whose elements a pointer leads into, and the way from there.
fn split_at_star(pointer: &Pointer) -> Option<(Pointer, Pointer)> {
    let at = pointer.tokens().iter().position(|token| &**token == "*")?;
    let (array, rest) = pointer.tokens().split_at(at);
    Some((
        Pointer::of_tokens(array.iter().cloned()),
        Pointer::of_tokens(rest[1..].iter().cloned()),
    ))
}
