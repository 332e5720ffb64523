//! Values as clients read them, in text or binary: each column is matched to its type once per batch, not once per row.
//!
//! Both ends of Arrow's dates and timestamps stand for PostgreSQL's `infinity` and `-infinity`, which clients bind.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, IntervalMonthDayNanoArray, ListArray,
    PrimitiveArray, StringArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType, Date32Type, Field, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType, TimeUnit,
    TimestampMicrosecondType,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::{BufMut, BytesMut};
use meetnet_query::encode::{format_date, format_time};
use meetnet_query::postgres::{PgScalar, PgType, ewkb};

use crate::error::{PgError, state};

pub(crate) mod numeric;
mod text;

/// Days from 1970 to 2000, where PostgreSQL counts from.
pub(crate) const EPOCH_DAYS: i32 = 10_957;
pub(crate) const DAY_MICROSECONDS: i64 = 86_400_000_000;
const DAY_NANOSECONDS: i128 = DAY_MICROSECONDS as i128 * 1_000;
/// As [`EPOCH_DAYS`], in microseconds.
pub(crate) const EPOCH_MICROSECONDS: i64 = EPOCH_DAYS as i64 * DAY_MICROSECONDS;

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Binary,
}

impl Format {
    /// Returns the format of a column or parameter: none given is text, one counts for all.
    pub(crate) fn of(codes: &[i16], position: usize) -> Result<Self, PgError> {
        let code = match codes {
            [] => 0,
            [one] => *one,
            codes => *codes
                .get(position)
                .ok_or_else(|| PgError::protocol("there are more values than formats for them"))?,
        };
        match code {
            0 => Ok(Self::Text),
            1 => Ok(Self::Binary),
            code => Err(PgError::protocol(format!(
                "there is no format {code}; 0 is text, 1 is binary"
            ))),
        }
    }

    pub(crate) fn code(self) -> i16 {
        match self {
            Self::Text => 0,
            Self::Binary => 1,
        }
    }
}

/// One column of a batch, ready to be written.
pub(crate) struct Column {
    scalar: PgScalar,
    format: Format,
    nulls: Option<NullBuffer>,
    values: Values,
}

enum Values {
    Bool(BooleanArray),
    Int2(ScalarBuffer<i16>),
    Int4(ScalarBuffer<i32>),
    Int8(ScalarBuffer<i64>),
    Float4(ScalarBuffer<f32>),
    Float8(ScalarBuffer<f64>),
    Interval(PrimitiveArray<IntervalMonthDayNanoType>),
    Text(StringArray),
    Bytes(BinaryArray),
    List(OffsetBuffer<i32>, Box<Column>),
}

impl Column {
    /// Matches a column to the type that the client was told of.
    ///
    /// # Errors
    /// `22003` where a whole number without a sign is larger than a `bigint` can be, or a span has too many days; `XX000` where
    /// another value does not fit into its type.
    pub(crate) fn new(array: &ArrayRef, pg_type: PgType, format: Format) -> Result<Self, PgError> {
        let array = converted(array, pg_type)?;
        let values = if pg_type.is_array {
            let list = array.as_list::<i32>();
            let elements = PgType::of(pg_type.scalar);
            let elements = Self::new(list.values(), elements, format)?;
            Values::List(list.offsets().clone(), Box::new(elements))
        } else {
            match pg_type.scalar {
                PgScalar::Bool => Values::Bool(array.as_boolean().clone()),
                PgScalar::Int2 => Values::Int2(array.as_primitive::<Int16Type>().values().clone()),
                PgScalar::Int4 => Values::Int4(array.as_primitive::<Int32Type>().values().clone()),
                PgScalar::Date => Values::Int4(array.as_primitive::<Date32Type>().values().clone()),
                PgScalar::Int8 | PgScalar::Oid => {
                    Values::Int8(array.as_primitive::<Int64Type>().values().clone())
                }
                PgScalar::Time => {
                    let times = array.as_primitive::<Time64MicrosecondType>();
                    Values::Int8(times.values().clone())
                }
                PgScalar::Timestamp | PgScalar::TimestampTz => {
                    let times = array.as_primitive::<TimestampMicrosecondType>();
                    Values::Int8(times.values().clone())
                }
                PgScalar::Float4 => {
                    Values::Float4(array.as_primitive::<Float32Type>().values().clone())
                }
                PgScalar::Float8 => {
                    Values::Float8(array.as_primitive::<Float64Type>().values().clone())
                }
                PgScalar::Interval => {
                    Values::Interval(array.as_primitive::<IntervalMonthDayNanoType>().clone())
                }
                PgScalar::Text
                | PgScalar::Numeric
                | PgScalar::Digits
                | PgScalar::Json
                | PgScalar::Uuid => Values::Text(array.as_string::<i32>().clone()),
                PgScalar::Bytea | PgScalar::Geometry => {
                    Values::Bytes(array.as_binary::<i32>().clone())
                }
            }
        };
        Ok(Self {
            scalar: pg_type.scalar,
            format,
            nulls: array.logical_nulls(),
            values,
        })
    }

