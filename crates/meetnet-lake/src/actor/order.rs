//! The order in which rows are written and looked up: that of their keys, and of one key that in which its versions were
//! applied.
//!
//! `rows as they came -> numbers of their series -> times of each series -> places in key order`
//!
//! Of series there are far fewer than of rows, so the keys of their first rows alone are compared, and where rows are written
//! encoded.

use std::hash::Hash;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::Rows;
use hashbrown::HashMap;

use crate::keys::KeyCodec;

/// Where a row lies: which batch, which row of it.
pub(super) type RowPlace = (u32, u32);

/// Returns the places of all rows of `batches`, whose first columns are the declared ones, in key order.
pub(super) fn key_order(
    codec: &KeyCodec,
    batches: &[RecordBatch],
) -> Result<Vec<RowPlace>, ArrowError> {
    if let Some((time, series)) = codec.key_columns.split_last()
        && codec.has_series
        && let Some(numbers) = series_numbers(batches, series)
    {
        return order_by_series(codec, batches, *time, numbers);
    }
    order_by_key(codec, batches)
}

/// Brings rows with these keys, each row with something of its own, into the order of the keys; rows of one key stay as they
/// were.
pub(super) fn sort_by_key<T: Copy>(
    codec: &KeyCodec,
    keys: &Rows,
    mut rows: Vec<(u32, T)>,
) -> Vec<(u32, T)> {
    let key = |row: u32| keys.row(row as usize).data();
    // Polled rows of one series come in its order.
    if rows.is_sorted_by(|(a, _), (b, _)| key(*a) <= key(*b)) {
        return rows;
    }
    if !codec.has_series {
        rows.sort_by(|(a, _), (b, _)| key(*a).cmp(key(*b)));
        return rows;
    }
    let mut numbers = Numbers::new();
    // By series: its bytes, and how many rows it has.
    let mut series: Vec<(&[u8], usize)> = Vec::new();
    let mut numbered: Vec<(usize, u64)> = Vec::with_capacity(rows.len());
    for (row, _) in &rows {
        let (of_series, time) = codec.split(key(*row));
        let number = numbers.of(of_series) as usize;
        // Numbers rise by one where a series is met first.
        if number == series.len() {
            series.push((of_series, 0));
        }
        series[number].1 += 1;
        numbered.push((number, time));
    }
    let mut by_bytes: Vec<usize> = (0..series.len()).collect();
    by_bytes.sort_unstable_by_key(|number| series[*number].0);
    // By series: where its next row goes.
    let mut next = vec![0_usize; series.len()];
    let mut end = 0_usize;
    for number in &by_bytes {
        next[*number] = end;
        end += series[*number].1;
    }
    let mut sorted = vec![(0, rows[0]); rows.len()];
    for ((number, time), row) in numbered.into_iter().zip(rows) {
        sorted[next[number]] = (time, row);
        next[number] += 1;
    }
    let mut start = 0_usize;
    for number in by_bytes {
        let end = start + series[number].1;
        // They lie in about the order of their times.
        sorted[start..end].sort_by_key(|(time, _)| *time);
        start = end;
    }
    sorted.into_iter().map(|(_, row)| row).collect()
}

/// Returns by row whether there may be another one of its key: where the times of its series do not rise from row to row. To
/// know it of every key would be a map of all of them.
pub(super) fn may_repeat<'k>(codec: &KeyCodec, keys: impl Iterator<Item = &'k [u8]>) -> Vec<bool> {
    if !codec.has_series {
        return keys.map(|_| true).collect();
    }
    let mut numbers = Numbers::new();
    // By series: the time of its last row, and whether one was not after the one before it.
    let mut series: Vec<(u64, bool)> = Vec::new();
    let numbered = keys.map(|key| {
        let (of_series, time) = codec.split(key);
        let number = numbers.of(of_series) as usize;
        match series.get_mut(number) {
            Some((last, falls_back)) => {
                *falls_back |= time <= *last;
                *last = time;
            }
            None => series.push((time, false)),
        }
        number as u32
    });
    let numbered: Vec<u32> = numbered.collect();
    let falls_back = numbered.into_iter().map(|number| series[number as usize].1);
    falls_back.collect()
}

