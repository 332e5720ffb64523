//! Which columns of a plan are JSON, where their fields do not say so: CASE has no field but that of its type, and what is made of
//! `coalesce` while a plan becomes simpler has none either.

use datafusion::common::DFSchema;
use datafusion::logical_expr::{Distinct, Expr, ExprSchemable, LogicalPlan};

use super::{check_json, is_json};

/// The call that answers the first of its arguments that is not NULL.
const COALESCE: &str = "coalesce";
/// The call that answers its first argument, or NULL.
const NULLIF: &str = "nullif";

/// Returns for each column of a plan, as it was written, whether its values are JSON.
pub fn json_columns(plan: &LogicalPlan) -> Vec<bool> {
    let fields = plan.schema().fields();
    let mut columns: Vec<bool> = fields.iter().map(|field| is_json(field)).collect();
    let found = match plan {
        LogicalPlan::Projection(projection) => {
            let input = json_columns(&projection.input);
            let schema = projection.input.schema();
            let made = projection.expr.iter();
            made.map(|expr| makes_json(expr, schema, &input)).collect()
        }
        LogicalPlan::SubqueryAlias(alias) => json_columns(&alias.input),
        LogicalPlan::Subquery(subquery) => json_columns(&subquery.subquery),
        LogicalPlan::Sort(sort) => json_columns(&sort.input),
        LogicalPlan::Limit(limit) => json_columns(&limit.input),
        LogicalPlan::Filter(filter) => json_columns(&filter.input),
        LogicalPlan::Distinct(Distinct::All(input)) => json_columns(input),
        LogicalPlan::Join(join) => {
            let mut both = json_columns(&join.left);
            both.extend(json_columns(&join.right));
            both
        }
        _ => Vec::new(),
    };
    // A join may answer the columns of one side only.
    if found.len() == columns.len() {
        for (column, found) in columns.iter_mut().zip(found) {
            *column |= found;
        }
    }
    columns
}

/// Returns true for an expression whose values are JSON; `columns` says which columns of the schema are.
fn makes_json(expr: &Expr, schema: &DFSchema, columns: &[bool]) -> bool {
    match expr {
        Expr::Alias(alias) => makes_json(&alias.expr, schema, columns),
        Expr::Column(column) => {
            let position = schema.maybe_index_of_column(column);
            position.and_then(|position| columns.get(position)) == Some(&true)
        }
        Expr::Case(case) => {
            let results = case.when_then_expr.iter().map(|(_, result)| &**result);
            each_is_json(results.chain(case.else_expr.as_deref()), schema, columns)
        }
        Expr::ScalarFunction(call) if call.name() == COALESCE => {
            each_is_json(call.args.iter(), schema, columns)
        }
        Expr::ScalarFunction(call) if call.name() == NULLIF => {
            let first = call.args.first();
            first.is_some_and(|first| makes_json(first, schema, columns))
        }
        Expr::ScalarSubquery(query) => json_columns(&query.subquery).first() == Some(&true),
        expr => match expr.to_field(schema) {
            Ok((_, field)) => is_json(&field),
            Err(_) => false,
        },
    }
}

/// Returns true where one of some results is JSON, and the others can stand beside it.
fn each_is_json<'a>(
    results: impl Iterator<Item = &'a Expr>,
    schema: &DFSchema,
    columns: &[bool],
) -> bool {
    let mut is_found = false;
    for result in results {
        match makes_json(result, schema, columns) {
            true => is_found = true,
            false if stands_beside(result) => {}
            false => return false,
        }
    }
    is_found
}

/// Returns true for NULL, and for a constant text that is JSON: beside JSON it is no text.
fn stands_beside(expr: &Expr) -> bool {
    let Expr::Literal(value, _) = expr else {
        return false;
    };
    match value.try_as_str() {
        Some(Some(text)) => check_json(text).is_ok(),
        _ => value.is_null(),
    }
}
