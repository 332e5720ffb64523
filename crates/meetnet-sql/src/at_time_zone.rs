//! `AT TIME ZONE` as PostgreSQL has it: what the clocks of a zone show at an instant, and the instant at which they show it.
//!
//! | of | is |
//! |---|---|
//! | a time with a zone | a time without one: what the clocks show |
//! | a time without a zone | an instant, in UTC whatever the zone is; of what clocks show twice or never as in `wall_clock` |
//! | a date, a text that is a constant | as of the time with a zone that it is: of a date its midnight in UTC |
//!
//! Which of them it is, nobody can say of a statement before its columns, subqueries and parameters have types. So it is a call of
//! a function there, whose own type follows from that of its argument. DataFusion 55.2 plans a cast to a time with that zone
//! instead, which is an instant of both kinds, and `date_trunc` or `extract` of it go by the clocks of the zone.
//!
//! Names of zones are PostgreSQL's, too: in any case, abbreviations are so many hours whatever the season (`CET`), and a bare
//! offset is counted westward, as POSIX has it: `+02` is two hours behind UTC.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray, new_null_array};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, FieldRef, Int64Type, TimeUnit};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use crate::error::{QueryError, StatementFault, shortened};
use crate::rewrite;
use crate::wall_clock::{instants, offset_s, out_of_range};

#[cfg(test)]
mod tests;

/// Name of the function, of a time and the name of a zone.
pub const AT_TIME_ZONE: &str = "at_time_zone";

const SECOND_US: i64 = 1_000_000;
/// How much of a zone's name an error repeats.
const SHOWN_BYTES_MAX: usize = 60;
/// Abbreviations and their offsets from UTC, as PostgreSQL 15 comes with them.
const ABBREVIATIONS: [(&str, &str); 23] = [
    ("BST", "+01:00"),
    ("CDT", "-05:00"),
    ("CEST", "+02:00"),
    ("CET", "+01:00"),
    ("CST", "-06:00"),
    ("EDT", "-04:00"),
    ("EEST", "+03:00"),
    ("EET", "+02:00"),
    ("EST", "-05:00"),
    ("GMT", "+00:00"),
    ("HST", "-10:00"),
    ("MDT", "-06:00"),
    ("MEST", "+02:00"),
    ("MET", "+01:00"),
    ("MSK", "+03:00"),
    ("MST", "-07:00"),
    ("PDT", "-07:00"),
    ("PST", "-08:00"),
    ("UT", "+00:00"),
    ("UTC", "+00:00"),
    ("WET", "+00:00"),
    ("Z", "+00:00"),
    ("ZULU", "+00:00"),
];

/// Adds the function to a session.
///
/// # Errors
/// Where the session takes no functions.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    let function = ScalarUDF::new_from_impl(AtTimeZone {
        signature: Signature::user_defined(Volatility::Immutable),
    });
    state.register_udf(Arc::new(function))?;
    Ok(())
}

/// The function [`AT_TIME_ZONE`].
#[derive(Debug, PartialEq, Eq, Hash)]
struct AtTimeZone {
    signature: Signature,
}

impl ScalarUDFImpl for AtTimeZone {
    fn name(&self) -> &str {
        AT_TIME_ZONE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [time, zone] = types else {
            return Err(two_arguments());
        };
        // What is neither is refused where the type of the call is asked for, in words of its own.
        let time = taken_as(time).unwrap_or_else(|| time.clone());
        let zone = match names_zone(zone) {
            true => DataType::Utf8,
            false => zone.clone(),
        };
        Ok(vec![time, zone])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [time, zone] = types else {
            return Err(two_arguments());
        };
        if !names_zone(zone) {
            let what = "AT TIME ZONE with anything but the name of a zone; write 'Europe/Brussels', or add the interval to the time";
            return Err(QueryError::not_supported(what).into());
        }
        made_of(time)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types = args.arg_fields.iter();
        let types: Vec<DataType> = types.map(|field| field.data_type().clone()).collect();
        let data_type = self.return_type(&types)?;
        let field = rewrite::returned_field(AT_TIME_ZONE, &data_type, &args);
        Ok(Arc::new(field))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [times, zones] = args.args.as_slice() else {
            return Err(two_arguments());
        };
        let of = times.data_type();
        let taken = taken_as(&of).ok_or_else(|| no_time(&of))?;
        let times = times.cast_to(&taken, None)?;
        match zones.cast_to(&DataType::Utf8, None)? {
            ColumnarValue::Scalar(zone) => {
                let zone = zone.try_as_str().flatten();
                rewrite::each_value(&times, |times| by_zone(times, zone))
            }
            ColumnarValue::Array(zones) => {
                let times = times.to_array(args.number_rows)?;
                by_zones(&times, zones.as_string::<i32>()).map(ColumnarValue::Array)
            }
        }
    }

    /// Any value of the type: a bound without a type could not be compared with the other side.
    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        let types: Vec<DataType> = inputs.iter().map(|input| input.data_type()).collect();
        Interval::make_unbounded(&self.return_type(&types)?)
    }
}

fn two_arguments() -> DataFusionError {
    DataFusionError::Plan(format!("`{AT_TIME_ZONE}` takes a time and a zone"))
}

/// Returns true for what zones are named by: a text, or NULL, which a parameter is before its value is known.
fn names_zone(data_type: &DataType) -> bool {
    data_type.is_null() || data_type.is_string()
}

