//! One batch of input rows: every column looked up once, so that a row costs no name.

use arrow::array::{
    Array, AsArray, Float64Array, Int8Array, Int64Array, ListArray, RecordBatch,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Float64Type, Int8Type, Int64Type, TimestampMicrosecondType};
use meetnet_lake::committed::KeyPart;
use meetnet_model::calendar::SECOND_US;
use meetnet_model::common;
use meetnet_model::ids::DatasetId;

use crate::error::DeriveError;
use crate::plan::{Plan, Series};

/// The key columns of a batch.
pub(crate) struct Keys<'a> {
    series: Vec<&'a dyn Array>,
    times: &'a TimestampMicrosecondArray,
    equal: Vec<(&'a dyn Array, &'a KeyPart)>,
}

impl<'a> Keys<'a> {
    pub(crate) fn of(plan: &'a Plan, batch: &'a RecordBatch) -> Result<Self, DeriveError> {
        let column = |name: &str| -> Result<&'a dyn Array, DeriveError> {
            let found = batch
                .column_by_name(name)
                .ok_or_else(|| no_column(plan, name))?;
            Ok(&**found)
        };
        let time = plan.declaration.time_column();
        Ok(Self {
            series: plan
                .series
                .iter()
                .map(|(name, _)| column(name))
                .collect::<Result<_, _>>()?,
            times: column(time)?
                .as_primitive_opt::<TimestampMicrosecondType>()
                .ok_or_else(|| no_column(plan, time))?,
            equal: plan
                .equal
                .iter()
                .map(|(name, part)| Ok((column(name)?, part)))
                .collect::<Result<_, DeriveError>>()?,
        })
    }

    /// Returns whether the derived dataset is made of a row.
    pub(crate) fn is_meant(&self, row: usize) -> bool {
        self.equal
            .iter()
            .all(|(column, part)| is_at(*column, row, part))
    }

    /// Returns the time of a row, µs since 1970 UTC.
    pub(crate) fn time(&self, row: usize) -> i64 {
        self.times.value(row)
    }

    /// Returns the series of a row. Its columns are never null.
    pub(crate) fn series(&self, row: usize) -> Series {
        let parts = self.series.iter();
        parts
            .filter_map(|column| KeyPart::of(*column, row))
            .collect()
    }

    /// Returns whether the series of a row begins with a value.
    pub(crate) fn leads_with(&self, row: usize, part: &KeyPart) -> bool {
        let first = self.series.first();
        first.is_some_and(|column| is_at(*column, row, part))
    }

    /// Returns whether a row is of a series, without making one.
    pub(crate) fn is_of(&self, row: usize, series: &[KeyPart]) -> bool {
        let mut columns = self.series.iter().zip(series);
        columns.all(|(column, part)| is_at(*column, row, part))
    }
}

/// Returns whether a row has a value, without making one of it.
pub(crate) fn is_at(column: &dyn Array, row: usize, part: &KeyPart) -> bool {
    match part {
        KeyPart::Int(value) => column
            .as_primitive_opt::<Int64Type>()
            .is_some_and(|column| column.is_valid(row) && column.value(row) == *value),
        KeyPart::Text(value) => column
            .as_string_opt::<i32>()
            .is_some_and(|column| column.is_valid(row) && column.value(row) == value.as_ref()),
    }
}

/// When the rows of a batch were recorded.
pub(crate) struct Recorded<'a> {
    received: &'a TimestampMicrosecondArray,
    recorded: &'a TimestampMicrosecondArray,
}

impl<'a> Recorded<'a> {
    /// Looks up the columns; `of` is the dataset that the rows are read for.
    pub(crate) fn of(of: &DatasetId, batch: &'a RecordBatch) -> Result<Self, DeriveError> {
        let times = |name: &str| {
            let column = batch.column_by_name(name);
            let column =
                column.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
            column.ok_or_else(|| DeriveError::no_column(of, name))
        };
        Ok(Self {
            received: times(common::RECEIVED_AT)?,
            recorded: times(common::RECORDED_AT)?,
        })
    }

    /// Returns when a row was recorded, µs since 1970 UTC: where nothing else is said, when it was received.
    pub(crate) fn at(&self, row: usize) -> i64 {
        if self.recorded.is_valid(row) {
            self.recorded.value(row)
        } else {
            self.received.value(row)
        }
    }
}

