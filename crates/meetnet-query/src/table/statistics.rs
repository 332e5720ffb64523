//! From the lake's statistics of a file to DataFusion's, and pruning of files by them.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use arrow::datatypes::{DataType, Schema, TimeUnit};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics, ScalarValue, Statistics};
use meetnet_lake::snapshot::{LiveFile, StatisticsValue};

use super::prepared::PreparedFile;

/// Returns the statistics of one file over `schema`; columns that it does not hold are unknown.
pub(crate) fn file_statistics(file: &LiveFile, schema: &Schema) -> Statistics {
    let columns = schema
        .fields()
        .iter()
        .map(|field| {
            let Some(known) = file.statistics.get(field.name().as_str()) else {
                return ColumnStatistics::new_unknown();
            };
            let bound = |value: &Option<StatisticsValue>| {
                value
                    .as_ref()
                    .map_or(Precision::Absent, |value| bound(value, field.data_type()))
            };
            ColumnStatistics {
                null_count: known
                    .nulls
                    .map_or(Precision::Absent, |nulls| Precision::Exact(nulls as usize)),
                min_value: bound(&known.min),
                max_value: bound(&known.max),
                ..ColumnStatistics::new_unknown()
            }
        })
        .collect();
    Statistics {
        num_rows: Precision::Exact(file.rows as usize),
        total_byte_size: Precision::Absent,
        column_statistics: columns,
    }
}

/// Integers and times are exact. Texts may be cut and floats leave NaN out, so their bounds may prune but not answer.
fn bound(value: &StatisticsValue, data_type: &DataType) -> Precision<ScalarValue> {
    match (value, data_type) {
        (StatisticsValue::Int(v), DataType::Int64) => {
            Precision::Exact(ScalarValue::Int64(Some(*v)))
        }
        (StatisticsValue::Int(v), DataType::Int8) => i8::try_from(*v)
            .map_or(Precision::Absent, |v| {
                Precision::Exact(ScalarValue::Int8(Some(v)))
            }),
        (StatisticsValue::Int(v), DataType::Timestamp(TimeUnit::Microsecond, zone)) => {
            Precision::Exact(ScalarValue::TimestampMicrosecond(Some(*v), zone.clone()))
        }
        (StatisticsValue::Float(v), DataType::Float64) if !v.is_nan() => {
            Precision::Inexact(ScalarValue::Float64(Some(*v)))
        }
        (StatisticsValue::Text(v), DataType::Utf8) => {
            Precision::Inexact(ScalarValue::Utf8(Some(v.to_string())))
        }
        _ => Precision::Absent,
    }
}

/// Statistics of a column of times without nulls.
pub(crate) fn time_statistics(bounds: Option<(i64, i64)>) -> ColumnStatistics {
    let time = |value: i64| {
        Precision::Inexact(ScalarValue::TimestampMicrosecond(
            Some(value),
            Some(Arc::from("UTC")),
        ))
    };
    ColumnStatistics {
        null_count: Precision::Exact(0),
        min_value: bounds.map_or(Precision::Absent, |(min, _)| time(min)),
        max_value: bounds.map_or(Precision::Absent, |(_, max)| time(max)),
        ..ColumnStatistics::new_unknown()
    }
}

/// Statistics that a view shows for a column of a file in place of the stored ones.
pub(crate) type Shown<'a> = dyn Fn(&PreparedFile, &str) -> Option<ColumnStatistics> + 'a;

/// Files as containers for a pruning predicate. Inexact bounds count too: they are wide enough by construction.
pub(crate) struct FileBounds<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) files: &'a [&'a PreparedFile],
    pub(crate) shown: &'a Shown<'a>,
}

impl FileBounds<'_> {
    fn column<'f>(
        &self,
        file: &'f PreparedFile,
        index: usize,
    ) -> Option<Cow<'f, ColumnStatistics>> {
        if let Some(shown) = (self.shown)(file, self.schema.field(index).name()) {
            return Some(Cow::Owned(shown));
        }
        let stored = file.statistics.column_statistics.get(index);
        stored.map(Cow::Borrowed)
    }

    fn bounds(
        &self,
        column: &Column,
        of: impl Fn(&ColumnStatistics) -> &Precision<ScalarValue>,
    ) -> Option<ArrayRef> {
        let index = self.schema.index_of(column.name()).ok()?;
        let unknown = ScalarValue::try_from(self.schema.field(index).data_type()).ok()?;
        let values = self.files.iter().map(|file| {
            self.column(file, index)
                .and_then(|column| of(&column).get_value().cloned())
                .unwrap_or_else(|| unknown.clone())
        });
        ScalarValue::iter_to_array(values).ok()
    }
}

impl PruningStatistics for FileBounds<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |statistics| &statistics.min_value)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |statistics| &statistics.max_value)
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let index = self.schema.index_of(column.name()).ok()?;
        Some(Arc::new(UInt64Array::from_iter(self.files.iter().map(
            |file| {
                let column = self.column(file, index)?;
                u64::try_from(*column.null_count.get_value()?).ok()
            },
        ))))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from_iter_values(
            self.files.iter().map(|file| file.live.rows),
        )))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