    /// Writes it in another format from now on.
    pub(crate) fn set_format(&mut self, format: Format) {
        self.format = format;
        if let Values::List(_, elements) = &mut self.values {
            elements.set_format(format);
        }
    }

    /// Appends one value with its length; −1 is NULL.
    pub(crate) fn write(&self, row: usize, out: &mut BytesMut) {
        if self.is_null(row) {
            out.put_i32(-1);
            return;
        }
        let at = out.len();
        out.put_i32(0);
        match self.format {
            Format::Text => self.write_text(row, out),
            Format::Binary => self.write_binary(row, out),
        }
        let bytes = (out.len() - at - 4) as i32;
        out[at..at + 4].copy_from_slice(&bytes.to_be_bytes());
    }

    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    fn write_binary(&self, row: usize, out: &mut BytesMut) {
        match &self.values {
            Values::Bool(values) => out.put_u8(u8::from(values.value(row))),
            Values::Int2(values) => out.put_i16(values[row]),
            Values::Int4(values) if self.scalar == PgScalar::Date => {
                out.put_i32(match values[row] {
                    infinite @ (i32::MIN | i32::MAX) => infinite,
                    days => days.saturating_sub(EPOCH_DAYS),
                });
            }
            Values::Int4(values) => out.put_i32(values[row]),
            Values::Int8(values) => match self.scalar {
                PgScalar::Timestamp | PgScalar::TimestampTz => out.put_i64(match values[row] {
                    infinite @ (i64::MIN | i64::MAX) => infinite,
                    time => time.saturating_sub(EPOCH_MICROSECONDS),
                }),
                _ => out.put_i64(values[row]),
            },
            Values::Float4(values) => out.put_f32(values[row]),
            Values::Float8(values) => out.put_f64(values[row]),
            Values::Interval(values) => {
                let value = values.value(row);
                out.put_i64(value.nanoseconds / 1000);
                out.put_i32(value.days);
                out.put_i32(value.months);
            }
            Values::Text(values) if self.scalar == PgScalar::Numeric => {
                numeric::write(values.value(row), out);
            }
            Values::Text(values) => out.put_slice(values.value(row).as_bytes()),
            Values::Bytes(values) if self.scalar == PgScalar::Geometry => {
                out.put_slice(&placed(values.value(row)));
            }
            Values::Bytes(values) => out.put_slice(values.value(row)),
            Values::List(offsets, elements) => {
                let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
                // An empty array has no dimension.
                out.put_i32(i32::from(to > from));
                out.put_i32(i32::from((from..to).any(|at| elements.is_null(at))));
                out.put_u32(PgType::of(self.scalar).oid());
                if to > from {
                    out.put_i32((to - from) as i32);
                    out.put_i32(1);
                }
                for at in from..to {
                    elements.write(at, out);
                }
            }
        }
    }

    /// Appends the text of a value that is not NULL.
    pub(crate) fn write_text(&self, row: usize, out: &mut BytesMut) {
        match &self.values {
            Values::Bool(values) => out.put_u8(if values.value(row) { b't' } else { b'f' }),
            Values::Int2(values) => text::write(out, values[row]),
            Values::Int4(values) if self.scalar == PgScalar::Date => match values[row] {
                i32::MIN => out.put_slice(b"-infinity"),
                i32::MAX => out.put_slice(b"infinity"),
                days => out.put_slice(format_date(days).as_bytes()),
            },
            Values::Int4(values) => text::write(out, values[row]),
            Values::Int8(values) => match self.scalar {
                PgScalar::Timestamp | PgScalar::TimestampTz if values[row] == i64::MIN => {
                    out.put_slice(b"-infinity");
                }
                PgScalar::Timestamp | PgScalar::TimestampTz if values[row] == i64::MAX => {
                    out.put_slice(b"infinity");
                }
                PgScalar::Timestamp | PgScalar::TimestampTz => {
                    let written = format_time(values[row]);
                    let (date, time) = written.split_once('T').unwrap_or((written.as_str(), ""));
                    out.put_slice(date.as_bytes());
                    out.put_u8(b' ');
                    out.put_slice(time.trim_end_matches('Z').as_bytes());
                    if self.scalar == PgScalar::TimestampTz {
                        out.put_slice(b"+00");
                    }
                }
                PgScalar::Time => {
                    let written = format_time(values[row]);
                    let time = written.split('T').nth(1).unwrap_or_default();
                    out.put_slice(time.trim_end_matches('Z').as_bytes());
                }
                _ => text::write(out, values[row]),
            },
            Values::Float4(values) => text::float(out, f64::from(values[row]), values[row]),
            Values::Float8(values) => text::float(out, values[row], values[row]),
            Values::Interval(values) => text::interval(out, values.value(row)),
            Values::Text(values) => out.put_slice(values.value(row).as_bytes()),
            Values::Bytes(values) if self.scalar == PgScalar::Geometry => {
                text::bare_hex(out, &placed(values.value(row)));
            }
            Values::Bytes(values) => text::hex(out, values.value(row)),
            Values::List(offsets, elements) => {
                out.put_u8(b'{');
                for at in offsets[row] as usize..offsets[row + 1] as usize {
                    if at > offsets[row] as usize {
                        out.put_u8(b',');
                    }
                    if elements.is_null(at) {
                        out.put_slice(b"NULL");
                        continue;
                    }
                    let mut element = BytesMut::new();
                    elements.write_text(at, &mut element);
                    text::quoted(out, &element);
                }
                out.put_u8(b'}');
            }
        }
    }
}

