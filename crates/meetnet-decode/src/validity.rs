//! Whether a value is a reading: what a source declares to say so, beside the value or in its own range.
//!
//! A device that has no reading sends something nevertheless, often zero, and says beside it that it is none. Then the
//! value must not become a row, however plausible it looks. What is implausible is another matter: quality flags it.

use std::ops::RangeInclusive;

use meetnet_model::source::{Mark, Place, SourceDeclaration, Validity as Declared};
use meetnet_model::units::canonical_unit;

use crate::comma::DecimalComma;
use crate::error::SetupProblem;
use crate::fields::{Fields, Raw, Slot, WantedPlaces};
use crate::json::read::{self, Reading};
use crate::quantity::Quantities;

/// What a source declares, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Validity {
    slot: Slot,
    /// The pointer or name, for messages.
    name: Box<str>,
    /// Whether that is the value itself.
    is_own: bool,
    is: Vec<Mark>,
    is_not: Vec<Mark>,
    range: Option<RangeInclusive<f64>>,
    /// What a comma is in the numbers of the source.
    comma: DecimalComma,
    /// How numbers with a unit behind them are read; none: not at all.
    quantities: Option<Quantities>,
}

impl Validity {
    /// Compiles a declaration of `source`; `own` is the place of the value that it is of, where it is of one.
    pub(crate) fn compile(
        declared: &Declared,
        own: Option<Place<'_>>,
        source: &SourceDeclaration,
        places: &mut dyn WantedPlaces,
    ) -> Result<Self, SetupProblem> {
        if declared.names_two_places() {
            return Err(SetupProblem::OnePlace);
        }
        let place = declared.place();
        let at = place.or(own).ok_or(SetupProblem::ValidityPlace)?;
        let is = match (declared.asks_nothing(), place) {
            (false, _) => declared.is.clone(),
            (true, Some(_)) => vec![Mark::Bool(true)],
            (true, None) => return Err(SetupProblem::ValidityOfNothing),
        };
        Ok(Self {
            slot: places.want(at)?,
            name: at.to_string().into(),
            is_own: place.is_none(),
            is,
            is_not: declared.is_not.clone(),
            range: range(declared)?,
            comma: DecimalComma::of(source),
            quantities: Quantities::of(source),
        })
    }

    /// Returns true where a message says that it is a reading, or asks nothing of what it does not say.
    pub(crate) fn holds(&self, fields: &Fields<'_, '_>) -> bool {
        let raw = fields.raw(self.slot);
        let stands_there = |mark: &Mark| self.stands_there(mark, raw);
        if self.is_not.iter().any(stands_there) {
            return false;
        }
        if !self.is.is_empty() && !self.is.iter().any(stands_there) {
            return false;
        }
        let Some(range) = &self.range else {
            return true;
        };
        matches!(self.number(raw), Reading::Value(number) if range.contains(&number))
    }

    /// Returns true where a mark stands in a message, however it is written there.
    fn stands_there(&self, mark: &Mark, raw: Option<Raw<'_>>) -> bool {
        match mark {
            Mark::Bool(mark) => read::boolean(raw) == Reading::Value(*mark),
            Mark::Number(mark) => self.number(raw) == Reading::Value(*mark),
            Mark::Text(mark) => matches!(read::text(raw), Reading::Value(text) if *text == **mark),
        }
    }

    /// Reads a number, as the values of the source are read. One whose point may group digits is taken as it stands: where it is
    /// the value itself, that is refused for what it is.
    fn number(&self, raw: Option<Raw<'_>>) -> Reading<f64> {
        let reading = match read::number(raw) {
            Reading::Wrong if self.comma == DecimalComma::Declared => read::number_with_comma(raw),
            reading => reading,
        };
        let Some(quantities) = self.quantities.filter(|_| reading == Reading::Wrong) else {
            return reading;
        };
        match read::text(raw) {
            Reading::Value(text) => match quantities.read(&text) {
                // What is no unit may say something else: `1 fault` is not 1.
                Ok((value, unit)) if canonical_unit(unit).is_some() => Reading::Value(value),
                Ok(_) | Err(_) => Reading::Wrong,
            },
            Reading::Missing | Reading::Wrong => Reading::Wrong,
        }
    }

    /// Returns what a reject says of `what`.
    pub(crate) fn fault(&self, what: &str) -> String {
        let fault = format!("{what} is not `valid` as the source declares it");
        if self.is_own {
            fault
        } else {
            format!("{fault}: see `{}`", self.name)
        }
    }
}

fn range(declared: &Declared) -> Result<Option<RangeInclusive<f64>>, SetupProblem> {
    if declared.min.is_none() && declared.max.is_none() {
        return Ok(None);
    }
    let min = declared.min.unwrap_or(f64::NEG_INFINITY);
    let max = declared.max.unwrap_or(f64::INFINITY);
    if min.is_nan() || max.is_nan() || min > max {
        return Err(SetupProblem::ValidityRange);
    }
    Ok(Some(min..=max))
}
