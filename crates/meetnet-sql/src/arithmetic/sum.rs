//! `sum` of whole numbers: added up in 128 bits, so that only an answer that does not fit is an error, whatever stood between,
//! and in whatever order threads have added.
//!
//! A sum of decimals has as many digits as there are: DataFusion 55.2 gives it ten more than what it adds up, and where it plans
//! one sum as a sum of sums, beside `count(DISTINCT …)`, twenty, so that an answer had other types than it was planned with.
//!
//! What lies between two times (`sum(now() - time)`) is such a number, too, one of microseconds: DataFusion's sum of them wraps.
//!
//! Everything else is DataFusion's.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    ArrowPrimitiveType, DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType,
    Decimal128Type, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, Field, FieldRef, Int64Type, TimeUnit, UInt64Type,
};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator,
};
use datafusion::physical_expr::NullState;

use crate::aggregates::{Overrides, column_of};
use crate::error::{QueryError, StatementFault};

/// Type of a sum that is not finished.
const STATE: DataType = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);
/// Numbers of which the halves can be added up in 64 bits.
const RUN: usize = 1 << 30;

/// `sum` of whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct WholeSum;

impl Overrides for WholeSum {
    fn accumulator(
        self,
        inner: &dyn AggregateUDFImpl,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        whole_or(args, |args| inner.accumulator(args))
    }

    fn state_fields(
        self,
        inner: &dyn AggregateUDFImpl,
        args: StateFieldsArgs,
    ) -> Result<Vec<FieldRef>> {
        if args.is_distinct || !is_whole(args.return_type()) {
            return inner.state_fields(args);
        }
        let name = format_state_name(args.name, "sum");
        Ok(vec![Arc::new(Field::new(name, STATE, true))])
    }

    fn create_groups_accumulator(
        self,
        inner: &dyn AggregateUDFImpl,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        match args.return_type() {
            DataType::Int64 => Ok(Box::new(WholeTotals::<Int64Type>::new())),
            DataType::UInt64 => Ok(Box::new(WholeTotals::<UInt64Type>::new())),
            DataType::Duration(unit) => Ok(match unit {
                TimeUnit::Second => Box::new(WholeTotals::<DurationSecondType>::new()),
                TimeUnit::Millisecond => Box::new(WholeTotals::<DurationMillisecondType>::new()),
                TimeUnit::Microsecond => Box::new(WholeTotals::<DurationMicrosecondType>::new()),
                TimeUnit::Nanosecond => Box::new(WholeTotals::<DurationNanosecondType>::new()),
            }),
            _ => inner.create_groups_accumulator(args),
        }
    }

    fn create_sliding_accumulator(
        self,
        inner: &Arc<AggregateUDF>,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        whole_or(args, |args| inner.create_sliding_accumulator(args))
    }

    fn result_type(self, data_type: DataType) -> DataType {
        match data_type {
            DataType::Decimal128(_, scale) => DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale),
            DataType::Decimal256(_, scale) => DataType::Decimal256(DECIMAL256_MAX_PRECISION, scale),
            other => other,
        }
    }
}

/// Returns what adds up whole numbers, or the different ones that what `inner` makes gathers; for other values what it makes.
fn whole_or(
    args: AccumulatorArgs,
    inner: impl FnOnce(AccumulatorArgs) -> Result<Box<dyn Accumulator>>,
) -> Result<Box<dyn Accumulator>> {
    let (sum, is_distinct) = (args.return_type().clone(), args.is_distinct);
    if !is_distinct && is_whole(&sum) {
        return Ok(whole_total(&sum));
    }
    let inner = inner(args)?;
    Ok(if is_distinct {
        distinct_total(&sum, inner)
    } else {
        inner
    })
}

fn is_whole(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int64 | DataType::UInt64 | DataType::Duration(_)
    )
}

/// Returns what adds up values to a sum of such a type, which is one of whole numbers.
fn whole_total(sum: &DataType) -> Box<dyn Accumulator> {
    match sum {
        DataType::UInt64 => Box::new(WholeTotal::<UInt64Type>::default()),
        DataType::Duration(unit) => match unit {
            TimeUnit::Second => Box::new(WholeTotal::<DurationSecondType>::default()),
            TimeUnit::Millisecond => Box::new(WholeTotal::<DurationMillisecondType>::default()),
            TimeUnit::Microsecond => Box::new(WholeTotal::<DurationMicrosecondType>::default()),
            TimeUnit::Nanosecond => Box::new(WholeTotal::<DurationNanosecondType>::default()),
        },
        _ => Box::new(WholeTotal::<Int64Type>::default()),
    }
}

