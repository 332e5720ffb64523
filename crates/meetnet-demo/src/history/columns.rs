//! Where the demo's values stand among a dataset's declared columns.
//!
//! Looked up once, by name and type, so that a city that changes the declarations gets an error that says what is
//! missing before the first row, and filling rows needs no look-up.

use std::sync::Arc;

use meetnet_model::column::ColumnType;
use meetnet_model::dataset::DatasetDeclaration;

use super::HistoryError;

/// The columns of a long dataset (`air`, `heat`).
#[derive(Clone, Debug)]
pub(crate) struct LongColumns {
    pub(crate) declaration: Arc<DatasetDeclaration>,
    pub(crate) sensor_id: usize,
    pub(crate) property: usize,
    pub(crate) time: usize,
    pub(crate) interval_s: usize,
    pub(crate) value: usize,
}

/// The columns of `traffic`.
#[derive(Clone, Debug)]
pub(crate) struct TrafficColumns {
    pub(crate) declaration: Arc<DatasetDeclaration>,
    pub(crate) segment_id: usize,
    pub(crate) interval_s: usize,
    pub(crate) time: usize,
    pub(crate) uptime: usize,
    /// Per mode, in the order of `Mode::ALL`: both directions, left to right, right to left.
    pub(crate) counts: [[usize; 3]; 5],
    pub(crate) v85: usize,
    pub(crate) speed_hist: usize,
    pub(crate) speed_hist_fine: usize,
}

impl LongColumns {
    pub(crate) fn find(declaration: &Arc<DatasetDeclaration>) -> Result<Self, HistoryError> {
        let mut find = Finder::new(declaration);
        let found = Self {
            declaration: Arc::clone(declaration),
            sensor_id: find.column("sensor_id", ColumnType::Text)?,
            property: find.column("property", ColumnType::Text)?,
            time: find.column("time", ColumnType::Timestamp)?,
            interval_s: find.column("interval_s", ColumnType::Int)?,
            value: find.column("value", ColumnType::Float)?,
        };
        find.finish()?;
        Ok(found)
    }
}

impl TrafficColumns {
    pub(crate) fn find(declaration: &Arc<DatasetDeclaration>) -> Result<Self, HistoryError> {
        let mut find = Finder::new(declaration);
        let mut counts = [[0; 3]; 5];
        const NAMES: [[&str; 3]; 5] = [
            ["car", "car_lft", "car_rgt"],
            ["heavy", "heavy_lft", "heavy_rgt"],
            ["bike", "bike_lft", "bike_rgt"],
            ["pedestrian", "pedestrian_lft", "pedestrian_rgt"],
            ["night", "night_lft", "night_rgt"],
        ];
        for (column, name) in counts.iter_mut().flatten().zip(NAMES.iter().flatten()) {
            *column = find.optional(name, ColumnType::Float)?;
        }
        let found = Self {
            declaration: Arc::clone(declaration),
            segment_id: find.column("segment_id", ColumnType::Int)?,
            interval_s: find.column("interval_s", ColumnType::Int)?,
            time: find.column("time", ColumnType::Timestamp)?,
            uptime: find.column("uptime", ColumnType::Float)?,
            counts,
            v85: find.optional("v85", ColumnType::Float)?,
            speed_hist: find.optional("speed_hist", ColumnType::FloatList)?,
            speed_hist_fine: find.optional("speed_hist_fine", ColumnType::FloatList)?,
        };
        find.finish()?;
        Ok(found)
    }
}

/// Looks columns up and remembers which ones every row gets a value for.
pub(crate) struct Finder<'a> {
    declaration: &'a DatasetDeclaration,
    always: Vec<usize>,
}

impl<'a> Finder<'a> {
    pub(crate) fn new(declaration: &'a DatasetDeclaration) -> Self {
        Self {
            declaration,
            always: Vec::new(),
        }
    }

    /// Returns the position of a column that every row has a value for.
    pub(crate) fn column(
        &mut self,
        name: &'static str,
        wanted: ColumnType,
    ) -> Result<usize, HistoryError> {
        let column = self.optional(name, wanted)?;
        self.always.push(column);
        Ok(column)
    }

    /// Returns the position of a column that some rows have no value for.
    pub(crate) fn optional(
        &self,
        name: &'static str,
        wanted: ColumnType,
    ) -> Result<usize, HistoryError> {
        let column = self.declaration.column_index(name);
        column
            .filter(|at| self.declaration.columns[*at].column_type == wanted)
            .ok_or_else(|| HistoryError::MissingColumn {
                dataset: self.declaration.id.clone(),
                column: name,
            })
    }

    /// Checks that no column is required beyond those that every row has a value for.
    pub(crate) fn finish(self) -> Result<(), HistoryError> {
        let columns = self.declaration.columns.iter().enumerate();
        let mut unknown =
            columns.filter(|(at, column)| column.required && !self.always.contains(at));
        match unknown.next() {
            None => Ok(()),
            Some((_, column)) => Err(HistoryError::UnknownRequired {
                dataset: self.declaration.id.clone(),
                column: column.name.clone(),
            }),
        }
    }
}
