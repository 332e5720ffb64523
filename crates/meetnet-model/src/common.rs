//! The columns that every dataset has beside its declared ones, and the layout of rows in files and in SQL.
//!
//! ```text
//! SQL row   = declared columns ++ COMMON (quality … revision)
//! file row  = SQL row without `licence`; `licence`, `superseded` and the grain column are partition values
//! table row = file row ++ licence, superseded, grain column (Delta's partition columns)
//! ```

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};

/// Length of the interval that a row speaks of, s; a column that datasets declare where their values can be means or counts.
pub const INTERVAL_S: &str = "interval_s";
/// QARTOD summary flag of the row, int8.
pub const QUALITY: &str = "quality";
/// Bit set of the quality tests that did not pass, int64; its bits are declared per dataset.
pub const QUALITY_TESTS: &str = "quality_tests";
/// The source the row came from, text.
pub const SOURCE: &str = "source";
/// The licence of the row, text; a partition column.
pub const LICENCE: &str = "licence";
/// When the envelope was received, timestamp µs UTC. With `source` it finds the raw envelope in the archive.
pub const RECEIVED_AT: &str = "received_at";
/// When the row was recorded, timestamp µs UTC; null means: at `received_at`.
pub const RECORDED_AT: &str = "recorded_at";
/// When a later value replaced the row, timestamp µs UTC; null while current.
pub const SUPERSEDED_AT: &str = "superseded_at";
/// Number of the version of this key, 0 first.
pub const REVISION: &str = "revision";
/// Partition column: whether the file holds replaced rows, boolean.
pub const SUPERSEDED: &str = "superseded";

/// `Timestamp(Microsecond, "UTC")`, the one time type.
pub fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
}

/// Returns the common columns in order, `licence` included (null-able as they are stored).
pub fn common_fields() -> Vec<Field> {
    vec![
        Field::new(QUALITY, DataType::Int8, false),
        Field::new(QUALITY_TESTS, DataType::Int64, false),
        Field::new(SOURCE, DataType::Utf8, false),
        Field::new(LICENCE, DataType::Utf8, false),
        Field::new(RECEIVED_AT, timestamp_type(), false),
        Field::new(RECORDED_AT, timestamp_type(), true),
        Field::new(SUPERSEDED_AT, timestamp_type(), true),
        Field::new(REVISION, DataType::Int64, false),
    ]
}

/// Returns true for a name that a declaration may not use for a column of its own.
pub fn is_reserved(name: &str) -> bool {
    matches!(
        name,
        QUALITY
            | QUALITY_TESTS
            | SOURCE
            | LICENCE
            | RECEIVED_AT
            | RECORDED_AT
            | SUPERSEDED_AT
            | REVISION
            | SUPERSEDED
            | "year"
            | "month"
            | "day"
    )
}
