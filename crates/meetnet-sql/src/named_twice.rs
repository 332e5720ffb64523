//! A physical optimizer rule: a filter stays above a join of which two columns have one name.
//!
//! `FilterExec: coalesce(b@1, b@4)` -> `FilterExec: coalesce(b (1)@1, b (4)@4)` where `b` is a column of both sides
//!
//! DataFusion 55.2 hands filters down from node to node, and finds their columns in the next one by their names. Where a join has
//! changed its sides, a projection puts them back in order, and of two columns `b` takes one for the other: `coalesce(x.b, y.b)`
//! was asked of `y` alone, before the join, and no error says so. A column is computed by its position, its name is only shown: one
//! that is nowhere else is handed down by nobody. What concerns one side has been moved there before, by the table it is of.
//!
//! That goes for every filter with such a join anywhere below it: names that are told apart again are handed down to where they
//! are not.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};

/// Keeps filters from being handed down by names that two columns have. It goes before the rule that hands them down.
#[derive(Debug)]
pub struct NamedTwice;

impl PhysicalOptimizerRule for NamedTwice {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let Some(filter) = node.downcast_ref::<FilterExec>() else {
                return Ok(Transformed::no(node));
            };
            // Further down, columns are called otherwise than here.
            let is_over_such = filter
                .input()
                .exists(|below| Ok(has_name_twice(&below.schema())))?;
            if !is_over_such {
                return Ok(Transformed::no(node));
            }
            let predicate = by_position(filter.predicate())?;
            if !predicate.transformed {
                return Ok(Transformed::no(node));
            }
            let filter = FilterExecBuilder::from(filter).with_predicate(predicate.data);
            let filter: Arc<dyn ExecutionPlan> = Arc::new(filter.build()?);
            Ok(Transformed::yes(filter))
        })
        .data()
    }

    fn name(&self) -> &str {
        "named_twice"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Returns true where two columns have one name.
fn has_name_twice(schema: &Schema) -> bool {
    let mut met = HashSet::new();
    let mut fields = schema.fields().iter();
    fields.any(|field| !met.insert(field.name().as_str()))
}

/// Returns a predicate whose columns have names that there are nowhere else.
fn by_position(predicate: &Arc<dyn PhysicalExpr>) -> Result<Transformed<Arc<dyn PhysicalExpr>>> {
    Arc::clone(predicate).transform_up(|part| {
        let Some(column) = part.downcast_ref::<Column>() else {
            return Ok(Transformed::no(part));
        };
        let (name, index) = (column.name(), column.index());
        let column = Column::new(&format!("{name} ({index})"), index);
        let column: Arc<dyn PhysicalExpr> = Arc::new(column);
        Ok(Transformed::yes(column))
    })
}