/// Returns what adds up the different values that `inner` gathers.
fn distinct_total(sum: &DataType, inner: Box<dyn Accumulator>) -> Box<dyn Accumulator> {
    match sum {
        DataType::Int64 => Box::new(DistinctTotal::<Int64Type>::new(inner)),
        DataType::UInt64 => Box::new(DistinctTotal::<UInt64Type>::new(inner)),
        _ => inner,
    }
}

/// A type of whole numbers that sums have.
pub(crate) trait Whole: ArrowPrimitiveType + Send + Sync + std::fmt::Debug {
    /// Returns a number as how many times 2^32 it is, and the rest.
    fn halves(value: Self::Native) -> (i64, i64);
    fn wide(value: Self::Native) -> i128;
    fn narrow(sum: i128) -> Option<Self::Native>;
    /// What PostgreSQL and analysts call it.
    const NAME: &'static str;
    /// What to write for a sum that does not fit.
    const INSTEAD: &'static str = "add up wider numbers, sum(CAST(x AS DECIMAL(38, 0))), or sum(CAST(x AS DOUBLE)) where the last \
                                   digits do not matter";
}

impl Whole for Int64Type {
    const NAME: &'static str = "bigint";

    fn halves(value: i64) -> (i64, i64) {
        (value >> 32, value & 0xffff_ffff)
    }

    fn wide(value: i64) -> i128 {
        value.into()
    }

    fn narrow(sum: i128) -> Option<i64> {
        i64::try_from(sum).ok()
    }
}

impl Whole for UInt64Type {
    const NAME: &'static str = "unsigned bigint";

    fn halves(value: u64) -> (i64, i64) {
        ((value >> 32) as i64, (value & 0xffff_ffff) as i64)
    }

    fn wide(value: u64) -> i128 {
        value.into()
    }

    fn narrow(sum: i128) -> Option<u64> {
        u64::try_from(sum).ok()
    }
}

/// What lies between two times, in one unit of time.
macro_rules! whole_spans {
    ($($of:ty),*) => {$(
        impl Whole for $of {
            const NAME: &'static str = "interval";
            const INSTEAD: &'static str = "add up the seconds, sum(date_part('epoch', x))";

            fn halves(value: i64) -> (i64, i64) {
                Int64Type::halves(value)
            }

            fn wide(value: i64) -> i128 {
                value.into()
            }

            fn narrow(sum: i128) -> Option<i64> {
                Int64Type::narrow(sum)
            }
        }
    )*};
}

whole_spans!(
    DurationSecondType,
    DurationMillisecondType,
    DurationMicrosecondType,
    DurationNanosecondType
);

/// Returns the sum of an answer in its type.
fn narrowed<T: Whole>(sum: i128) -> Result<T::Native> {
    T::narrow(sum).ok_or_else(|| {
        let message = format!("{} out of range: a sum is {sum}; {}", T::NAME, T::INSTEAD);
        QueryError::of_statement(StatementFault::OutOfRange, message).into()
    })
}

/// Returns the sum of the values that are not null.
pub(crate) fn total<T: Whole>(values: &PrimitiveArray<T>) -> i128 {
    match values.nulls() {
        Some(nulls) if nulls.null_count() > 0 => {
            let runs = nulls.valid_slices();
            runs.map(|(start, end)| total_of::<T>(&values.values()[start..end]))
                .sum()
        }
        _ => total_of::<T>(values.values()),
    }
}

fn total_of<T: Whole>(values: &[T::Native]) -> i128 {
    // Two sums of 64 bits are made of several numbers at a time; one of 128 is not.
    let runs = values.chunks(RUN).map(|run| {
        let halves = run.iter().map(|value| T::halves(*value));
        let (high, low) = halves.fold((0, 0), |sums: (i64, i64), halves| {
            (sums.0 + halves.0, sums.1 + halves.1)
        });
        (i128::from(high) << 32) + i128::from(low)
    });
    runs.sum()
}

fn typed<T: ArrowPrimitiveType>(values: &[ArrayRef]) -> Result<&PrimitiveArray<T>> {
    column_of(values, 0, "`sum`")
}

fn scalar<T: Whole>(sum: Option<i128>) -> Result<ScalarValue> {
    let sum = sum.map(narrowed::<T>).transpose()?;
    ScalarValue::new_primitive::<T>(sum, &T::DATA_TYPE)
}

