//! From declared map entries to a [`Mapping`]; every fault of a declaration is found here, before a message arrives.

use std::collections::BTreeMap;
use std::sync::Arc;

use meetnet_model::column::{ColumnDeclaration, ColumnType};
use meetnet_model::dataset::{DatasetDeclaration, DatasetKind};
use meetnet_model::declarations::Declarations;
use meetnet_model::rows::LongColumns;
use meetnet_model::source::{
    Calibration, Constant, DeviceDeclaration, MapEntry, SourceDeclaration, TimeIs,
};

use crate::comma::DecimalComma;
use crate::error::SetupProblem;
use crate::fields::WantedPlaces;
use crate::mapping::steps::{Steps, Target};
use crate::mapping::{ConstantCell, ConstantValue, LongValue, Mapping, Origin, WideCell, WideRow};
use crate::quantity::UnitInValue;
use crate::sentinels::Sentinels;
use crate::validity::Validity;

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

/// Returns the columns that every long dataset has.
pub(crate) fn long_columns(dataset: &DatasetDeclaration) -> Result<LongColumns, SetupProblem> {
    Ok(LongColumns::new(
        filled_column(dataset, "sensor_id", ColumnType::Text)?,
        filled_column(dataset, "property", ColumnType::Text)?,
        filled_column(dataset, "time", ColumnType::Timestamp)?,
        filled_column(dataset, "value", ColumnType::Float)?,
        optional_column(dataset, "interval_s", ColumnType::Int)?,
    ))
}

/// A fault of a mapping: the position of the entry, where it is one entry's, and the fault.
pub(crate) type MappingFault = (Option<usize>, SetupProblem);

/// What a mapping is compiled from: the declaration of a source, or of one of its devices.
pub(crate) struct Plan<'a> {
    source: &'a SourceDeclaration,
    declarations: &'a Declarations,
    /// In the order in which values are looked for, and the position in the source's map of those that stand there.
    entries: Vec<(Option<usize>, &'a MapEntry)>,
    constants: BTreeMap<&'a str, &'a Constant>,
    calibration: Option<&'a BTreeMap<String, Calibration>>,
}

impl<'a> Plan<'a> {
    /// Returns the plan of a source: its map, and behind it the `built_in` entries of its format whose fields the map
    /// does not name.
    pub(crate) fn of_source(
        source: &'a SourceDeclaration,
        declarations: &'a Declarations,
        built_in: &'a [MapEntry],
    ) -> Self {
        let own = source.map.iter().enumerate();
        let is_new = |entry: &&MapEntry| source.map.iter().all(|own| own.place() != entry.place());
        let built_in = built_in.iter().filter(is_new);
        Self {
            source,
            declarations,
            entries: own
                .map(|(position, entry)| (Some(position), entry))
                .chain(built_in.map(|entry| (None, entry)))
                .collect(),
            constants: named(&source.constants).collect(),
            calibration: None,
        }
    }

    /// Returns the plan of a device: its entries replace those for the same property or column.
    pub(crate) fn of_device(&self, device: &'a DeviceDeclaration) -> Self {
        let target = |entry: &MapEntry| {
            let MapEntry {
                dataset,
                property,
                column,
                ..
            } = entry;
            (dataset.clone(), property.clone(), column.clone())
        };
        let replaced: Vec<_> = device.map.iter().map(target).collect();
        let own = device.map.iter().map(|entry| (None, entry));
        let others = self.entries.iter().copied();
        let mut constants = self.constants.clone();
        constants.extend(named(&device.constants));
        Self {
            source: self.source,
            declarations: self.declarations,
            entries: own
                .chain(others.filter(|(_, entry)| !replaced.contains(&target(entry))))
                .collect(),
            constants,
            calibration: Some(&device.calibration),
        }
    }

    fn calibration(&self, name: &str) -> Option<Calibration> {
        self.calibration?.get(name).copied()
    }

    /// Returns the length of the interval of an entry's values, if they are averages.
    fn interval_s(&self, entry: &MapEntry) -> Option<i64> {
        entry.interval_s.or(self.source.interval_s)
    }

    fn ends(&self) -> bool {
        self.source.time_is == TimeIs::End
    }
}

fn named(constants: &BTreeMap<String, Constant>) -> impl Iterator<Item = (&str, &Constant)> {
    constants.iter().map(|(name, value)| (name.as_str(), value))
}

