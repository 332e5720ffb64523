//! `first` and `last`: a value by the time beside it.
//!
//! As plain aggregates they become DataFusion's `first_value` and `last_value` with an order, which use sorted input and
//! know groups; the accumulator here is for windows, where no such rewriting happens.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, TimestampMicrosecondType};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::functions_aggregate::first_last::{first_value_udaf, last_value_udaf};
use datafusion::logical_expr::expr::{AggregateFunction, NullTreatment};
use datafusion::logical_expr::function::{
    AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs,
};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, Expr, Signature, SortExpr, Volatility,
};
use meetnet_model::common::timestamp_type;

use crate::call::{Parameter, coerce, misplanned, uncoerced};
use crate::described::{FunctionDescription, FunctionKind};

/// `first`.
pub(crate) static FIRST: FunctionDescription = FunctionDescription {
    name: "first",
    kind: FunctionKind::Aggregate,
    signature: "first(value, time) → type of value",
    description: "The value with the earliest time. Rows without a value or a time are left out; of equal times any one \
                  is taken.",
    unit: None,
    example: "SELECT first(value, time) FROM (VALUES (TIMESTAMP '2026-01-01T02:00:00Z', 20.0), \
              (TIMESTAMP '2026-01-01T01:00:00Z', 10.0)) AS t(time, value)",
};

/// `last`.
pub(crate) static LAST: FunctionDescription = FunctionDescription {
    name: "last",
    kind: FunctionKind::Aggregate,
    signature: "last(value, time) → type of value",
    description: "The value with the latest time. Rows without a value or a time are left out; of equal times any one is \
                  taken.",
    unit: None,
    example: "SELECT last(value, time) FROM (VALUES (TIMESTAMP '2026-01-01T02:00:00Z', 20.0), \
              (TIMESTAMP '2026-01-01T01:00:00Z', 10.0)) AS t(time, value)",
};

const PARAMETERS: [Parameter; 2] = [Parameter::Any, Parameter::Time];

/// Which end of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Edge {
    First,
    Last,
}

impl Edge {
    fn description(self) -> &'static FunctionDescription {
        match self {
            Self::First => &FIRST,
            Self::Last => &LAST,
        }
    }
}

/// The function of [`FIRST`] or [`LAST`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct FirstOrLast {
    edge: Edge,
    signature: Signature,
}

impl FirstOrLast {
    pub(crate) fn new(edge: Edge) -> Self {
        Self {
            edge,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl AggregateUDFImpl for FirstOrLast {
    fn name(&self) -> &str {
        self.edge.description().name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        coerce(
            self.edge.description(),
            &PARAMETERS,
            PARAMETERS.len(),
            arg_types,
        )
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        let value = arg_types.first().cloned();
        value.ok_or_else(|| uncoerced(self.edge.description()))
    }

    fn return_field(&self, arg_fields: &[FieldRef]) -> Result<FieldRef> {
        let value = arg_fields
            .first()
            .ok_or_else(|| uncoerced(self.edge.description()))?;
        let field = Field::new(self.name(), value.data_type().clone(), true);
        Ok(Arc::new(field.with_metadata(value.metadata().clone())))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        let edge = self.edge;
        Some(Box::new(move |call, _| with_order(edge, call)))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let value = args.return_field.data_type().clone();
        let field =
            |state: &str, of: DataType| Field::new(format_state_name(args.name, state), of, true);
        Ok(vec![
            Arc::new(field("value", value)),
            Arc::new(field("time", timestamp_type())),
        ])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Outermost {
            edge: self.edge,
            value: ScalarValue::try_from(args.return_field.data_type())?,
            time: None,
        }))
    }
}

/// Makes `first_value(value ORDER BY time) IGNORE NULLS FILTER (WHERE time IS NOT NULL)` of a call.
fn with_order(edge: Edge, call: AggregateFunction) -> Result<Expr> {
    let description = edge.description();
    let params = call.params;
    if !params.order_by.is_empty() {
        let why = "it takes no ORDER BY: its second argument is the order";
        return Err(misplanned(description, why));
    }
    let Ok([value, time]) = <[Expr; 2]>::try_from(params.args) else {
        return Err(uncoerced(description));
    };
    let has_time = time.clone().is_not_null();
    let filter = match params.filter {
        None => has_time,
        Some(filter) => (*filter).and(has_time),
    };
    let function = match edge {
        Edge::First => first_value_udaf(),
        Edge::Last => last_value_udaf(),
    };
    // DISTINCT takes no value away that is first or last.
    let is_distinct = false;
    Ok(Expr::AggregateFunction(AggregateFunction::new_udf(
        function,
        vec![value],
        is_distinct,
        Some(Box::new(filter)),
        vec![SortExpr::new(time, true, false)],
        Some(NullTreatment::IgnoreNulls),
    )))
}

/// The value at one end so far.
#[derive(Debug)]
struct Outermost {
    edge: Edge,
    value: ScalarValue,
    /// Its time, µs since 1970 UTC; None before the first value.
    time: Option<i64>,
}

impl Outermost {
    fn is_further(&self, time: i64, than: i64) -> bool {
        match self.edge {
            Edge::First => time < than,
            Edge::Last => time >= than,
        }
    }
}

impl Accumulator for Outermost {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [values, times] = values else {
            return Err(uncoerced(self.edge.description()));
        };
        let times = times
            .as_primitive_opt::<TimestampMicrosecondType>()
            .ok_or_else(|| uncoerced(self.edge.description()))?;
        let mut found = None;
        for row in 0..times.len() {
            if times.is_null(row) || values.is_null(row) {
                continue;
            }
            let time = times.value(row);
            if self.time.is_none_or(|best| self.is_further(time, best)) {
                self.time = Some(time);
                found = Some(row);
            }
        }
        if let Some(row) = found {
            // The array of the batch must not be kept alive by one value of it.
            self.value = ScalarValue::try_from_array(values, row)?.compacted();
        }
        Ok(())
    }

    /// A state is a row of value and time, as an input is.
    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let time = ScalarValue::TimestampMicrosecond(self.time, Some(Arc::from("UTC")));
        Ok(vec![self.value.clone(), time])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        size_of_val(self) - size_of_val(&self.value) + self.value.size()
    }
}
