//! Which row of each series is the newest.
//!
//! Rows that are known to be are in the order of their keys. So each series that came is looked up among them, and the others stay
//! as they are: what is merged costs by what came, but for the copy. It reads no table.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{DataType, Int64Type, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use meetnet_model::dataset::DatasetDeclaration;

use super::series;

#[cfg(test)]
mod tests;

/// Where a row stands: in which batch, and which of its rows it is.
type Place = (usize, usize);

/// Returns the newest row of every series, in the order of their keys; of rows of one time the one that comes last. `known` is such
/// an answer, and its rows come first.
pub(super) fn newest(
    known: Option<&RecordBatch>,
    batches: &[RecordBatch],
    declaration: &DatasetDeclaration,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let positions: Vec<usize> = series(declaration)
        .filter_map(|name| schema.index_of(name).ok())
        .collect();
    let time = schema.index_of(declaration.time_column())?;
    let mut newest: BTreeMap<Vec<KeyPart<'_>>, (i64, Place)> = BTreeMap::new();
    for (index, batch) in batches.iter().enumerate() {
        let times = batch
            .column(time)
            .as_primitive::<TimestampMicrosecondType>();
        for row in 0..batch.num_rows() {
            let key = positions
                .iter()
                .map(|at| KeyPart::of(batch.column(*at), row));
            let (at, place) = (times.value(row), (index, row));
            let entry = newest.entry(key.collect()).or_insert((at, place));
            if at >= entry.0 {
                *entry = (at, place);
            }
        }
    }
    let mut sources: Vec<&RecordBatch> = batches.iter().collect();
    let places: Vec<Place> = match known {
        Some(known) if newest.is_empty() => return Ok(known.clone()),
        Some(known) => {
            let index = sources.len();
            sources.push(known);
            merged(known, index, newest, &positions, time)
        }
        None => newest.into_values().map(|(_, place)| place).collect(),
    };
    if places.is_empty() {
        return Ok(RecordBatch::new_empty(Arc::clone(schema)));
    }
    interleave_record_batch(&sources, &places)
}

/// Returns where the newest rows stand of those that are `known`, which are batch `index`, and of those that `came`.
fn merged(
    known: &RecordBatch,
    index: usize,
    came: BTreeMap<Vec<KeyPart<'_>>, (i64, Place)>,
    positions: &[usize],
    time: usize,
) -> Vec<Place> {
    let times = known
        .column(time)
        .as_primitive::<TimestampMicrosecondType>();
    let mut places = Vec::with_capacity(known.num_rows() + came.len());
    let mut next = 0;
    for (key, (at, place)) in came {
        // Keys ascend on both sides: what lies before this one stays as it is.
        let (mut from, mut until) = (next, known.num_rows());
        while from < until {
            let middle = usize::midpoint(from, until);
            if compare_key(known, positions, middle, &key).is_lt() {
                from = middle + 1;
            } else {
                until = middle;
            }
        }
        places.extend((next..from).map(|row| (index, row)));
        next = from;
        let is_known =
            from < known.num_rows() && compare_key(known, positions, from, &key) == Ordering::Equal;
        next += usize::from(is_known);
        let is_older = is_known && at < times.value(from);
        places.push(if is_older { (index, from) } else { place });
    }
    places.extend((next..known.num_rows()).map(|row| (index, row)));
    places
}

/// A part of the key of a series.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum KeyPart<'a> {
    None,
    Int(i64),
    Text(&'a str),
}

impl<'a> KeyPart<'a> {
    fn of(column: &'a ArrayRef, row: usize) -> Self {
        if column.is_null(row) {
            return Self::None;
        }
        match column.data_type() {
            DataType::Int64 => Self::Int(column.as_primitive::<Int64Type>().value(row)),
            DataType::Utf8 => Self::Text(column.as_string::<i32>().value(row)),
            _ => Self::None,
        }
    }
}

/// Compares the key of a series' row with another key.
fn compare_key(
    rows: &RecordBatch,
    positions: &[usize],
    row: usize,
    key: &[KeyPart<'_>],
) -> Ordering {
    let parts = positions.iter().zip(key);
    parts
        .map(|(at, part)| KeyPart::of(rows.column(*at), row).cmp(part))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}
