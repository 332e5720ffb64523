//! A physical optimizer rule: a filter does not say of a column that it has one value unless that is what it asks for.
//!
//! `FilterExec: CAST(time AS Date32) = 2026-01-02` -> `FilterExec: true IS NOT NULL AND CAST(time AS Date32) = 2026-01-02`
//!
//! DataFusion 55.2 looks for the values that the columns of a filter can have, by computing backwards: of a day it makes its
//! midnight, of `value / 10 = 3` it makes 30. A column for which one value is left counts as constant and is dropped from every
//! order, and no error says so: the rows of a day would come in any order by time, and be ranked so. Casts, `/` and sums of
//! floats have many values with one result. It computes so only where it knows each part of a condition, and the part that is
//! put before one here it does not know. It is true, and costs a look at one value for each batch.
//!
//! Nothing else changes: conditions that compare columns with values are left alone, `CAST(…) = …` is still known to be constant
//! itself, and scans, which have their conditions before this rule is asked, skip the same files and pages.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, IsNotNullExpr, Literal, lit};
use datafusion::physical_expr::intervals::utils::check_support;
use datafusion::physical_expr::{PhysicalExpr, split_conjunction};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};

#[cfg(test)]
mod tests;

/// Keeps filters from taking columns for constant by what they compute of them. It goes before the first rule that asks which
/// columns are constant.
#[derive(Debug)]
pub struct CertainConstants;

impl PhysicalOptimizerRule for CertainConstants {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let Some(filter) = node.downcast_ref::<FilterExec>() else {
                return Ok(Transformed::no(node));
            };
            let schema = filter.input().schema();
            if !check_support(filter.predicate(), &schema)
                || only_compares(filter.predicate(), &schema)
            {
                return Ok(Transformed::no(node));
            }
            let predicate = not_computed_backwards(filter.predicate());
            let filter = FilterExecBuilder::from(filter).with_predicate(predicate);
            let filter: Arc<dyn ExecutionPlan> = Arc::new(filter.build()?);
            Ok(Transformed::yes(filter))
        })
        .data()
    }

    fn name(&self) -> &str {
        "certain_constants"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Returns true for conditions each of which compares columns and values as they are, of one type: a column of which these
/// leave one value has that value.
fn only_compares(predicate: &Arc<dyn PhysicalExpr>, schema: &Schema) -> bool {
    let is_plain = |side: &Arc<dyn PhysicalExpr>| {
        side.downcast_ref::<Column>().is_some() || side.downcast_ref::<Literal>().is_some()
    };
    split_conjunction(predicate).into_iter().all(|condition| {
        let Some(comparison) = condition.downcast_ref::<BinaryExpr>() else {
            return false;
        };
        let (left, right) = (comparison.left(), comparison.right());
        let types = [left, right].map(|side| side.data_type(schema).ok());
        is_plain(left) && is_plain(right) && types[0].is_some() && types[0] == types[1]
    })
}

/// Returns a predicate that is true of the same rows, and of which DataFusion does not compute the values of columns.
fn not_computed_backwards(predicate: &Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
    let unknown = Arc::new(IsNotNullExpr::new(lit(true)));
    Arc::new(BinaryExpr::new(
        unknown,
        Operator::And,
        Arc::clone(predicate),
    ))
}
