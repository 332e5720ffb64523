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

/// Returns the licences that a work made of rows under all of `inputs` may be under, those that ask for least first, and of
/// those that ask for the same what an input is under; empty where they do not go together. An unknown licence goes with
/// itself only.
///
/// So the first one depends on neither order nor repetition of the inputs, and what is made in steps is under what it would
/// be under if it were made at once.
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
    let is_of_input = |id: &str| inputs.clone().into_iter().any(|input| input == id);
    allowed.sort_by_key(|id| (asks(id), !is_of_input(id)));
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
    let allowed = combine(licences.iter().copied());
    // What an earlier version took for a licence of its own nobody can declare.
    let mut declarable = allowed
        .iter()
        .filter(|id| Licence::correction(id).is_none());
    let advice = match declarable.next() {
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
        let inputs: Vec<DerivedInput> = dataset
            .made_of()
            .into_iter()
            .map(|input| DerivedInput {
                dataset: input.clone(),
                licences: licences_of(input)
                    .into_iter()
                    .filter(|licence| dataset.takes(licence))
                    .collect(),
            })
            .collect();
        if let Some(licence) = &dataset.licence {
            errors.extend(check_derived(id, licence, &inputs, dataset.permission()).err());
        }
    }
    errors
}

/// Returns the licences that rows of a dataset come under: of one that is made of others the declared licence, or else
/// those of its inputs' rows.
fn row_licences(declarations: &Declarations, dataset: &DatasetId) -> BTreeSet<LicenceId> {
    licences_behind(declarations, dataset, declarations.datasets.len())
}

/// The same; no chain of inputs is longer than `left`.
fn licences_behind(
    declarations: &Declarations,
    id: &DatasetId,
    left: usize,
) -> BTreeSet<LicenceId> {
    let Some(dataset) = declarations.datasets.get(id) else {
        return BTreeSet::new();
    };
    let inputs = dataset.made_of();
    if inputs.is_empty() {
        let fill = declarations
            .sources
            .values()
            .filter(|source| datasets_of(source, &declarations.properties).contains(id));
        return fill.map(|source| source.licence.clone()).collect();
    }
    if let Some(licence) = &dataset.licence {
        return BTreeSet::from([licence.clone()]);
    }
    let Some(left) = left.checked_sub(1) else {
        return BTreeSet::new();
    };
    inputs
        .into_iter()
        .flat_map(|input| licences_behind(declarations, input, left))
        .filter(|licence| dataset.takes(licence))
        .collect()
}

/// Returns the licences that rows of each dataset which is made of others come under, each with whom the sources behind them
/// ask to name. A row may be made of rows under other licences that allow its own: those are named as well.
pub(crate) fn derived_attributions(
    datasets: &BTreeMap<DatasetId, Arc<DatasetDeclaration>>,
) -> BTreeMap<DatasetId, BTreeMap<LicenceId, Vec<String>>> {
    let made = datasets
        .iter()
        .filter(|(_, dataset)| !dataset.made_of().is_empty());
    made.map(|(id, dataset)| {
        (
            id.clone(),
            attributions_of(dataset, datasets, datasets.len()),
        )
    })
    .collect()
}

/// Returns the same of one dataset; no chain of inputs is longer than `left`.
fn attributions_of(
    dataset: &DatasetDeclaration,
    datasets: &BTreeMap<DatasetId, Arc<DatasetDeclaration>>,
    left: usize,
) -> BTreeMap<LicenceId, Vec<String>> {
    let inputs = dataset.made_of();
    if inputs.is_empty() {
        let licences = dataset.source_licences.keys();
        return licences
            .map(|licence| {
                let names = dataset.attributions(licence).map(str::to_owned);
                (licence.clone(), names.collect())
            })
            .collect();
    }
    let Some(left) = left.checked_sub(1) else {
        return BTreeMap::new();
    };
    let behind: Vec<(LicenceId, Vec<String>)> = inputs
        .into_iter()
        .filter_map(|input| datasets.get(input))
        .flat_map(|input| attributions_of(input, datasets, left))
        .filter(|(licence, _)| dataset.takes(licence))
        .collect();
    let named = |under: Option<&LicenceId>| {
        let mut names: Vec<String> = Vec::new();
        let allowed = behind.iter().filter(|(licence, _)| {
            under.is_none_or(|under| Licence::allows(licence.as_str(), under.as_str()))
        });
        for name in allowed.flat_map(|(_, names)| names) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    };
    match &dataset.licence {
        Some(licence) => BTreeMap::from([(licence.clone(), named(None))]),
        None => {
            let licences = behind.iter().map(|(licence, _)| licence);
            licences
                .map(|licence| (licence.clone(), named(Some(licence))))
                .collect()
        }
    }
}

#[cfg(test)]
mod tests;
