//! Numbers: their sign, and which of several ranges they lie in.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Builder};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use datafusion::error::Result;

use crate::call::{Call, Parameter};
use crate::described::{FunctionDescription, FunctionKind};
use crate::scalar::{ScalarSpec, map_numbers, unchecked};

/// The functions of numbers.
pub(crate) static SCALARS: &[&ScalarSpec] = &[&SIGN, &WIDTH_BUCKET];

/// `sign`, as PostgreSQL and DuckDB call it.
static SIGN: ScalarSpec = ScalarSpec {
    description: &FunctionDescription {
        name: "sign",
        kind: FunctionKind::Scalar,
        signature: "sign(x) → float64",
        description: "-1 for a number below 0, 1 for one above it, 0 for 0 itself and for NaN.",
        unit: None,
        example: "SELECT sign(-2.5), sign(0)",
    },
    parameters: &[Parameter::Number],
    required: 1,
    returns: || DataType::Float64,
    unit_argument: None,
    check: unchecked,
    evaluate: |call| map_numbers(call, |[x]: [f64; 1]| Some(sign(x))),
};

/// `width_bucket`, as PostgreSQL has it.
static WIDTH_BUCKET: ScalarSpec = ScalarSpec {
    description: &FunctionDescription {
        name: "width_bucket",
        kind: FunctionKind::Scalar,
        signature: "width_bucket(x, low, high, count) → int64",
        description: "Which of `count` ranges of one width between `low` and `high` a number lies in, from 1; 0 for what lies \
                      before the first, count + 1 for what lies behind the last. `high` itself lies behind. Where `low` is \
                      greater than `high`, they are counted downwards. NULL for NaN.",
        unit: None,
        example: "SELECT width_bucket(5.35, 0.024, 10.06, 5)",
    },
    parameters: &[
        Parameter::Number,
        Parameter::Number,
        Parameter::Number,
        Parameter::Whole,
    ],
    required: 4,
    returns: || DataType::Int64,
    unit_argument: None,
    check: unchecked,
    evaluate: width_bucket,
};

/// Of −0 too it is 0, and of NaN, as in PostgreSQL and DuckDB.
fn sign(x: f64) -> f64 {
    match x {
        x if x > 0.0 => 1.0,
        x if x < 0.0 => -1.0,
        _ => 0.0,
    }
}

fn width_bucket(call: &Call<'_>) -> Result<ArrayRef> {
    let (values, counts) = (call.numbers(0)?, call.wholes(3)?);
    let (lows, highs) = (call.numbers(1)?, call.numbers(2)?);
    let nulls = [values.nulls(), lows.nulls(), highs.nulls(), counts.nulls()];
    let nulls = NullBuffer::union_many(nulls);
    let mut found = Int64Builder::with_capacity(call.rows);
    for row in 0..call.rows {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            found.append_null();
            continue;
        }
        let between = (lows.value(row), highs.value(row));
        let bucket = bucket_of(values.value(row), between, counts.value(row));
        found.append_option(bucket.map_err(|why| call.wrong(why))?);
    }
    Ok(Arc::new(found.finish()))
}

/// Returns the range that a value lies in; None for NaN.
///
/// # Errors
/// What is wrong with the ranges.
fn bucket_of(value: f64, (low, high): (f64, f64), count: i64) -> Result<Option<i64>, &'static str> {
    if count < 1 {
        return Err("there must be at least one range");
    }
    if !low.is_finite() || !high.is_finite() || low == high {
        return Err("low and high must be two different numbers");
    }
    if value.is_nan() {
        return Ok(None);
    }
    let (past, width) = match low < high {
        true => (value - low, high - low),
        false => (low - value, low - high),
    };
    Ok(Some(if past < 0.0 {
        0
    } else if past >= width {
        count.saturating_add(1)
    } else {
        // Rounded up, it could be behind the last.
        let before = (past / width * count as f64) as i64;
        before.min(count - 1) + 1
    }))
}

#[cfg(test)]
mod tests;
