//! What may be done with an answer or a file, and whom to name.

use std::collections::BTreeSet;

use crate::dataset::DatasetDeclaration;
use crate::ids::LicenceId;

/// Licences and attributions of some rows: at least those of every committed row and of every source that is configured,
/// perhaps of more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Licences, by id. Several: each row says which is its own.
    pub licences: BTreeSet<LicenceId>,
    /// Whom to name, each once.
    pub attributions: Vec<String>,
}

impl Rights {
    /// Adds the rights of rows of a dataset: under the licences that its files have, and those of its sources, whose rows
    /// may be in no file yet; `only` leaves out others.
    pub fn add<'a>(
        &mut self,
        dataset: &'a DatasetDeclaration,
        stored: impl IntoIterator<Item = &'a LicenceId>,
        only: Option<&BTreeSet<LicenceId>>,
    ) {
        let mut licences: BTreeSet<&LicenceId> = stored.into_iter().collect();
        licences.extend(dataset.source_licences.keys());
        licences.retain(|licence| only.is_none_or(|only| only.contains(*licence)));
        for licence in licences {
            for name in dataset.attributions(licence) {
                if !self.attributions.iter().any(|known| known == name) {
                    self.attributions.push(name.to_owned());
                }
            }
            if !self.licences.contains(licence) {
                self.licences.insert(licence.clone());
            }
        }
    }

    /// Returns the licences as one text: ids with commas between them.
    pub fn licence_text(&self) -> String {
        let ids: Vec<&str> = self.licences.iter().map(|id| id.as_str()).collect();
        ids.join(", ")
    }

    /// Returns the attributions as one text.
    pub fn attribution_text(&self) -> String {
        self.attributions.join("; ")
    }
}

#[cfg(test)]
mod tests;
