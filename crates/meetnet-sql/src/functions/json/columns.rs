//! What expressions and columns of a plan mean where their fields do not say so: CASE has no field but that of its type, and what is made
//! of `coalesce` while a plan becomes simpler has none either.

use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::{Distinct, Expr, ExprSchemable, LogicalPlan};

use super::{Meaning, check_json, is_json};

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
            let is_of_input = |column: &Column| {
                let position = schema.maybe_index_of_column(column);
                position.and_then(|position| input.get(position)) == Some(&true)
            };
            made.map(|expr| meaning(expr, schema, &is_of_input) == Meaning::Json)
                .collect()
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

/// Returns what the values of an expression over columns of a schema are; `is_json` knows columns that are JSON though their fields do
/// not say so.
pub(super) fn meaning(
    expr: &Expr,
    schema: &DFSchema,
    is_json: &dyn Fn(&Column) -> bool,
) -> Meaning {
    match expr {
        Expr::Alias(alias) => meaning(&alias.expr, schema, is_json),
        Expr::Column(column) if is_json(column) => Meaning::Json,
        Expr::Case(case) => {
            let results = case.when_then_expr.iter().map(|(_, result)| &**result);
            of_each(results.chain(case.else_expr.as_deref()), schema, is_json)
        }
        Expr::ScalarFunction(call) if call.name() == COALESCE => {
            of_each(call.args.iter(), schema, is_json)
        }
        Expr::ScalarFunction(call) if call.name() == NULLIF => {
            of_each(call.args.iter().take(1), schema, is_json)
        }
        Expr::ScalarSubquery(query) if json_columns(&query.subquery).first() == Some(&true) => {
            Meaning::Json
        }
        expr => match expr.to_field(schema) {
            Ok((_, field)) => Meaning::of(&field),
            Err(_) => Meaning::Plain,
        },
    }
}

/// Returns what one of some results is, where the others are the same, or can stand beside it.
fn of_each<'a>(
    results: impl Iterator<Item = &'a Expr>,
    schema: &DFSchema,
    is_json: &dyn Fn(&Column) -> bool,
) -> Meaning {
    let mut found = Meaning::Plain;
    for result in results {
        match meaning(result, schema, is_json) {
            Meaning::Plain if stands_beside(result) => {}
            Meaning::Plain => return Meaning::Plain,
            of_result => found = of_result,
        }
    }
    found
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
