//! What `DESCRIBE` answers of a table: its columns, with types in the words of answers.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::Field;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::Result;
use datafusion::logical_expr::DescribeTable;
use datafusion::physical_plan::ExecutionPlan;

use crate::encode::type_name;

/// Plans the answer to `DESCRIBE`: a row per column with its name, its type and whether it may have no value. DataFusion's own
/// has the types of Arrow, `Timestamp(µs, "UTC")`, which nothing else that is answered has.
pub(crate) fn described_columns(table: &DescribeTable) -> Result<Arc<dyn ExecutionPlan>> {
    let texts = |of: fn(&Field) -> String| -> ArrayRef {
        let fields = table.schema.fields().iter();
        Arc::new(StringArray::from_iter_values(fields.map(|field| of(field))))
    };
    let nullable = |field: &Field| match field.is_nullable() {
        true => "YES".to_owned(),
        false => "NO".to_owned(),
    };
    let columns = vec![
        texts(|field| field.name().clone()),
        texts(|field| type_name(field.data_type())),
        texts(nullable),
    ];
    let schema = Arc::clone(table.output_schema.inner());
    let rows = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    let plan = MemorySourceConfig::try_new_exec(&[vec![rows]], schema, None)?;
    Ok(plan)
}
