//! Unions of whole numbers of which some are never negative, as signed ones.
//!
//! `SELECT row_number() OVER … UNION ALL SELECT -1` -> `SELECT CAST(row_number() OVER … AS BIGINT) UNION ALL SELECT -1`
//!
//! DataFusion 55.2 makes decimal numbers of both, since a 64-bit number without a sign may be larger than one with it; a rank never is.
//! It also goes by the types that a union was planned with, so that `row_number() OVER … UNION ALL SELECT -row_number() OVER …` were
//! decimal numbers though both sides are signed by then. So the types below a union are found anew before they are made equal.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, Union, cast};
use datafusion::optimizer::AnalyzerRule;

use crate::rewrite;

/// Makes such unions signed. It goes before the rule that makes types equal.
#[derive(Debug)]
pub(crate) struct WholeNumberUnions;

impl AnalyzerRule for WholeNumberUnions {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        if !may_concern(&plan)? {
            return Ok(plan);
        }
        let signed = plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Union(union) => of_union(union),
            plan => plan.recompute_schema().map(Transformed::yes),
        });
        signed.data()
    }

    fn name(&self) -> &str {
        "whole_number_unions"
    }
}

/// Returns true for a plan with a union of what may be such numbers: with signed ones they were planned as decimal numbers.
fn may_concern(plan: &LogicalPlan) -> Result<bool> {
    let may_be = |data_type: &DataType| {
        data_type.is_unsigned_integer() || matches!(data_type, DataType::Decimal128(..))
    };
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Union(union) = node {
            let inputs = union.inputs.iter();
            let mut columns = inputs.flat_map(|input| input.schema().fields());
            found = columns.any(|column| may_be(column.data_type()));
        }
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}

/// Returns a union of signed numbers where some are, with the types of its first input, as it is planned.
fn of_union(union: Union) -> Result<Transformed<LogicalPlan>> {
    let Union { inputs, schema } = union;
    let columns = 0..schema.fields().len();
    let mut mixed: Vec<usize> = columns
        .filter(|column| is_mixed(&inputs, *column))
        .collect();
    if !mixed.is_empty() && may_have_large(&inputs)? {
        mixed.clear();
    }
    let inputs = inputs.into_iter().map(|input| signed(input, &mixed));
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    let first = inputs.first().map(|input| Arc::clone(input.schema()));
    let first = first.filter(|first| first.fields().len() == schema.fields().len());
    let Some(first) = first else {
        return Ok(Transformed::no(LogicalPlan::Union(Union {
            inputs,
            schema,
        })));
    };
    let fields = schema.iter().zip(first.fields());
    let fields = fields.map(|((relation, field), first)| {
        let field = Field::clone(field).with_data_type(first.data_type().clone());
        (relation.cloned(), Arc::new(field))
    });
    let schema = DFSchema::new_with_metadata(fields.collect(), schema.metadata().clone())?;
    let schema = Arc::new(schema);
    Ok(Transformed::yes(LogicalPlan::Union(Union {
        inputs,
        schema,
    })))
}

/// Returns true for a column of whole numbers that has a sign in some inputs, and none in others.
fn is_mixed(inputs: &[Arc<LogicalPlan>], column: usize) -> bool {
    let types = inputs.iter().map(|input| {
        let field = input.schema().fields().get(column);
        field.map(|field| field.data_type())
    });
    let Some(types) = types.collect::<Option<Vec<_>>>() else {
        return false;
    };
    let is_whole = types.iter().all(|of| of.is_integer() || of.is_null());
    let is_unsigned = types.iter().any(|of| of.is_unsigned_integer());
    let is_signed = types.iter().any(|of| of.is_signed_integer());
    is_whole && is_unsigned && is_signed
}

/// Returns an input in which those of some columns that have no sign get one.
fn signed(input: Arc<LogicalPlan>, columns: &[usize]) -> Result<Arc<LogicalPlan>> {
    let schema = Arc::clone(input.schema());
    let is_unsigned = |column: usize| {
        columns.contains(&column) && schema.field(column).data_type().is_unsigned_integer()
    };
    if !columns.iter().any(|column| is_unsigned(*column)) {
        return Ok(input);
    }
    let all = schema.iter().enumerate();
    let all = all.map(|(position, (relation, field))| {
        let column = Expr::Column(Column::from((relation, field)));
        match is_unsigned(position) {
            true => {
                let column = cast(column, DataType::Int64);
                column.alias_qualified(relation.cloned(), field.name())
            }
            false => column,
        }
    });
    let projection = Projection::try_new(all.collect(), input)?;
    Ok(Arc::new(LogicalPlan::Projection(projection)))
}

/// Returns true where a statement has numbers of its own that are too large for a sign, or asks for such.
fn may_have_large(inputs: &[Arc<LogicalPlan>]) -> Result<bool> {
    let mut found = false;
    for input in inputs {
        input.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                expr.apply(|part| {
                    found = found || is_large(part);
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
    }
    Ok(found)
}

fn is_large(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(ScalarValue::UInt64(Some(number)), _) => i64::try_from(*number).is_err(),
        expr => rewrite::cast_of(expr).is_some_and(|(_, to, _)| *to == DataType::UInt64),
    }
}
