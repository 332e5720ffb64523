//! Seconds since 1970 that `to_timestamp` is given as floats.
//!
//! `to_timestamp(x)` -> `to_timestamp(CAST(x AS DECIMAL(38, 9)))`
//!
//! DataFusion 55.2 makes the last time that it has, in 2262, of whatever is later, the first of what is earlier than 1677, and 1970
//! of NaN, and no error says so. Of decimals it knows what it cannot tell, and a float that is cast to one is rounded, so
//! that 9.63 seconds do not lose a nanosecond. Whole numbers are checked already.

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, cast};
use datafusion::optimizer::AnalyzerRule;

use crate::rewrite;

/// The function that takes seconds since 1970.
const TO_TIMESTAMP: &str = "to_timestamp";
/// Seconds with nanoseconds.
const SECONDS: DataType = DataType::Decimal128(38, 9);

/// Makes such floats decimals. It goes behind the step that makes types equal.
#[derive(Debug)]
pub(crate) struct CheckedEpochs;

impl AnalyzerRule for CheckedEpochs {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite::expressions(
            plan,
            |expr| seconds_of(expr).is_some(),
            |expr, schema| rewrite::parts(expr, |part| checked(part, schema)),
        )
    }

    fn name(&self) -> &str {
        "checked_epochs"
    }
}

/// Returns a call of `to_timestamp` and what its one argument is; None for every other expression.
fn seconds_of(expr: &Expr) -> Option<(&ScalarFunction, &Expr)> {
    let Expr::ScalarFunction(call) = expr else {
        return None;
    };
    match call.args.as_slice() {
        [seconds] if call.name() == TO_TIMESTAMP => Some((call, seconds)),
        _ => None,
    }
}

/// Returns the call of a decimal in the place of one of a float.
fn checked(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let (call, seconds) = seconds_of(expr)?;
    if !seconds.get_type(schema).ok()?.is_floating() {
        return None;
    }
    Some(call.func.call(vec![cast(seconds.clone(), SECONDS)]))
}
