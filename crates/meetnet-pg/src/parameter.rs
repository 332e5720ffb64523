//! Values that clients put in for `$1`, `$2` and so on: bytes in text or binary become arrays of one value.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Float32Array, Float64Array,
    Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, ListArray, StringArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{CastOptions, cast_with_options, concat};
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, IntervalMonthDayNano};
use meetnet_model::hex;
use meetnet_model::time::with_seconds;
use meetnet_query::StatementFault;
use meetnet_query::postgres::{
    PgScalar, PgType, array_elements, bytea, has_digits_of_value, without_exponent,
};

use crate::error::{PgError, state};
use crate::values::numeric::{self, NoNumber};
use crate::values::{DAY_MICROSECONDS, EPOCH_DAYS, EPOCH_MICROSECONDS, Format};

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
/// `22P02`, or those of [`read`], where it is none of that type.
pub(crate) fn of_value(value: &ArrayRef, pg_type: PgType) -> Result<ArrayRef, PgError> {
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let cast = |value: &ArrayRef, to: &DataType| {
        let cast = cast_with_options(value, to, &options);
        cast.map_err(|_| no_value(state::BAD_TEXT, pg_type, "a value of another type"))
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
/// `22P02`, `22P03`, `22003`, `22007` or `22008` where it is no value of its type.
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
    no_value(code_of_text(pg_type, text), pg_type, text)
}

fn no_value(code: &'static str, pg_type: PgType, text: &str) -> PgError {
    let name = pg_type.sql_name();
    // A value can be of any length.
    let text: String = text.chars().take(100).collect();
    PgError::new(code, format!("`{text}` is no value of the type {name}"))
}

/// Returns what PostgreSQL says of a text that is no value of a type: digits may be of too large a number, and a time may be written
/// well and name a day or an hour that there is not.
fn code_of_text(pg_type: PgType, text: &str) -> &'static str {
    if pg_type.is_array {
        return state::BAD_TEXT;
    }
    match pg_type.scalar {
        PgScalar::Date | PgScalar::Time | PgScalar::Timestamp | PgScalar::TimestampTz => {
            match StatementFault::of_time(text) {
                StatementFault::TimeRange => state::TIME_RANGE,
                _ => state::BAD_TIME,
            }
        }
        PgScalar::Interval => state::BAD_TIME,
        PgScalar::Int2 | PgScalar::Int4 | PgScalar::Int8 | PgScalar::Oid if is_whole(text) => {
            state::OUT_OF_RANGE
        }
        _ => state::BAD_TEXT,
    }
}

/// Returns true for the digits of a whole number, with or without a sign.
fn is_whole(text: &str) -> bool {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
}

fn bad_binary(pg_type: PgType) -> PgError {
    let name = pg_type.sql_name();
    PgError::new(
        state::BAD_BINARY,
        format!("a parameter in binary is no value of the type {name}"),
    )
}

fn out_of_range(scalar: PgScalar) -> PgError {
    let name = PgType::of(scalar).sql_name();
    let range = match scalar {
        PgScalar::Digits => "numbers here",
        _ => "the floats that it is compared as",
    };
    PgError::new(
        state::OUT_OF_RANGE,
        format!("a parameter of the type {name} is out of the range of {range}"),
    )
}

fn out_of_time(scalar: PgScalar) -> PgError {
    let name = PgType::of(scalar).sql_name();
    PgError::new(
        state::TIME_RANGE,
        format!("a parameter in binary is out of the range of the type {name}"),
    )
}

fn text_value(text: &str, scalar: PgScalar) -> Result<ArrayRef, PgError> {
    let bad = || bad_text(PgType::of(scalar), text);
    match scalar {
        PgScalar::Text | PgScalar::Json => Ok(Arc::new(StringArray::from(vec![text]))),
        PgScalar::Bytea => {
            let bytes = bytea(text).ok_or_else(bad)?;
            Ok(Arc::new(BinaryArray::from_vec(vec![bytes.as_slice()])))
        }
        PgScalar::Digits => {
            let text = text.trim();
            // Whatever is a number can be read as a float, if with fewer digits.
            let _: f64 = text.parse().map_err(|_| bad())?;
            Ok(Arc::new(StringArray::from(vec![text])))
        }
        PgScalar::Uuid => {
            let uuid = uuid_of_text(text).ok_or_else(bad)?;
            Ok(Arc::new(StringArray::from(vec![uuid])))
        }
        scalar => {
            let text = text.trim();
            if let Some(infinite) = infinite(text, scalar) {
                return Ok(infinite);
            }
            let whole = match scalar {
                PgScalar::Timestamp | PgScalar::TimestampTz => {
                    with_seconds(text).or_else(|| of_the_zone(text, scalar))
                }
                PgScalar::Date | PgScalar::Time => of_the_zone(text, scalar),
                _ => None,
            };
            let whole = whole.as_deref().unwrap_or(text);
            let options = CastOptions {
                safe: false,
                ..CastOptions::default()
            };
            let read = |text: &str| {
                let texts = StringArray::from(vec![text]);
                let value = cast_with_options(&texts, &scalar_arrow(scalar), &options);
                value.map_err(|_| bad())
            };
            let mut value = read(whole)?;
            // It has to be a zone all the same.
            if matches!(scalar, PgScalar::Timestamp)
                && let Some(time) = without_zone(whole)
            {
                value = read(time)?;
            }
            match is_lost(&value, text) {
                true => Err(out_of_range(scalar)),
                false => Ok(value),
            }
        }
    }
}

