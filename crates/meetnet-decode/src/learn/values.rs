//! Which property a value is of, and in which unit: by its name, and by whether the numbers can be that.

use meetnet_model::declarations::Declarations;
use meetnet_model::property::PropertyDeclaration;
use meetnet_model::units::Conversion;

use super::leaves::{Leaf, LeafValue};
use super::names::{self, Fit};

/// Units that devices send each kind of value in, the canonical one aside. Which it is shows in the numbers, and only where
/// they fit no other is a guess sure: a unit that is missing here is a value that is wrong by a factor without a word.
const OTHER_UNITS: &[(&str, &[&str])] = &[
    ("Cel", &["[degF]", "K"]),
    ("hPa", &["Pa", "kPa", "[in_i'Hg]"]),
    ("m/s", &["km/h", "[mi_i]/h", "[kn_i]"]),
    ("%", &["1"]),
    ("mm", &["[in_i]", "cm"]),
    ("mm/h", &["[in_i]/h"]),
    ("ug/m3", &["[ppb]", "mg/m3"]),
    ("mg/m3", &["ug/m3", "[ppm]", "[ppb]"]),
    ("[ppm]", &["%", "[ppb]"]),
    // Told in these everywhere.
    ("deg", &[]),
    ("W/m2", &[]),
    ("dB[A]", &[]),
    ("1", &[]),
];
/// Ranges in which a city's weather is, tighter than what a sensor may say: they tell units apart.
const USUAL: &[(&str, std::ops::RangeInclusive<f64>)] = &[
    ("air_temperature", -20.0..=45.0),
    ("air_pressure", 900.0..=1080.0),
    ("sea_level_pressure", 940.0..=1060.0),
];

/// How sure a guess is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Certainty {
    Sure,
    Likely,
    Guess,
}

impl Certainty {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Sure => "sure",
            Self::Likely => "likely",
            Self::Guess => "a guess",
        }
    }
}

/// What a value may be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ValueGuess {
    pub(super) dataset: String,
    pub(super) property: String,
    pub(super) unit: String,
    pub(super) certainty: Certainty,
    /// Why, for people.
    pub(super) reason: String,
}

/// Numbers that devices send where they have no reading. Below zero only: 9999 may be the most that a sensor can say.
const SENTINELS: [f64; 5] = [-9999.0, -999.9, -999.0, -127.0, -99.9];

/// Returns the numbers of a leaf that are no readings: they stand among others and far below all of them.
pub(super) fn sentinels(leaf: &Leaf) -> Vec<f64> {
    let numbers = leaf.values.iter().filter_map(LeafValue::number);
    let (mut found, others): (Vec<f64>, Vec<f64>) =
        numbers.partition(|number| SENTINELS.contains(number));
    let is_far_below = |found: &f64| others.iter().all(|other| *other > found / 2.0);
    found.retain(|number| !others.is_empty() && is_far_below(number));
    found.sort_by(f64::total_cmp);
    found.dedup();
    found
}

/// Returns the smallest and largest reading of a leaf; none where it has none, or something else as well.
pub(super) fn range(leaf: &Leaf) -> Option<(f64, f64)> {
    let sentinels = sentinels(leaf);
    let mut range: Option<(f64, f64)> = None;
    for value in &leaf.values {
        let number = value.number()?;
        if sentinels.contains(&number) {
            continue;
        }
        let (low, high) = range.unwrap_or((number, number));
        range = Some((low.min(number), high.max(number)));
    }
    range
}

/// Returns the best guess for a leaf; none where its name says nothing.
pub(super) fn guess(leaf: &Leaf, declarations: &Declarations) -> Option<ValueGuess> {
    let numbers = range(leaf)?;
    let by_name = names::properties(&leaf.name, &leaf.path);
    let by_name = by_name.iter().filter_map(|(name, fit)| {
        let mut properties = declarations.properties.iter();
        let property = properties.find(|property| property.name == *name)?;
        Some((property, *fit))
    });
    // What a city has declared itself goes by its own name.
    let name = names::plain(&leaf.name);
    let declared = declarations.properties.iter();
    let declared = declared
        .filter(|property| names::plain(&property.name) == name)
        .map(|property| (property, Fit::Whole));
    let guesses = by_name
        .chain(declared)
        // What stands behind the numbers measures that, or something else.
        .filter(|(property, _)| {
            leaf.unit
                .is_none_or(|unit| conversion(unit, property).is_some())
        })
        .map(|(property, fit)| guess_unit(leaf, numbers, property, fit));
    // The first of the surest: names stand in the order of their likelihood.
    guesses.min_by_key(|guess| guess.certainty)
}

fn guess_unit(
    leaf: &Leaf,
    numbers: (f64, f64),
    property: &PropertyDeclaration,
    fit: Fit,
) -> ValueGuess {
    let canonical = property.unit.as_str();
    let said = leaf
        .unit
        .into_iter()
        .chain(names::units(&leaf.name))
        .find(|unit| conversion(unit, property).is_some());
    let others = OTHER_UNITS.iter().find(|(unit, _)| *unit == canonical);
    let candidates = std::iter::once(canonical).chain(
        others
            .into_iter()
            .flat_map(|(_, units)| units.iter().copied()),
    );
    let fitting: Vec<&str> = candidates
        .filter(|unit| fits(numbers, unit, property))
        .collect();
    let (unit, certainty, why) = match (said, fitting.as_slice()) {
        (Some(unit), _) if fits(numbers, unit, property) => {
            let why = if leaf.unit.is_some() {
                "the unit behind the numbers says so"
            } else {
                "name and numbers say so"
            };
            (unit, Certainty::Sure, why)
        }
        (Some(unit), _) => {
            let why = if leaf.unit.is_some() {
                "the unit behind the numbers says so, but they are unusual"
            } else {
                "the name says so, but the numbers are unusual"
            };
            (unit, Certainty::Guess, why)
        }
        (None, [unit]) if others.is_some() => {
            (*unit, Certainty::Sure, "the numbers fit no other unit")
        }
        (None, [unit]) => (*unit, Certainty::Likely, "its unit in these datasets"),
        (None, [unit, ..]) => (
            *unit,
            Certainty::Likely,
            "the numbers would fit other units, too",
        ),
        (None, []) => (
            canonical,
            Certainty::Guess,
            "the numbers are unusual in every unit",
        ),
    };
    let by_name = match fit {
        Fit::Whole => Certainty::Sure,
        Fit::Part => Certainty::Likely,
        Fit::Hint => Certainty::Guess,
    };
    ValueGuess {
        dataset: property.dataset.to_string(),
        property: property.name.clone(),
        unit: unit.to_owned(),
        certainty: certainty.max(by_name),
        reason: format!("{} … {}: {why}", numbers.0, numbers.1),
    }
}

fn conversion(unit: &str, property: &PropertyDeclaration) -> Option<Conversion> {
    Conversion::between(unit, &property.unit, property.gas()).ok()
}

/// Returns true where all numbers, told in a unit, are what the property usually is.
fn fits((low, high): (f64, f64), unit: &str, property: &PropertyDeclaration) -> bool {
    let Some(conversion) = conversion(unit, property) else {
        return false;
    };
    let [least, most] = property.range;
    let usual = USUAL.iter().find(|(name, _)| *name == property.name);
    let range = usual.map_or(least..=most, |(_, range)| range.clone());
    range.contains(&conversion.apply(low)) && range.contains(&conversion.apply(high))
}
