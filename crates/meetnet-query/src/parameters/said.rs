//! Placeholders of which the statement says what they are where they stand: `$1::date`, `LIMIT $1`.
//!
//! DataFusion says nothing about their types. Drivers that send values in binary, such as asyncpg and pgx, make them of the type that
//! they are told, and refuse an integer where that is a text.

use std::collections::{HashMap, HashSet};

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Cast, TryCast};
use datafusion::logical_expr::{Expr, LogicalPlan};
use meetnet_sql::AT_TIME_ZONE;

use super::name_of;

/// Returns the types that placeholders are cast to, by their names without `$`, and those of LIMIT, OFFSET and AT TIME ZONE. One
/// that is cast to several types has none, nor has a number of decimal digits that is used as something else elsewhere.
pub(crate) fn said_types(plan: &LogicalPlan) -> Result<HashMap<String, DataType>> {
    let mut said: HashMap<String, HashSet<DataType>> = HashMap::new();
    let mut used_otherwise = HashSet::new();
    let mut note = |expr: &Expr, data_type: &DataType| {
        if let Expr::Placeholder(placeholder) = expr
            && is_of_no_type(expr)
        {
            let types = said.entry(name_of(placeholder)).or_default();
            types.insert(data_type.clone());
        }
    };
    plan.apply_with_subqueries(|node| {
        let is_limit = matches!(node, LogicalPlan::Limit(_));
        node.apply_expressions(|expr| {
            if is_limit {
                note(expr, &DataType::Int64);
            }
            expr.apply(|expr| {
                match expr {
                    Expr::Cast(Cast { expr: of, field })
                    | Expr::TryCast(TryCast { expr: of, field })
                        if is_of_no_type(of) =>
                    {
                        note(of.as_ref(), field.data_type());
                        return Ok(TreeNodeRecursion::Jump);
                    }
                    // As PostgreSQL takes them where nobody says more.
                    Expr::ScalarFunction(call) if call.name() == AT_TIME_ZONE => {
                        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
                        for (argument, data_type) in call.args.iter().zip([utc, DataType::Utf8]) {
                            note(argument, &data_type);
                        }
                    }
                    // Which is asked of values of every type.
                    Expr::IsNull(of) | Expr::IsNotNull(of) if is_of_no_type(of) => {
                        return Ok(TreeNodeRecursion::Jump);
                    }
                    Expr::Placeholder(placeholder) => {
                        used_otherwise.insert(name_of(placeholder));
                    }
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    let only = said.into_iter().filter_map(|(name, types)| {
        let mut types = types.into_iter();
        let only = types.next().filter(|_| types.next().is_none())?;
        let is_unsure = only.is_decimal() && used_otherwise.contains(&name);
        (!only.is_nested() && !is_unsure).then_some((name, only))
    });
    Ok(only.collect())
}

/// Returns true for a placeholder of which its place says nothing.
fn is_of_no_type(expr: &Expr) -> bool {
    matches!(expr, Expr::Placeholder(placeholder) if placeholder.field.is_none())
}
