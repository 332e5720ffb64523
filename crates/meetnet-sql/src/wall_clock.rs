//! What the clocks of a zone show, compared with instants.
//!
//! `CAST(clock AS Timestamp(zone)) = instant` -> `instant_of_clock(clock) = instant`
//!
//! DataFusion 55.2 takes every cast between times for one that keeps the number, and compares without it: `clock AT TIME
//! ZONE 'Europe/Brussels' = instant` would be true two hours off, and no error says so. From a time without a zone to one
//! with a zone the number changes (but in UTC), so that such a cast is a function here, which nobody takes away.
//!
//! A cast also ends with an error at what clocks show twice, or never, in the nights when they are changed. The function takes
//! what PostgreSQL takes: of an hour that is there twice the later one, and for one that is left out as much later as is left
//! out.
//!
//! A constant that says its offset is that instant, and none of a clock: `TIMESTAMP '2026-03-29T22:00:00Z'`.

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Int64Type, TimestampSecondType};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DFSchema, Result};
use datafusion::error::DataFusionError;
use datafusion::functions::datetime::to_local_time::adjust_to_local_time;
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use crate::functions::literal_text;
use crate::rewrite;
use crate::time_text::per_second;

/// At least as far from a change of clocks as they can be from UTC.
const DAY_S: i64 = 86_400;
/// Some 250,000 years before and after 1970: what is further off has no calendar.
const SECONDS_MAX: u64 = 8_000_000_000_000;

/// Makes such casts functions.
#[derive(Debug)]
pub(crate) struct InstantsOfClocks;

impl AnalyzerRule for InstantsOfClocks {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite::expressions(
            plan,
            |expr| zone_of(expr).is_some(),
            |expr, schema| rewrite::parts(expr, |part| call_for(part, schema)),
        )
    }

    fn name(&self) -> &str {
        "instants_of_clocks"
    }
}

/// Returns what a cast casts to a time with a zone, and to what; None for every other expression.
fn zone_of(expr: &Expr) -> Option<(&Expr, &DataType)> {
    let (inner, to, _) = rewrite::cast_of(expr)?;
    match to {
        DataType::Timestamp(_, Some(zone)) if !matches!(&**zone, "UTC" | "+00:00" | "Z") => {
            Some((inner, to))
        }
        _ => None,
    }
}

/// Returns the call that takes the place of such a cast of what clocks show.
fn call_for(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let (inner, to) = zone_of(expr)?;
    if let Some(instant) = instant_in(inner) {
        let cast = Cast::new(Box::new(instant.clone()), to.clone());
        return Some(Expr::Cast(cast));
    }
    let is_clock = matches!(
        inner.get_type(schema),
        Ok(DataType::Timestamp(_, None) | DataType::Date32 | DataType::Date64)
    );
    if !is_clock {
        return None;
    }
    let function = ScalarUDF::new_from_impl(InstantOfClock {
        to: to.clone(),
        signature: Signature::any(1, Volatility::Immutable),
    });
    Some(function.call(vec![inner.clone()]))
}

/// Returns the text of a constant that says which instant it is, `TIMESTAMP '2026-03-29T22:00:00Z'`: no clock of another zone shows
/// that. None for every other expression.
fn instant_in(expr: &Expr) -> Option<&Expr> {
    match rewrite::cast_of(expr)? {
        (text, DataType::Timestamp(_, None), _) => {
            literal_text(text)?.filter(|time| has_offset(time))?;
            Some(text)
        }
        _ => None,
    }
}

/// The instant at which the clocks of a zone show a time.
#[derive(Debug, PartialEq, Eq, Hash)]
struct InstantOfClock {
    to: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for InstantOfClock {
    fn name(&self) -> &str {
        "instant_of_clock"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (Some(clock), DataType::Timestamp(unit, _)) = (args.args.first(), &self.to) else {
            let message = "`instant_of_clock` takes one argument".to_owned();
            return Err(DataFusionError::Plan(message));
        };
        let clock = clock.cast_to(&DataType::Timestamp(*unit, None), None)?;
        rewrite::each_value(&clock, |clock| instants(clock, &self.to))
    }
}

/// Returns the instants at which the clocks of a zone show times, which are in the unit of the instants.
pub(crate) fn instants(clock: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    // NULL where there is not the one instant.
    let lenient = CastOptions {
        safe: true,
        ..CastOptions::default()
    };
    let found = cast_with_options(clock, to, &lenient)?;
    let DataType::Timestamp(unit, Some(zone)) = to else {
        return Ok(found);
    };
    if found.null_count() == clock.null_count() {
        return Ok(found);
    }
    let zone: Tz = zone.parse()?;
    let per_second = per_second(*unit);
    let (clock, found) = (
        cast(clock, &DataType::Int64)?,
        cast(&found, &DataType::Int64)?,
    );
    let (clock, found) = (
        clock.as_primitive::<Int64Type>(),
        found.as_primitive::<Int64Type>(),
    );
    let instants = clock.iter().zip(found).map(|(clock, found)| match clock {
        Some(clock) if found.is_none() => by_smaller_offset(clock, per_second, zone).map(Some),
        _ => Ok(found),
    });
    let instants: Int64Array = instants.collect::<Result<_>>()?;
    Ok(cast(&instants, to)?)
}

/// Returns the instant of what clocks show twice or never: that by the smaller of the offsets before and behind. Where they are
/// put back this is the later of both, where they are put forward it is by the clocks of before, so that they show more.
fn by_smaller_offset(clock: i64, per_second: i64, zone: Tz) -> Result<i64> {
    let second = clock.div_euclid(per_second);
    let (before, behind) = (second.saturating_sub(DAY_S), second.saturating_add(DAY_S));
    let offset = offset_s(before, zone)?.min(offset_s(behind, zone)?);
    let instant = clock.checked_sub(offset.saturating_mul(per_second));
    instant.ok_or_else(out_of_range)
}

/// Returns by how many seconds the clocks of a zone are before those of UTC at a second since 1970.
///
/// # Errors
/// Where that is too far off.
pub(crate) fn offset_s(second: i64, zone: Tz) -> Result<i64> {
    if second.unsigned_abs() > SECONDS_MAX {
        return Err(out_of_range());
    }
    Ok(adjust_to_local_time::<TimestampSecondType>(second, zone)? - second)
}

/// Returns the error of a time that has no calendar.
pub(crate) fn out_of_range() -> DataFusionError {
    DataFusionError::Execution("a time by the clocks of a zone is out of range".to_owned())
}

/// Returns true for the text of a time with an offset from UTC, or `Z`.
fn has_offset(time: &str) -> bool {
    // Behind the date, which has dashes as well.
    let clock = time.trim().get(10..).unwrap_or_default();
    clock.ends_with(['Z', 'z']) || clock.contains(['+', '-'])
}

#[cfg(test)]
mod tests {
    use super::has_offset;

    #[test]
    fn an_offset_stands_behind_the_clock() {
        for (time, expect) in [
            ("2026-03-29T22:00:00Z", true),
            (" 2026-03-29 22:00z ", true),
            ("2026-03-29 22:00:00.5+02", true),
            ("2026-03-29 22:00:00-02:00", true),
            ("2026-03-29 22:00:00", false),
            ("2026-03-29", false),
            ("2026-03", false),
            ("", false),
            ("éééé-ééé", false),
        ] {
            assert_eq!(has_offset(time), expect, "{time}");
        }
    }
}
