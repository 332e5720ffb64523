//! A physical optimizer rule: a filter stays above a join of which two columns that it asks for have one name.
//!
//! `FilterExec: coalesce(b@1, b@4)` -> `FilterExec: coalesce(b (1)@1, b (4)@4)` where `b` is a column of both sides
//!
//! DataFusion 55.2 hands filters down from node to node, and finds their columns in the next one by their names. Where a join has
//! changed its sides, a projection puts them back in order, and of two columns `b` takes one for the other: `coalesce(x.b, y.b)`
//! was asked of `y` alone, before the join, and no error says so. A column is computed by its position, its name is only shown: one
//! that is nowhere else is handed down by nobody. What concerns one side has been moved there before, by the table it is of.

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
pub(crate) struct NamedTwice;

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
            let schema = filter.input().schema();
            let twice = names_twice(&schema);
            if twice.is_empty() {
                return Ok(Transformed::no(node));
            }
            let predicate = by_position(filter.predicate(), &twice)?;
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

/// Returns the names that more than one column has.
fn names_twice(schema: &Schema) -> HashSet<&str> {
    let mut met = HashSet::new();
    let names = schema.fields().iter().map(|field| field.name().as_str());
    names.filter(|name| !met.insert(*name)).collect()
}

/// Returns a predicate that has names of its own for columns with such a name.
fn by_position(
    predicate: &Arc<dyn PhysicalExpr>,
    twice: &HashSet<&str>,
) -> Result<Transformed<Arc<dyn PhysicalExpr>>> {
    Arc::clone(predicate).transform_up(|part| {
        let Some(column) = part.downcast_ref::<Column>() else {
            return Ok(Transformed::no(part));
        };
        if !twice.contains(column.name()) {
            return Ok(Transformed::no(part));
        }
        let (name, index) = (column.name(), column.index());
        let column: Arc<dyn PhysicalExpr> =
            Arc::new(Column::new(&format!("{name} ({index})"), index));
        Ok(Transformed::yes(column))
    })
}