/// Returns a day, or a time of the day, without the zone behind it, which says nothing of either: JDBC sends `2026-01-31 +01` and
/// `12:00:00+01`. Where an instant is wanted, it is the midnight with which the day begins there. None for what is neither.
fn of_the_zone(text: &str, scalar: PgScalar) -> Option<String> {
    let (value, zone) = text.split_at_checked(text.rfind(['+', '-'])?)?;
    let value = value.trim_end();
    let fits = |text: &str, pattern: &str| {
        let fits = |(letter, pattern): (u8, u8)| match pattern {
            b'd' => letter.is_ascii_digit(),
            pattern => letter == pattern,
        };
        text.len() == pattern.len() && text.bytes().zip(pattern.bytes()).all(fits)
    };
    let offset = zone.get(1..)?;
    let is_zone = ["dd", "dd:dd", "dd:dd:dd"]
        .into_iter()
        .any(|pattern| fits(offset, pattern));
    let is_day = fits(value, "dddd-dd-dd");
    match scalar {
        _ if !is_zone => None,
        PgScalar::Date if is_day => Some(value.to_owned()),
        PgScalar::Time if value.contains(':') => Some(value.to_owned()),
        PgScalar::Timestamp if is_day => Some(format!("{value}T00:00:00")),
        PgScalar::TimestampTz if is_day => Some(format!("{value}T00:00:00{zone}")),
        _ => None,
    }
}

/// Returns a time without the zone behind it, which says nothing of a timestamp that has none: `2026-01-31 12:00:00+01` is noon. None
/// where there is no zone.
fn without_zone(time: &str) -> Option<&str> {
    const DAY: &str = "dddd-dd-ddT";
    let of_day = time.get(DAY.len()..)?;
    let is_other = |letter: char| !(letter.is_ascii_digit() || matches!(letter, ':' | '.'));
    time.get(..DAY.len() + of_day.find(is_other)?)
}

/// Returns true for a number that no float can hold: its digits are read as infinity, or as 0.
fn is_lost(value: &ArrayRef, text: &str) -> bool {
    let float = match value.data_type() {
        DataType::Float32 => f64::from(value.as_primitive::<Float32Type>().value(0)),
        DataType::Float64 => value.as_primitive::<Float64Type>().value(0),
        _ => return false,
    };
    let has_digits = || text.bytes().any(|letter| letter.is_ascii_digit());
    float.is_infinite() && has_digits() || float == 0.0 && has_digits_of_value(text)
}

/// Returns the end of a type of days or instants, which is what infinity is there.
fn infinite(text: &str, scalar: PgScalar) -> Option<ArrayRef> {
    let is_negative = text.starts_with('-');
    let word = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !word.eq_ignore_ascii_case("infinity") {
        return None;
    }
    let time = if is_negative { i64::MIN } else { i64::MAX };
    let day = if is_negative { i32::MIN } else { i32::MAX };
    Some(match scalar {
        PgScalar::Date => Arc::new(Date32Array::from(vec![day])),
        PgScalar::Timestamp => Arc::new(TimestampMicrosecondArray::from(vec![time])),
        PgScalar::TimestampTz => {
            Arc::new(TimestampMicrosecondArray::from(vec![time]).with_timezone("UTC"))
        }
        _ => return None,
    })
}

/// Returns a UUID as PostgreSQL writes it, of what it reads: digits of any case, in braces or not, with a hyphen behind any four.
fn uuid_of_text(text: &str) -> Option<String> {
    let inner = match text.strip_prefix('{') {
        Some(inner) => inner.strip_suffix('}')?,
        None => text,
    };
    let mut bytes = [0_u8; 16];
    let mut digits = 0_usize;
    let mut is_behind_hyphen = false;
    for letter in inner.chars() {
        if letter == '-' {
            let may_be_here = digits > 0 && digits < 32 && digits.is_multiple_of(4);
            if is_behind_hyphen || !may_be_here {
                return None;
            }
            is_behind_hyphen = true;
            continue;
        }
        is_behind_hyphen = false;
        let digit = u8::try_from(letter.to_digit(16)?).ok()?;
        let byte = bytes.get_mut(digits / 2)?;
        *byte = (*byte << 4) | digit;
        digits += 1;
    }
    if digits != 32 {
        return None;
    }
    hex::uuid(&bytes)
}

