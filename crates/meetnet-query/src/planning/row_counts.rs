//! How many rows LIMIT and OFFSET mean where that is no whole number.
//!
//! | written | planned |
//! |---|---|
//! | `LIMIT '5'` | `LIMIT 5`: a text that is written there, or stands for a placeholder |
//! | `LIMIT 2.5`, `LIMIT 10 * 0.24` | `LIMIT 3`, `LIMIT 2`, as PostgreSQL rounds |
//!
//! DataFusion 55.2 takes whole numbers and NULL alone, and knows no subquery there once everything else has been planned.

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, ExprSchemable, Limit, LogicalPlan, lit};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

use crate::encode::type_name;
use crate::error::{QueryError, QueryErrorKind, StatementFault, of_row_count};

/// Makes whole numbers of what LIMIT and OFFSET say. It goes before the rule that makes types equal.
#[derive(Debug)]
pub(crate) struct RowCounts;

impl AnalyzerRule for RowCounts {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let counted = plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Limit(Limit { skip, fetch, input }) => {
                let limit = Limit {
                    skip: of_clause(skip, "OFFSET")?,
                    fetch: of_clause(fetch, "LIMIT")?,
                    input,
                };
                Ok(Transformed::yes(LogicalPlan::Limit(limit)))
            }
            plan => Ok(Transformed::no(plan)),
        });
        counted.data()
    }

    fn name(&self) -> &str {
        "row_counts"
    }
}

fn of_clause(count: Option<Box<Expr>>, clause: &str) -> Result<Option<Box<Expr>>> {
    let count = count.map(|count| row_count(*count, clause));
    Ok(count.transpose()?.map(Box::new))
}

/// Returns what says how many rows a clause means: a whole number, or what is planned as one.
///
/// # Errors
/// Where it is none.
fn row_count(count: Expr, clause: &str) -> Result<Expr> {
    let is_subquery = |expr: &Expr| {
        Ok(matches!(
            expr,
            Expr::ScalarSubquery(_)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
        ))
    };
    if count.exists(is_subquery)? {
        let compared = match clause {
            "OFFSET" => ">",
            _ => "<=",
        };
        return Err(QueryError::not_supported(format!(
            "a subquery in {clause}; ask for its value first, or number the rows, row_number() OVER (ORDER BY x) AS place, and write \
             QUALIFY place {compared} (SELECT …)"
        ))
        .into());
    }
    let data_type = match count.get_type(&DFSchema::empty()) {
        Ok(data_type) if data_type.is_integer() || data_type.is_null() => return Ok(count),
        Ok(data_type) => data_type,
        // What is wrong with it is said when types are made equal.
        Err(_) => return Ok(count),
    };
    // A text that is computed, or cast to one, is a text.
    let is_literal = matches!(count, Expr::Literal(..));
    let is_number = data_type.is_numeric() || (data_type.is_string() && is_literal);
    if !is_number {
        let message = format!(
            "{clause} takes a number of rows, and got {}",
            type_name(&data_type)
        );
        return Err(QueryError::new(QueryErrorKind::BadRequest, message).into());
    }
    let rows = match constant(count)? {
        Expr::Literal(value, _) if data_type.is_string() => value.cast_to(&DataType::Int64)?,
        Expr::Literal(value, _) => rounded(&value)?,
        _ => return Err(of_row_count(clause).into()),
    };
    Ok(lit(rows))
}

/// Computes an expression, where that can be done before the statement runs.
fn constant(expr: Expr) -> Result<Expr> {
    let simplifier = ExprSimplifier::new(SimplifyContext::builder().build());
    simplifier.simplify(simplifier.coerce(expr, &DFSchema::empty())?)
}

/// Returns the whole number next to a number, of a half the one further from zero.
///
/// # Errors
/// Where that does not fit.
fn rounded(number: &ScalarValue) -> Result<ScalarValue> {
    let rows = match number.cast_to(&DataType::Float64)? {
        ScalarValue::Float64(Some(rows)) => rows.round(),
        _ => return Ok(ScalarValue::Int64(None)),
    };
    // The first number that is too large; NaN is not below it.
    if rows.abs() < i64::MAX as f64 {
        return Ok(ScalarValue::Int64(Some(rows as i64)));
    }
    let message = format!("out of range: {rows:e} is no number of rows");
    Err(QueryError::of_statement(StatementFault::OutOfRange, message).into())
}
