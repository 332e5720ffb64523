//! Which values of JSON bodies a declaration wants: places become slots of a [`Shape`].

use std::collections::HashMap;

use meetnet_model::source::Place;

use crate::error::SetupProblem;
use crate::fields::{Slot, WantedPlaces};
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
            Place::Pointer(text) => self.shape.want(&Pointer::parse(text)?),
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
