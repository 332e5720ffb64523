//! `generate_series` and `range` from one time to another, whichever types those have.
//!
//! DataFusion 55.2 has them from a date to a date, or from nanoseconds to nanoseconds, and refuses both beside each other. But
//! `DATE '2026-01-01' + INTERVAL '6 hours'` is a time and `DATE '2026-01-01'` a date, and both are constants once they come here.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::Expr;

/// Puts them in the place of those of a session.
pub(crate) fn register(state: &mut SessionState) {
    for name in ["generate_series", "range"] {
        let function = state.table_functions().get(name);
        let Some(inner) = function.map(|function| Arc::clone(function.function())) else {
            continue;
        };
        state.register_udtf(name, Arc::new(SeriesOfTimes { inner }));
    }
}

/// Gives a function of DataFusion times of the type that it takes.
#[derive(Debug)]
struct SeriesOfTimes {
    inner: Arc<dyn TableFunctionImpl>,
}

impl TableFunctionImpl for SeriesOfTimes {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let Some(arguments) = of_one_type(args.exprs())? else {
            return self.inner.call_with_args(args);
        };
        let args = TableFunctionArgs::new(&arguments, args.session());
        self.inner.call_with_args(args)
    }
}

/// Returns the arguments with times in nanoseconds; None where there are none, or dates alone.
///
/// # Errors
/// Where one is too far off for nanoseconds.
fn of_one_type(arguments: &[Expr]) -> Result<Option<Vec<Expr>>> {
    let has_times = arguments.iter().any(|argument| {
        matches!(argument, Expr::Literal(value, _) if matches!(value.data_type(), DataType::Timestamp(..)))
    });
    if !has_times {
        return Ok(None);
    }
    let arguments = arguments.iter().map(|argument| match argument {
        Expr::Literal(value, metadata) => {
            in_nanoseconds(value).map(|value| Expr::Literal(value, metadata.clone()))
        }
        other => Ok(other.clone()),
    });
    arguments.collect::<Result<Vec<_>>>().map(Some)
}

/// Returns a time, or the begin of a date, in nanoseconds; every other value as it is.
fn in_nanoseconds(value: &ScalarValue) -> Result<ScalarValue> {
    let zone = match value.data_type() {
        DataType::Timestamp(_, zone) => zone,
        DataType::Date32 => None,
        _ => return Ok(value.clone()),
    };
    value.cast_to(&DataType::Timestamp(TimeUnit::Nanosecond, zone))
}
