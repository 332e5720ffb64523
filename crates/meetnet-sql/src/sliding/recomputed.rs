//! Functions that cannot take values back out: over frames that move they are computed anew for each row, of what is in its frame.
//!
//! That is the work of a row times the rows of a frame, so that a frame has at most so many.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use arrow::datatypes::{FieldRef, Schema};
use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDF};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};

use super::undivided;
use crate::GATHERED_ROWS_MAX;
use crate::aggregates::Overrides;
use crate::error::{QueryError, QueryErrorKind};

/// Functions that DataFusion computes over no frame that moves.
pub(super) const FUNCTIONS: [&str; 16] = [
    "any_value",
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    // Of DISTINCT values.
    "avg",
    "bit_and",
    "bit_or",
    "bool_and",
    "bool_or",
    "coverage",
    "first",
    "last",
    "mode",
    "string_agg",
    "time_weighted_avg",
];

/// Computes a function anew for each row, where nothing else can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Recomputing;

impl Overrides for Recomputing {
    fn create_sliding_accumulator(
        self,
        inner: &Arc<AggregateUDF>,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        let call = Call::new(Arc::clone(inner), &args);
        let accumulator = inner.create_sliding_accumulator(args)?;
        if accumulator.supports_retract_batch() {
            return Ok(accumulator);
        }
        Ok(Box::new(Recomputed {
            call,
            rows: VecDeque::new(),
        }))
    }
}

/// What a function is computed with, for as long as it may be asked for.
#[derive(Debug)]
struct Call {
    function: Arc<AggregateUDF>,
    return_field: FieldRef,
    schema: Schema,
    ignore_nulls: bool,
    order_bys: Vec<PhysicalSortExpr>,
    is_reversed: bool,
    name: String,
    is_distinct: bool,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    expr_fields: Vec<FieldRef>,
}

impl Call {
    fn new(function: Arc<AggregateUDF>, args: &AccumulatorArgs) -> Self {
        Self {
            function,
            return_field: Arc::clone(&args.return_field),
            schema: args.schema.clone(),
            ignore_nulls: args.ignore_nulls,
            order_bys: args.order_bys.to_vec(),
            is_reversed: args.is_reversed,
            name: args.name.to_owned(),
            is_distinct: args.is_distinct,
            exprs: args.exprs.to_vec(),
            expr_fields: args.expr_fields.to_vec(),
        }
    }

    /// Makes what computes the function of all that it is given.
    fn accumulator(&self) -> Result<Box<dyn Accumulator>> {
        self.function.accumulator(AccumulatorArgs {
            return_field: Arc::clone(&self.return_field),
            schema: &self.schema,
            ignore_nulls: self.ignore_nulls,
            order_bys: &self.order_bys,
            is_reversed: self.is_reversed,
            name: &self.name,
            is_distinct: self.is_distinct,
            exprs: &self.exprs,
            expr_fields: &self.expr_fields,
        })
    }
}

/// A function over a frame that moves.
#[derive(Debug)]
struct Recomputed {
    call: Call,
    /// The rows of the frame, as they came: what came first leaves first.
    rows: VecDeque<Vec<ArrayRef>>,
}

/// Returns how many rows columns have.
fn rows_of(columns: &[ArrayRef]) -> usize {
    columns.first().map_or(0, |column| column.len())
}

impl Recomputed {
    fn len(&self) -> usize {
        self.rows.iter().map(|columns| rows_of(columns)).sum()
    }

    /// Makes one piece of the rows.
    fn join(&mut self) -> Result<()> {
        if self.rows.len() < 2 {
            return Ok(());
        }
        let columns = self.rows.front().map_or(0, Vec::len);
        let joined = (0..columns).map(|at| {
            let pieces = self.rows.iter().filter_map(|columns| columns.get(at));
            let pieces: Vec<&dyn Array> = pieces.map(|column| column.as_ref()).collect();
            concat(&pieces).map_err(DataFusionError::from)
        });
        let joined = joined.collect::<Result<Vec<ArrayRef>>>()?;
        self.rows.clear();
        self.rows.push_back(joined);
        Ok(())
    }
}

