//! `to_char` of spans of time, by a format as of times: `to_char(max(time) - min(time), '%H:%M')`.
//!
//! DataFusion 55.2 writes what two times are apart in words of its own, whatever the format is, and takes no intervals. Here a span is
//! shown as in PostgreSQL: hours are all of those beside its days, and a part below zero has a sign of its own.
//!
//! | part | is |
//! |---|---|
//! | `%Y`, `%y`, `%m` | years, the last two digits of them, months beside the years |
//! | `%d` | days |
//! | `%H`, `%I`, `%p`, `%P` | hours, those of twelve, and in which half of a day they are |
//! | `%M`, `%S`, `%3f`, `%6f`, `%f` | minutes, seconds, and thousandths, millionths, billionths of one |
//!
//! It has no weekday, week or zone.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature,
};

use crate::error::{QueryError, StatementFault};
use crate::rewrite;
use crate::time_text::per_second;

/// Name of the function.
pub(super) const TO_CHAR: &str = "to_char";
const HOUR_NS: i64 = 3_600_000_000_000;
const MINUTE_NS: i64 = 60_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;
const DAY_S: i64 = 86_400;

/// The function [`TO_CHAR`], which shows spans itself and leaves times to `inner`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ShownSpans {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl ShownSpans {
    pub(super) fn new(inner: Arc<ScalarUDF>) -> Self {
        let of_inner = inner.signature();
        let interval = DataType::Interval(IntervalUnit::MonthDayNano);
        let of_intervals = TypeSignature::Exact(vec![interval, DataType::Utf8]);
        // What is no interval is taken as before: the first that it fits counts.
        let mut calls = match &of_inner.type_signature {
            TypeSignature::OneOf(calls) => calls.clone(),
            call => vec![call.clone()],
        };
        calls.push(of_intervals);
        let signature = Signature::one_of(calls, of_inner.volatility);
        Self { inner, signature }
    }
}

impl ScalarUDFImpl for ShownSpans {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [spans, format] = args.args.as_slice() else {
            return self.inner.invoke_with_args(args);
        };
        let is_shown_here = match spans.data_type() {
            DataType::Interval(_) => true,
            DataType::Duration(_) => !is_word(format),
            _ => false,
        };
        if !is_shown_here {
            return self.inner.invoke_with_args(args);
        }
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [spans, formats] = arrays.as_slice() else {
            return self.inner.invoke_with_args(args);
        };
        let formats = cast(formats, &DataType::Utf8)?;
        let texts = intervals(spans)?
            .into_iter()
            .zip(formats.as_string::<i32>());
        let texts = texts.map(|of| match of {
            (Some(span), Some(format)) => shown(span, format).map(Some),
            _ => Ok(None),
        });
        let texts: StringArray = texts.collect::<Result<_>>()?;
        rewrite::column_or_constant(&args.args, Arc::new(texts))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// Returns true for `ISO8601` and `pretty`, the formats that DataFusion has for spans.
fn is_word(format: &ColumnarValue) -> bool {
    match format {
        ColumnarValue::Scalar(format) => {
            let format = format.try_as_str().flatten();
            format.is_some_and(|format| !format.contains('%'))
        }
        ColumnarValue::Array(_) => false,
    }
}

/// Returns spans as intervals: what two times are apart as so many days of 24 hours and a rest.
fn intervals(spans: &ArrayRef) -> Result<Vec<Option<IntervalMonthDayNano>>> {
    if let Some(intervals) = spans.as_primitive_opt::<IntervalMonthDayNanoType>() {
        return Ok(intervals.iter().collect());
    }
    let DataType::Duration(unit) = spans.data_type() else {
        let message = format!("`{TO_CHAR}` was called with what is no span of time");
        return Err(DataFusionError::Internal(message));
    };
    let per_second = per_second(*unit);
    let per_day = DAY_S * per_second;
    let numbers = cast(spans, &DataType::Int64)?;
    let interval = |number: Option<i64>| -> Result<Option<IntervalMonthDayNano>> {
        let Some(number) = number else {
            return Ok(None);
        };
        let days = i32::try_from(number / per_day).map_err(|_| {
            QueryError::of_statement(StatementFault::OutOfRange, "a span of time is out of range")
        })?;
        // Less than a day.
        let nanoseconds = number % per_day * (SECOND_NS / per_second);
        Ok(Some(IntervalMonthDayNano::new(0, days, nanoseconds)))
    };
    let numbers = numbers.as_primitive::<Int64Type>();
    numbers.iter().map(interval).collect()
}

/// Returns a span in a format.
fn shown(span: IntervalMonthDayNano, format: &str) -> Result<String> {
    let (years, months) = (i64::from(span.months / 12), i64::from(span.months % 12));
    let time = span.nanoseconds;
    let hours = time / HOUR_NS;
    let half_hours = if hours % 12 == 0 { 12 } else { hours % 12 };
    let is_late = hours % 24 >= 12;
    let rest = time % SECOND_NS;
    let mut text = String::new();
    let mut signs = format.chars();
    while let Some(sign) = signs.next() {
        if sign != '%' {
            text.push(sign);
            continue;
        }
        let mut part = signs.next();
        let is_unfilled = part == Some('-');
        if is_unfilled {
            part = signs.next();
        }
        let (number, width) = match part {
            Some('Y') => (years, 4),
            Some('y') => (years % 100, 2),
            Some('m') => (months, 2),
            Some('d') => (i64::from(span.days), 2),
            Some('H') => (hours, 2),
            Some('I') => (half_hours, 2),
            Some('M') => (time % HOUR_NS / MINUTE_NS, 2),
            Some('S') => (time % MINUTE_NS / SECOND_NS, 2),
            Some('f') => (rest, 0),
            Some('3') if signs.next() == Some('f') => (rest / 1_000_000, 0),
            Some('6') if signs.next() == Some('f') => (rest / 1_000, 0),
            Some('p') => {
                text.push_str(if is_late { "PM" } else { "AM" });
                continue;
            }
            Some('P') => {
                text.push_str(if is_late { "pm" } else { "am" });
                continue;
            }
            Some('%') => {
                text.push('%');
                continue;
            }
            _ => return Err(no_part(part)),
        };
        // Writing to memory cannot fail.
        let _ = match (part, is_unfilled) {
            (_, true) => write!(text, "{number}"),
            (Some('f'), _) => write!(text, "{number:09}"),
            (Some('3'), _) => write!(text, "{number:03}"),
            (Some('6'), _) => write!(text, "{number:06}"),
            // Of days the sign takes the place of a digit, as in PostgreSQL.
            (Some('d'), _) => write!(text, "{number:02}"),
            _ => {
                // Elsewhere it takes none.
                let width = width + usize::from(number < 0);
                write!(text, "{number:0width$}")
            }
        };
    }
    Ok(text)
}

fn no_part(part: Option<char>) -> DataFusionError {
    let part: String = part.into_iter().collect();
    let message = format!(
        "`%{part}` of a span of time, which has no place in the calendar; it is shown by %Y %m %d %H %I %M %S %3f %6f and %p, in \
         PostgreSQL's patterns YYYY MM DD HH24 HH12 MI SS MS US and AM"
    );
    QueryError::of_statement(StatementFault::Unsupported, message).into()
}

#[cfg(test)]
mod tests {
    use arrow::array::DurationMicrosecondArray;

