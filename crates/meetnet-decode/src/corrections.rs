//! Declared corrections: rows of a property that is made from another one, beside its rows.
//!
//! `rows of a group -> [humidity of the same message, sensor and time] -> rows of the corrected property`
//!
//! What a correction needs is in the message, so its rows are a function of the message, too.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Float64Array, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use hashbrown::HashMap;
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::DatasetId;
use meetnet_model::property::PropertyDeclaration;
use meetnet_model::rows::{DatasetRows, unsigned_zero};

/// The declared corrections.
#[derive(Debug, Default)]
pub(crate) struct Corrections {
    /// Properties that have one.
    corrected: Vec<Arc<PropertyDeclaration>>,
}

/// Where a value stands: position of its envelope, time (µs) and sensor.
type Place<'a> = (u32, i64, &'a str);

impl Corrections {
    pub(crate) fn new(declarations: &Declarations) -> Self {
        let properties = declarations.properties.iter();
        Self {
            corrected: properties
                .filter(|property| property.correction.is_some())
                .cloned()
                .collect(),
        }
    }

    /// Adds the rows of corrected properties to the rows of a group.
    pub(crate) fn add(&self, rows: &mut [DatasetRows]) {
        for property in &self.corrected {
            let corrected = corrected(property, rows);
            if corrected.is_empty() {
                continue;
            }
            let of_dataset = rows
                .iter_mut()
                .find(|rows| rows.declaration.id == property.dataset);
            if let Some(of_dataset) = of_dataset {
                append(of_dataset, &property.name, &corrected)
                    .expect("columns of one builder fit each other");
            }
        }
    }
}

/// Returns the rows that a property is corrected from, with the corrected values.
fn corrected(property: &PropertyDeclaration, rows: &[DatasetRows]) -> Vec<(u32, f64)> {
    let Some(correction) = &property.correction else {
        return Vec::new();
    };
    let of = |dataset: &DatasetId| rows.iter().find(|rows| rows.declaration.id == *dataset);
    let (Some(measured), Some(humidity)) =
        (of(&property.dataset), of(&correction.humidity.dataset))
    else {
        return Vec::new();
    };
    let humidity: HashMap<Place<'_>, f64> = values(humidity, &correction.humidity.property)
        .map(|(_, place, value)| (place, value))
        .collect();
    values(measured, &correction.of)
        .filter_map(|(row, place, value)| {
            let corrected = correction.apply(value, *humidity.get(&place)?)?;
            Some((row, corrected))
        })
        .collect()
}

/// The values of one property of a long dataset, each with its row and place.
fn values<'a>(
    rows: &'a DatasetRows,
    property: &'a str,
) -> impl Iterator<Item = (u32, Place<'a>, f64)> {
    let column = |name: &str| rows.batch.column_by_name(name);
    let sensors = column("sensor_id").and_then(|array| array.as_string_opt::<i32>());
    let properties = column("property").and_then(|array| array.as_string_opt::<i32>());
    let times =
        column("time").and_then(|array| array.as_primitive_opt::<TimestampMicrosecondType>());
    let values = column("value").and_then(|array| array.as_primitive_opt::<Float64Type>());
    let columns = sensors.zip(properties).zip(times.zip(values));
    columns
        .into_iter()
        .flat_map(move |((sensors, properties), (times, values))| {
            let wanted = (0..rows.batch.num_rows())
                .filter(move |row| properties.value(*row) == property && values.is_valid(*row));
            wanted.map(move |row| {
                let place = (rows.envelopes[row], times.value(row), sensors.value(row));
                (row as u32, place, values.value(row))
            })
        })
}

/// Appends copies of rows with another property and value, each behind the rows of its envelope.
fn append(
    rows: &mut DatasetRows,
    property: &str,
    corrected: &[(u32, f64)],
) -> Result<(), ArrowError> {
    let positions: UInt32Array = corrected.iter().map(|(row, _)| Some(*row)).collect();
    let copies = take_record_batch(&rows.batch, &positions)?;
    let schema = copies.schema();
    let mut columns = copies.columns().to_vec();
    let names = std::iter::repeat_n(property, corrected.len());
    columns[schema.index_of("property")?] = Arc::new(StringArray::from_iter_values(names));
    let values = corrected.iter().map(|(_, value)| unsigned_zero(*value));
    columns[schema.index_of("value")?] = Arc::new(Float64Array::from_iter_values(values));
    let copies = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    let all = concat_batches(&schema, [&rows.batch, &copies])?;

    let copied = |row: &(u32, f64)| row.0 as usize;
    let mut envelopes = rows.envelopes.clone();
    envelopes.extend(corrected.iter().map(|row| rows.envelopes[copied(row)]));
    let mut timeless = rows.timeless.clone();
    if !timeless.is_empty() {
        timeless.extend(corrected.iter().map(|row| rows.timeless[copied(row)]));
    }
    // Stable: what is corrected comes before what it became.
    let mut order: Vec<u32> = (0..envelopes.len() as u32).collect();
    order.sort_by_key(|row| envelopes[*row as usize]);
    rows.batch = take_record_batch(&all, &UInt32Array::from(order.clone()))?;
    rows.envelopes = order.iter().map(|row| envelopes[*row as usize]).collect();
    if !timeless.is_empty() {
        rows.timeless = order.iter().map(|row| timeless[*row as usize]).collect();
    }
    Ok(())
}

#[cfg(test)]
mod tests;
