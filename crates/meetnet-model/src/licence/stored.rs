//! The licences that lie in a table already: a declaration may not promise more than they allow, either.
//!
//! A source that is gone from the configuration has left its rows, under its licence.

use std::collections::{BTreeMap, BTreeSet};

use super::{Licence, derived, refusal};
use crate::declarations::{DeclarationError, Declarations};
use crate::ids::{DatasetId, LicenceId};

/// Per dataset the licences of its stored rows, each with the sources that the files name.
pub type StoredLicences = BTreeMap<DatasetId, BTreeMap<LicenceId, BTreeSet<String>>>;

/// Checks that no dataset declares more than the licences of its stored rows allow, or, where it is derived, those of its
/// input's. Names the sources of those rows.
pub fn check_stored(declarations: &Declarations, stored: &StoredLicences) -> Vec<DeclarationError> {
    let mut errors = Vec::new();
    for (id, licences) in stored {
        let declared = declarations.datasets.get(id);
        let Some(declared) = declared.and_then(|dataset| dataset.licence.as_ref()) else {
            continue;
        };
        for (licence, sources) in licences {
            let Some(why) = refusal(licence.as_str(), declared.as_str()) else {
                continue;
            };
            let sources: Vec<String> = sources.iter().map(|source| format!("`{source}`")).collect();
            let of_sources = match sources.as_slice() {
                [] => String::new(),
                sources => format!(" of {}", sources.join(", ")),
            };
            // An earlier version took `cc-by-4.0` for a licence of its own; nobody can declare it any more.
            let advice = match Licence::correction(licence.as_str()) {
                None => format!("declare {licence} for the dataset, or none"),
                Some(_) => "declare none".to_owned(),
            };
            errors.push(DeclarationError::general(format!(
                "dataset `{id}` declares {declared}, but rows{of_sources} lie in its table under {licence}, {why}; \
                 {advice} so that each row keeps its own"
            )));
        }
    }
    // What lies in the inputs of derived datasets, perhaps of sources that are gone.
    errors.extend(derived::check_inputs(&declarations.datasets, |input| {
        let licences = stored.get(input).into_iter().flatten();
        licences.map(|(licence, _)| licence.clone()).collect()
    }));
    errors
}

#[cfg(test)]
mod tests;
