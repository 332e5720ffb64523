//! Inputs of a UNION, whose columns are called what those of the first one are.
//!
//! ```text
//! SELECT x FROM a WHERE … UNION ALL SELECT y FROM b  ─▶  SELECT x FROM a WHERE … UNION ALL SELECT y AS x FROM b
//! ```
//!
//! Where all other inputs have no rows, and DataFusion 55.2 knows it before it reads any (`WHERE x IS NOT NULL` of a NULL), the last
//! one took the place of the UNION: there was no column `x` then, or an internal error.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Union};
use datafusion::optimizer::AnalyzerRule;

/// Calls them so.
#[derive(Debug)]
pub(crate) struct UnionNames;

impl AnalyzerRule for UnionNames {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Union(union) => of_union(union),
            plan => Ok(Transformed::no(plan)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "union_names"
    }
}

fn of_union(union: Union) -> Result<Transformed<LogicalPlan>> {
    let Union { inputs, schema } = union;
    let mut is_other = false;
    let mut called = Vec::with_capacity(inputs.len());
    for input in inputs {
        if are_called_alike(input.schema(), &schema) {
            called.push(input);
            continue;
        }
        is_other = true;
        let columns = input.schema().iter().zip(schema.fields());
        let columns = columns.map(|((qualifier, field), wanted)| {
            Expr::Column(Column::from((qualifier, field))).alias(wanted.name())
        });
        let columns: Vec<Expr> = columns.collect();
        let plan = LogicalPlanBuilder::from(input.as_ref().clone()).project(columns)?;
        called.push(Arc::new(plan.build()?));
    }
    let inputs = called;
    let union = LogicalPlan::Union(Union { inputs, schema });
    Ok(match is_other {
        true => Transformed::yes(union),
        false => Transformed::no(union),
    })
}

/// Returns true where columns have one name at each position, of whichever table they are.
fn are_called_alike(input: &DFSchema, union: &DFSchema) -> bool {
    let mut pairs = input.fields().iter().zip(union.fields());
    pairs.all(|(field, wanted)| field.name() == wanted.name())
}
