//! Values of a column that are written one by one, as PostgreSQL writes them within JSON.

use std::fmt::{Display, LowerExp};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Int64Type, IntervalMonthDayNanoType,
    IntervalUnit, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::Result;
use meetnet_model::hex::Hex;

use super::super::bounded::too_much;
use super::spans::{span, time_of_day};
use super::{GEOJSON_DIGITS, Meaning, TO_JSON, geojson};
use crate::time_text::{format_date, format_time};

/// From this power of ten on a `double precision` and a `real` are written with an exponent, as they are below 0.0001.
pub(super) const DOUBLE_POWER: i32 = 15;
pub(super) const REAL_POWER: i32 = 6;
/// The ends of days and times.
const INFINITY: &str = "infinity";
const NEGATIVE_INFINITY: &str = "-infinity";
/// What stands between the parts of a list or a row.
pub(super) const COMMA: &str = ",";
const DAY_NANOSECONDS: i128 = 86_400_000_000_000;

/// Values that are written one by one.
pub(super) struct Column {
    nulls: Option<NullBuffer>,
    values: Values,
}

enum Values {
    /// As JSON already.
    Written(StringArray),
    List {
        offsets: OffsetBuffer<i32>,
        /// The offset of the first item: a slice has those that it shows, and no others.
        first: usize,
        items: Box<Column>,
    },
    /// Parts by their names, which are JSON already.
    Row(Vec<(String, Column)>),
}

