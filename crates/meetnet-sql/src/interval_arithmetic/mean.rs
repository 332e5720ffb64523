//! `avg` of intervals, which DataFusion 55.2 has only of what lies between two times.
//!
//! Months, days and nanoseconds are added up each for themselves, and divided as PostgreSQL divides an interval. Sums and the least
//! and greatest of intervals are DataFusion's.
//!
//! What lies between two times is added up in 128 bits: DataFusion does it in 64, which wraps, so that `avg(now() - time)` of a
//! million rows of a year was any time at all, and no error says so.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DECIMAL128_MAX_PRECISION, DataType, Decimal128Type,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType,
    Field, FieldRef, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
    TimeUnit, UInt64Type,
};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Coercion, TypeSignature, TypeSignatureClass,
};

use super::carried;
use crate::aggregates::{Overrides, column_of};
use crate::arithmetic::{Whole, total};
use crate::error::{QueryError, StatementFault};

/// `avg` of intervals, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct IntervalMean;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

impl Overrides for IntervalMean {
    fn accumulator(
        self,
        inner: &dyn AggregateUDFImpl,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        match totals(args.return_type(), args.is_distinct) {
            Some(totals) => Ok(totals),
            None => inner.accumulator(args),
        }
    }

    fn state_fields(
        self,
        inner: &dyn AggregateUDFImpl,
        args: StateFieldsArgs,
    ) -> Result<Vec<FieldRef>> {
        let wide = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);
        let fields = match args.return_type() {
            _ if args.is_distinct => return inner.state_fields(args),
            DataType::Interval(IntervalUnit::MonthDayNano) => vec![
                ("count", DataType::UInt64),
                ("months", DataType::Int64),
                ("days", DataType::Int64),
                ("nanoseconds", wide),
            ],
            DataType::Duration(_) => vec![("count", DataType::UInt64), ("sum", wide)],
            _ => return inner.state_fields(args),
        };
        let fields = fields.into_iter().map(|(part, data_type)| {
            let field = Field::new(format_state_name(args.name, part), data_type, true);
            Arc::new(field)
        });
        Ok(fields.collect())
    }

    /// Of what lies between two times groups have an accumulator each.
    fn groups_accumulator_supported(
        self,
        inner: &dyn AggregateUDFImpl,
        args: AccumulatorArgs,
    ) -> bool {
        !matches!(args.return_type(), DataType::Duration(_))
            && inner.groups_accumulator_supported(args)
    }

    fn create_sliding_accumulator(
        self,
        inner: &Arc<AggregateUDF>,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        match totals(args.return_type(), args.is_distinct) {
            Some(totals) => Ok(totals),
            None => inner.create_sliding_accumulator(args),
        }
    }

    fn other_arguments(self) -> Option<TypeSignature> {
        let interval = Coercion::new_exact(TypeSignatureClass::Interval);
        Some(TypeSignature::Coercible(vec![interval]))
    }

    fn other_result(self, arg_types: &[DataType]) -> Option<DataType> {
        (*arg_types == [INTERVAL]).then_some(INTERVAL)
    }
}

/// Returns what adds up values to a mean of such a type; None for other values, and for DISTINCT ones, which DataFusion gathers.
fn totals(mean: &DataType, is_distinct: bool) -> Option<Box<dyn Accumulator>> {
    if is_distinct {
        return None;
    }
    Some(match mean {
        DataType::Interval(IntervalUnit::MonthDayNano) => Box::new(Totals::default()),
        DataType::Duration(unit) => match unit {
            TimeUnit::Second => Box::new(Spans::<DurationSecondType>::default()),
            TimeUnit::Millisecond => Box::new(Spans::<DurationMillisecondType>::default()),
            TimeUnit::Microsecond => Box::new(Spans::<DurationMicrosecondType>::default()),
            TimeUnit::Nanosecond => Box::new(Spans::<DurationNanosecondType>::default()),
        },
        _ => return None,
    })
}