/// Returns a time of microseconds without a zone.
fn clock() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

/// Returns a time of microseconds in UTC.
fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
}

/// Returns the time that something is taken as; None for what is none.
fn taken_as(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Timestamp(_, None) => Some(clock()),
        DataType::Timestamp(_, Some(_)) | DataType::Date32 | DataType::Date64 | DataType::Null => {
            Some(instant())
        }
        text if text.is_string() => Some(instant()),
        _ => None,
    }
}

/// Returns the type that the function makes of another one.
///
/// # Errors
/// Where that is none of times.
fn made_of(data_type: &DataType) -> Result<DataType> {
    match taken_as(data_type).ok_or_else(|| no_time(data_type))? {
        DataType::Timestamp(_, None) => Ok(instant()),
        _ => Ok(clock()),
    }
}

fn no_time(data_type: &DataType) -> DataFusionError {
    let what = match data_type {
        DataType::Time32(_) | DataType::Time64(_) => {
            "AT TIME ZONE of a time of day, which is another one every season; write (day + time) AT TIME ZONE zone"
        }
        _ => "AT TIME ZONE of what is no time; it takes a time with a zone, one without, or a date",
    };
    QueryError::not_supported(what).into()
}

/// Returns what times are by the clocks of a zone, or the instants at which these show them; NULL without a zone.
fn by_zone(times: &ArrayRef, zone: Option<&str>) -> Result<ArrayRef> {
    let made = made_of(times.data_type())?;
    let Some(zone) = zone else {
        return Ok(new_null_array(&made, times.len()));
    };
    let zone = zone_named(zone)?;
    if made == clock() {
        return clocks(times, &zone);
    }
    let of_zone = DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from(zone)));
    Ok(cast(&instants(times, &of_zone)?, &made)?)
}

/// Returns the same of times and as many zones: of rows of one zone that follow each other together.
fn by_zones(times: &ArrayRef, zones: &StringArray) -> Result<ArrayRef> {
    let zone = |row: usize| zones.is_valid(row).then(|| zones.value(row));
    let (mut made, mut start) = (Vec::new(), 0);
    while start < zones.len() {
        let first = zone(start);
        let end = (start + 1..zones.len()).find(|row| zone(*row) != first);
        let rows = end.unwrap_or(zones.len()) - start;
        made.push(by_zone(&times.slice(start, rows), first)?);
        start += rows;
    }
    if made.is_empty() {
        return by_zone(times, None);
    }
    let made: Vec<&dyn Array> = made.iter().map(AsRef::as_ref).collect();
    Ok(concat(&made)?)
}

/// Returns what the clocks of a zone show at instants, which are in microseconds.
fn clocks(instants: &ArrayRef, zone: &str) -> Result<ArrayRef> {
    let zone: Tz = zone.parse()?;
    let instants = cast(instants, &DataType::Int64)?;
    let instants = instants.as_primitive::<Int64Type>().iter();
    let clocks = instants.map(|instant| match instant {
        None => Ok(None),
        Some(instant) => {
            let offset = offset_s(instant.div_euclid(SECOND_US), zone)?;
            let clock = instant.checked_add(offset * SECOND_US);
            clock.map(Some).ok_or_else(out_of_range)
        }
    });
    let clocks: Int64Array = clocks.collect::<Result<_>>()?;
    Ok(cast(&clocks, &clock())?)
}

/// Returns the name that Arrow has for a zone of PostgreSQL.
///
/// # Errors
/// Where there is no such zone.
fn zone_named(written: &str) -> Result<String> {
    let upper = written.to_ascii_uppercase();
    let mut abbreviations = ABBREVIATIONS.iter();
    if let Some((_, offset)) = abbreviations.find(|(name, _)| *name == upper) {
        return Ok((*offset).to_owned());
    }
    let found = match written.starts_with(['+', '-']) {
        true => turned(written),
        false => {
            let mut names = [written.to_owned(), titled(written), upper].into_iter();
            names.find(|name| name.parse::<Tz>().is_ok())
        }
    };
    found.ok_or_else(|| {
        let zone = shortened(written.to_owned(), SHOWN_BYTES_MAX);
        let message = format!(
            "unknown time zone `{zone}`; use an IANA name such as `Europe/Brussels` or `UTC`"
        );
        QueryError::of_statement(StatementFault::InvalidArgument, message).into()
    })
}

/// Returns the offset eastward that one westward is, `+02` or `+02:30`; None where it is none.
fn turned(written: &str) -> Option<String> {
    let (sign, rest) = written.split_at_checked(1)?;
    let sign = if sign == "+" { '-' } else { '+' };
    let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "0"));
    let number = |digits: &str, max: u32| {
        let is_written =
            (1..=2).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
        let number = digits.parse::<u32>().ok().filter(|number| *number <= max);
        number.filter(|_| is_written)
    };
    let (hours, minutes) = (number(hours, 23)?, number(minutes, 59)?);
    Some(format!("{sign}{hours:02}:{minutes:02}"))
}

/// Returns a name with a capital letter at the begin of each of its words, `Europe/Brussels`.
fn titled(name: &str) -> String {
    let mut is_first = true;
    let letters = name.chars().map(|letter| {
        let titled = match is_first {
            true => letter.to_ascii_uppercase(),
            false => letter.to_ascii_lowercase(),
        };
        is_first = !letter.is_ascii_alphanumeric();
        titled
    });
    letters.collect()
}
