//! How far an answer reaches, and whether what it reads can still change: the plan decides.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan, Volatility};
use meetnet_lake::snapshot::TableSnapshot;
use meetnet_model::ids::Sequence;
use meetnet_model::licence::Rights;

use crate::catalog::SnapshotTables;
use crate::licences::add_rights;
use crate::planning::is_about_a_plan;
use crate::state::AnswerState;
use crate::table::MeetnetTable;

/// What an answer says about itself.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    /// The least of the tables it reads; of all visible ones where it reads none.
    pub(crate) through: Sequence,
    /// As `through`, µs since 1970 UTC.
    pub(crate) stable_time: i64,
    /// It reads datasets, all of them as of a time, and calls nothing that changes: asked again, it is the same.
    pub(crate) is_settled: bool,
    /// What may be done with the rows of the tables it reads.
    pub(crate) rights: Rights,
    /// The state of those tables, where the answer is a function of it.
    pub(crate) state: Option<AnswerState>,
}

impl Reach {
    pub(crate) fn of_plan(plan: &LogicalPlan, tables: &SnapshotTables) -> Self {
        let mut read: Vec<Arc<TableSnapshot>> = Vec::new();
        let mut is_as_of = true;
        let mut is_steady = !is_about_a_plan(plan);
        // Neither closure fails, so neither do the walks.
        let _ = plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node {
                match dataset(scan) {
                    Some((table, of_a_time)) => {
                        read.push(table);
                        is_as_of &= of_a_time;
                    }
                    // Functions make the same rows each time, of the same arguments; the information schema does not.
                    None => is_steady &= scan.table_name.schema().is_none(),
                }
            }
            node.apply_expressions(|expr| {
                expr.apply(|expr| {
                    is_steady &= !is_unsteady(expr);
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        });
        is_steady &= !tables.is_unsteady.load(Ordering::Relaxed);
        let is_settled = !read.is_empty() && is_steady && is_as_of;
        let state = (!read.is_empty() && is_steady)
            .then(|| AnswerState::of(&read, is_settled, &tables.prepared.marks));
        let mut rights = Rights::default();
        for table in &read {
            add_rights(&mut rights, table, tables.licences.as_ref());
        }
        if read.is_empty() {
            read = tables
                .visible()
                .map(|(_, table)| Arc::clone(table))
                .collect();
        }
        Self {
            through: read
                .iter()
                .map(|table| table.through)
                .min()
                .unwrap_or(Sequence::ZERO),
            stable_time: read
                .iter()
                .map(|table| table.stable_time)
                .min()
                .unwrap_or(0),
            is_settled,
            rights,
            state,
        }
    }
}

/// Returns the table that a scan reads, and whether it reads it as of a time; None for what is no dataset.
pub(crate) fn dataset(scan: &TableScan) -> Option<(Arc<TableSnapshot>, bool)> {
    let provider = source_as_provider(&scan.source).ok()?;
    let table = provider.downcast_ref::<MeetnetTable>()?;
    Some((Arc::clone(table.snapshot()), table.view().as_of.is_some()))
}

/// Returns true for a call such as `now()` or `random()`.
pub(crate) fn is_unsteady(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.func.signature().volatility != Volatility::Immutable)
}