impl Mapping {
    /// Compiles a plan; `places` gives the slots. Without any entry messages would say nothing.
    pub(crate) fn compile(
        plan: &Plan<'_>,
        places: &mut dyn WantedPlaces,
    ) -> Result<Self, MappingFault> {
        let of_source = |problem| (None, problem);
        if plan.entries.is_empty() {
            let format = plan.source.format.as_str();
            return Err(of_source(SetupProblem::NoMap(format)));
        }
        let valid = plan.source.valid.as_ref();
        let valid = valid.map(|declared| Validity::compile(declared, None, plan.source, places));
        let mut mapping = Self {
            valid: valid.transpose().map_err(of_source)?,
            values: Vec::new(),
            rows: Vec::new(),
            by_field: Vec::new(),
        };
        for (position, entry) in &plan.entries {
            mapping
                .add(entry, plan, places)
                .map_err(|problem| (*position, problem))?;
        }
        for (name, constant) in &plan.constants {
            mapping
                .add_constant(name, constant, plan)
                .map_err(of_source)?;
        }
        mapping.check_calibration(plan).map_err(of_source)?;
        mapping.check_rows(plan).map_err(of_source)?;
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
        plan: &Plan<'_>,
        places: &mut dyn WantedPlaces,
    ) -> Result<(), SetupProblem> {
        let (number, dataset) = dataset_position(plan.declarations, entry.dataset.as_str())?;
        let interval_s = plan.interval_s(entry);
        if interval_s.is_some_and(|seconds| seconds <= 0) {
            return Err(SetupProblem::Interval);
        }
        let names_none = entry.pointer.is_none() && entry.field.is_none();
        let origin = match entry.place() {
            // A constant is no reading, so nothing says of it that it is one.
            None if names_none && entry.constant.is_some() && entry.valid.is_none() => None,
            None => return Err(SetupProblem::OnePlace),
            Some(place) => Some(Origin {
                slot: places.want(place)?,
                name: place.to_string().into(),
                steps: Steps::NONE,
                stated: None,
                sentinels: Sentinels::of(&plan.source.sentinels, &entry.sentinels),
                comma: DecimalComma::of(plan.source),
                unit_in_value: UnitInValue::Never,
                valid: match &entry.valid {
                    Some(declared) => Some(Validity::compile(
                        declared,
                        Some(place),
                        plan.source,
                        places,
                    )?),
                    None => None,
                },
                interval_s,
                ends: plan.ends(),
            }),
        };
        match dataset.kind {
            DatasetKind::Long => self.add_long(entry, origin, number, dataset, plan),
            DatasetKind::Wide => self.add_wide(entry, origin, number, dataset, plan),
            DatasetKind::Places | DatasetKind::Private => {
                Err(SetupProblem::NotMappable(dataset.id.to_string()))
            }
        }
    }

    fn add_long(
        &mut self,
        entry: &MapEntry,
        origin: Option<Origin>,
        number: usize,
        dataset: &DatasetDeclaration,
        plan: &Plan<'_>,
    ) -> Result<(), SetupProblem> {
        let (Some(name), None) = (&entry.property, &entry.column) else {
            return Err(SetupProblem::WrongTarget {
                dataset: dataset.id.to_string(),
                kind: "long",
                wanted: "property",
            });
        };
        let property = plan.declarations.property(dataset.id.as_str(), name);
        let property = property.ok_or_else(|| SetupProblem::UnknownProperty {
            dataset: dataset.id.to_string(),
            property: name.clone(),
        })?;
        let (Some(mut origin), None) = (origin, &entry.constant) else {
            return Err(SetupProblem::ConstantObservation(name.clone()));
        };
        let target = Target {
            unit: Some(&property.unit),
            molar_mass: property.molar_mass,
            calibration: plan.calibration(name),
        };
        origin.steps = Steps::compile(entry, &target, plan.source)?;
        origin.unit_in_value = UnitInValue::of(plan.source, target.unit, origin.steps.gas);
        if origin.ends && origin.interval_s.is_none() {
            return Err(SetupProblem::EndWithoutInterval);
        }
        let known = self
            .values
            .iter_mut()
            .find(|v| v.dataset == number && *v.property == **name);
        if let Some(value) = known {
            value.origins.push(origin);
            return Ok(());
        }
        self.values.push(LongValue {
            dataset: number,
            columns: long_columns(dataset)?,
            property: name.as_str().into(),
            origins: vec![origin],
        });
        Ok(())
    }

