//! Casts that are told apart by their names.
//!
//! DataFusion 55.2 calls a cast what it calls the value that is cast: `max(time::date)` and `max(time::time)` are both
//! `max(air.time)`, and two columns, aggregates or windows of one name are refused. Where that happens, the type becomes a part
//! of the name, in a call that answers its first argument:
//!
//! `max(time::date)` -> `max(cast_to(time::date, 'DATE'))`
//!
//! The optimizer takes the call away, so that what is cast is pruned and pushed down as it is elsewhere; the name stays.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr as Planned, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, VisitMut, VisitorMut};

use super::functions::{call, text};
use crate::parse::parsed_mut;

const CAST_TO: &str = "cast_to";

/// Adds the function to a session.
///
/// # Errors
/// Where the session takes no functions.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    let function = CastTo {
        signature: Signature::any(2, Volatility::Immutable),
    };
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(function)))?;
    Ok(())
}

/// Gives the casts of a statement names of their own. Returns true where there are any.
pub(crate) fn name_casts(statement: &mut Statement) -> bool {
    let mut named = Named(false);
    if let Some(parsed) = parsed_mut(statement) {
        // The visitor never breaks.
        let _ = parsed.visit(&mut named);
    }
    named.0
}

/// Whether a cast has got a name.
struct Named(bool);

impl VisitorMut for Named {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let to = match &*expr {
            // A constant must go on being one: of columns there are two casts, not of it.
            Expr::Cast {
                expr, data_type, ..
            } if !is_constant(expr) => data_type.to_string(),
            Expr::AtTimeZone {
                timestamp,
                time_zone,
            } if !is_constant(timestamp) => time_zone.to_string(),
            _ => return ControlFlow::Continue(()),
        };
        *expr = call(CAST_TO, vec![expr.clone(), text(&to)]);
        self.0 = true;
        ControlFlow::Continue(())
    }
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) | Expr::TypedString(_) | Expr::Interval(_) => true,
        Expr::Nested(expr) | Expr::Cast { expr, .. } => is_constant(expr),
        _ => false,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CastTo {
    signature: Signature,
}

impl CastTo {
    /// Returns what was cast.
    fn first<T>(arguments: impl IntoIterator<Item = T>) -> Result<T> {
        let first = arguments.into_iter().next();
        first.ok_or_else(|| {
            DataFusionError::Plan(format!("`{CAST_TO}` takes a value and what it was cast to"))
        })
    }
}

impl ScalarUDFImpl for CastTo {
    fn name(&self) -> &str {
        CAST_TO
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Self::first(types).cloned()
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Self::first(args.arg_fields).cloned()
    }

    fn simplify(&self, args: Vec<Planned>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Self::first(args).map(ExprSimplifyResult::Simplified)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Self::first(args.args)
    }
}
