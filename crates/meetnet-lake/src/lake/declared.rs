//! Declarations with the tables that are there: whether these allow them.

use std::sync::Arc;

use meetnet_model::change::check_property_change;
use meetnet_model::common;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::{LicenceId, Sequence};
use meetnet_model::licence::StoredLicences;

use super::reader::snapshot_of;
use crate::damage;
use crate::error::LakeError;
use crate::known::KnownTables;
use crate::snapshot::{LakeSnapshot, LiveFile, StatisticsValue, TableSnapshot, licences_of};
use crate::storage::{LakeStorage, TableFolder};
use crate::table::declared::DeclaredTable;
use crate::table::log::TableLog;

/// Checks that the properties of `declarations` are in the units that the tables in `storage` have; nothing is written.
///
/// For who only reads: such a process takes what datasets are from their tables, but what it says of properties from its
/// own configuration.
///
/// # Errors
/// [`LakeError::ForbiddenChange`] for the first table with values in other units; others where a log cannot be read.
pub fn check_property_units(
    storage: &Arc<dyn LakeStorage>,
    declarations: &Declarations,
) -> Result<(), LakeError> {
    for id in declarations.datasets.keys() {
        let declared = declarations.units_of(id);
        if declared.is_empty() {
            continue;
        }
        let folder = TableFolder::new(Arc::clone(storage), id.as_str());
        let Some(log) = TableLog::open(&folder)? else {
            continue;
        };
        check_property_change(id, &log.property_units()?, &declared).map_err(|problems| {
            LakeError::ForbiddenChange {
                dataset: id.clone(),
                problems,
            }
        })?;
    }
    Ok(())
}

/// Declarations, and the table logs of their datasets: each has been read and allows its declaration. What a
/// [`Lake`](super::Lake) is opened with.
#[derive(Debug)]
pub struct DeclaredTables {
    storage: Arc<dyn LakeStorage>,
    declarations: Arc<Declarations>,
    tables: Vec<DeclaredTable>,
}

impl DeclaredTables {
    /// Reads the log of every declared dataset in `storage`, and checks the declaration and the units of its properties
    /// against the table; nothing is written. What is noted in the lake of damaged files is known from then on.
    ///
    /// It belongs before [`Journal::open`](crate::journal::Journal::open), which records the declarations: a refused
    /// one would stay there as the last word on how envelopes are decoded.
    ///
    /// # Errors
    /// [`LakeError::ForbiddenChange`] for the first table that refuses; others where a log cannot be read.
    pub fn read(
        storage: Arc<dyn LakeStorage>,
        declarations: Arc<Declarations>,
    ) -> Result<Self, LakeError> {
        damage::recall(&*storage)?;
        let tables = declarations.datasets.iter().map(|(id, declaration)| {
            let folder = TableFolder::new(Arc::clone(&storage), id.as_str());
            DeclaredTable::read(folder, Arc::clone(declaration), declarations.units_of(id))
        });
        Ok(Self {
            tables: tables.collect::<Result<_, _>>()?,
            storage,
            declarations,
        })
    }

    /// The declarations.
    pub fn declarations(&self) -> &Arc<Declarations> {
        &self.declarations
    }

    /// Refuses tables that are behind what the journal knows of them. It belongs before anything is written: what is made in
    /// their place would hide that they are missing.
    ///
    /// # Errors
    /// [`LakeError::LostTables`].
    pub fn check_known(&self, known: &KnownTables) -> Result<(), LakeError> {
        known.check(&self.storage, &self.tables)
    }

    /// Returns what readers can be shown before the lake is open: what is committed, and how far that reaches. Datasets
    /// without a table have no rows.
    ///
    /// # Errors
    /// Where a log is broken.
    pub fn committed(&self) -> Result<LakeSnapshot, LakeError> {
        let tables = self.tables.iter().map(|table| -> Result<_, LakeError> {
            let declaration = Arc::clone(table.declaration());
            let id = declaration.id.clone();
            let snapshot = match table.log() {
                Some(log) => snapshot_of(log, declaration)?,
                None => TableSnapshot {
                    declaration,
                    folder: table.folder().clone(),
                    version: 0,
                    through: Sequence::ZERO,
                    stable_time: 0,
                    files: Arc::default(),
                    masks: Arc::default(),
                    hot: Arc::default(),
                },
            };
            Ok((id, Arc::new(snapshot)))
        });
        Ok(LakeSnapshot {
            tables: tables.collect::<Result<_, LakeError>>()?,
        })
    }

