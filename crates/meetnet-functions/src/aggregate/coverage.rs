//! `coverage`: how many of the observations that a period should have are there.
//!
//! A bit per expected observation, so that an observation that comes twice counts once.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Field, FieldRef, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    TimestampMicrosecondType,
};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};
use meetnet_model::buckets::BucketWidth;
use meetnet_model::calendar::DAY_US;

use crate::call::{Parameter, coerce, uncoerced, wrong};
use crate::described::{FunctionDescription, FunctionKind};
use crate::scalar::with_unit;
use crate::time::width;

/// `coverage`.
pub(crate) static COVERAGE: FunctionDescription = FunctionDescription {
    name: "coverage",
    kind: FunctionKind::Aggregate,
    signature: "coverage(time, interval, from, to) → float64",
    description: "Share, 0 to 1, of the intervals from `from` to before `to` that have a time in them; what comes twice in \
                  an interval counts once. A day is 24 hours here. Interval, from and to are the same in all rows of a \
                  group, which may have at most 1,000,000 intervals. NULL times count for nothing; no rows make NULL.",
    unit: Some("1"),
    example: "SELECT coverage(time, INTERVAL '1 hour', '2026-01-01T00:00:00Z', '2026-01-01T04:00:00Z') FROM (VALUES \
              (TIMESTAMP '2026-01-01T00:10:00Z'), (TIMESTAMP '2026-01-01T03:59:00Z')) AS t(time)",
};

/// Expected observations of one group.
const INTERVALS_MAX: i64 = 1_000_000;

const PARAMETERS: [Parameter; 4] = [
    Parameter::Time,
    Parameter::Interval,
    Parameter::Time,
    Parameter::Time,
];

/// The function of [`COVERAGE`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Coverage {
    signature: Signature,
}

impl Coverage {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl AggregateUDFImpl for Coverage {
    fn name(&self) -> &str {
        COVERAGE.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        coerce(&COVERAGE, &PARAMETERS, PARAMETERS.len(), arg_types)
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn return_field(&self, _arg_fields: &[FieldRef]) -> Result<FieldRef> {
        let field = Field::new(self.name(), DataType::Float64, true);
        Ok(with_unit(field, COVERAGE.unit.map(str::to_owned)))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |state: &str, of: DataType| {
            Arc::new(Field::new(format_state_name(args.name, state), of, true))
        };
        Ok(vec![
            field("from", DataType::Int64),
            field("to", DataType::Int64),
            field("step", DataType::Int64),
            field("seen", DataType::Binary),
        ])
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Expected { slots: None }))
    }
}

/// A period in steps, µs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Period {
    from: i64,
    to: i64,
    step: i64,
}

impl Period {
    fn try_new(interval: IntervalMonthDayNano, from: i64, to: i64) -> Result<Self> {
        let step = match width(interval).map_err(|why| wrong(&COVERAGE, why))? {
            BucketWidth::Micros(step) => step,
            BucketWidth::Days(days) => days.saturating_mul(DAY_US),
            BucketWidth::Months(_) => {
                let why = "months are not of one length; take an interval of days or less";
                return Err(wrong(&COVERAGE, why));
            }
        };
        if step <= 0 {
            return Err(wrong(&COVERAGE, "the interval must be longer than nothing"));
        }
        if to <= from {
            return Err(wrong(&COVERAGE, "the end must come after the beginning"));
        }
        let period = Self { from, to, step };
        if period.intervals().is_none_or(|count| count > INTERVALS_MAX) {
            let why = format!(
                "a group has more than {INTERVALS_MAX} intervals; take a longer interval or a shorter time"
            );
            return Err(wrong(&COVERAGE, why));
        }
        Ok(period)
    }

    /// Returns how many intervals it has, the last of which may be cut short.
    fn intervals(self) -> Option<i64> {
        let length = self.to.checked_sub(self.from)?;
        Some((length - 1) / self.step + 1)
    }
}

/// Which intervals of a period have been seen.
#[derive(Debug)]
struct Slots {
    period: Period,
    seen: Vec<u8>,
}

