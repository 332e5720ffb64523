//! Calls of table functions that differ only in their arguments, told apart by name.
//!
//! DataFusion 55.2 compares scans by the names of their tables, which are those of the functions: `air_as_of(t1)` is
//! `air_as_of(t2)` to it. Of two subqueries that are equal it computes one, so that the number of rows now less that of a
//! month ago was 0.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{Result, TableReference};
use datafusion::logical_expr::logical_plan::{SubqueryAlias, TableScanBuilder};
use datafusion::logical_expr::{LogicalPlan, TableScan, TableSource};
use datafusion::optimizer::AnalyzerRule;

use crate::as_of::AS_OF_SUFFIX;
use crate::reach::dataset;

/// Calls the second and every further call of one function by a name of its own, under its old one.
#[derive(Debug)]
pub(crate) struct CallsApart;

impl AnalyzerRule for CallsApart {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let mut known: HashMap<TableReference, Vec<Arc<dyn TableSource>>> = HashMap::new();
        plan.transform_down_with_subqueries(|plan| {
            let LogicalPlan::TableScan(scan) = &plan else {
                return Ok(Transformed::no(plan));
            };
            if !is_call(scan) {
                return Ok(Transformed::no(plan));
            }
            let sources = known.entry(scan.table_name.clone()).or_default();
            let place = sources
                .iter()
                .position(|source| Arc::ptr_eq(source, &scan.source));
            // What is written once and used twice, as of WITH, is one call.
            let place = place.unwrap_or_else(|| {
                sources.push(Arc::clone(&scan.source));
                sources.len() - 1
            });
            if place == 0 {
                return Ok(Transformed::no(plan));
            }
            let name = format!("{} call {}", scan.table_name.table(), place + 1);
            let apart = TableScanBuilder::new(TableReference::bare(name), Arc::clone(&scan.source))
                .with_projection(scan.projection.clone())
                .with_filters(scan.filters.clone())
                .with_fetch(scan.fetch)
                .build()?;
            let apart = Arc::new(LogicalPlan::TableScan(apart));
            let named = SubqueryAlias::try_new(apart, scan.table_name.clone())?;
            Ok(Transformed::yes(LogicalPlan::SubqueryAlias(named)))
        })
        .data()
    }

    fn name(&self) -> &str {
        "calls_apart"
    }
}

/// Tells calls of functions from tables, which are what their names say; and from calls that have a name of their own.
fn is_call(scan: &TableScan) -> bool {
    let name = scan.table_name.table();
    match dataset(scan) {
        Some(_) => name.ends_with(AS_OF_SUFFIX),
        None => scan.table_name.schema().is_none() && !name.contains(' '),
    }
}