/// Intervals, added up.
#[derive(Debug, Default)]
struct Totals {
    count: u64,
    months: i64,
    days: i64,
    nanoseconds: i128,
}

/// Returns a column of values or of partial sums.
fn typed<T: ArrowPrimitiveType>(columns: &[ArrayRef], at: usize) -> Result<&PrimitiveArray<T>> {
    column_of(columns, at, "`avg`")
}

impl Accumulator for Totals {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for interval in typed::<IntervalMonthDayNanoType>(values, 0)?
            .iter()
            .flatten()
        {
            self.count += 1;
            self.add(interval, 1);
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for interval in typed::<IntervalMonthDayNanoType>(values, 0)?
            .iter()
            .flatten()
        {
            self.count -= 1;
            self.add(interval, -1);
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            ScalarValue::from(self.count),
            ScalarValue::from(self.months),
            ScalarValue::from(self.days),
            ScalarValue::Decimal128(Some(self.nanoseconds), DECIMAL128_MAX_PRECISION, 0),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.count += typed::<UInt64Type>(states, 0)?
            .iter()
            .flatten()
            .sum::<u64>();
        self.months += typed::<Int64Type>(states, 1)?.iter().flatten().sum::<i64>();
        self.days += typed::<Int64Type>(states, 2)?.iter().flatten().sum::<i64>();
        let nanoseconds = typed::<Decimal128Type>(states, 3)?.iter().flatten();
        self.nanoseconds += nanoseconds.sum::<i128>();
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mean = match self.count {
            0 => None,
            count => Some(self.mean(count as f64)?),
        };
        Ok(ScalarValue::IntervalMonthDayNano(mean))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

impl Totals {
    /// Adds the parts of an interval, times 1 or -1.
    fn add(&mut self, interval: IntervalMonthDayNano, times: i64) {
        self.months += times * i64::from(interval.months);
        self.days += times * i64::from(interval.days);
        self.nanoseconds += i128::from(times) * i128::from(interval.nanoseconds);
    }

    fn mean(&self, count: f64) -> Result<IntervalMonthDayNano> {
        let (months, days) = (self.months as f64 / count, self.days as f64 / count);
        let mean = carried(months, days, self.nanoseconds as f64 / count);
        mean.ok_or_else(|| {
            let message = "out of range: a mean of intervals has more days than are counted";
            QueryError::of_statement(StatementFault::OutOfRange, message).into()
        })
    }
}

/// What lies between two times, added up, in one unit of time.
#[derive(Debug)]
struct Spans<T> {
    count: u64,
    sum: i128,
    of: PhantomData<T>,
}

impl<T> Default for Spans<T> {
    fn default() -> Self {
        Self {
            count: 0,
            sum: 0,
            of: PhantomData,
        }
    }
}

impl<T: Whole> Accumulator for Spans<T> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = typed::<T>(values, 0)?;
        self.count += (values.len() - values.null_count()) as u64;
        self.sum += total(values);
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = typed::<T>(values, 0)?;
        self.count -= (values.len() - values.null_count()) as u64;
        self.sum -= total(values);
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            ScalarValue::from(self.count),
            ScalarValue::Decimal128(Some(self.sum), DECIMAL128_MAX_PRECISION, 0),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let counts = typed::<UInt64Type>(states, 0)?.iter().flatten();
        self.count += counts.sum::<u64>();
        let sums = typed::<Decimal128Type>(states, 1)?.iter().flatten();
        self.sum += sums.sum::<i128>();
        Ok(())
    }

    /// Rounded half away from zero, as PostgreSQL does.
    fn evaluate(&mut self) -> Result<ScalarValue> {
        let count = i128::from(self.count);
        let mean = match count {
            0 => None,
            count => Some((2 * self.sum + self.sum.signum() * count) / (2 * count)),
        };
        // A mean is between the least and the greatest.
        let mean = mean.and_then(T::narrow);
        ScalarValue::new_primitive::<T>(mean, &T::DATA_TYPE)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

#[cfg(test)]
mod tests;