/// What the rows of a batch say.
pub(crate) struct Input<'a> {
    pub(crate) keys: Keys<'a>,
    quality_max: i8,
    quality: &'a Int8Array,
    interval: Option<&'a Int64Array>,
    least: Vec<(&'a Float64Array, f64)>,
    values: Vec<&'a Float64Array>,
    lists: Vec<&'a ListArray>,
    ints: Vec<&'a Int64Array>,
    licence: &'a dyn Array,
}

impl<'a> Input<'a> {
    pub(crate) fn of(plan: &'a Plan, batch: &'a RecordBatch) -> Result<Self, DeriveError> {
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .ok_or_else(|| no_column(plan, name))
        };
        let float = |name: &str| {
            column(name)?
                .as_primitive_opt::<Float64Type>()
                .ok_or_else(|| no_column(plan, name))
        };
        let list = |name: &str| {
            column(name)?
                .as_list_opt::<i32>()
                .ok_or_else(|| no_column(plan, name))
        };
        let int = |name: &str| {
            column(name)?
                .as_primitive_opt::<Int64Type>()
                .ok_or_else(|| no_column(plan, name))
        };
        let interval = if plan.has_interval {
            let interval = column(common::INTERVAL_S)?.as_primitive_opt::<Int64Type>();
            Some(interval.ok_or_else(|| no_column(plan, common::INTERVAL_S))?)
        } else {
            None
        };
        Ok(Self {
            keys: Keys::of(plan, batch)?,
            quality_max: plan.quality_max,
            quality: column(common::QUALITY)?
                .as_primitive_opt::<Int8Type>()
                .ok_or_else(|| no_column(plan, common::QUALITY))?,
            interval,
            least: plan
                .least
                .iter()
                .map(|(name, least)| Ok((float(name)?, *least)))
                .collect::<Result<_, DeriveError>>()?,
            values: plan
                .values
                .iter()
                .map(|name| float(name))
                .collect::<Result<_, _>>()?,
            lists: plan
                .lists
                .iter()
                .map(|name| list(name))
                .collect::<Result<_, _>>()?,
            ints: plan
                .ints
                .iter()
                .map(|name| int(name))
                .collect::<Result<_, _>>()?,
            licence: &**column(common::LICENCE)?,
        })
    }

    /// Returns whether the flag of a row is good enough for it to count.
    pub(crate) fn is_good(&self, row: usize) -> bool {
        self.quality.value(row) <= self.quality_max
    }

    /// Returns whether the values of a row count.
    pub(crate) fn counts(&self, row: usize) -> bool {
        self.is_good(row)
            && self
                .least
                .iter()
                .all(|(column, least)| column.is_valid(row) && column.value(row) >= *least)
    }

    /// Returns how long the interval of a row is, µs; none where it says nothing of it.
    pub(crate) fn interval(&self, row: usize) -> Option<i64> {
        let interval = self.interval.filter(|interval| interval.is_valid(row))?;
        interval.value(row).checked_mul(SECOND_US)
    }

    /// Returns a value of a row, by its position in the plan; none where it is null.
    pub(crate) fn value(&self, row: usize, value: usize) -> Option<f64> {
        let column = self.values[value];
        column.is_valid(row).then(|| column.value(row))
    }

    /// Returns a whole number of a row, by its position in the plan; none where it is null.
    pub(crate) fn int(&self, row: usize, int: usize) -> Option<i64> {
        let column = self.ints[int];
        column.is_valid(row).then(|| column.value(row))
    }

    /// Adds a list of a row, each element times `weight`, to `sums`; elements that are null are nothing.
    pub(crate) fn add_list(&self, row: usize, list: usize, weight: f64, sums: &mut Vec<f64>) {
        let column = self.lists[list];
        if column.is_null(row) {
            return;
        }
        let elements = column.value(row);
        let Some(elements) = elements.as_primitive_opt::<Float64Type>() else {
            return;
        };
        if sums.len() < elements.len() {
            sums.resize(elements.len(), 0.0);
        }
        for (sum, element) in sums.iter_mut().zip(elements) {
            *sum += element.unwrap_or(0.0) * weight;
        }
    }

    /// Returns the licence of a row.
    pub(crate) fn licence(&self, row: usize) -> &'a str {
        let licences = self.licence.as_string_opt::<i32>();
        licences.map_or("", |licences| licences.value(row))
    }
}

fn no_column(plan: &Plan, column: &str) -> DeriveError {
    DeriveError::no_column(&plan.declaration.id, column)
}
