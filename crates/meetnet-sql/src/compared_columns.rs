//! Columns of a subquery that are compared with those of the query around it, under names that no other column there has.
//!
//! ```text
//! EXISTS (SELECT * FROM b JOIN c ON c.id = b.id WHERE c.name = around.name)
//! ─▶ EXISTS (SELECT b.*, c.* FROM (SELECT b.*, c.*, c.name AS __compared_1 FROM b JOIN c ON c.id = b.id)
//!            WHERE __compared_1 = around.name)
//! ```
//!
//! DataFusion 55.2 makes a join of such a subquery, puts all of its columns under the name of one table, and then knows those that
//! are compared by their own name alone: where `b` has a `name`, too, that was compared, and no error says so. Where what is
//! selected is called so (`SELECT max(time) AS name`), it refused the statement.

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, DFSchema, DFSchemaRef, Result};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::optimizer::AnalyzerRule;

/// Gives them such names. It goes behind all that makes subqueries.
#[derive(Debug)]
pub(crate) struct ComparedColumns;

impl AnalyzerRule for ComparedColumns {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let mut copies = 0;
        plan.transform_up_with_subqueries(|plan| match plan {
            // Without columns of the query around it, it compares none with those.
            LogicalPlan::Subquery(subquery) if !subquery.outer_ref_columns.is_empty() => {
                let rows = of_subquery(&subquery.subquery, &mut copies)?;
                Ok(match rows.transformed {
                    true => {
                        let subquery = subquery.with_plan(Arc::new(rows.data));
                        Transformed::yes(LogicalPlan::Subquery(subquery))
                    }
                    false => Transformed::no(LogicalPlan::Subquery(subquery)),
                })
            }
            plan => Ok(Transformed::no(plan)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "compared_columns"
    }
}

fn of_subquery(plan: &LogicalPlan, copies: &mut usize) -> Result<Transformed<LogicalPlan>> {
    let rows = below(plan.clone(), &mut Vec::new(), copies)?;
    match rows.transformed {
        // What lies above may have the copies among its columns.
        true => rows
            .data
            .transform_up(|plan| plan.recompute_schema().map(Transformed::yes)),
        false => Ok(rows),
    }
}

/// Rewrites the filters of a plan; `selected` are the columns of what is selected above it.
fn below(
    plan: LogicalPlan,
    selected: &mut Vec<DFSchemaRef>,
    copies: &mut usize,
) -> Result<Transformed<LogicalPlan>> {
    let selects = matches!(plan, LogicalPlan::Projection(_));
    if selects {
        selected.push(Arc::clone(plan.schema()));
    }
    let plan = plan.map_children(|input| below(input, selected, copies))?;
    if selects {
        selected.pop();
    }
    plan.transform_parent(|plan| match plan {
        LogicalPlan::Filter(filter) => of_filter(filter, selected, copies),
        plan => Ok(Transformed::no(plan)),
    })
}

/// Copies columns below a filter that compares them, and has other columns of their name beside them, or above it.
fn of_filter(
    filter: Filter,
    selected: &[DFSchemaRef],
    copies: &mut usize,
) -> Result<Transformed<LogicalPlan>> {
    let beside = Arc::clone(filter.input.schema());
    let mut copied: Vec<(Column, Column)> = Vec::new();
    let mut terms = Vec::new();
    for term in split_conjunction_owned(filter.predicate.clone()) {
        if !term.contains_outer() {
            terms.push(term);
            continue;
        }
        let term = term.transform_up(|part| {
            let Expr::Column(column) = &part else {
                return Ok(Transformed::no(part));
            };
            if !has_namesake(column, &beside, selected) {
                return Ok(Transformed::no(part));
            }
            let known = copied.iter().find(|(of, _)| of == column);
            let copy = match known {
                Some((_, copy)) => copy.clone(),
                None => {
                    *copies += 1;
                    let copy = Column::new_unqualified(format!("__compared_{copies}"));
                    copied.push((column.clone(), copy.clone()));
                    copy
                }
            };
            Ok(Transformed::yes(Expr::Column(copy)))
        });
        terms.push(term.data()?);
    }
    if copied.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    let mut columns: Vec<Expr> = beside.columns().into_iter().map(Expr::Column).collect();
    let copied = copied.into_iter();
    columns.extend(copied.map(|(column, copy)| Expr::Column(column).alias(copy.name)));
    let rows = LogicalPlanBuilder::from(filter.input.as_ref().clone()).project(columns)?;
    let predicate = conjunction(terms).unwrap_or_else(|| lit(true));
    let filter = Filter::try_new(predicate, Arc::new(rows.build()?))?;
    Ok(Transformed::yes(LogicalPlan::Filter(filter)))
}

/// Returns true where another column, beside this one or among those that are selected, has its name.
fn has_namesake(column: &Column, beside: &DFSchema, selected: &[DFSchemaRef]) -> bool {
    let is_called_so = |field: &FieldRef| *field.name() == column.name;
    let beside = beside.fields().iter();
    let mut selected = selected.iter().flat_map(|schema| schema.iter());
    beside.filter(|field| is_called_so(field)).count() > 1
        || selected
            .any(|(qualifier, field)| is_called_so(field) && qualifier != column.relation.as_ref())
}