/// The order where keys end in the time. `numbers` are those of the series, by batch and row. Rows are counted before they are
/// placed: lists that grow by series would take twice the memory, of what is the largest thing beside the rows themselves.
fn order_by_series(
    codec: &KeyCodec,
    batches: &[RecordBatch],
    time: usize,
    numbers: Vec<Vec<u32>>,
) -> Result<Vec<RowPlace>, ArrowError> {
    // By series: its first row, and how many there are.
    let mut firsts: Vec<(usize, usize)> = Vec::new();
    let mut counts: Vec<usize> = Vec::new();
    for (batch, numbers) in numbers.iter().enumerate() {
        for (row, number) in numbers.iter().enumerate() {
            let number = *number as usize;
            // Numbers rise by one where a series is met first.
            if number == counts.len() {
                firsts.push((batch, row));
                counts.push(0);
            }
            counts[number] += 1;
        }
    }
    let keys = codec.key_columns.iter().map(|column| {
        let arrays = batches.iter().map(|batch| batch.column(*column).as_ref());
        interleave(&arrays.collect::<Vec<&dyn Array>>(), &firsts)
    });
    let keys = codec.keys_of(&keys.collect::<Result<Vec<ArrayRef>, _>>()?)?;
    let mut by_key: Vec<usize> = (0..counts.len()).collect();
    by_key.sort_unstable_by_key(|number| codec.series(keys.row(*number).data()));
    // By series: where its next row goes.
    let mut next = vec![0_usize; counts.len()];
    let mut end = 0_usize;
    for number in &by_key {
        next[*number] = end;
        end += counts[*number];
    }
    let mut rows: Vec<(i64, RowPlace)> = vec![(0, (0, 0)); end];
    for (index, (batch, numbers)) in batches.iter().zip(&numbers).enumerate() {
        let times = batch
            .column(time)
            .as_primitive::<TimestampMicrosecondType>();
        for (row, number) in numbers.iter().enumerate() {
            let at = &mut next[*number as usize];
            rows[*at] = (times.value(row), (index as u32, row as u32));
            *at += 1;
        }
    }
    drop(numbers);
    let mut start = 0_usize;
    for number in by_key {
        let end = start + counts[number];
        // They lie in about the order of their times.
        rows[start..end].sort_by_key(|(time, _)| *time);
        start = end;
    }
    Ok(rows.into_iter().map(|(_, place)| place).collect())
}

/// The order of any other keys.
fn order_by_key(codec: &KeyCodec, batches: &[RecordBatch]) -> Result<Vec<RowPlace>, ArrowError> {
    let keys = batches.iter().map(|batch| codec.keys(batch));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    let places = keys.iter().enumerate().flat_map(|(batch, keys)| {
        let rows = 0..keys.num_rows() as u32;
        rows.map(move |row| (batch as u32, row))
    });
    let mut order: Vec<RowPlace> = places.collect();
    order.sort_by_key(|(batch, row)| keys[*batch as usize].row(*row as usize).data());
    Ok(order)
}

/// Returns by batch and row the number of the row's series, whose columns these are; None where there is no batch, or values
/// of a column are not numbered.
fn series_numbers(batches: &[RecordBatch], columns: &[usize]) -> Option<Vec<Vec<u32>>> {
    let first = batches.first()?;
    let zeros = batches.iter().map(|batch| vec![0; batch.num_rows()]);
    let mut numbers: Vec<Vec<u32>> = zeros.collect();
    for column in columns {
        let arrays = batches.iter().map(|batch| batch.column(*column));
        match first.column(*column).data_type() {
            DataType::Utf8 => {
                let texts = arrays.map(|array| array.as_string::<i32>());
                refine(&mut numbers, texts, |array, row| array.value(row));
            }
            DataType::Int64 => {
                let ints = arrays.map(|array| array.as_primitive::<Int64Type>());
                refine(&mut numbers, ints, |array, row| array.value(row));
            }
            _ => return None,
        }
    }
    Some(numbers)
}

/// Numbers rows anew, so that those have one number that had one and have the same value.
fn refine<A: Copy, T: Copy + Eq + Hash>(
    numbers: &mut [Vec<u32>],
    arrays: impl Iterator<Item = A>,
    value: impl Fn(A, usize) -> T,
) {
    let (mut values, mut pairs) = (Numbers::new(), Numbers::new());
    for (array, numbers) in arrays.zip(numbers) {
        for (row, number) in numbers.iter_mut().enumerate() {
            *number = pairs.of((*number, values.of(value(array, row))));
        }
    }
}

/// Numbers what is told apart, from 0 on as it is met.
struct Numbers<T> {
    known: HashMap<T, u32>,
    /// What was met last: often it comes again, or the two properties of a line take turns.
    last: [Option<(T, u32)>; 2],
}

impl<T: Copy + Eq + Hash> Numbers<T> {
    fn new() -> Self {
        Self {
            known: HashMap::new(),
            last: [None; 2],
        }
    }

    fn of(&mut self, value: T) -> u32 {
        for (last, number) in self.last.iter().flatten() {
            if *last == value {
                return *number;
            }
        }
        let next = self.known.len() as u32;
        let number = *self.known.entry(value).or_insert(next);
        self.last = [Some((value, number)), self.last[0]];
        number
    }
}

#[cfg(test)]
mod tests;
