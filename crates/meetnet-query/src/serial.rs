//! Whether a query is so small that one thread answers it with less work than several would.
//!
//! Two threads that share a file both open it, and hand each other what they have grouped and sorted: for some ten thousand rows
//! that costs more than a tenth of the work, of which a server with many clients has nothing.

use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{LogicalPlan, TableScan};

use crate::table::MeetnetTable;

/// Returns true for an optimized plan that reads at most about `rows_max` rows, all of datasets, and makes no more of them.
pub(crate) fn reads_little(plan: &LogicalPlan, rows_max: usize) -> bool {
    let mut rows = Some(0_usize);
    // The closure never fails, so neither does the walk.
    let _ = plan.apply_with_subqueries(|node| {
        rows = match node {
            LogicalPlan::TableScan(scan) => rows
                .zip(rows_to_read(scan))
                .map(|(rows, more)| rows.saturating_add(more)),
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Distinct(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_) => rows,
            _ => None,
        };
        Ok(match rows {
            Some(rows) if rows <= rows_max => TreeNodeRecursion::Continue,
            _ => TreeNodeRecursion::Stop,
        })
    });
    rows.is_some_and(|rows| rows <= rows_max)
}

/// Returns about how many rows a scan reads; None for what is no dataset.
fn rows_to_read(scan: &TableScan) -> Option<usize> {
    let provider = source_as_provider(&scan.source).ok()?;
    let table = provider.downcast_ref::<MeetnetTable>()?;
    Some(table.rows_to_read(&scan.filters))
}

#[cfg(test)]
mod tests;