fn binary_value(bytes: &[u8], scalar: PgScalar) -> Result<ArrayRef, PgError> {
    let bad = || bad_binary(PgType::of(scalar));
    let no_number = |why: NoNumber| match why {
        NoNumber::Malformed => bad(),
        NoNumber::OutOfRange => out_of_range(scalar),
    };
    let int4 = || Some(i32::from_be_bytes(bytes.try_into().ok()?));
    let int8 = || Some(i64::from_be_bytes(bytes.try_into().ok()?));
    // Both ends are infinity there, and here.
    let time = || match int8() {
        None => Err(bad()),
        Some(infinite @ (i64::MIN | i64::MAX)) => Ok(infinite),
        Some(time) => {
            let time = time.checked_add(EPOCH_MICROSECONDS);
            let time = time.filter(|time| *time != i64::MAX);
            time.ok_or_else(|| out_of_time(scalar))
        }
    };
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
        // Without a sign.
        PgScalar::Oid => int4()
            .map(|value| Arc::new(Int64Array::from(vec![i64::from(value as u32)])) as ArrayRef),
        PgScalar::Int8 => int8().map(|value| Arc::new(Int64Array::from(vec![value])) as ArrayRef),
        PgScalar::Float4 => int4().map(|bits| {
            Arc::new(Float32Array::from(vec![f32::from_bits(bits as u32)])) as ArrayRef
        }),
        PgScalar::Float8 => int8().map(|bits| {
            Arc::new(Float64Array::from(vec![f64::from_bits(bits as u64)])) as ArrayRef
        }),
        PgScalar::Uuid => {
            let uuid = hex::uuid(bytes);
            uuid.map(|uuid| Arc::new(StringArray::from(vec![uuid])) as ArrayRef)
        }
        PgScalar::Numeric => {
            let value = numeric::read(bytes).map_err(no_number)?;
            Some(Arc::new(Float64Array::from(vec![value])))
        }
        PgScalar::Digits => {
            let digits = numeric::read_digits(bytes).map_err(no_number)?;
            Some(Arc::new(StringArray::from(vec![digits])))
        }
        PgScalar::Date => {
            let days = match int4().ok_or_else(bad)? {
                infinite @ (i32::MIN | i32::MAX) => Some(infinite),
                days => {
                    let days = days.checked_add(EPOCH_DAYS);
                    days.filter(|days| *days != i32::MAX)
                }
            };
            let days = days.ok_or_else(|| out_of_time(scalar))?;
            Some(Arc::new(Date32Array::from(vec![days])))
        }
        PgScalar::Time => {
            let time = int8().ok_or_else(bad)?;
            // 24:00:00, which PostgreSQL has, is none here.
            if !(0..DAY_MICROSECONDS).contains(&time) {
                return Err(out_of_time(scalar));
            }
            Some(Arc::new(Time64MicrosecondArray::from(vec![time])))
        }
        PgScalar::Timestamp => Some(Arc::new(TimestampMicrosecondArray::from(vec![time()?]))),
        PgScalar::TimestampTz => {
            let times = TimestampMicrosecondArray::from(vec![time()?]);
            Some(Arc::new(times.with_timezone("UTC")))
        }
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
    let elements = elements.into_iter().map(|element| {
        // Of a literal it is read where that is cast; of a list nobody looks at the elements any more.
        let element = element.map(|element| match pg_type.scalar {
            PgScalar::Digits => without_exponent(&element).unwrap_or(element),
            _ => element,
        });
        let element = element.as_ref().map(|element| element.as_bytes());
        read(element, PgType::of(pg_type.scalar), Format::Text)
    });
    list(elements.collect::<Result<_, _>>()?, pg_type)
}

fn binary_array(bytes: &[u8], pg_type: PgType) -> Result<ArrayRef, PgError> {
    let elements = binary_elements(bytes, pg_type).ok_or_else(|| bad_binary(pg_type))?;
    let elements = elements
        .into_iter()
        .map(|element| read(element, PgType::of(pg_type.scalar), Format::Binary));
    list(elements.collect::<Result<_, _>>()?, pg_type)
}

/// Splits an array of at most one dimension in binary; None where it is none, or one of another type: floats have as many bytes as
/// integers.
fn binary_elements(mut bytes: &[u8], pg_type: PgType) -> Option<Vec<Option<&[u8]>>> {
    fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = bytes.split_at_checked(count)?;
        *bytes = rest;
        Some(taken)
    }
    let int4 = |bytes: &mut &[u8]| Some(i32::from_be_bytes(take(bytes, 4)?.try_into().ok()?));
    let dimensions = int4(&mut bytes)?;
    let _has_nulls = int4(&mut bytes)?;
    let element_type = int4(&mut bytes)? as u32;
    let element_oid = PgType::of_oid(element_type).map(PgType::oid);
    if element_type != 0 && element_oid != Some(PgType::of(pg_type.scalar).oid()) {
        return None;
    }
    if dimensions == 0 {
        return bytes.is_empty().then(Vec::new);
    }
    if dimensions != 1 {
        return None;
    }
    let count = usize::try_from(int4(&mut bytes)?).ok()?;
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
