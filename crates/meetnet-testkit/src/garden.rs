//! Temperatures of gardens: rows of the built-in dataset `heat`, for tests of what stores them.

use std::sync::Arc;

use arrow::array::{Int8Array, Int64Array, RecordBatch};
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::DatasetId;
use meetnet_model::rows::{DatasetRows, RowsBuilder};
use meetnet_model::schemas;

/// 2026-01-01T00:00:00Z, µs since 1970 UTC.
pub const START: i64 = 1_767_225_600_000_000;
/// One minute, µs.
pub const MINUTE: i64 = 60_000_000;

/// One row: number of the garden, time (µs since 1970 UTC), temperature (°C).
pub type Reading = (u32, i64, f64);

/// The dataset.
pub fn heat() -> DatasetId {
    DatasetId::new("heat")
}

/// Returns the built-in declaration of `heat`, alone.
pub fn declarations() -> Declarations {
    let mut declarations = schemas::builtin().into_declarations([]);
    declarations.datasets.retain(|id, _| *id == heat());
    declarations
}

/// Returns the sensor id of a garden. Ids have the order of the numbers.
pub fn sensor(number: u32) -> String {
    format!("garden-{number:04}")
}

/// Returns rows of `heat` as decoded from one envelope.
pub fn rows(readings: impl IntoIterator<Item = Reading>) -> DatasetRows {
    rows_of("heat", readings)
}

/// The same for any built-in dataset of quantities.
///
/// # Panics
/// Where there is no such dataset.
pub fn rows_of(dataset: &str, readings: impl IntoIterator<Item = Reading>) -> DatasetRows {
    let declarations = schemas::builtin().into_declarations([]);
    let declaration = Arc::clone(&declarations.datasets[&DatasetId::new(dataset)]);
    let index = |name: &str| {
        declaration
            .column_index(name)
            .expect("a dataset of quantities")
    };
    let columns = ["sensor_id", "property", "time", "value"].map(index);
    let mut builder = RowsBuilder::new(declaration);
    for (garden, time, value) in readings {
        builder.set_text(columns[0], &sensor(garden));
        builder.set_text(columns[1], "air_temperature");
        builder.set_int(columns[2], time);
        builder.set_float(columns[3], value);
        builder.finish_row(0).expect("a whole row");
    }
    builder.take()
}

/// Flags every row as good: what the lake asks for when it inserts rows.
pub fn flag(_: &DatasetDeclaration, rows: &RecordBatch, _: &[u32]) -> (Int8Array, Int64Array) {
    let of_all = rows.num_rows();
    (
        Int8Array::from_iter_values(std::iter::repeat_n(1, of_all)),
        Int64Array::from_iter_values(std::iter::repeat_n(0, of_all)),
    )
}
