//! Hints for who asks for what no row can be: `property = 'pm25'` is answered with nothing, which would be taken for "nothing was
//! measured".
//!
//! ```text
//! plan ─▶ column = value ─▶ which dataset's column? ─▶ its closed list of values ─▶ a sentence
//! ```
//!
//! A hint is true whatever the answer is, and never an error: where a name has been taken out of the declarations, old rows may
//! still have it. What is open (sensors, places) has none, since to know them all would be a query of its own.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Distinct, Expr, LogicalPlan, Operator};
use meetnet_lake::snapshot::TableSnapshot;
use meetnet_model::assessment::{Assessment, PERIODS};
use meetnet_model::common::QUALITY;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::declarations::Declarations;
use meetnet_model::quality::Quality;

use crate::catalog::SnapshotTables;
use crate::error::{nearest, shortened};
use crate::reach::dataset;

#[cfg(test)]
mod tests;

/// Hints of one answer.
const HINTS_MAX: usize = 3;
/// Comparisons of one statement that are looked at.
const COMPARISONS_MAX: usize = 100;
/// How much of a value is repeated.
const VALUE_BYTES_MAX: usize = 100;
/// Names that are listed, all or none.
const NAMES_MAX: usize = 60;

/// Returns the values that a column can have; none where the list is open.
pub fn closed_values(
    column: &str,
    declaration: &DatasetDeclaration,
    declarations: &Declarations,
) -> Vec<String> {
    let is_declared = declaration.column_index(column).is_some();
    match column {
        QUALITY => (0..=i8::MAX)
            .filter(|code| Quality::from_code(*code).is_some())
            .map(|code| code.to_string())
            .collect(),
        "property" if is_declared => declarations
            .properties_of(&declaration.id)
            .map(|property| property.name.clone())
            .collect(),
        "period" if declaration.assess.is_some() => PERIODS.map(str::to_owned).to_vec(),
        "dataset" if declaration.assess.is_some() => declarations
            .datasets
            .values()
            .filter(|dataset| Assessment::judges(dataset))
            .map(|dataset| dataset.id.to_string())
            .collect(),
        _ => Vec::new(),
    }
}

/// Returns what is to be said of the values that a statement compares columns with.
pub(crate) fn of_plan(plan: &LogicalPlan, tables: &SnapshotTables) -> Vec<String> {
    let mut hints = Vec::new();
    let Some(declarations) = &tables.declarations else {
        return hints;
    };
    let mut left = COMPARISONS_MAX;
    // No closure fails, so neither do the walks.
    let _ = plan.apply_with_subqueries(|node| {
        let inputs = node.inputs();
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                let asked = asked(expr).filter(|_| left > 0 && hints.len() < HINTS_MAX);
                let Some((column, values)) = asked else {
                    return Ok(TreeNodeRecursion::Continue);
                };
                left -= 1;
                let of = inputs.iter().find_map(|input| origin(input, column));
                if let Some((table, name)) = of {
                    let declaration = &table.declaration;
                    let known = closed_values(&name, declaration, declarations);
                    let wrong = values.into_iter().filter(|value| !known.contains(value));
                    let room = HINTS_MAX - hints.len();
                    if !known.is_empty() {
                        let of = declaration.id.as_str();
                        hints.extend(wrong.take(room).map(|value| hint(of, &name, value, &known)));
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    hints.dedup();
    hints
}

fn hint(dataset: &str, column: &str, value: String, known: &[String]) -> String {
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    // Of numbers each is near to each.
    let is_number = value.parse::<i64>().is_ok();
    let near = nearest(&value, &names).filter(|_| !is_number);
    let value = shortened(value, VALUE_BYTES_MAX);
    let list = match names.len() {
        ..=NAMES_MAX => names.join(", "),
        _ => format!("{} others", names.len()),
    };
    let rest = match near {
        Some(near) => format!("did you mean `{near}`? There are {list}"),
        None => format!("there are {list}"),
    };
    format!("`{dataset}` knows no {column} `{value}`; {rest}")
}

/// Returns a column and the values that it is asked to have; None for another expression.
fn asked(expr: &Expr) -> Option<(&Column, Vec<String>)> {
    match expr {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq,
            right,
        }) => match (left.as_ref(), right.as_ref()) {
            (Expr::Column(column), value) | (value, Expr::Column(column)) => {
                Some((column, vec![value_of(value)?]))
            }
            _ => None,
        },
        Expr::InList(InList {
            expr,
            list,
            negated: false,
        }) => match expr.as_ref() {
            Expr::Column(column) => Some((
                column,
                list.iter()
                    .take(COMPARISONS_MAX)
                    .filter_map(value_of)
                    .collect(),
            )),
            _ => None,
        },
        _ => None,
    }
}

/// Returns a literal text or whole number.
fn value_of(expr: &Expr) -> Option<String> {
    let Expr::Literal(value, _) = expr else {
        return None;
    };
    match value {
        ScalarValue::Int64(number) => number.map(|number| number.to_string()),
        value => value.try_as_str().flatten().map(str::to_owned),
    }
}

/// Returns the dataset that a column of a plan comes from as it is, and what that calls it.
fn origin(plan: &LogicalPlan, column: &Column) -> Option<(Arc<TableSnapshot>, String)> {
    let index = |plan: &LogicalPlan| plan.schema().maybe_index_of_column(column);
    let expression = |input: &LogicalPlan, expr: &Expr| match expr.clone().unalias() {
        Expr::Column(column) => origin(input, &column),
        _ => None,
    };
    match plan {
        LogicalPlan::TableScan(scan) => {
            index(plan)?;
            let (table, _) = dataset(scan)?;
            Some((table, column.name.clone()))
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let (relation, field) = alias.input.schema().qualified_field(index(plan)?);
            let column = Column::new(relation.cloned(), field.name());
            origin(&alias.input, &column)
        }
        LogicalPlan::Projection(projection) => {
            expression(&projection.input, projection.expr.get(index(plan)?)?)
        }
        LogicalPlan::Aggregate(aggregate) => {
            expression(&aggregate.input, aggregate.group_expr.get(index(plan)?)?)
        }
        LogicalPlan::Filter(filter) => origin(&filter.input, column),
        LogicalPlan::Sort(sort) => origin(&sort.input, column),
        LogicalPlan::Limit(limit) => origin(&limit.input, column),
        LogicalPlan::Window(window) => origin(&window.input, column),
        LogicalPlan::Distinct(Distinct::All(input)) => origin(input, column),
        LogicalPlan::Join(join) => {
            match (origin(&join.left, column), origin(&join.right, column)) {
                (Some(of), None) | (None, Some(of)) => Some(of),
                _ => None,
            }
        }
        _ => None,
    }
}
