//! Subqueries that are a value and may have no row: NULL then, also of a column that is never NULL.
//!
//! `(SELECT quality FROM air WHERE …)` -> `(SELECT nullable(quality) FROM air WHERE …)`
//!
//! DataFusion 55.2 takes such a value for one that is NULL where its column can be: `(SELECT …) IS NULL` was false whatever there
//! was, `coalesce` never answered what stands second, and a bare NULL was an error of the answer.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, DFSchema, Result, TableReference};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Subquery, Union, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use crate::rewrite;

/// Says of such a value that it may be NULL.
#[derive(Debug)]
pub(crate) struct EmptySubqueries {
    nullable: Arc<ScalarUDF>,
}

impl EmptySubqueries {
    pub(crate) fn new() -> Self {
        let nullable = Nullable {
            // Of a constant it would be computed while a statement is planned, and be never NULL again.
            signature: Signature::any(1, Volatility::Volatile),
        };
        Self {
            nullable: Arc::new(ScalarUDF::new_from_impl(nullable)),
        }
    }

    /// Returns the subquery with a column that can be NULL.
    fn nullable(&self, subquery: &Subquery) -> Result<Subquery> {
        let plan = subquery.subquery.as_ref();
        let (qualifier, field) = plan.schema().qualified_field(0);
        let column = Expr::Column(Column::from((qualifier, field)));
        let value = self.nullable.call(vec![column]).alias(field.name());
        let plan = LogicalPlanBuilder::from(plan.clone()).project([value])?;
        Ok(subquery.with_plan(Arc::new(plan.build()?)))
    }

    fn of_expr(&self, expr: Expr) -> Result<Transformed<Expr>> {
        expr.transform_up(|part| match &part {
            Expr::ScalarSubquery(subquery) if may_be_empty(subquery) => {
                let nullable = self.nullable(subquery)?;
                Ok(Transformed::yes(Expr::ScalarSubquery(nullable)))
            }
            _ => Ok(Transformed::no(part)),
        })
    }
}

impl AnalyzerRule for EmptySubqueries {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let is_wanted = |expr: &Expr| match expr {
            Expr::ScalarSubquery(subquery) => may_be_empty(subquery),
            _ => false,
        };
        let of_expr = |expr: Expr, _: &DFSchema| self.of_expr(expr);
        let nullable =
            plan.transform_up_with_subqueries(|plan| rewrite::of_plan(plan, &is_wanted, &of_expr))?;
        if !nullable.transformed {
            return Ok(nullable.data);
        }
        // What is made of such a value may be NULL as well, all the way up.
        nullable
            .data
            .transform_up_with_subqueries(|plan| with_nulls_of_inputs(plan).map(Transformed::yes))
            .data()
    }

    fn name(&self) -> &str {
        "empty_subqueries"
    }
}

/// Returns a plan whose columns can be NULL where those of its inputs can be.
fn with_nulls_of_inputs(plan: LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        // DataFusion keeps the schema of a UNION that has as many columns as before.
        LogicalPlan::Union(Union { inputs, schema }) => {
            let columns = schema.iter().enumerate().map(|(at, (qualifier, field))| {
                let is_nullable = |input: &Arc<LogicalPlan>| {
                    let field = input.schema().fields().get(at);
                    field.is_some_and(|field| field.is_nullable())
                };
                let is_nullable = field.is_nullable() || inputs.iter().any(is_nullable);
                let field = Field::clone(field).with_nullable(is_nullable);
                (qualifier.cloned(), Arc::new(field))
            });
            let columns: Vec<(Option<TableReference>, FieldRef)> = columns.collect();
            let schema = DFSchema::new_with_metadata(columns, schema.metadata().clone())?;
            Ok(LogicalPlan::Union(Union {
                inputs,
                schema: Arc::new(schema),
            }))
        }
        plan => plan.recompute_schema(),
    }
}

/// Returns true for a subquery that may have no row, and says of its column that it is never NULL. One with columns of the query
/// around it becomes a join, which knows.
fn may_be_empty(subquery: &Subquery) -> bool {
    let is_never_null = match &subquery.subquery.schema().fields()[..] {
        [field] => !field.is_nullable(),
        _ => false,
    };
    is_never_null && subquery.outer_ref_columns.is_empty() && !has_a_row(&subquery.subquery)
}

/// Returns true for what always has a row.
fn has_a_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => has_a_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => has_a_row(&alias.input),
        LogicalPlan::Sort(sort) => sort.fetch != Some(0) && has_a_row(&sort.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(relation) => relation.produce_one_row,
        _ => false,
    }
}

/// Hands on what it is given, which may be NULL. No statement can call it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Nullable {
    signature: Signature,
}

impl ScalarUDFImpl for Nullable {
    fn name(&self) -> &str {
        "nullable"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        types.first().cloned().ok_or_else(uncalled)
    }

    /// As what it is given, with its unit.
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [of] = args.arg_fields else {
            return Err(uncalled());
        };
        let field = Field::new(self.name(), of.data_type().clone(), true);
        Ok(Arc::new(field.with_metadata(of.metadata().clone())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        args.args.into_iter().next().ok_or_else(uncalled)
    }
}

/// The error of a call that no plan makes.
fn uncalled() -> DataFusionError {
    DataFusionError::Plan("`nullable` takes one argument".to_owned())
}
