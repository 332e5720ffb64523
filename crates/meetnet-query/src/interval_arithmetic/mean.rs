//! `avg` of intervals, which DataFusion 55.2 has only of what lies between two times.
//!
//! Months, days and nanoseconds are added up each for themselves, and divided as PostgreSQL divides an interval. Sums and the least
//! and greatest of intervals are DataFusion's.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, FieldRef,
    Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, UInt64Type,
};
use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Coercion, TypeSignature, TypeSignatureClass,
};

use super::carried;
use crate::aggregates::Overrides;
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
        match is_of_intervals(args.return_type(), args.is_distinct) {
            true => Ok(Box::new(Totals::default())),
            false => inner.accumulator(args),
        }
    }

    fn state_fields(
        self,
        inner: &dyn AggregateUDFImpl,
        args: StateFieldsArgs,
    ) -> Result<Vec<FieldRef>> {
        if !is_of_intervals(args.return_type(), args.is_distinct) {
            return inner.state_fields(args);
        }
        let nanoseconds = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);
        let fields = [
            ("count", DataType::UInt64),
            ("months", DataType::Int64),
            ("days", DataType::Int64),
            ("nanoseconds", nanoseconds),
        ];
        let fields = fields.into_iter().map(|(part, data_type)| {
            let field = Field::new(format_state_name(args.name, part), data_type, true);
            Arc::new(field)
        });
        Ok(fields.collect())
    }

    fn create_sliding_accumulator(
        self,
        inner: &Arc<AggregateUDF>,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        match is_of_intervals(args.return_type(), args.is_distinct) {
            true => Ok(Box::new(Totals::default())),
            false => inner.create_sliding_accumulator(args),
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

/// Returns true for the mean of intervals; those of DISTINCT ones are gathered by DataFusion, which groups by them.
fn is_of_intervals(result: &DataType, is_distinct: bool) -> bool {
    *result == INTERVAL && !is_distinct
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
    let column = columns.get(at);
    let column = column.and_then(|column| column.as_primitive_opt::<T>());
    column.ok_or_else(|| {
        let message = "`avg` was given another type than it was planned for";
        DataFusionError::Internal(message.to_owned())
    })
}

impl Accumulator for Totals {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for interval in typed::<IntervalMonthDayNanoType>(values, 0)?
            .iter()
            .flatten()
        {
            self.count += 1;
            self.months += i64::from(interval.months);
            self.days += i64::from(interval.days);
            self.nanoseconds += i128::from(interval.nanoseconds);
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for interval in typed::<IntervalMonthDayNanoType>(values, 0)?
            .iter()
            .flatten()
        {
            self.count -= 1;
            self.months -= i64::from(interval.months);
            self.days -= i64::from(interval.days);
            self.nanoseconds -= i128::from(interval.nanoseconds);
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
    fn mean(&self, count: f64) -> Result<IntervalMonthDayNano> {
        let (months, days) = (self.months as f64 / count, self.days as f64 / count);
        let mean = carried(months, days, self.nanoseconds as f64 / count);
        mean.ok_or_else(|| {
            let message = "out of range: a mean of intervals has more days than are counted";
            QueryError::of_statement(StatementFault::OutOfRange, message).into()
        })
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::IntervalMonthDayNanoArray;

    use super::*;

    /// Months, days and seconds.
    fn intervals(of: &[(i32, i32, f64)]) -> ArrayRef {
        let intervals = of.iter().map(|(months, days, seconds)| {
            IntervalMonthDayNano::new(*months, *days, (seconds * 1e9) as i64)
        });
        Arc::new(IntervalMonthDayNanoArray::from_iter_values(intervals))
    }

    fn evaluated(totals: &mut Totals) -> ScalarValue {
        totals.evaluate().unwrap()
    }

    /// The answers are those of PostgreSQL 15.
    #[test]
    fn a_mean_carries_months_to_days_and_days_to_hours() {
        for (of, months, days, seconds) in [
            (
                &[(0, 1, 0.0), (1, 0, 0.0), (0, 0, 7_200.0)][..],
                0,
                10,
                31_200.0,
            ),
            (&[(1, 0, 0.0), (0, 0, 0.0)][..], 0, 15, 0.0),
            (
                &[(-1, 0, 0.0), (0, 1, 0.0), (0, 0, 1.0), (0, 0, 25_200.0)][..],
                0,
                -7,
                -15_299.75,
            ),
            (&[(12, 0, 0.0), (0, 3, 0.0), (0, 0, 3.0)][..], 4, 1, 1.0),
            (&[(1, 2, 3.5)][..], 1, 2, 3.5),
        ] {
            let nanoseconds = (seconds * 1e9) as i64;
            let expect = IntervalMonthDayNano::new(months, days, nanoseconds);
            let expect = ScalarValue::IntervalMonthDayNano(Some(expect));
            let mut totals = Totals::default();
            totals.update_batch(&[intervals(of)]).unwrap();
            assert_eq!(evaluated(&mut totals), expect, "{of:?}");
            // Of partial sums.
            let mut merged = Totals::default();
            for one in of {
                let mut partial = Totals::default();
                partial.update_batch(&[intervals(&[*one])]).unwrap();
                let states = partial.state().unwrap();
                let states = states.iter().map(|state| state.to_array().unwrap());
                merged.merge_batch(&states.collect::<Vec<_>>()).unwrap();
            }
            assert_eq!(evaluated(&mut merged), expect, "{of:?}");
            // Of what has left a frame nothing stays.
            let others = intervals(&[(7, -3, 1.25), (0, 0, -9.0)]);
            totals.update_batch(&[Arc::clone(&others)]).unwrap();
            totals.retract_batch(&[others]).unwrap();
            assert_eq!(evaluated(&mut totals), expect, "{of:?}");
        }
    }

    #[test]
    fn of_nothing_there_is_no_mean() {
        let mut totals = Totals::default();
        let nothing = IntervalMonthDayNanoArray::from(vec![None::<IntervalMonthDayNano>]);
        totals.update_batch(&[Arc::new(nothing)]).unwrap();
        assert_eq!(
            evaluated(&mut totals),
            ScalarValue::IntervalMonthDayNano(None)
        );
    }

    #[test]
    fn more_days_than_are_counted_are_an_error() {
        let mut totals = Totals::default();
        let most = intervals(&[(1, i32::MAX, 0.0), (0, i32::MAX, 0.0)]);
        totals.update_batch(&[most]).unwrap();
        let error = totals.evaluate().unwrap_err().to_string();
        assert!(error.contains("out of range"), "{error}");
    }
}
