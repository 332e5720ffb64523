//! Least and greatest values of rows that were read, to compare with what statistics say.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::{max, max_string, min, min_string};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};

use crate::snapshot::{ColumnStatistics, StatisticsValue};
use crate::table::parquet_file::FileStatistics;

/// Bounds of texts from this length on may be cut: the Parquet writer keeps 64 bytes.
const WHOLE_TEXT_BYTES: usize = 60;

/// Least and greatest values by column.
#[derive(Debug, Default)]
pub(crate) struct Bounds(BTreeMap<String, (StatisticsValue, StatisticsValue)>);

impl Bounds {
    /// Takes in the values of some columns; those that cannot be in a key are left out.
    pub(crate) fn add<'a>(&mut self, batch: &RecordBatch, names: impl Iterator<Item = &'a str>) {
        for name in names {
            if let Some((least, greatest)) = batch.column_by_name(name).and_then(bounds_of) {
                let known = self
                    .0
                    .entry(name.to_owned())
                    .or_insert_with(|| (least.clone(), greatest.clone()));
                if least < known.0 {
                    known.0 = least;
                }
                if greatest > known.1 {
                    known.1 = greatest;
                }
            }
        }
    }

    /// Returns the bounds of a column.
    pub(crate) fn get(&self, name: &str) -> Option<&(StatisticsValue, StatisticsValue)> {
        self.0.get(name)
    }

    /// Returns the columns of which `stated` says something else.
    pub(crate) fn differing(&self, stated: &FileStatistics) -> Vec<&str> {
        let mut differing = Vec::new();
        for (name, (least, greatest)) in &self.0 {
            let stated = stated.get(name.as_str());
            if !stated.is_some_and(|stated| agree(stated, least, greatest)) {
                differing.push(name.as_str());
            }
        }
        differing
    }
}

fn bounds_of(array: &ArrayRef) -> Option<(StatisticsValue, StatisticsValue)> {
    use StatisticsValue::{Int, Text};
    match array.data_type() {
        DataType::Int64 => {
            let array = array.as_primitive::<Int64Type>();
            Some((Int(min(array)?), Int(max(array)?)))
        }
        DataType::Timestamp(..) => {
            let array = array.as_primitive_opt::<TimestampMicrosecondType>()?;
            Some((Int(min(array)?), Int(max(array)?)))
        }
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            Some((
                Text(min_string(array)?.into()),
                Text(max_string(array)?.into()),
            ))
        }
        _ => None,
    }
}

/// Whether statistics have these bounds. Of long texts they may have only the beginning.
fn agree(stated: &ColumnStatistics, least: &StatisticsValue, greatest: &StatisticsValue) -> bool {
    let may_be_cut = |bound: &StatisticsValue| matches!(bound, StatisticsValue::Text(text) if text.len() >= WHOLE_TEXT_BYTES);
    let min_agrees = match &stated.min {
        Some(bound) => bound == least || may_be_cut(least) && bound < least,
        None => may_be_cut(least),
    };
    let max_agrees = match &stated.max {
        Some(bound) => bound == greatest || may_be_cut(greatest) && bound > greatest,
        None => may_be_cut(greatest),
    };
    min_agrees && max_agrees
}