    use super::*;

    /// What PostgreSQL 15 answers.
    #[test]
    fn a_span_is_shown_as_in_postgresql() {
        let check = |(months, days, seconds): (i32, i32, f64), format: &str, expect: &str| {
            let nanoseconds = (seconds * 1e9) as i64;
            let span = IntervalMonthDayNano::new(months, days, nanoseconds);
            assert_eq!(shown(span, format).unwrap(), expect, "{format}");
        };
        let hour = 3_600.0;
        check((0, 0, 26.0 * hour), "%H:%M", "26:00");
        check(
            (0, 2, 26.0 * hour + 3.25),
            "%d %H:%M:%S.%3f %6f %I %p %-d",
            "02 26:00:03.250 250000 02 AM 2",
        );
        check((0, 0, -26.0 * hour - 180.0), "%H:%M:%S", "-26:-03:00");
        check((14, 3, 0.0), "%Y %m %d %y", "0001 02 03 01");
        check((-14, 0, 0.0), "%Y %m %y", "-0001 -02 -01");
        check((0, 0, 13.0 * hour), "%I:%M %P", "01:00 pm");
        check((0, 0, 0.0), "%I", "12");
        check((0, 0, -hour), "%I %p", "-01 AM");
        check((0, -3, -2.5), "%d %S.%3f", "-3 -02.-500");
        check((0, 0, -1.5), "%3f %6f", "-500 -500000");
        check((1, -1, 0.0), "%m %d", "01 -1");
        check((0, 0, 0.000_000_005), "100 %% %f", "100 % 000000005");
        for format in ["%B", "%V", "%z", "%3", "%"] {
            assert!(
                shown(IntervalMonthDayNano::new(0, 1, 0), format).is_err(),
                "{format}"
            );
        }
    }

    #[test]
    fn what_two_times_are_apart_is_days_and_a_rest() {
        let spans =
            DurationMicrosecondArray::from(vec![Some(90_061_000_001), None, Some(-90_061_000_001)]);
        let spans: ArrayRef = Arc::new(spans);
        let second = SECOND_NS * 3_661 + 1_000;
        let expect = [
            Some(IntervalMonthDayNano::new(0, 1, second)),
            None,
            Some(IntervalMonthDayNano::new(0, -1, -second)),
        ];
        assert_eq!(intervals(&spans).unwrap(), expect);
    }
}