    /// Returns the licences of the committed rows of each table, whoever declared them.
    ///
    /// # Errors
    /// Where a log is broken.
    pub fn stored_licences(&self) -> Result<StoredLicences, LakeError> {
        self.tables
            .iter()
            .map(|table| {
                let id = table.declaration().id.clone();
                Ok((id, licences_of(&table.files()?)))
            })
            .collect()
    }

    /// Returns the declarations with every name that rows in the tables ask for, and that no configured source gives their
    /// dataset: those of former sources under a licence that lies there, and those of configured sources whose rows lie in a
    /// dataset that they are not known to fill. Files that are written later would not state them otherwise. Another wording
    /// of a name is another name: nobody can tell whose rows ask for which. The same declarations where there is nobody to add.
    ///
    /// # Errors
    /// Where a log is broken.
    pub fn with_former_names(&self) -> Result<Arc<Declarations>, LakeError> {
        let mut declarations = Arc::clone(&self.declarations);
        for table in &self.tables {
            let declared = table.declaration();
            let Some(stored) = table.stored()? else {
                continue;
            };
            let files = table.files()?;
            let mut licences = stored.source_licences;
            licences.retain(|licence, _| files.iter().any(|file| file.licence == *licence));
            for (licence, name) in self.names_in(declared, &files) {
                let names = licences.entry(licence.clone()).or_default();
                if !names.iter().any(|known| known == name) {
                    names.push(name.to_owned());
                }
            }
            for (licence, mut names) in licences {
                let known = declared.source_licences.get(&licence);
                names.retain(|name| known.is_none_or(|known| !known.contains(name)));
                if names.is_empty() {
                    continue;
                }
                let datasets = &mut Arc::make_mut(&mut declarations).datasets;
                if let Some(dataset) = datasets.get_mut(&declared.id) {
                    let named = &mut Arc::make_mut(dataset).source_licences;
                    named.entry(licence).or_default().extend(names);
                }
            }
        }
        Ok(declarations)
    }

    /// Returns whom the configured sources ask to name whose rows lie in `files` by what these say of themselves, each under its
    /// licence. Files state the least and the greatest of their sources: one between them may be there. Rows that were made of
    /// others name the sources behind them.
    fn names_in(
        &self,
        declared: &DatasetDeclaration,
        files: &[Arc<LiveFile>],
    ) -> Vec<(&LicenceId, &str)> {
        let sources = self.declarations.sources.values();
        let sources = sources.filter(|_| declared.is_public() && !declared.is_made());
        sources
            .filter(|source| {
                let mut own = files.iter().filter(|file| file.licence == source.licence);
                own.any(|file| may_hold(file, source.id.as_str()))
            })
            .filter_map(|source| Some((&source.licence, source.attribution.as_deref()?)))
            .collect()
    }

    /// Returns where the tables lie, and the tables as they are now. Who had the folder before may have committed until
    /// its lock was free, and may have had other declarations.
    pub(super) fn into_current(
        mut self,
    ) -> Result<(Arc<dyn LakeStorage>, Vec<DeclaredTable>), LakeError> {
        // All before the caller writes anything: a table that refuses must not leave others half changed.
        let mut tables = self.tables.iter_mut();
        tables.try_for_each(DeclaredTable::refresh)?;
        Ok((self.storage, self.tables))
    }
}

/// Returns false where the statistics of a file say that no row in it is of a source.
fn may_hold(file: &LiveFile, source: &str) -> bool {
    let Some(bounds) = file.statistics.get(common::SOURCE) else {
        return true;
    };
    let is_after = |least: &StatisticsValue| match least {
        StatisticsValue::Text(least) => **least <= *source,
        StatisticsValue::Int(_) | StatisticsValue::Float(_) => true,
    };
    let is_before = |greatest: &StatisticsValue| match greatest {
        StatisticsValue::Text(greatest) => *source <= **greatest,
        StatisticsValue::Int(_) | StatisticsValue::Float(_) => true,
    };
    bounds.min.as_ref().is_none_or(is_after) && bounds.max.as_ref().is_none_or(is_before)
}
