//! From declared map entries to a [`Mapping`]; every fault of a declaration is found here, before a message arrives.

use std::sync::Arc;

use meetnet_model::column::ColumnType;
use meetnet_model::dataset::{DatasetDeclaration, DatasetKind};
use meetnet_model::declarations::Declarations;
use meetnet_model::source::{MapEntry, SourceDeclaration};
use meetnet_model::units::Conversion;

use crate::error::SetupProblem;
use crate::fields::WantedPlaces;
use crate::mapping::{LongColumns, LongValue, Mapping, Origin, WideCell, WideRow};

/// Returns the number of a dataset, as [`crate::group::Output`] counts them, and its declaration.
pub(crate) fn dataset_position<'d>(
    declarations: &'d Declarations,
    id: &str,
) -> Result<(usize, &'d Arc<DatasetDeclaration>), SetupProblem> {
    let mut datasets = declarations.datasets.values().enumerate();
    datasets
        .find(|(_, dataset)| dataset.id.as_str() == id)
        .ok_or_else(|| SetupProblem::UnknownDataset(id.to_owned()))
}

/// Returns the position of a column that a decoder fills.
pub(crate) fn filled_column(
    dataset: &DatasetDeclaration,
    column: &'static str,
    column_type: ColumnType,
) -> Result<usize, SetupProblem> {
    let position = dataset.column_index(column);
    position
        .filter(|at| dataset.columns[*at].column_type == column_type)
        .ok_or_else(|| SetupProblem::ColumnMissing {
            dataset: dataset.id.to_string(),
            column,
            column_type: column_type.as_str(),
        })
}

fn optional_column(
    dataset: &DatasetDeclaration,
    column: &'static str,
    column_type: ColumnType,
) -> Result<Option<usize>, SetupProblem> {
    let declared = dataset.column_index(column).is_some();
    declared
        .then(|| filled_column(dataset, column, column_type))
        .transpose()
}

/// A fault of a mapping: the position of the entry, where it is one entry's, and the fault.
pub(crate) type MappingFault = (Option<usize>, SetupProblem);

impl Mapping {
    /// Compiles the map of a source, and behind it the `built_in` entries of its format whose fields the map does not
    /// name; `places` gives the slots. Without any entry its messages would say nothing.
    pub(crate) fn compile(
        source: &SourceDeclaration,
        built_in: Vec<MapEntry>,
        declarations: &Declarations,
        places: &mut dyn WantedPlaces,
    ) -> Result<Self, MappingFault> {
        if source.map.is_empty() && built_in.is_empty() {
            return Err((None, SetupProblem::NoMap(source.format.as_str())));
        }
        let sentinels: Arc<[f64]> = source.sentinels.as_slice().into();
        let mut mapping = Self {
            values: Vec::new(),
            rows: Vec::new(),
        };
        let is_new = |entry: &&MapEntry| source.map.iter().all(|own| own.place() != entry.place());
        let built_in = built_in.iter().filter(is_new);
        for (position, entry) in source.map.iter().chain(built_in).enumerate() {
            mapping
                .add(entry, &sentinels, declarations, places)
                .map_err(|problem| (Some(position), problem))?;
        }
        mapping
            .check_keys(declarations)
            .map_err(|problem| (None, problem))?;
        Ok(mapping)
    }

