//! Join conditions that end where nobody waits for the answer any more.
//!
//! A nested loop join looks at every row of one side for every batch of the other, and comes back to the scheduler with rows
//! only: where the condition meets nothing that is half a minute, in which neither a timeout nor a client that left is
//! noticed. The condition itself is asked once for each row of one side, so it looks at the flag.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{NestedLoopJoinExec, NestedLoopJoinExecBuilder};

use crate::stop::StopFlag;

/// Makes the condition of a nested loop join look at the flag of its query; other nodes stay as they are.
///
/// # Errors
/// Where the join cannot be made anew.
pub(crate) fn stopping(
    node: Arc<dyn ExecutionPlan>,
    config: &ConfigOptions,
) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let flag = config.extensions.get::<StopFlag>();
    let join = node.downcast_ref::<NestedLoopJoinExec>();
    let (Some(flag), Some(join)) = (flag, join) else {
        return Ok(Transformed::no(node));
    };
    let Some(filter) = join.filter() else {
        return Ok(Transformed::no(node));
    };
    let condition: Arc<dyn PhysicalExpr> = Arc::new(Stopping {
        inner: Arc::clone(filter.expression()),
        flag: flag.clone(),
    });
    let filter = JoinFilter::new(
        condition,
        filter.column_indices().to_vec(),
        Arc::clone(filter.schema()),
    );
    let (left, right) = (Arc::clone(join.left()), Arc::clone(join.right()));
    let join = NestedLoopJoinExecBuilder::new(left, right, *join.join_type())
        .with_filter(Some(filter))
        .with_projection_ref(join.projection().clone())
        .build()?;
    Ok(Transformed::yes(Arc::new(join)))
}

/// An expression that is evaluated while somebody waits.
#[derive(Debug)]
struct Stopping {
    inner: Arc<dyn PhysicalExpr>,
    flag: StopFlag,
}

impl PartialEq for Stopping {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for Stopping {}

impl Hash for Stopping {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl fmt::Display for Stopping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner)
    }
}

impl PhysicalExpr for Stopping {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.inner.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.inner.nullable(schema)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.inner.return_field(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.flag.check_raised()?;
        self.inner.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self {
            inner: children.swap_remove(0),
            flag: self.flag.clone(),
        }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}
