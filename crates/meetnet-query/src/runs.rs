//! A physical optimizer rule: groups of rows that lie side by side.
//!
//! Files are sorted by the key of their dataset, so that the readings of a sensor, of a property, of an hour lie side by
//! side. DataFusion looks the group of every row up in a hash table, sorted or not. [`RunAggregateExec`] does so once per
//! run of equal rows. It takes the place of the first step of a grouping, right above the files; the second step, which
//! joins the groups of all partitions and can spill, stays DataFusion's.

mod exec;
mod groups;

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, InputOrderMode, Partitioning};

use exec::RunAggregateExec;

/// Groups runs of rows instead of rows where these come from sorted files.
#[derive(Debug)]
pub(crate) struct GroupedRuns;

impl PhysicalOptimizerRule for GroupedRuns {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let grouped = match node.downcast_ref::<AggregateExec>() {
                Some(aggregate) if takes_runs(aggregate) => grouped_runs(aggregate)?,
                _ => None,
            };
            Ok(grouped.map_or_else(|| Transformed::no(node), Transformed::yes))
        })
        .data()
    }

    fn name(&self) -> &str {
        "grouped_runs"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Returns true for a grouping that [`RunAggregateExec`] can do: of one set of keys, whose output has no order that
/// somebody may rely on, and whose functions keep the state of all groups in one place.
fn takes_runs(aggregate: &AggregateExec) -> bool {
    let group_by = aggregate.group_expr();
    !group_by.is_empty()
        && group_by.is_single()
        && group_by.groups().len() == 1
        && aggregate.limit_options().is_none()
        && *aggregate.input_order_mode() == InputOrderMode::Linear
        && aggregate
            .aggr_expr()
            .iter()
            .all(|function| function.groups_accumulator_supported())
        && is_from_files(aggregate.input().as_ref())
}

fn grouped_runs(aggregate: &AggregateExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    match aggregate.mode() {
        AggregateMode::Partial => {
            let grouped = RunAggregateExec::new(Arc::new(aggregate.clone()));
            Ok(Some(Arc::new(grouped)))
        }
        // One step for one partition becomes two: the second one can spill.
        AggregateMode::Single => {
            let partial = AggregateExec::try_new(
                AggregateMode::Partial,
                aggregate.group_expr().clone(),
                aggregate.aggr_expr().to_vec(),
                aggregate.filter_expr().to_vec(),
                Arc::clone(aggregate.input()),
                aggregate.input_schema(),
            )?;
            let grouped = RunAggregateExec::new(Arc::new(partial));
            let whole = AggregateExec::try_new(
                AggregateMode::Final,
                aggregate.group_expr().as_final(),
                aggregate.aggr_expr().to_vec(),
                vec![None; aggregate.aggr_expr().len()],
                Arc::new(grouped),
                aggregate.input_schema(),
            )?;
            Ok((whole.schema() == aggregate.schema())
                .then(|| Arc::new(whole) as Arc<dyn ExecutionPlan>))
        }
        _ => Ok(None),
    }
}

/// Returns true where rows come as files hold them.
fn is_from_files(plan: &dyn ExecutionPlan) -> bool {
    if plan.downcast_ref::<DataSourceExec>().is_some() {
        return true;
    }
    let keeps_rows_together = plan.downcast_ref::<FilterExec>().is_some()
        || plan.downcast_ref::<ProjectionExec>().is_some()
        || plan.downcast_ref::<CooperativeExec>().is_some()
        || plan.downcast_ref::<CoalescePartitionsExec>().is_some()
        || plan.downcast_ref::<UnionExec>().is_some()
        || plan
            .downcast_ref::<RepartitionExec>()
            .is_some_and(|spread| {
                matches!(spread.partitioning(), Partitioning::RoundRobinBatch(_))
            });
    keeps_rows_together
        && plan
            .children()
            .into_iter()
            .any(|child| is_from_files(child.as_ref()))
}

#[cfg(test)]
mod tests;