    /// Returns a dataset whose rows need a sensor id, if the mapping fills one.
    pub(crate) fn needs_sensor_id<'d>(
        &self,
        declarations: &'d Declarations,
    ) -> Option<&'d DatasetDeclaration> {
        let long = self.values.iter().map(|value| value.dataset);
        let wide = self
            .rows
            .iter()
            .filter(|row| row.sensor_id.is_some())
            .map(|row| row.dataset);
        let number = long.chain(wide).next()?;
        declarations.datasets.values().nth(number).map(Arc::as_ref)
    }

    /// Returns a wide dataset that the mapping fills, if there is one.
    pub(crate) fn wide_dataset<'d>(
        &self,
        declarations: &'d Declarations,
    ) -> Option<&'d DatasetDeclaration> {
        let number = self.rows.first()?.dataset;
        declarations.datasets.values().nth(number).map(Arc::as_ref)
    }

    fn add(
        &mut self,
        entry: &MapEntry,
        sentinels: &Arc<[f64]>,
        declarations: &Declarations,
        places: &mut dyn WantedPlaces,
    ) -> Result<(), SetupProblem> {
        let place = entry.place().ok_or(SetupProblem::OnePlace)?;
        let (number, dataset) = dataset_position(declarations, entry.dataset.as_str())?;
        if entry.interval_s.is_some_and(|seconds| seconds <= 0) {
            return Err(SetupProblem::Interval);
        }
        let origin = Origin {
            slot: places.want(place)?,
            name: place.to_string().into(),
            conversion: None,
            stated: None,
            sentinels: Arc::clone(sentinels),
            interval_s: entry.interval_s,
        };
        match dataset.kind {
            DatasetKind::Long => self.add_long(entry, origin, number, dataset, declarations),
            DatasetKind::Wide => self.add_wide(entry, origin, number, dataset),
            DatasetKind::Places | DatasetKind::Private => {
                Err(SetupProblem::NotMappable(dataset.id.to_string()))
            }
        }
    }

    fn add_long(
        &mut self,
        entry: &MapEntry,
        mut origin: Origin,
        number: usize,
        dataset: &DatasetDeclaration,
        declarations: &Declarations,
    ) -> Result<(), SetupProblem> {
        let (Some(name), None) = (&entry.property, &entry.column) else {
            return Err(SetupProblem::WrongTarget {
                dataset: dataset.id.to_string(),
                kind: "long",
                wanted: "property",
            });
        };
        let property = declarations
            .property(dataset.id.as_str(), name)
            .ok_or_else(|| SetupProblem::UnknownProperty {
                dataset: dataset.id.to_string(),
                property: name.clone(),
            })?;
        origin.conversion = conversion(entry, &property.unit, property.molar_mass)?;
        let known = self
            .values
            .iter_mut()
            .find(|v| v.dataset == number && *v.property == **name);
        if let Some(value) = known {
            value.origins.push(origin);
            return Ok(());
        }
        let columns = LongColumns {
            sensor_id: filled_column(dataset, "sensor_id", ColumnType::Text)?,
            property: filled_column(dataset, "property", ColumnType::Text)?,
            time: filled_column(dataset, "time", ColumnType::Timestamp)?,
            value: filled_column(dataset, "value", ColumnType::Float)?,
            interval_s: optional_column(dataset, "interval_s", ColumnType::Int)?,
        };
        self.values.push(LongValue {
            dataset: number,
            columns,
            property: name.as_str().into(),
            origins: vec![origin],
        });
        Ok(())
    }

    fn add_wide(
        &mut self,
        entry: &MapEntry,
        mut origin: Origin,
        number: usize,
        dataset: &DatasetDeclaration,
    ) -> Result<(), SetupProblem> {
        let (None, Some(name)) = (&entry.property, &entry.column) else {
            return Err(SetupProblem::WrongTarget {
                dataset: dataset.id.to_string(),
                kind: "wide",
                wanted: "column",
            });
        };
        if matches!(name.as_str(), "time" | "sensor_id") {
            return Err(SetupProblem::ReservedColumn(name.clone()));
        }
        let column = dataset
            .column_index(name)
            .ok_or_else(|| SetupProblem::UnknownColumn {
                dataset: dataset.id.to_string(),
                column: name.clone(),
            })?;
        let declared = &dataset.columns[column];
        origin.conversion = match (&declared.unit, &entry.unit) {
            (Some(unit), _) => conversion(entry, unit, None)?,
            (None, None) => None,
            (None, Some(_)) => return Err(SetupProblem::UnitNotWanted(name.clone())),
        };
        let row = match self.rows.iter().position(|row| row.dataset == number) {
            Some(at) => &mut self.rows[at],
            None => {
                self.rows.push(WideRow {
                    dataset: number,
                    time: filled_column(dataset, "time", ColumnType::Timestamp)?,
                    sensor_id: optional_column(dataset, "sensor_id", ColumnType::Text)?,
                    interval_s: None,
                    cells: Vec::new(),
                });
                self.rows.last_mut().expect("one was pushed just now")
            }
        };
        if let (Some(interval_s), Some(column)) = (
            entry.interval_s,
            optional_column(dataset, "interval_s", ColumnType::Int)?,
        ) {
            row.interval_s = Some((column, interval_s));
        }
        row.cells.push(WideCell {
            column,
            column_type: declared.column_type,
            in_key: dataset.key.contains(name),
            origin,
        });
        Ok(())
    }

    /// Every key column of a wide dataset must come from somewhere.
    fn check_keys(&self, declarations: &Declarations) -> Result<(), SetupProblem> {
        for row in &self.rows {
            let dataset = declarations.datasets.values().nth(row.dataset);
            let dataset = dataset.expect("rows are numbered by the same declarations");
            for column in dataset.key_indices() {
                let filled = column == row.time
                    || Some(column) == row.sensor_id
                    || row
                        .interval_s
                        .is_some_and(|(interval_s, _)| interval_s == column)
                    || row.cells.iter().any(|cell| cell.column == column);
                if !filled {
                    return Err(SetupProblem::KeyNotMapped {
                        dataset: dataset.id.to_string(),
                        column: dataset.columns[column].name.clone(),
                    });
                }
            }
        }
        Ok(())
    }
}

/// Returns the conversion from the unit as sent to the canonical one; none where they are the same.
fn conversion(
    entry: &MapEntry,
    canonical: &str,
    molar_mass: Option<f64>,
) -> Result<Option<Conversion>, SetupProblem> {
    let Some(unit) = entry.unit.as_deref().filter(|unit| *unit != canonical) else {
        return Ok(None);
    };
    Conversion::between(unit, canonical, molar_mass)
        .map(Some)
        .map_err(|error| SetupProblem::Unit(error.to_string()))
}