impl Accumulator for Recomputed {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if rows_of(values) > 0 {
            self.rows.push_back(values.to_vec());
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let mut left = rows_of(values);
        while left > 0 {
            let Some(mut first) = self.rows.pop_front() else {
                let message = "more rows left a frame than there were in it";
                return Err(DataFusionError::Internal(message.to_owned()));
            };
            let rows = rows_of(&first);
            if rows > left {
                for column in &mut first {
                    *column = column.slice(left, rows - left);
                }
                self.rows.push_front(first);
            }
            left = left.saturating_sub(rows);
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let rows = self.len();
        if rows as u64 > GATHERED_ROWS_MAX {
            let message = format!(
                "`{}` over a frame that moves is computed anew for every row: give it a frame of at most {GATHERED_ROWS_MAX} rows, \
                 one that begins with UNBOUNDED PRECEDING, or group",
                self.call.function.name()
            );
            return Err(QueryError::new(QueryErrorKind::TooLarge, message).into());
        }
        self.join()?;
        let mut accumulator = self.call.accumulator()?;
        for columns in &self.rows {
            accumulator.update_batch(columns)?;
        }
        accumulator.evaluate()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Err(undivided())
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        Err(undivided())
    }

    fn size(&self) -> usize {
        let arrays = self.rows.iter().flatten();
        let bytes: usize = arrays.map(|array| array.get_array_memory_size()).sum();
        size_of_val(self) + bytes
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::BooleanArray;
    use arrow::datatypes::{DataType, Field};
    use datafusion::functions_aggregate::bool_and_or::bool_or_udaf;
    use datafusion::physical_expr::expressions::Column;

    use super::*;
    use crate::aggregates::Overridden;

    fn bool_or() -> Box<dyn Accumulator> {
        let field: FieldRef = Arc::new(Field::new("x", DataType::Boolean, true));
        let schema = Schema::new(vec![Arc::clone(&field)]);
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new("x", 0));
        let function = AggregateUDF::new_from_impl(Overridden::new(bool_or_udaf(), Recomputing));
        let args = AccumulatorArgs {
            return_field: Arc::clone(&field),
            schema: &schema,
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: "bool_or(x)",
            is_distinct: false,
            exprs: &[column],
            expr_fields: &[field],
        };
        function.create_sliding_accumulator(args).unwrap()
    }

    fn column(values: Vec<Option<bool>>) -> Vec<ArrayRef> {
        vec![Arc::new(BooleanArray::from(values))]
    }

    #[test]
    fn what_has_left_a_frame_is_not_in_its_answer() {
        let mut accumulator = bool_or();
        let values = vec![Some(true), Some(false), None];
        accumulator.update_batch(&column(values)).unwrap();
        for (enters, leaves, expect) in [
            (vec![], 0, Some(true)),
            (vec![Some(false)], 1, Some(false)),
            (vec![Some(false), Some(true)], 2, Some(true)),
            (vec![None], 3, None),
            (vec![], 1, None),
        ] {
            accumulator.update_batch(&column(enters)).unwrap();
            accumulator
                .retract_batch(&column(vec![None; leaves]))
                .unwrap();
            let answer = accumulator.evaluate().unwrap();
            assert_eq!(answer, ScalarValue::Boolean(expect), "{leaves}");
        }
    }

    #[test]
    fn a_frame_has_at_most_so_many_rows() {
        let rows = GATHERED_ROWS_MAX as usize;
        let mut accumulator = bool_or();
        let values = column(vec![Some(false); rows]);
        accumulator.update_batch(&values).unwrap();
        assert_eq!(
            accumulator.evaluate().unwrap(),
            ScalarValue::Boolean(Some(false))
        );
        accumulator.update_batch(&column(vec![None])).unwrap();
        let error = accumulator.evaluate().unwrap_err().to_string();
        assert!(error.contains("at most 1000 rows"), "{error}");
    }
}
