//! A physical optimizer rule: a scan that filters while it decodes looks at times first, once.
//!
//! Files are sorted by series and then by time, so that some hours of all series are a few rows of each page that is read,
//! side by side. DataFusion asks conditions in the order in which they are written, each of the rows that those before have
//! left, and decodes for each the column that it compares. Texts are the dearest to decode, times the cheapest to ask, and
//! two bounds of a time would decode it twice.
//!
//! Only bounds of times are moved: they cannot fail, so that a condition that guards another one still comes before it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::datasource::physical_plan::{FileSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, IsNullExpr, Literal};
use datafusion::physical_expr::{PhysicalExpr, conjunction, split_conjunction};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use meetnet_model::common::{RECEIVED_AT, RECORDED_AT, SUPERSEDED_AT};

/// Times whose pages are large, and of which a page has many of each value: a condition of theirs stays where it is.
const TIMES_OF_PROCESSING: [&str; 3] = [RECEIVED_AT, RECORDED_AT, SUPERSEDED_AT];

/// Puts the bounds of times before the other conditions of scans that filter.
#[derive(Debug)]
pub(crate) struct TimesFirst;

impl PhysicalOptimizerRule for TimesFirst {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let ordered = node
                .downcast_ref::<DataSourceExec>()
                .and_then(with_times_first);
            Ok(ordered.map_or_else(|| Transformed::no(node), Transformed::yes))
        })
        .data()
    }

    fn name(&self) -> &str {
        "times_first"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Returns a scan that asks for times first; None where it does not filter, or asks for nothing else.
fn with_times_first(scan: &DataSourceExec) -> Option<Arc<dyn ExecutionPlan>> {
    let (config, source) = scan.downcast_to_file_source::<ParquetSource>()?;
    if !source.table_parquet_options().global.pushdown_filters {
        return None;
    }
    let schema = source.table_schema().table_schema();
    let predicate = times_first(&source.filter()?, schema)?;
    let mut config = config.clone();
    config.file_source = Arc::new(source.with_predicate(predicate));
    Some(DataSourceExec::from_data_source(config))
}

/// Returns a predicate whose bounds of times come first, as one condition for each column; None where it has one condition
/// only, or none of times. `schema` is that of the table.
fn times_first(
    predicate: &Arc<dyn PhysicalExpr>,
    schema: &Schema,
) -> Option<Arc<dyn PhysicalExpr>> {
    let conditions = split_conjunction(predicate);
    if conditions.len() < 2 {
        return None;
    }
    let mut bounds = BTreeMap::<usize, Vec<Arc<dyn PhysicalExpr>>>::new();
    let mut others = Vec::new();
    for condition in conditions {
        match bounded_time(condition, schema) {
            Some(column) => bounds
                .entry(column)
                .or_default()
                .push(Arc::clone(condition)),
            None => others.push(Arc::clone(condition)),
        }
    }
    if bounds.is_empty() {
        return None;
    }
    let of_times = bounds
        .into_iter()
        .map(|(column, bounds)| as_one(column, bounds, schema));
    Some(conjunction(of_times.chain(others)))
}

/// Returns the position of the column of times that a condition bounds; None for other conditions, and where a row may have
/// no time.
fn bounded_time(condition: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Option<usize> {
    let comparison = condition.downcast_ref::<BinaryExpr>()?;
    if !matches!(
        comparison.op(),
        Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
    ) {
        return None;
    }
    let (left, right) = (comparison.left(), comparison.right());
    let is_value = |expr: &Arc<dyn PhysicalExpr>| expr.downcast_ref::<Literal>().is_some();
    let column = match (is_value(left), is_value(right)) {
        (false, true) => left.downcast_ref::<Column>(),
        (true, false) => right.downcast_ref::<Column>(),
        _ => None,
    }?;
    let field = schema.fields().get(column.index())?;
    let is_of_rows = matches!(field.data_type(), DataType::Timestamp(..))
        && field.name() == column.name()
        && !field.is_nullable()
        && !TIMES_OF_PROCESSING.contains(&column.name());
    is_of_rows.then(|| column.index())
}

/// Returns the bounds of one column as one condition. DataFusion takes AND apart, and decodes the column for each part; OR it
/// leaves alone, prunes by it just as well, and no row of these has no time.
fn as_one(
    column: usize,
    bounds: Vec<Arc<dyn PhysicalExpr>>,
    schema: &Schema,
) -> Arc<dyn PhysicalExpr> {
    let is_range = bounds.len() > 1;
    let bounds = conjunction(bounds);
    if !is_range {
        return bounds;
    }
    let time = Arc::new(Column::new(schema.field(column).name(), column));
    let never = Arc::new(IsNullExpr::new(time));
    Arc::new(BinaryExpr::new(bounds, Operator::Or, never))
}

#[cfg(test)]
mod tests;
