//! `to_json`: a value as JSON, written as PostgreSQL writes it: numbers with all their digits, times in ISO 8601, what JSON has no
//! number for as a text. NULL is none; within a list or a row it is `null`.
//!
//! How long it becomes depends on names of columns and on what must be escaped, so it is looked at while it is written.

use std::fmt::{Display, LowerExp};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use meetnet_model::hex::Hex;

use super::bounded::{most, too_much};
use crate::rewrite::column_or_constant;
use crate::time_text::{format_date, format_time};

/// Name of the function.
pub const TO_JSON: &str = "to_json";
/// From this power of ten on a `double precision` and a `real` are written with an exponent, as they are below 0.0001.
const DOUBLE_POWER: i32 = 15;
const REAL_POWER: i32 = 6;
/// The ends of days and times.
const INFINITY: &str = "infinity";
const NEGATIVE_INFINITY: &str = "-infinity";

/// The function [`TO_JSON`], of one value of any type.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ToJson {
    signature: Signature,
}

impl ToJson {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for ToJson {
    fn name(&self) -> &str {
        TO_JSON
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else {
            return Err(DataFusionError::Plan(format!(
                "`{TO_JSON}` takes one value"
            )));
        };
        let (bytes_max, rows) = most(&args);
        let values = value.to_array(rows)?;
        let column = Column::new(&values)?;
        let mut written = StringBuilder::new();
        let (mut json, mut left) = (String::new(), bytes_max);
        for row in 0..values.len() {
            if column.is_null(row) {
                written.append_null();
                continue;
            }
            json.clear();
            column.write(row, &mut json, left)?;
            left = left.saturating_sub(json.len() as u64);
            written.append_value(&json);
        }
        column_or_constant(&args.args, Arc::new(written.finish()))
    }
}

/// Values that are written one by one.
struct Column {
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
    fn new(array: &ArrayRef) -> Result<Self> {
        let values = match array.data_type() {
            DataType::Struct(fields) => {
                let parts = fields.iter().zip(array.as_struct().columns());
                let parts = parts.map(|(field, part)| Ok((text(field.name()), Self::new(part)?)));
                Values::Row(parts.collect::<Result<Vec<_>>>()?)
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                let offsets = list.offsets().clone();
                let (first, end) = (offsets[0] as usize, offsets[list.len()] as usize);
                let items = list.values().slice(first, end - first);
                Values::List {
                    offsets,
                    first,
                    items: Box::new(Self::new(&items)?),
                }
            }
            DataType::LargeList(field)
            | DataType::ListView(field)
            | DataType::FixedSizeList(field, _) => {
                return Self::new(&cast(array, &DataType::List(Arc::clone(field)))?);
            }
            DataType::Dictionary(_, values) => return Self::new(&cast(array, values)?),
            _ => Values::Written(written(array)?),
        };
        Ok(Self {
            nulls: array.logical_nulls(),
            values,
        })
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Appends a value.
    ///
    /// # Errors
    /// Where it becomes longer than `bytes_max`.
    fn write(&self, row: usize, json: &mut String, bytes_max: u64) -> Result<()> {
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
                        json.push(',');
                    }
                    items.write(item - first, json, bytes_max)?;
                }
                json.push(']');
            }
            Values::Row(parts) => {
                json.push('{');
                for (position, (name, part)) in parts.iter().enumerate() {
                    if position > 0 {
                        json.push(',');
                    }
                    json.push_str(name);
                    json.push(':');
                    part.write(row, json, bytes_max)?;
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
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().iter();
            days.map(|value| value.map(day)).collect()
        }
        DataType::Timestamp(_, zone) => {
            let to = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
            let times = cast(array, &to)?;
            let times = times.as_primitive::<TimestampMicrosecondType>().iter();
            let time = |at: i64| time(at, zone.is_some());
            times.map(|value| value.map(time)).collect()
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

fn text(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

/// Returns a float: as few digits as tell it from others, from the power of ten `power_max` on with an exponent; what JSON has no number
/// for as a text.
fn number<T: Copy + Display + LowerExp + Into<f64>>(value: T, power_max: i32) -> String {
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
fn day(days: i32) -> String {
    match days {
        i32::MAX => text(INFINITY),
        i32::MIN => text(NEGATIVE_INFINITY),
        days => text(&format_date(days)),
    }
}

/// Returns a time, µs since 1970 UTC, or by clocks that nobody says the zone of.
fn time(at: i64, has_zone: bool) -> String {
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
    text(&format!("{shown}{zone}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, ListArray, StructArray};
    use arrow::datatypes::{DataType, Field, Int64Type};

    use super::{Column, DOUBLE_POWER, REAL_POWER, day, number, time};

    /// Names come with each row, and are in no column.
    #[test]
    fn what_becomes_too_long_is_refused_while_it_is_written() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
        let field = Arc::new(Field::new("a name", DataType::Int64, true));
        let row: ArrayRef = Arc::new(StructArray::from(vec![(field, numbers)]));
        let items = [Some((0..1_000).map(Some).collect::<Vec<_>>())];
        let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(items));
        let check = |values: &ArrayRef, row: usize, bytes_max: u64, expect: Option<&str>| {
            let column = Column::new(values).expect("values that can be written");
            let mut json = String::new();
            let written = column.write(row, &mut json, bytes_max);
            assert_eq!(written.is_ok(), expect.is_some(), "{json}");
            if let Some(expect) = expect {
                assert_eq!(json, expect);
            }
            assert!(json.len() < 100, "it goes on: {json}");
        };
        check(&row, 0, 12, Some(r#"{"a name":1}"#));
        check(&row, 0, 11, None);
        check(&row, 1, 15, Some(r#"{"a name":null}"#));
        check(&list, 0, 50, None);
        // A slice is the lists that it shows.
        let lists = [Some(vec![Some(1), None]), Some(vec![Some(3)]), None];
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(lists);
        let slice: ArrayRef = Arc::new(lists.slice(1, 2));
        check(&slice, 0, 3, Some("[3]"));
        check(&slice, 1, 4, Some("null"));
    }

    #[test]
    fn floats_are_numbers_where_json_has_one() {
        let check = |value: f64, expect: &str| assert_eq!(number(value, DOUBLE_POWER), expect);
        check(3.0, "3");
        check(-0.25, "-0.25");
        check(0.1 + 0.2, "0.30000000000000004");
        check(0.0, "0");
        check(-0.0, "-0");
        check(1e14, "100000000000000");
        check(1e15, "1e+15");
        check(-1.25e20, "-1.25e+20");
        check(0.0001, "0.0001");
        check(0.00001, "1e-05");
        check(1e300, "1e+300");
        check(f64::NAN, "\"NaN\"");
        check(f64::NEG_INFINITY, "\"-Infinity\"");
        let check = |value: f32, expect: &str| assert_eq!(number(value, REAL_POWER), expect);
        check(0.1, "0.1");
        check(0.0001, "0.0001");
        check(123_456.0, "123456");
        check(1e6, "1e+06");
    }

    #[test]
    fn times_have_a_zone_where_they_are_in_one() {
        let check = |at: i64, has_zone: bool, expect: &str| {
            assert_eq!(time(at, has_zone), format!("\"{expect}\""));
        };
        check(0, true, "1970-01-01T00:00:00+00:00");
        check(10_500_000, true, "1970-01-01T00:00:10.5+00:00");
        check(10_000_001, false, "1970-01-01T00:00:10.000001");
        check(i64::MAX, true, "infinity");
        check(i64::MIN, false, "-infinity");
        assert_eq!(day(20_454), "\"2026-01-01\"");
        assert_eq!(day(i32::MAX), "\"infinity\"");
    }
}
