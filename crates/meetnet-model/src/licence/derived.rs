//! What may be made of several datasets: which licences go together, and under which licence the result may be.
//!
//! The table follows from what each licence asks for: a result may be under every licence that allows all of its inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{LICENCES, Licence, datasets_of};
use crate::dataset::DatasetDeclaration;
use crate::declarations::{DeclarationError, Declarations};
use crate::ids::{DatasetId, LicenceId};

/// A dataset that another one is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivedInput {
    /// The dataset.
    pub dataset: DatasetId,
    /// Licences of those of its rows that are used.
    pub licences: BTreeSet<LicenceId>,
}

/// Returns the licences that a work made of rows under all of `inputs` may be under, those that ask for least first; empty
/// where they do not go together. An unknown licence goes with itself only.
pub fn combine<'a>(inputs: impl IntoIterator<Item = &'a str> + Clone) -> Vec<&'a str> {
    let allows_all = |id: &str| {
        inputs
            .clone()
            .into_iter()
            .all(|input| Licence::allows(input, id))
    };
    let mut allowed: Vec<&'a str> = LICENCES
        .iter()
        .map(|licence| licence.id)
        .filter(|&id| allows_all(id))
        .collect();
    for input in inputs.clone() {
        if Licence::find(input).is_none() && allows_all(input) && !allowed.contains(&input) {
            allowed.push(input);
        }
    }
    let asks = |id: &&str| {
        Licence::find(id).map_or(0, |licence| {
            [
                licence.attribution,
                licence.share_alike,
                licence.non_commercial,
            ]
            .into_iter()
            .filter(|asked| *asked)
            .count()
        })
    };
    allowed.sort_by_key(asks);
    allowed
}

/// Checks the licence of a derived dataset against those of its inputs.
///
/// # Errors
/// Where an input asks for more than `licence` keeps, and no `permission`, a reference to an agreement, is declared. Names
/// each such input.
pub fn check_derived(
    dataset: &DatasetId,
    licence: &LicenceId,
    inputs: &[DerivedInput],
    permission: Option<&str>,
) -> Result<(), DeclarationError> {
    if permission.is_some_and(|reference| !reference.trim().is_empty()) {
        return Ok(());
    }
    let of_inputs = || {
        inputs.iter().flat_map(|input| {
            let licences = input.licences.iter();
            licences.map(move |licence| (&input.dataset, licence.as_str()))
        })
    };
    let refused: Vec<String> = of_inputs()
        .filter(|(_, input)| !Licence::allows(input, licence.as_str()))
        .map(|(dataset, input)| format!("`{dataset}` ({input})"))
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    let licences: Vec<&str> = of_inputs().map(|(_, licence)| licence).collect();
    let advice = match combine(licences.iter().copied()).first() {
        Some(allowed) => format!("declare {allowed}"),
        None => "leave inputs out that do not go together".to_owned(),
    };
    Err(DeclarationError::general(format!(
        "dataset `{dataset}` declares {licence}, but it is made of {}, which ask for more; {advice}, or permission = \"…\" \
         with the agreement that allows {licence}",
        refused.join(" and ")
    )))
}

/// Checks the licences that derived datasets declare against those of the configured sources behind them.
pub(super) fn check_derivations(declarations: &Declarations) -> Vec<DeclarationError> {
    check_inputs(&declarations.datasets, |input| {
        row_licences(declarations, input)
    })
}

/// Checks the licences that derived datasets declare against those that the rows of their inputs have, which
/// `licences_of` says.
pub(super) fn check_inputs(
    datasets: &BTreeMap<DatasetId, Arc<DatasetDeclaration>>,
    licences_of: impl Fn(&DatasetId) -> BTreeSet<LicenceId>,
) -> Vec<DeclarationError> {
    let mut errors = Vec::new();
    for (id, dataset) in datasets {
        let (Some(derivation), Some(licence)) = (&dataset.derive, &dataset.licence) else {
            continue;
        };
        let input = DerivedInput {
            dataset: derivation.from.clone(),
            licences: licences_of(&derivation.from),
        };
        errors.extend(check_derived(id, licence, &[input], derivation.permission.as_deref()).err());
    }
    errors
}

/// Returns the licences that rows of a dataset come under: of a derived one the declared licence, or else those of its
/// input's rows.
fn row_licences(declarations: &Declarations, dataset: &DatasetId) -> BTreeSet<LicenceId> {
    let mut at = dataset;
    // No chain of inputs is longer.
    for _ in 0..=declarations.datasets.len() {
        let Some(dataset) = declarations.datasets.get(at) else {
            break;
        };
        let Some(derivation) = &dataset.derive else {
            let fill = declarations
                .sources
                .values()
                .filter(|source| datasets_of(source).contains(at));
            return fill.map(|source| source.licence.clone()).collect();
        };
        if let Some(licence) = &dataset.licence {
            return BTreeSet::from([licence.clone()]);
        }
        at = &derivation.from;
    }
    BTreeSet::new()
}

/// Returns the licences that rows of each derived dataset come under, each with whom the sources behind them ask to name. A
/// row may be made of rows under other licences that allow its own: those are named as well.
pub(crate) fn derived_attributions(
    datasets: &BTreeMap<DatasetId, Arc<DatasetDeclaration>>,
) -> BTreeMap<DatasetId, BTreeMap<LicenceId, Vec<String>>> {
    let derived = datasets
        .iter()
        .filter(|(_, dataset)| dataset.derive.is_some());
    derived
        .map(|(id, dataset)| (id.clone(), attributions_of(dataset, datasets)))
        .collect()
}

fn attributions_of(
    dataset: &DatasetDeclaration,
    datasets: &BTreeMap<DatasetId, Arc<DatasetDeclaration>>,
) -> BTreeMap<LicenceId, Vec<String>> {
    let mut declared = None;
    let mut at = dataset;
    for _ in 0..=datasets.len() {
        let Some(derivation) = &at.derive else {
            break;
        };
        declared = declared.or(at.licence.as_ref());
        let Some(input) = datasets.get(&derivation.from) else {
            return BTreeMap::new();
        };
        at = input;
    }
    let of_sources = &at.source_licences;
    let named = |under: Option<&LicenceId>| {
        let mut names: Vec<String> = Vec::new();
        let allowed = of_sources.keys().filter(|licence| {
            under.is_none_or(|under| Licence::allows(licence.as_str(), under.as_str()))
        });
        for name in allowed.flat_map(|licence| at.attributions(licence)) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        names
    };
    match declared {
        Some(licence) => BTreeMap::from([(licence.clone(), named(None))]),
        None => {
            let licences = of_sources.keys();
            licences
                .map(|licence| (licence.clone(), named(Some(licence))))
                .collect()
        }
    }
}

#[cfg(test)]
mod tests;
