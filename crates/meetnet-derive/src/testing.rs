//! Declarations and input rows for tests.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int8Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, TimestampMicrosecondType};
use meetnet_model::common;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::DatasetId;
use meetnet_model::rows::RowsBuilder;
use meetnet_model::schemas::{self, Schemas};

use crate::plan::Plan;

/// 2026-01-01T00:00:00Z, µs since 1970 UTC.
pub(crate) const START: i64 = meetnet_testkit::garden::START;
pub(crate) const MINUTE: i64 = 60_000_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;

/// Hours of `heat`, and local days of those.
pub(crate) const HOURS_AND_DAYS: [(&str, &str); 2] = [
    (
        "heat_hours.toml",
        r#"id = "heat_hours"
version = 1
kind = "wide"
grain = "month"
key = ["sensor_id", "time"]
title = { nl = "Uren" }
description = { nl = "Uren" }
derive.from = "heat"
derive.bucket = "hour"
derive.grace_s = 600
derive.expected_s = 1200
derive.where = [{ column = "property", equals = "air_temperature" }]
derive.columns.n = "count"
derive.columns.coverage = "coverage"
derive.columns.mean = { mean = "value" }
derive.columns.min = { min = "value" }
derive.columns.max = { max = "value" }
column = [
  { name = "sensor_id", type = "text", required = true },
  { name = "time", type = "timestamp", required = true },
  { name = "n", type = "int" },
  { name = "coverage", type = "float" },
  { name = "mean", type = "float" },
  { name = "min", type = "float" },
  { name = "max", type = "float" },
]
"#,
    ),
    (
        "heat_days.toml",
        r#"id = "heat_days"
version = 1
kind = "wide"
grain = "year"
key = ["sensor_id", "time"]
title = { nl = "Dagen" }
description = { nl = "Dagen" }
derive.from = "heat_hours"
derive.bucket = "day"
derive.zone = "Europe/Brussels"
derive.grace_s = 3600
derive.expected_s = 3600
derive.where = [{ column = "coverage", at_least = 0.5 }]
derive.columns.coverage = "coverage"
derive.columns.min = { min = "min" }
derive.columns.mean = { mean = "mean" }
derive.columns.mean_8h = { running_mean_max = { of = "mean", hours = 8, hours_min = 6 } }
derive.columns.tropical = { at_least = { of = "min", limit = 20, source = "test" } }
column = [
  { name = "sensor_id", type = "text", required = true },
  { name = "time", type = "timestamp", required = true },
  { name = "coverage", type = "float" },
  { name = "min", type = "float" },
  { name = "mean", type = "float" },
  { name = "mean_8h", type = "float" },
  { name = "tropical", type = "bool" },
]
"#,
    ),
];

/// Days of `heat_hours` that lie in a run, and its hours compared with those of sensor `a`.
pub(crate) const WAVES_AND_GAPS: [(&str, &str); 2] = [
    (
        "heat_runs.toml",
        r#"id = "heat_runs"
version = 1
kind = "wide"
grain = "year"
key = ["sensor_id", "time"]
title = { nl = "Golven" }
description = { nl = "Golven" }
derive.from = "heat_hours"
derive.bucket = "day"
derive.zone = "Europe/Brussels"
derive.grace_s = 0
derive.expected_s = 3600
derive.columns.max = { max = "max" }
derive.columns.wave = { run = { of = "max", at_least = 24.6, length_min = 2, peak = 24.8, peaks_min = 1, length_max = 3, source = "test" } }
column = [
  { name = "sensor_id", type = "text", required = true },
  { name = "time", type = "timestamp", required = true },
  { name = "max", type = "float" },
  { name = "wave", type = "bool" },
]
"#,
    ),
    (
        "heat_gaps.toml",
        r#"id = "heat_gaps"
version = 1
kind = "wide"
grain = "month"
key = ["sensor_id", "time"]
title = { nl = "Verschillen" }
description = { nl = "Verschillen" }
derive.from = "heat_hours"
derive.bucket = "hour"
derive.grace_s = 0
derive.expected_s = 3600
derive.reference = "a"
derive.columns.mean = { mean = "mean" }
derive.columns.gap = { difference_to_reference = "mean" }
column = [
  { name = "sensor_id", type = "text", required = true },
  { name = "time", type = "timestamp", required = true },
  { name = "mean", type = "float" },
  { name = "gap", type = "float" },
]
"#,
    ),
];

