//! Values that clients put in for `$1`, `$2` and so on: bytes in text or binary become arrays of one value.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Float32Array, Float64Array,
    Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, ListArray, StringArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{CastOptions, cast_with_options, concat};
use arrow::datatypes::{DataType, Field, IntervalMonthDayNano};
use meetnet_model::time::with_seconds;
use meetnet_query::postgres::{PgScalar, PgType, array_elements};

use crate::error::{PgError, state};
use crate::values::{EPOCH_DAYS, EPOCH_MICROSECONDS, Format, numeric};

/// Returns the Arrow type of a parameter: numbers of any precision are compared with floats.
pub(crate) fn arrow(pg_type: PgType) -> DataType {
    let scalar = scalar_arrow(pg_type.scalar);
    if !pg_type.is_array {
        return scalar;
    }
    DataType::List(Arc::new(Field::new_list_field(scalar, true)))
}

fn scalar_arrow(scalar: PgScalar) -> DataType {
    match scalar {
        PgScalar::Numeric => DataType::Float64,
        scalar => scalar.arrow(),
    }
}

/// Makes a value that has been computed one of a type: texts are read as those that clients send.
///
/// # Errors
/// `22P02` where it is none of that type.
pub(crate) fn of_value(value: &ArrayRef, pg_type: PgType) -> Result<ArrayRef, PgError> {
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let cast = |value: &ArrayRef, to: &DataType| {
        let cast = cast_with_options(value, to, &options);
        cast.map_err(|_| bad_text(pg_type, "a value of another type"))
    };
    let is_text = matches!(
        value.data_type(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    );
    if !is_text || value.is_null(0) {
        return cast(value, &arrow(pg_type));
    }
    let text = cast(value, &DataType::Utf8)?;
    let text = text.as_string::<i32>().value(0);
    read(Some(text.as_bytes()), pg_type, Format::Text)
}

/// Reads one value; None is NULL.
///
/// # Errors
/// `22P02` or `22P03` where it is no value of its type.
pub(crate) fn read(
    value: Option<&[u8]>,
    pg_type: PgType,
    format: Format,
) -> Result<ArrayRef, PgError> {
    let Some(bytes) = value else {
        return Ok(new_null_array(&arrow(pg_type), 1));
    };
    match format {
        Format::Text => {
            let text = std::str::from_utf8(bytes).map_err(|_| bad_text(pg_type, "bytes"))?;
            match pg_type.is_array {
                true => text_array(text, pg_type),
                false => text_value(text, pg_type.scalar),
            }
        }
        Format::Binary => match pg_type.is_array {
            true => binary_array(bytes, pg_type),
            false => binary_value(bytes, pg_type.scalar),
        },
    }
}

fn bad_text(pg_type: PgType, text: &str) -> PgError {
    let name = pg_type.sql_name();
    // A value can be of any length.
    let text: String = text.chars().take(100).collect();
    PgError::new(
        state::BAD_TEXT,
        format!("`{text}` is no value of the type {name}"),
    )
}

fn bad_binary(pg_type: PgType) -> PgError {
    let name = pg_type.sql_name();
    PgError::new(
        state::BAD_BINARY,
        format!("a parameter in binary is no value of the type {name}"),
    )
}

fn text_value(text: &str, scalar: PgScalar) -> Result<ArrayRef, PgError> {
    let bad = || bad_text(PgType::of(scalar), text);
    match scalar {
        PgScalar::Text | PgScalar::Json => Ok(Arc::new(StringArray::from(vec![text]))),
        PgScalar::Bytea => {
            let bytes = match text.strip_prefix("\\x") {
                Some(digits) => unhex(digits).ok_or_else(bad)?,
                None => text.as_bytes().to_vec(),
            };
            Ok(Arc::new(BinaryArray::from_vec(vec![bytes.as_slice()])))
        }
        scalar => {
            let text = text.trim();
            let whole = match scalar {
                PgScalar::Timestamp | PgScalar::TimestampTz => with_seconds(text),
                _ => None,
            };
            let texts = StringArray::from(vec![whole.as_deref().unwrap_or(text)]);
            let options = CastOptions {
                safe: false,
                ..CastOptions::default()
            };
            cast_with_options(&texts, &scalar_arrow(scalar), &options).map_err(|_| bad())
        }
    }
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    let pair = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(pair).collect()
}

fn binary_value(bytes: &[u8], scalar: PgScalar) -> Result<ArrayRef, PgError> {
    let bad = || bad_binary(PgType::of(scalar));
    let int4 = || Some(i32::from_be_bytes(bytes.try_into().ok()?));
    let int8 = || Some(i64::from_be_bytes(bytes.try_into().ok()?));
    let time = || Some(int8()?.saturating_add(EPOCH_MICROSECONDS));
    let value: Option<ArrayRef> = match scalar {
        PgScalar::Bool => match bytes {
            [value] => Some(Arc::new(BooleanArray::from(vec![*value != 0]))),
            _ => None,
        },
        PgScalar::Bytea | PgScalar::Geometry => Some(Arc::new(BinaryArray::from_vec(vec![bytes]))),
        PgScalar::Text | PgScalar::Json => {
            let text = std::str::from_utf8(bytes).ok();
            text.map(|text| Arc::new(StringArray::from(vec![text])) as ArrayRef)
        }
        PgScalar::Int2 => {
            let value = bytes.try_into().ok().map(i16::from_be_bytes);
            value.map(|value| Arc::new(Int16Array::from(vec![value])) as ArrayRef)
        }
        PgScalar::Int4 => int4().map(|value| Arc::new(Int32Array::from(vec![value])) as ArrayRef),
        PgScalar::Int8 => int8().map(|value| Arc::new(Int64Array::from(vec![value])) as ArrayRef),
        PgScalar::Float4 => int4().map(|bits| {
            Arc::new(Float32Array::from(vec![f32::from_bits(bits as u32)])) as ArrayRef
        }),
        PgScalar::Float8 => int8().map(|bits| {
            Arc::new(Float64Array::from(vec![f64::from_bits(bits as u64)])) as ArrayRef
        }),
        PgScalar::Numeric => {
            numeric::read(bytes).map(|value| Arc::new(Float64Array::from(vec![value])) as ArrayRef)
        }
        PgScalar::Date => int4().map(|days| {
            let days = days.saturating_add(EPOCH_DAYS);
            Arc::new(Date32Array::from(vec![days])) as ArrayRef
        }),
        PgScalar::Time => {
            int8().map(|value| Arc::new(Time64MicrosecondArray::from(vec![value])) as ArrayRef)
        }
        PgScalar::Timestamp => {
            time().map(|value| Arc::new(TimestampMicrosecondArray::from(vec![value])) as ArrayRef)
        }
        PgScalar::TimestampTz => time().map(|value| {
            let times = TimestampMicrosecondArray::from(vec![value]);
            Arc::new(times.with_timezone("UTC")) as ArrayRef
        }),
        PgScalar::Interval => interval(bytes)
            .map(|value| Arc::new(IntervalMonthDayNanoArray::from(vec![value])) as ArrayRef),
    };
    value.ok_or_else(bad)
}

fn interval(bytes: &[u8]) -> Option<IntervalMonthDayNano> {
    let bytes: [u8; 16] = bytes.try_into().ok()?;
    let (time, rest) = bytes.split_at(8);
    let (days, months) = rest.split_at(4);
    let nanoseconds = i64::from_be_bytes(time.try_into().ok()?).checked_mul(1000)?;
    Some(IntervalMonthDayNano {
        nanoseconds,
        days: i32::from_be_bytes(days.try_into().ok()?),
        months: i32::from_be_bytes(months.try_into().ok()?),
    })
}

/// Reads `{1,2,NULL}`.
fn text_array(text: &str, pg_type: PgType) -> Result<ArrayRef, PgError> {
    let elements = array_elements(text).ok_or_else(|| bad_text(pg_type, text))?;
    let elements = elements.iter().map(|element| {
        let element = element.as_ref().map(|element| element.as_bytes());
        read(element, PgType::of(pg_type.scalar), Format::Text)
    });
    list(elements.collect::<Result<_, _>>()?, pg_type)
}

fn binary_array(bytes: &[u8], pg_type: PgType) -> Result<ArrayRef, PgError> {
    let elements = binary_elements(bytes).ok_or_else(|| bad_binary(pg_type))?;
    let elements = elements
        .into_iter()
        .map(|element| read(element, PgType::of(pg_type.scalar), Format::Binary));
    list(elements.collect::<Result<_, _>>()?, pg_type)
}

/// Splits an array of at most one dimension in binary; None where it is none.
fn binary_elements(mut bytes: &[u8]) -> Option<Vec<Option<&[u8]>>> {
    fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = bytes.split_at_checked(count)?;
        *bytes = rest;
        Some(taken)
    }
    let int4 = |bytes: &mut &[u8]| Some(i32::from_be_bytes(take(bytes, 4)?.try_into().ok()?));
    let dimensions = int4(&mut bytes)?;
    let _has_nulls = int4(&mut bytes)?;
    let _element_type = int4(&mut bytes)?;
    if dimensions == 0 {
        return Some(Vec::new());
    }
    if dimensions != 1 {
        return None;
    }
    let count = int4(&mut bytes)?;
    let _lower_bound = int4(&mut bytes)?;
    let mut elements = Vec::new();
    for _ in 0..count {
        elements.push(match int4(&mut bytes)? {
            -1 => None,
            length => Some(take(&mut bytes, usize::try_from(length).ok()?)?),
        });
    }
    bytes.is_empty().then_some(elements)
}

fn list(elements: Vec<ArrayRef>, pg_type: PgType) -> Result<ArrayRef, PgError> {
    let element = scalar_arrow(pg_type.scalar);
    let arrays: Vec<&dyn Array> = elements.iter().map(|element| element.as_ref()).collect();
    let values = match arrays.as_slice() {
        [] => new_null_array(&element, 0),
        arrays => concat(arrays).map_err(|_| bad_binary(pg_type))?,
    };
    let field = Arc::new(Field::new_list_field(element, true));
    let offsets = OffsetBuffer::from_lengths([values.len()]);
    Ok(Arc::new(ListArray::new(field, offsets, values, None)))
}

#[cfg(test)]
mod tests;