/// Returns the bytes of a geometry with its reference system. Whatever has this type was made here.
fn placed(wkb: &[u8]) -> Vec<u8> {
    ewkb(wkb).unwrap_or_default()
}

/// Turns a column into the Arrow type that its PostgreSQL type is written from.
fn converted(array: &ArrayRef, pg_type: PgType) -> Result<ArrayRef, PgError> {
    let wanted = pg_type.arrow();
    if *array.data_type() == wanted {
        return Ok(ArrayRef::clone(array));
    }
    if pg_type.scalar == PgScalar::Interval
        && let Some(intervals) = intervals(array)?
    {
        return Ok(intervals);
    }
    let has_no_text = matches!(
        array.data_type(),
        DataType::List(_)
            | DataType::LargeList(_)
            | DataType::ListView(_)
            | DataType::FixedSizeList(..)
            | DataType::Struct(_)
            | DataType::Map(..)
            | DataType::Union(..)
            | DataType::Duration(_)
    );
    if wanted == DataType::Utf8 && has_no_text {
        return shown(array);
    }
    // A value that does not fit must not become NULL.
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(array, &wanted, &options).map_err(|error| match pg_type.scalar {
        PgScalar::Int8 if is_unsigned(array.data_type()) => too_large(),
        _ => failed(&error),
    })
}

/// Returns true for whole numbers without a sign, and for lists of them: those alone may be too large for a `bigint`.
fn is_unsigned(data_type: &DataType) -> bool {
    match data_type {
        DataType::UInt64 => true,
        DataType::List(field) | DataType::LargeList(field) => is_unsigned(field.data_type()),
        DataType::Dictionary(_, values) => is_unsigned(values),
        _ => false,
    }
}

fn too_large() -> PgError {
    let message = format!(
        "a number in the answer is larger than a bigint can be, {}; cast it to numeric",
        i64::MAX
    );
    PgError::new(state::OUT_OF_RANGE, message)
}

/// Returns spans, or lists of them, as PostgreSQL makes intervals of the difference of two times: whole days, and the time beside
/// them. None for what are no spans.
fn intervals(array: &ArrayRef) -> Result<Option<ArrayRef>, PgError> {
    let each = match array.data_type() {
        DataType::Duration(TimeUnit::Second) => 1_000_000_000,
        DataType::Duration(TimeUnit::Millisecond) => 1_000_000,
        DataType::Duration(TimeUnit::Microsecond) => 1_000,
        DataType::Duration(TimeUnit::Nanosecond) => 1,
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let Some(values) = intervals(list.values())? else {
                return Ok(None);
            };
            let field = Field::new_list_field(values.data_type().clone(), true);
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            let list = ListArray::try_new(Arc::new(field), offsets, values, nulls);
            return list
                .map(|list| Some(Arc::new(list) as ArrayRef))
                .map_err(|error| failed(&error));
        }
        _ => return Ok(None),
    };
    let counts = cast_with_options(array, &DataType::Int64, &CastOptions::default());
    let counts = counts.map_err(|error| failed(&error))?;
    let counts = counts.as_primitive::<Int64Type>();
    let interval = |count: i64| {
        let nanoseconds = i128::from(count) * each;
        // Less than a day of them is left.
        let time = (nanoseconds % DAY_NANOSECONDS) as i64;
        let days = i32::try_from(nanoseconds / DAY_NANOSECONDS).ok()?;
        Some(IntervalMonthDayNano::new(0, days, time))
    };
    let mut found = IntervalMonthDayNanoArray::builder(counts.len());
    for count in counts {
        found.append_option(match count {
            Some(count) => Some(interval(count).ok_or_else(too_long)?),
            None => None,
        });
    }
    Ok(Some(Arc::new(found.finish())))
}

fn too_long() -> PgError {
    let message = "a span of time in the answer has more days than an interval can have; ask for date_part('epoch', span)";
    PgError::new(state::OUT_OF_RANGE, message)
}

fn shown(array: &ArrayRef) -> Result<ArrayRef, PgError> {
    let options = FormatOptions::default();
    let formatter =
        ArrayFormatter::try_new(array.as_ref(), &options).map_err(|error| failed(&error))?;
    let nulls = array.logical_nulls();
    let texts = (0..array.len()).map(|row| {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return Ok(None);
        }
        formatter.value(row).try_to_string().map(Some)
    });
    let texts: Result<StringArray, _> = texts.collect();
    Ok(Arc::new(texts.map_err(|error| failed(&error))?))
}

fn failed(error: &arrow::error::ArrowError) -> PgError {
    PgError::new(
        state::INTERNAL,
        format!("a value of the answer cannot be sent: {error}"),
    )
}

#[cfg(test)]
mod tests;
