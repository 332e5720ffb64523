//! What the clocks of a zone show, compared with instants.
//!
//! `CAST(clock AS Timestamp(zone)) = instant` -> `instant_of_clock(clock) = instant`
//!
//! DataFusion 55.2 takes every cast between times for one that keeps the number, and compares without it: `clock AT TIME
//! ZONE 'Europe/Brussels' = instant` would be true two hours off, and no error says so. From a time without a zone to one
//! with a zone the number changes (but in UTC), so that such a cast is a function here, which nobody takes away.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use crate::rewrite;

/// Makes such casts functions.
#[derive(Debug)]
pub(crate) struct InstantsOfClocks;

impl AnalyzerRule for InstantsOfClocks {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite::expressions(
            plan,
            |expr| zone_of(expr).is_some(),
            |expr, schema| expr.transform_up(|expr| Ok(of_cast(expr, schema))),
        )
    }

    fn name(&self) -> &str {
        "instants_of_clocks"
    }
}

/// Returns what a cast casts to a time with a zone, and to what; none for every other expression.
fn zone_of(expr: &Expr) -> Option<(&Expr, &DataType)> {
    let (inner, to) = match expr {
        Expr::Cast(cast) => (&cast.expr, cast.field.data_type()),
        Expr::TryCast(cast) => (&cast.expr, cast.field.data_type()),
        _ => return None,
    };
    match to {
        DataType::Timestamp(_, Some(zone)) if !matches!(&**zone, "UTC" | "+00:00" | "Z") => {
            Some((&**inner, to))
        }
        _ => None,
    }
}

fn of_cast(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Some((inner, to)) = zone_of(&expr) else {
        return Transformed::no(expr);
    };
    let is_clock = matches!(
        inner.get_type(schema),
        Ok(DataType::Timestamp(_, None) | DataType::Date32 | DataType::Date64)
    );
    if !is_clock {
        return Transformed::no(expr);
    }
    let function = ScalarUDF::new_from_impl(InstantOfClock {
        to: to.clone(),
        signature: Signature::any(1, Volatility::Immutable),
    });
    let call = ScalarFunction::new_udf(Arc::new(function), vec![inner.clone()]);
    Transformed::yes(Expr::ScalarFunction(call))
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
        let Some(clock) = args.args.first() else {
            let message = "`instant_of_clock` takes one argument".to_owned();
            return Err(DataFusionError::Plan(message));
        };
        clock.cast_to(&self.to, None)
    }
}
