//! Whether a query can use the key order of the files.
//!
//! Keeping it costs: files that overlap cannot share a group, one group is one task and one open file, and idle tasks
//! may not take files from busy ones. A count does not pay for what only a sort or a window needs, so the service
//! looks for those in the plan and tells the scans. What has been grouped is few rows in an order of its own: a sort or
//! window above wants none of the files'.
//!
//! A sort of which only the first rows are wanted keeps them in a heap, whatever the order of what comes in. It also may
//! not rely on the order: with a fetch on ordered inputs DataFusion 55.2 left rows out of the merge of files and hot
//! rows, which the tests of pages have seen.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Names of the columns that the query wants ascending somewhere.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct WantedOrder {
    columns: BTreeSet<String>,
}

impl WantedOrder {
    /// Returns what the sorts and windows of a plan, subqueries included, want.
    pub(crate) fn of_plan(plan: &LogicalPlan) -> Self {
        let mut columns = BTreeSet::new();
        let mut has_limit = false;
        let mut want = |expr: &Expr| {
            if let Expr::Column(column) = expr {
                columns.insert(column.name.clone());
            }
        };
        // The closure never fails, so neither does the walk.
        let _ = plan.apply_with_subqueries(|node| {
            match node {
                LogicalPlan::Limit(_) => has_limit = true,
                LogicalPlan::Sort(sort) if passes_rows(&sort.input) => {
                    sort.expr
                        .iter()
                        .filter(|sort| sort.asc)
                        .for_each(|sort| want(&sort.expr));
                }
                LogicalPlan::Window(window) if passes_rows(&window.input) => {
                    for expr in &window.window_expr {
                        let _ = expr.apply(|expr| {
                            if let Expr::WindowFunction(function) = expr {
                                function.params.partition_by.iter().for_each(&mut want);
                                function
                                    .params
                                    .order_by
                                    .iter()
                                    .filter(|sort| sort.asc)
                                    .for_each(|sort| want(&sort.expr));
                            }
                            Ok(TreeNodeRecursion::Continue)
                        });
                    }
                }
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        });
        if has_limit {
            columns.clear();
        }
        Self { columns }
    }

    /// Returns what the service has told the scans of this session.
    pub(crate) fn of(session: &dyn Session) -> Option<Arc<Self>> {
        session.config().get_extension::<Self>()
    }

    /// Returns true where files sorted by `key` may save a sort: its first column is wanted, or a later one while
    /// filters may fix those before it.
    pub(crate) fn helps(&self, key: &[String], filters: &[Expr]) -> bool {
        let wanted = |name: &String| self.columns.contains(name);
        key.first().is_some_and(wanted) || (!filters.is_empty() && key.iter().any(wanted))
    }
}

/// Returns true where rows of a table come out of a plan as they are.
fn passes_rows(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_) => false,
        LogicalPlan::TableScan(_) => true,
        _ => plan.inputs().into_iter().any(passes_rows),
    }
}