/// The sum of one group, or of a window that goes on.
#[derive(Debug)]
struct WholeTotal<T> {
    sum: i128,
    /// Values in it; of partial sums any number that is not 0.
    values: usize,
    of: PhantomData<T>,
}

impl<T> Default for WholeTotal<T> {
    fn default() -> Self {
        Self {
            sum: 0,
            values: 0,
            of: PhantomData,
        }
    }
}

impl<T: Whole> Accumulator for WholeTotal<T> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = typed::<T>(values)?;
        self.sum += total(values);
        self.values += values.len() - values.null_count();
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = typed::<T>(values)?;
        self.sum -= total(values);
        self.values -= values.len() - values.null_count();
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let sum = (self.values > 0).then_some(self.sum);
        Ok(vec![ScalarValue::Decimal128(
            sum,
            DECIMAL128_MAX_PRECISION,
            0,
        )])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for sum in typed::<Decimal128Type>(states)?.iter().flatten() {
            self.sum += sum;
            self.values += 1;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        scalar::<T>((self.values > 0).then_some(self.sum))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The sum of different values, which DataFusion gathers.
#[derive(Debug)]
struct DistinctTotal<T> {
    values: Box<dyn Accumulator>,
    of: PhantomData<T>,
}

impl<T> DistinctTotal<T> {
    fn new(values: Box<dyn Accumulator>) -> Self {
        Self {
            values,
            of: PhantomData,
        }
    }
}

impl<T: Whole> Accumulator for DistinctTotal<T> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.values.update_batch(values)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.values.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.values.supports_retract_batch()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.values.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.values.merge_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut sum: Option<i128> = None;
        for state in self.values.state()? {
            let list = state.to_array()?;
            for values in list
                .as_list_opt::<i32>()
                .into_iter()
                .flat_map(|list| list.iter())
            {
                let Some(values) = values.filter(|values| !values.is_empty()) else {
                    continue;
                };
                *sum.get_or_insert(0) += total(typed::<T>(&[values])?);
            }
        }
        scalar::<T>(sum)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.size()
    }
}

/// The sums of many groups.
#[derive(Debug)]
struct WholeTotals<T> {
    sums: Vec<i128>,
    /// Which groups have a value.
    nulls: NullState,
    of: PhantomData<T>,
}

impl<T> WholeTotals<T> {
    fn new() -> Self {
        Self {
            sums: Vec::new(),
            nulls: NullState::new(),
            of: PhantomData,
        }
    }

    /// Adds values to those of their groups.
    fn add<A: ArrowPrimitiveType + Send>(
        &mut self,
        values: &PrimitiveArray<A>,
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
        wide: impl Fn(A::Native) -> i128 + Send,
    ) {
        self.sums.resize(total_num_groups, 0);
        let sums = &mut self.sums;
        let add = move |group: usize, value| sums[group] += wide(value);
        self.nulls
            .accumulate(group_indices, values, opt_filter, total_num_groups, add);
    }
}

impl<T: Whole> GroupsAccumulator for WholeTotals<T> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        let values = typed::<T>(values)?;
        self.add(values, group_indices, opt_filter, total_num_groups, T::wide);
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let sums = emit_to.take_needed(&mut self.sums);
        let nulls = self.nulls.build(emit_to);
        let sums: Vec<T::Native> = sums.into_iter().map(narrowed::<T>).collect::<Result<_>>()?;
        Ok(Arc::new(PrimitiveArray::<T>::new(sums.into(), nulls)))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let sums = emit_to.take_needed(&mut self.sums);
        let nulls = self.nulls.build(emit_to);
        let sums = PrimitiveArray::<Decimal128Type>::new(sums.into(), nulls);
        Ok(vec![Arc::new(sums.with_data_type(STATE))])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        let sums = typed::<Decimal128Type>(values)?;
        self.add(sums, group_indices, None, total_num_groups, |sum| sum);
        Ok(())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let sums: PrimitiveArray<Decimal128Type> = typed::<T>(values)?.unary(T::wide);
        let (_, sums, nulls) = sums.into_parts();
        let nulls = match opt_filter {
            Some(filter) => {
                let (taken, valid) = filter.clone().into_parts();
                let taken = match valid {
                    Some(valid) => valid.inner() & &taken,
                    None => taken,
                };
                NullBuffer::union(nulls.as_ref(), Some(&NullBuffer::new(taken)))
            }
            None => nulls,
        };
        let sums = PrimitiveArray::<Decimal128Type>::new(sums, nulls);
        Ok(vec![Arc::new(sums.with_data_type(STATE))])
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<i128>() + self.nulls.size()
    }
}