impl Slots {
    fn new(period: Period) -> Self {
        let intervals = period.intervals().unwrap_or(0);
        let bytes = usize::try_from(intervals).unwrap_or(0).div_ceil(8);
        Self {
            period,
            seen: vec![0; bytes],
        }
    }

    fn see(&mut self, time: i64) {
        let Period { from, to, step } = self.period;
        if !(from..to).contains(&time) {
            return;
        }
        // In the period, so it is below the number of intervals.
        let slot = ((time - from) / step) as usize;
        if let Some(byte) = self.seen.get_mut(slot / 8) {
            *byte |= 1 << (slot % 8);
        }
    }

    fn share(&self) -> f64 {
        let seen: u32 = self.seen.iter().map(|byte| byte.count_ones()).sum();
        let intervals = self.period.intervals().unwrap_or(0);
        f64::from(seen) / intervals as f64
    }
}

/// The intervals of one group; None before the first row.
#[derive(Debug)]
struct Expected {
    slots: Option<Slots>,
}

impl Expected {
    /// Returns the intervals of the group, which are of this period.
    fn slots(&mut self, period: Period) -> Result<&mut Slots> {
        let slots = self.slots.get_or_insert_with(|| Slots::new(period));
        if slots.period == period {
            Ok(slots)
        } else {
            let why = "interval, from and to differ within a group; add them to GROUP BY";
            Err(wrong(&COVERAGE, why))
        }
    }
}

impl Accumulator for Expected {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [times, intervals, from, to] = values else {
            return Err(uncoerced(&COVERAGE));
        };
        let (Some(times), Some(intervals), Some(from), Some(to)) = (
            times.as_primitive_opt::<TimestampMicrosecondType>(),
            intervals.as_primitive_opt::<IntervalMonthDayNanoType>(),
            from.as_primitive_opt::<TimestampMicrosecondType>(),
            to.as_primitive_opt::<TimestampMicrosecondType>(),
        ) else {
            return Err(uncoerced(&COVERAGE));
        };
        // Nearly always the same in every row, so it is read from one and compared with the others.
        let mut read: Option<((IntervalMonthDayNano, i64, i64), Period)> = None;
        for row in 0..times.len() {
            if intervals.is_null(row) || from.is_null(row) || to.is_null(row) {
                continue;
            }
            let told = (intervals.value(row), from.value(row), to.value(row));
            let period = match read {
                Some((before, period)) if before == told => period,
                _ => Period::try_new(told.0, told.1, told.2)?,
            };
            read = Some((told, period));
            let slots = self.slots(period)?;
            if times.is_valid(row) {
                slots.see(times.value(row));
            }
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let period = self.slots.as_ref().map(|slots| slots.period);
        let int = |of: fn(Period) -> i64| ScalarValue::Int64(period.map(of));
        Ok(vec![
            int(|period| period.from),
            int(|period| period.to),
            int(|period| period.step),
            ScalarValue::Binary(self.slots.as_ref().map(|slots| slots.seen.clone())),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [from, to, step, seen] = states else {
            return Err(uncoerced(&COVERAGE));
        };
        let (Some(from), Some(to), Some(step), Some(seen)) = (
            from.as_primitive_opt::<Int64Type>(),
            to.as_primitive_opt::<Int64Type>(),
            step.as_primitive_opt::<Int64Type>(),
            seen.as_binary_opt::<i32>(),
        ) else {
            return Err(uncoerced(&COVERAGE));
        };
        for row in 0..seen.len() {
            if seen.is_null(row) {
                continue;
            }
            let slots = self.slots(Period {
                from: from.value(row),
                to: to.value(row),
                step: step.value(row),
            })?;
            for (byte, more) in slots.seen.iter_mut().zip(seen.value(row)) {
                *byte |= more;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.slots.as_ref().map(Slots::share)))
    }

    fn size(&self) -> usize {
        let seen = self.slots.as_ref().map_or(0, |slots| slots.seen.capacity());
        size_of_val(self) + seen
    }
}