/// How often it was warm in a day so far, and on three days.
pub(crate) const LEVELS: (&str, &str) = (
    "heat_levels.toml",
    r#"id = "heat_levels"
version = 1
kind = "wide"
grain = "year"
key = ["sensor_id", "property", "time"]
title = { nl = "Warmte" }
description = { nl = "Warmte" }
derive.from = "heat"
derive.bucket = "day"
derive.so_far = true
derive.zone = "Europe/Brussels"
derive.grace_s = 0
derive.expected_s = 3600
derive.columns.n = "count"
derive.columns.so_far = "coverage_so_far"
derive.columns.warm = { count_above = { of = "value", limits = { air_temperature = 20 }, source = "test" } }
derive.columns.warm_mean = { count_above_mean = { of = "value", limits = { air_temperature = 20 }, averaged = ["air_temperature"], buckets = 3, rows_min = 4, source = "test" } }
derive.columns.allowed = { by_property = { numbers = { air_temperature = 2 }, source = "test" } }
derive.columns.too_warm = { more_than = { of = "warm_mean", than = "allowed" } }
column = [
  { name = "sensor_id", type = "text", required = true },
  { name = "property", type = "text", required = true },
  { name = "time", type = "timestamp", required = true },
  { name = "n", type = "int" },
  { name = "so_far", type = "float" },
  { name = "warm", type = "int" },
  { name = "warm_mean", type = "float" },
  { name = "allowed", type = "int" },
  { name = "too_warm", type = "bool" },
]
"#,
);

/// Hours of cells: of the hours that count, and of the observations themselves.
pub(crate) const CELLS: (&str, &str) = (
    "heat_cells.toml",
    r#"id = "heat_cells"
version = 1
kind = "wide"
grain = "month"
key = ["h3_r9", "time"]
title = { nl = "Cellen" }
description = { nl = "Cellen" }
column = [
  { name = "h3_r9", type = "int", required = true },
  { name = "time", type = "timestamp", required = true },
  { name = "sensors", type = "int" },
  { name = "mean", type = "float" },
  { name = "max", type = "float" },
]

[gather]
cell = "h3_r9"
bucket = "hour"
grace_s = 600

[[gather.input]]
from = "heat_hours"
places = "stations"
place = "sensor_id"
where = [{ column = "coverage", at_least = 0.5 }]
columns = { sensors = "count", mean = { mean = "mean" } }

[[gather.input]]
from = "heat"
places = "stations"
place = "sensor_id"
where = [{ column = "property", equals = "air_temperature" }]
columns = { max = { max = "value" } }
"#,
);

/// Returns the built-in declarations and those of the files.
pub(crate) fn declared(files: &[(&str, &str)]) -> Schemas {
    schemas::overlay(files).unwrap_or_else(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        panic!("{}", errors.join("\n"))
    })
}

/// Returns a declaration.
pub(crate) fn declaration(schemas: &Schemas, id: &str) -> Arc<DatasetDeclaration> {
    Arc::clone(&schemas.datasets[&DatasetId::new(id)])
}

/// Returns the plan of a derived dataset.
pub(crate) fn plan(schemas: &Schemas, id: &str) -> Plan {
    let derived = declaration(schemas, id);
    let input = &derived.derive.as_ref().unwrap().from;
    Plan::new(&derived, &schemas.datasets[input])
        .unwrap()
        .unwrap()
}

/// What one column of an input row holds.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    Text(&'a str),
    Int(i64),
    Float(f64),
    List(&'a [f64]),
}

/// An input row: declared columns, quality, licence.
pub(crate) type InputRow<'a> = (&'a [(&'a str, Value<'a>)], i8, &'a str);

/// Returns input rows as they are read: the declared columns, quality and licence.
pub(crate) fn batch(input: &Arc<DatasetDeclaration>, rows: &[InputRow<'_>]) -> RecordBatch {
    let mut builder = RowsBuilder::new(Arc::clone(input));
    for (columns, ..) in rows {
        for (name, value) in *columns {
            let column = input.column_index(name).unwrap();
            match value {
                Value::Text(value) => builder.set_text(column, value),
                Value::Int(value) => builder.set_int(column, *value),
                Value::Float(value) => builder.set_float(column, *value),
                Value::List(value) => builder.set_list(column, value),
            }
        }
        builder.finish_row(0).unwrap();
    }
    let built = builder.take().batch;
    let mut fields = built.schema().fields().to_vec();
    fields.push(Arc::new(Field::new(common::QUALITY, DataType::Int8, false)));
    fields.push(Arc::new(Field::new(common::LICENCE, DataType::Utf8, false)));
    let mut columns = built.columns().to_vec();
    columns.push(Arc::new(Int8Array::from_iter_values(
        rows.iter().map(|row| row.1),
    )));
    columns.push(Arc::new(StringArray::from_iter_values(
        rows.iter().map(|row| row.2),
    )));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// Returns rows as text, a line each: times in hours since the start, `-` for null.
pub(crate) fn text(rows: &RecordBatch) -> Vec<String> {
    let cell = |column: &dyn Array, row: usize| -> String {
        if column.is_null(row) {
            return "-".to_owned();
        }
        match column.data_type() {
            DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
            DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
            DataType::Float64 => format!("{:?}", column.as_primitive::<Float64Type>().value(row)),
            DataType::Boolean => column.as_boolean().value(row).to_string(),
            _ => {
                let time = column.as_primitive::<TimestampMicrosecondType>().value(row);
                format!("{}h", (time - START) / HOUR)
            }
        }
    };
    (0..rows.num_rows())
        .map(|row| {
            let cells = rows.columns().iter().map(|column| cell(&**column, row));
            cells.collect::<Vec<_>>().join(" ")
        })
        .collect()
}
