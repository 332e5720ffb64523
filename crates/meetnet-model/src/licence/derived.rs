//! What may be made of several datasets: which licences go together, and under which licence the result may be.
//!
//! The table follows from what each licence asks for: a result may be under every licence that allows all of its inputs.

use std::collections::BTreeSet;

use super::{LICENCES, Licence};
use crate::declarations::DeclarationError;
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

#[cfg(test)]
mod tests;