    fn add_wide(
        &mut self,
        entry: &MapEntry,
        origin: Option<Origin>,
        number: usize,
        dataset: &DatasetDeclaration,
        plan: &Plan<'_>,
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
        let target = Target {
            unit: declared.unit.as_deref(),
            molar_mass: None,
            calibration: plan.calibration(name),
        };
        let steps = Steps::compile(entry, &target, plan.source)?;
        let interval_column = optional_column(dataset, "interval_s", ColumnType::Int)?;
        let row = match self.rows.iter().position(|row| row.dataset == number) {
            Some(at) => &mut self.rows[at],
            None => {
                self.rows.push(WideRow {
                    dataset: number,
                    time: filled_column(dataset, "time", ColumnType::Timestamp)?,
                    sensor_id: optional_column(dataset, "sensor_id", ColumnType::Text)?,
                    interval: interval_column,
                    ends: plan.ends(),
                    constants: Vec::new(),
                    cells: Vec::new(),
                });
                self.rows.last_mut().expect("one was pushed just now")
            }
        };
        if let (Some(interval_s), Some(column)) = (plan.interval_s(entry), interval_column) {
            row.set_constant(column, ConstantValue::Int(interval_s));
        }
        if let Some(constant) = &entry.constant {
            row.set_constant(column, constant_value(declared, constant)?);
        }
        if let Some(origin) = origin {
            row.cells.push(WideCell {
                column,
                column_type: declared.column_type,
                in_key: dataset.key.contains(name),
                origin: Origin {
                    steps,
                    unit_in_value: UnitInValue::of(plan.source, target.unit, steps.gas),
                    ..origin
                },
            });
        }
        Ok(())
    }

    /// Gives every row of a wide dataset that has the column the constant of the source; entries have had precedence.
    fn add_constant(
        &mut self,
        name: &str,
        constant: &Constant,
        plan: &Plan<'_>,
    ) -> Result<(), SetupProblem> {
        if matches!(name, "time" | "sensor_id") {
            return Err(SetupProblem::ReservedColumn(name.to_owned()));
        }
        let mut is_used = false;
        for row in &mut self.rows {
            let dataset = plan.dataset(row.dataset);
            let Some(column) = dataset.column_index(name) else {
                continue;
            };
            is_used = true;
            if row.constants.iter().all(|known| known.column != column) {
                let value = constant_value(&dataset.columns[column], constant)?;
                row.constants.push(ConstantCell { column, value });
            }
        }
        if is_used {
            Ok(())
        } else {
            Err(SetupProblem::UnusedConstant(name.to_owned()))
        }
    }

    /// A calibration of something that is not mapped would be a misspelled one.
    fn check_calibration(&self, plan: &Plan<'_>) -> Result<(), SetupProblem> {
        let is_filled = |name: &str| {
            let by_entry = |(_, entry): &(_, &MapEntry)| {
                entry.property.as_deref() == Some(name) || entry.column.as_deref() == Some(name)
            };
            plan.entries.iter().any(by_entry)
        };
        let mut calibrated = plan.calibration.into_iter().flatten();
        match calibrated.find(|(name, _)| !is_filled(name)) {
            Some((name, _)) => Err(SetupProblem::UnusedCalibration(name.clone())),
            None => Ok(()),
        }
    }

    /// Every key column of a wide dataset must come from somewhere, and so must an interval that is taken off.
    fn check_rows(&self, plan: &Plan<'_>) -> Result<(), SetupProblem> {
        for row in &self.rows {
            let dataset = plan.dataset(row.dataset);
            let is_filled = |column: usize| {
                column == row.time
                    || Some(column) == row.sensor_id
                    || row.constants.iter().any(|cell| cell.column == column)
                    || row.cells.iter().any(|cell| cell.column == column)
            };
            if let Some(column) = dataset.key_indices().into_iter().find(|at| !is_filled(*at)) {
                return Err(SetupProblem::KeyNotMapped {
                    dataset: dataset.id.to_string(),
                    column: dataset.columns[column].name.clone(),
                });
            }
            if row.ends && !row.interval.is_some_and(is_filled) {
                return Err(SetupProblem::EndWithoutInterval);
            }
        }
        Ok(())
    }
}

impl Plan<'_> {
    fn dataset(&self, number: usize) -> &DatasetDeclaration {
        let dataset = self.declarations.datasets.values().nth(number);
        dataset.expect("rows are numbered by the same declarations")
    }
}

impl WideRow {
    fn set_constant(&mut self, column: usize, value: ConstantValue) {
        self.constants.retain(|known| known.column != column);
        self.constants.push(ConstantCell { column, value });
    }
}

/// Returns a constant as the column has it.
fn constant_value(
    column: &ColumnDeclaration,
    constant: &Constant,
) -> Result<ConstantValue, SetupProblem> {
    Ok(match (column.column_type, constant) {
        (ColumnType::Int, Constant::Int(value)) => ConstantValue::Int(*value),
        (ColumnType::Float, Constant::Int(value)) => ConstantValue::Float(*value as f64),
        (ColumnType::Float, Constant::Float(value)) if value.is_finite() => {
            ConstantValue::Float(*value)
        }
        (ColumnType::Bool, Constant::Bool(value)) => ConstantValue::Bool(*value),
        (ColumnType::Text, Constant::Text(value)) => ConstantValue::Text(value.as_str().into()),
        (column_type, _) => {
            return Err(SetupProblem::WrongConstant {
                column: column.name.clone(),
                column_type: column_type.as_str(),
            });
        }
    })
}
