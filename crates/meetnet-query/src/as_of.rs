//! `NAME_as_of(TIMESTAMP '…')` in SQL: plans the view of a dataset at an instant.
//!
//! A relation planner and not a table function of DataFusion: that one gets its arguments with `now()` already replaced
//! by a number, takes no schema before its name, and would have to be registered per dataset and query.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::catalog::default_table_source::provider_as_source;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue, TableReference};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::sqlparser::ast::{
    FunctionArg, FunctionArgExpr, TableFactor, TableFunctionArgs,
};
use meetnet_lake::snapshot::TableSnapshot;
use meetnet_model::common::timestamp_type;
use meetnet_model::time::with_seconds;
use meetnet_sql::{check_constant, literals::readable};

use crate::catalog::{SCHEMA, SnapshotTables};
use crate::encode::{format_time, type_name};
use crate::error::{QueryError, QueryErrorKind};
use crate::reach::is_unsteady;
use crate::table::view::View;

/// What follows the name of a dataset in the name of its function. No dataset id ends in it.
pub(crate) const AS_OF_SUFFIX: &str = "_as_of";

/// Plans as-of views of the datasets one session may read, and sees arguments of other table functions before they become
/// constants.
#[derive(Debug)]
pub(crate) struct AsOfPlanner(pub(crate) Arc<SnapshotTables>);

impl RelationPlanner for AsOfPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::Table {
            name,
            args: Some(arguments),
            alias,
            ..
        } = &relation
        else {
            if let TableFactor::Function { args, .. } = &relation {
                self.look_at(args, context)?;
            }
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let reference = context.object_name_to_table_reference(name.clone())?;
        let table = reference
            .table()
            .strip_suffix(AS_OF_SUFFIX)
            .filter(|_| reference.schema().is_none_or(|schema| schema == SCHEMA))
            .and_then(|dataset| self.0.get(dataset));
        // Names of other things are for the planners after this one, which also refuse unknown ones.
        let Some(table) = table else {
            self.look_at(&arguments.args, context)?;
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let at = instant(reference.table(), arguments, context)?;
        let view = View {
            as_of: Some(at),
            history: false,
        };
        let source = provider_as_source(self.0.provider(table, view)?);
        let name = TableReference::bare(reference.table());
        let plan = LogicalPlanBuilder::scan(name, source, None)?.build()?;
        let planned = PlannedRelation::new(plan, alias.clone());
        Ok(RelationPlanning::Planned(Box::new(planned)))
    }
}

impl AsOfPlanner {
    /// Notes that a table function is called with what changes. What cannot be planned here may well change.
    ///
    /// # Errors
    /// Where a number in an argument does not fit its type.
    fn look_at(
        &self,
        arguments: &[FunctionArg],
        context: &mut dyn RelationPlannerContext,
    ) -> Result<()> {
        let schema = DFSchema::empty();
        for argument in arguments {
            let (FunctionArg::Unnamed(value)
            | FunctionArg::Named { arg: value, .. }
            | FunctionArg::ExprNamed { arg: value, .. }) = argument;
            let FunctionArgExpr::Expr(value) = value else {
                continue;
            };
            let planned = context.sql_to_expr(value.clone(), &schema);
            let is_steady = planned
                .as_ref()
                .is_ok_and(|planned| !planned.exists(|part| Ok(is_unsteady(part))).unwrap_or(true));
            if !is_steady {
                self.0.is_unsteady.store(true, Ordering::Relaxed);
            }
            if let Ok(planned) = planned {
                check_constant(planned, value)?;
            }
        }
        Ok(())
    }
}

/// Refuses an instant that messages may still arrive for.
pub(crate) fn check_settled(table: &TableSnapshot, as_of: i64) -> Result<()> {
    if as_of <= table.stable_time {
        return Ok(());
    }
    let id = &table.declaration.id;
    Err(own(
        QueryErrorKind::NotSettled,
        format!(
            "`{id}` is settled up to its stable time {}, and {} is later; ask for a time up to then, or again later",
            format_time(table.stable_time),
            format_time(as_of)
        ),
    ))
}

fn own(kind: QueryErrorKind, message: String) -> DataFusionError {
    QueryError::new(kind, message).into()
}

/// Returns the instant that the arguments say, µs since 1970 UTC.
fn instant(
    function: &str,
    arguments: &TableFunctionArgs,
    context: &mut dyn RelationPlannerContext,
) -> Result<i64> {
    let refused = |why: &str| {
        let text = format!(
            "`{function}` takes one constant time, for example {function}(TIMESTAMP '2026-01-31T12:00:00Z'){why}"
        );
        own(QueryErrorKind::BadRequest, text)
    };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] = arguments.args.as_slice() else {
        return Err(refused(""));
    };
    let schema = DFSchema::empty();
    let argument = context
        .sql_to_expr(argument.clone(), &schema)
        .map_err(|error| {
            let names_a_column = matches!(error.find_root(), DataFusionError::SchemaError(..));
            if names_a_column {
                refused("; a column is none")
            } else {
                error
            }
        })?;
    let mut changes = None;
    argument.apply(|expr| {
        match expr {
            Expr::ScalarFunction(call) if is_unsteady(expr) => {
                changes = Some(format!(
                    "; `{}` changes, so the answer could not be asked for again",
                    call.name()
                ));
            }
            Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) => {
                changes = Some("; a subquery is none".to_owned());
            }
            _ => return Ok(TreeNodeRecursion::Continue),
        }
        Ok(TreeNodeRecursion::Stop)
    })?;
    if let Some(why) = changes {
        return Err(refused(&why));
    }
    let simplifier = ExprSimplifier::new(SimplifyContext::builder().build());
    let constant = simplifier
        .coerce(argument, &schema)
        .and_then(|argument| simplifier.simplify(readable(argument)?.data))?;
    let Expr::Literal(value, _) = constant else {
        return Err(refused(""));
    };
    let whole = value.try_as_str().flatten().and_then(with_seconds);
    let value = whole.map_or(value, ScalarValue::from);
    let is_time = matches!(
        value,
        ScalarValue::TimestampSecond(..)
            | ScalarValue::TimestampMillisecond(..)
            | ScalarValue::TimestampMicrosecond(..)
            | ScalarValue::TimestampNanosecond(..)
            | ScalarValue::Date32(_)
            | ScalarValue::Utf8(_)
            | ScalarValue::Utf8View(_)
            | ScalarValue::LargeUtf8(_)
    );
    if value.is_null() {
        return Err(refused("; null is none"));
    }
    // A number could mean seconds as well as microseconds.
    if !is_time {
        let given = type_name(&value.data_type());
        return Err(refused(&format!("; it was given a value of type {given}")));
    }
    match value.cast_to(&timestamp_type()) {
        Ok(ScalarValue::TimestampMicrosecond(Some(at), _)) => Ok(at),
        _ => Err(refused("; this text is none")),
    }
}