impl Column {
    /// Makes ready the values of a column; texts that are JSON stay as they are, and geometries become GeoJSON.
    ///
    /// # Errors
    /// Where a value cannot be shown.
    pub(super) fn new(array: &ArrayRef, meaning: Meaning) -> Result<Self> {
        let values = match array.data_type() {
            DataType::Struct(fields) => {
                let parts = fields.iter().zip(array.as_struct().columns());
                let parts = parts.map(|(field, part)| {
                    Ok((text(field.name()), Self::new(part, Meaning::of(field))?))
                });
                Values::Row(parts.collect::<Result<Vec<_>>>()?)
            }
            DataType::List(field) => {
                let list = array.as_list::<i32>();
                let offsets = list.offsets().clone();
                let (first, end) = (offsets[0] as usize, offsets[list.len()] as usize);
                let items = list.values().slice(first, end - first);
                Values::List {
                    offsets,
                    first,
                    items: Box::new(Self::new(&items, Meaning::of(field))?),
                }
            }
            DataType::LargeList(field)
            | DataType::ListView(field)
            | DataType::FixedSizeList(field, _) => {
                let list = cast(array, &DataType::List(Arc::clone(field)))?;
                return Self::new(&list, meaning);
            }
            DataType::Dictionary(_, values) => return Self::new(&cast(array, values)?, meaning),
            data_type if meaning == Meaning::Json && data_type.is_string() => {
                let texts = cast(array, &DataType::Utf8)?;
                Values::Written(texts.as_string::<i32>().clone())
            }
            data_type if meaning == Meaning::Geometry && data_type.is_binary() => {
                let bytes = cast(array, &DataType::Binary)?;
                let bytes = bytes.as_binary::<i32>().iter();
                // Which bytes are no geometry is for no part of JSON to say.
                let shape =
                    |wkb: &[u8]| geojson(wkb, GEOJSON_DIGITS).unwrap_or_else(|| "null".to_owned());
                Values::Written(bytes.map(|wkb| wkb.map(shape)).collect())
            }
            _ => Values::Written(written(array)?),
        };
        Ok(Self {
            nulls: array.logical_nulls(),
            values,
        })
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Returns true for rows and lists, each of which has a line where several are gathered.
    pub(super) fn has_lines(&self) -> bool {
        !matches!(self.values, Values::Written(_))
    }

    /// Appends a value; `between` stands between its parts, where it is a list or a row, and a comma between the parts of these.
    ///
    /// # Errors
    /// Where the text becomes longer than `bytes_max`.
    pub(super) fn write(
        &self,
        row: usize,
        json: &mut String,
        between: &str,
        bytes_max: u64,
    ) -> Result<()> {
        if self.is_null(row) {
            json.push_str("null");
            return Ok(());
        }
        match &self.values {
            Values::Written(texts) => json.push_str(texts.value(row)),
            Values::List {
                offsets,
                first,
                items,
            } => {
                let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
                json.push('[');
                for item in start..end {
                    if item > start {
                        json.push_str(between);
                    }
                    items.write(item - first, json, COMMA, bytes_max)?;
                }
                json.push(']');
            }
            Values::Row(parts) => {
                json.push('{');
                for (position, (name, part)) in parts.iter().enumerate() {
                    if position > 0 {
                        json.push_str(between);
                    }
                    json.push_str(name);
                    json.push(':');
                    part.write(row, json, COMMA, bytes_max)?;
                }
                json.push('}');
            }
        }
        match json.len() as u64 > bytes_max {
            true => Err(too_much(TO_JSON, bytes_max)),
            false => Ok(()),
        }
    }
}

/// Returns single values as JSON.
fn written(array: &ArrayRef) -> Result<StringArray> {
    Ok(match array.data_type() {
        DataType::Null => StringArray::new_null(array.len()),
        data_type
            if data_type.is_integer()
                || data_type.is_decimal()
                || *data_type == DataType::Boolean =>
        {
            cast(array, &DataType::Utf8)?.as_string::<i32>().clone()
        }
        DataType::Float16 | DataType::Float32 => {
            let numbers = cast(array, &DataType::Float32)?;
            let numbers = numbers.as_primitive::<Float32Type>().iter();
            let real = |value: f32| number(value, REAL_POWER);
            numbers.map(|value| value.map(real)).collect()
        }
        DataType::Float64 => {
            let numbers = array.as_primitive::<Float64Type>().iter();
            let double = |value: f64| number(value, DOUBLE_POWER);
            numbers.map(|value| value.map(double)).collect()
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let texts = cast(array, &DataType::Utf8)?;
            let texts = texts.as_string::<i32>().iter();
            texts.map(|value| value.map(text)).collect()
        }
        DataType::Date32 | DataType::Date64 => {
            let days = cast(array, &DataType::Date32)?;
            let days = days.as_primitive::<Date32Type>().iter();
            days.map(|value| value.map(day)).collect()
        }
        DataType::Timestamp(_, zone) => {
            let to = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
            let times = cast(array, &to)?;
            let times = times.as_primitive::<TimestampMicrosecondType>().iter();
            let time = |at: i64| time(at, zone.is_some());
            times.map(|value| value.map(time)).collect()
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            let times = cast(array, &DataType::Time64(TimeUnit::Microsecond))?;
            let times = times.as_primitive::<Time64MicrosecondType>().iter();
            let time = |at: i64| text(&time_of_day(at));
            times.map(|value| value.map(time)).collect()
        }
        DataType::Interval(_) => {
            let spans = cast(array, &DataType::Interval(IntervalUnit::MonthDayNano))?;
            let spans = spans.as_primitive::<IntervalMonthDayNanoType>().iter();
            let shown = spans.map(|value| {
                value.map(|value| {
                    let (months, days) = (i128::from(value.months), i128::from(value.days));
                    text(&span(months, days, i128::from(value.nanoseconds)))
                })
            });
            shown.collect()
        }
        // As PostgreSQL's clients are told them: days, and what is left.
        DataType::Duration(unit) => {
            let each = match unit {
                TimeUnit::Second => 1_000_000_000,
                TimeUnit::Millisecond => 1_000_000,
                TimeUnit::Microsecond => 1_000,
                TimeUnit::Nanosecond => 1,
            };
            let counts = cast(array, &DataType::Int64)?;
            let counts = counts.as_primitive::<Int64Type>().iter();
            let shown = counts.map(|count| {
                count.map(|count| {
                    let nanoseconds = i128::from(count) * each;
                    let days = nanoseconds / DAY_NANOSECONDS;
                    text(&span(0, days, nanoseconds % DAY_NANOSECONDS))
                })
            });
            shown.collect()
        }
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => {
            let bytes = cast(array, &DataType::Binary)?;
            let bytes = bytes.as_binary::<i32>().iter();
            let hexadecimal = |bytes: &[u8]| text(&format!("\\x{}", Hex(bytes)));
            bytes.map(|value| value.map(hexadecimal)).collect()
        }
        _ => {
            let options = FormatOptions::default();
            let formatter = ArrayFormatter::try_new(array.as_ref(), &options)?;
            let texts = (0..array.len()).map(|row| {
                let shown = formatter.value(row).try_to_string();
                shown.map(|shown| text(&shown))
            });
            StringArray::from(texts.collect::<Result<Vec<String>, ArrowError>>()?)
        }
    })
}

pub(super) fn text(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

/// Returns a float: as few digits as tell it from others, from the power of ten `power_max` on with an exponent; what JSON has no number
/// for as a text.
pub(super) fn number<T: Copy + Display + LowerExp + Into<f64>>(value: T, power_max: i32) -> String {
    let float: f64 = value.into();
    if float.is_nan() {
        return text("NaN");
    }
    if float.is_infinite() {
        return text(if float < 0.0 { "-Infinity" } else { "Infinity" });
    }
    let shown = format!("{value:e}");
    let parts = shown.split_once('e');
    let parts = parts.and_then(|(digits, power)| Some((digits, power.parse::<i32>().ok()?)));
    match parts {
        Some((digits, power)) if !(-4..power_max).contains(&power) => {
            let sign = if power < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", power.unsigned_abs())
        }
        _ => value.to_string(),
    }
}

/// Returns a day, counted from 1970-01-01.
pub(super) fn day(days: i32) -> String {
    match days {
        i32::MAX => text(INFINITY),
        i32::MIN => text(NEGATIVE_INFINITY),
        days => {
            let (shown, era) = in_era(&format_date(days));
            text(&format!("{shown}{era}"))
        }
    }
}

/// Returns a time, µs since 1970 UTC, or by clocks that nobody says the zone of.
pub(super) fn time(at: i64, has_zone: bool) -> String {
    match at {
        i64::MAX => return text(INFINITY),
        i64::MIN => return text(NEGATIVE_INFINITY),
        _ => {}
    }
    let shown = format_time(at);
    let shown = shown.strip_suffix('Z').unwrap_or(&shown);
    let shown = match shown.contains('.') {
        true => shown.trim_end_matches('0'),
        false => shown,
    };
    let zone = if has_zone { "+00:00" } else { "" };
    let (shown, era) = in_era(shown);
    text(&format!("{shown}{zone}{era}"))
}

/// Returns a day, or a time, with its year counted as PostgreSQL does: there is none between 1 BC and 1, and what stands behind it says
/// which of both it is.
fn in_era(shown: &str) -> (String, &'static str) {
    let end = shown.char_indices().skip(1).find(|(_, sign)| *sign == '-');
    let parts = end.map(|(end, _)| shown.split_at(end));
    let year = parts.and_then(|(year, rest)| Some((year.parse::<i64>().ok()?, rest)));
    match year {
        Some((year, rest)) if year <= 0 => (format!("{:04}{rest}", 1 - year), " BC"),
        _ => (shown.to_owned(), ""),
    }
}
