//! A physical optimizer rule: what has one value beside an outer join may be NULL above it.
//!
//! `a LEFT JOIN (SELECT 7 AS flag, id FROM b) AS b ON …`: `flag` is 7 in all rows of `b`, and NULL where `a` has no match
//!
//! DataFusion 55.2 says of the rows of an outer join what it knows of those of its sides. A column that one side has only one value
//! of counts as constant and is dropped from every order, and no error says so: `ORDER BY flag` sorted nothing, and
//! `rank() OVER (ORDER BY flag NULLS FIRST)` gave the first rank to a 7. So nothing of the kind is known of a side that NULL may
//! stand for; a side of which it is not known stays as it is.

use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::{
    ExecutionPlan, ExecutionPlanProperties, replace_children_if_necessary,
};

use crate::each_batch::EachBatchExec;

/// Keeps outer joins from taking columns for constant that may be NULL. It goes before the first rule that asks which columns are
/// constant.
#[derive(Debug)]
pub(crate) struct OuterConstants;

impl PhysicalOptimizerRule for OuterConstants {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let may_be_null = match join_type(node.as_ref()) {
                Some(JoinType::Left) => [false, true],
                Some(JoinType::Right) => [true, false],
                Some(JoinType::Full) => [true, true],
                _ => return Ok(Transformed::no(node)),
            };
            let sides = node.children().into_iter().zip(may_be_null);
            let sides = sides.map(|(side, may_be_null)| -> Arc<dyn ExecutionPlan> {
                let side = Arc::clone(side);
                if may_be_null && !side.equivalence_properties().constants().is_empty() {
                    return Arc::new(EachBatchExec::without_constants(side));
                }
                side
            });
            let sides = sides.collect();
            replace_children_if_necessary(node, sides).map(Transformed::yes)
        })
        .data()
    }

    fn name(&self) -> &str {
        "outer_constants"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Returns of which type a join is; None for what is no join.
fn join_type(node: &dyn ExecutionPlan) -> Option<JoinType> {
    if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        return Some(*join.join_type());
    }
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        return Some(*join.join_type());
    }
    let join = node.downcast_ref::<SortMergeJoinExec>()?;
    Some(join.join_type())
}
