//! Everything declared, as one value: it is journalled whole, so that what is behind the journal stays a
//! deterministic function of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::dataset::DatasetDeclaration;
use crate::ids::{DatasetId, SourceId};
use crate::licence::{datasets_of, derived_attributions};
use crate::property::{PropertyDeclaration, PropertyUnits};
use crate::source::SourceDeclaration;

/// Version of the decoders: raised whenever the same bytes would become other rows.
pub const DECODER_VERSION: u32 = 4;

/// What is wrong with a declaration, where it stands and what to do. Displayed as `file:line: message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclarationError {
    /// The file as it was named to us; empty where the fault lies between declarations of several files.
    pub file: String,
    /// The line, 1 first, where one is to blame.
    pub line: Option<usize>,
    /// What is wrong; what to do.
    pub message: String,
}

impl DeclarationError {
    /// Returns an error that is not in one file alone.
    pub fn general(message: impl Into<String>) -> Self {
        Self {
            file: String::new(),
            line: None,
            message: message.into(),
        }
    }
}

impl fmt::Display for DeclarationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            f.write_str(&self.file)?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for DeclarationError {}

/// The column of a long dataset that says what was observed.
const PROPERTY: &str = "property";

/// The declarations in force: datasets, properties and sources.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Declarations {
    /// [`DECODER_VERSION`] of the binary that wrote this.
    pub decoder_version: u32,
    /// Datasets by id.
    pub datasets: BTreeMap<DatasetId, Arc<DatasetDeclaration>>,
    /// Properties of long datasets, by dataset and name order of the property table.
    pub properties: Vec<Arc<PropertyDeclaration>>,
    /// Sources by id.
    pub sources: BTreeMap<SourceId, Arc<SourceDeclaration>>,
}

impl Declarations {
    /// Returns a dataset by id.
    pub fn dataset(&self, id: &str) -> Option<&Arc<DatasetDeclaration>> {
        self.datasets.get(&DatasetId::new(id))
    }

    /// Returns a property of a long dataset.
    pub fn property(&self, dataset: &str, name: &str) -> Option<&Arc<PropertyDeclaration>> {
        self.properties
            .iter()
            .find(|p| p.dataset.as_str() == dataset && p.name == name)
    }

    /// Returns the properties that rows of a dataset can be of: those that are declared for it; where it is made of the rows
    /// of another dataset, property by property, those of that one.
    pub fn properties_of<'a>(
        &'a self,
        dataset: &'a DatasetId,
    ) -> impl Iterator<Item = &'a Arc<PropertyDeclaration>> {
        let made_of = |id: &&'a DatasetId| {
            let declaration = self.datasets.get(*id)?;
            declaration.column_index(PROPERTY)?;
            let derivation = declaration.derive.as_ref()?;
            Some(&derivation.from)
        };
        // No chain is longer than there are datasets; one in a ring would never end.
        let chain = std::iter::successors(Some(dataset), made_of).take(self.datasets.len() + 1);
        let measured = chain.last().unwrap_or(dataset);
        let declared = self.properties.iter();
        declared.filter(move |property| property.dataset == *measured)
    }

    /// Returns the units of [`Declarations::properties_of`] a dataset.
    pub fn units_of(&self, dataset: &DatasetId) -> PropertyUnits {
        self.properties_of(dataset)
            .map(|property| (property.name.clone(), property.unit.clone()))
            .collect()
    }

    /// Notes in each dataset the licences of the sources that fill it, and whom they ask to name, so that files and answers
    /// can state them; in a derived one those of the sources behind it.
    pub fn state_licences(&mut self) {
        for dataset in self.datasets.values_mut() {
            Arc::make_mut(dataset).source_licences.clear();
        }
        for source in self.sources.values() {
            for id in datasets_of(source, &self.properties) {
                let Some(dataset) = self.datasets.get_mut(&id) else {
                    continue;
                };
                let licences = &mut Arc::make_mut(dataset).source_licences;
                let named = licences.entry(source.licence.clone()).or_default();
                if let Some(attribution) = &source.attribution
                    && !named.contains(attribution)
                {
                    named.push(attribution.clone());
                }
            }
        }
        let derived = derived_attributions(&self.datasets);
        for (id, licences) in derived {
            if let Some(dataset) = self.datasets.get_mut(&id) {
                Arc::make_mut(dataset).source_licences = licences;
            }
        }
    }

    /// Returns the journalled form: JSON, the same bytes for the same declarations.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("declarations have string keys only")
    }

    /// Reads the journalled form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

#[cfg(test)]
mod tests;
