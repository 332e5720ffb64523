//! Where the members of an observation stand, and its time.

use meetnet_model::source::{Place, SourceDeclaration};

use crate::error::SetupProblem;
use crate::fields::{Slot, WantedPlaces};
use crate::json::places::PairPlaces;
use crate::json::pointer::Pointer;
use crate::json::shape::Shape;

/// Members of an observation that are understood and not read.
const UNREAD: [&str; 5] = [
    "resultQuality",
    "validTime",
    "parameters",
    "FeatureOfInterest",
    "dataArray@iot.count",
];

/// Where the members of an observation and of a data array stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    pub(super) result: Slot,
    pub(super) datastream: Slot,
    pub(super) multi_datastream: Slot,
    pub(super) components: Slot,
    pub(super) data_array: Slot,
    /// The name of a member that nobody knows.
    pub(super) unknown: Slot,
}

impl Slots {
    /// Wants the members of an observation and of a data array.
    pub(super) fn want(shape: &mut Shape) -> Result<Self, SetupProblem> {
        // The order in which most clients write them.
        shape.want_member("phenomenonTime")?;
        let slots = Self {
            result: shape.want_member("result")?,
            datastream: shape.want(&Pointer::parse("/Datastream/@iot.id")?)?,
            multi_datastream: shape.want_member("MultiDatastream")?,
            components: shape.want_member("components")?,
            data_array: shape.want_member("dataArray")?,
            unknown: shape.want_unknown(|name| !name.contains('@'))?,
        };
        for name in UNREAD {
            shape.want_member(name)?;
        }
        Ok(slots)
    }
}

/// Returns where the time stands.
pub(super) fn times(
    source: &SourceDeclaration,
    places: &mut PairPlaces<'_>,
) -> Result<Vec<(Slot, Box<str>)>, SetupProblem> {
    let members = ["/phenomenonTime", "/resultTime"].map(Place::Pointer);
    // Wanted in any case, so that neither is unknown.
    let standard: Vec<(Slot, Box<str>)> = members
        .into_iter()
        .map(|place| Ok((places.want(place)?, place.to_string().into())))
        .collect::<Result<_, SetupProblem>>()?;
    let Some(declared) = &source.time else {
        return Ok(standard);
    };
    let place = match declared.place().ok_or(SetupProblem::OnePlace)? {
        // A field is a datastream; a time is a member.
        Place::Field(name) => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
        Place::Pointer(pointer) => pointer.to_owned(),
    };
    let slot = places.want(Place::Pointer(&place))?;
    Ok(vec![(slot, place.into())])
}
