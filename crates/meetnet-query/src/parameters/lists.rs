//! Placeholders that stand for lists, and lists that are written as texts.
//!
//! | written | `$1` is |
//! |---|---|
//! | `$1::text[]` | what it is cast to |
//! | `x = ANY($1)`, `x <> ALL($1)` | a list of what `x` is |
//! | `x > ANY($1)` and the like, of which the plan has the least or greatest | the same |
//! | `$2 = ANY($1)`, where nothing tells what `$2` is | a list of texts, as in PostgreSQL |
//!
//! DataFusion says nothing about their types, and would make a list of one text of `{a,b}`. Many drivers send lists as such texts,
//! and leave it to the server what they are.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ListArray, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{BinaryExpr, Cast, TryCast};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};

use super::name_of;
use crate::postgres::array_elements;

/// Functions of a list that answer one of its elements.
const BOUNDS: [&str; 2] = ["array_min", "array_max"];

/// Returns the types of placeholders that stand for lists, by their names without `$`. What a placeholder is cast to counts more
/// than what it is compared with.
pub(crate) fn list_types(plan: &LogicalPlan) -> Result<HashMap<String, DataType>> {
    let mut cast: HashMap<String, DataType> = HashMap::new();
    let mut compared: HashMap<String, DataType> = HashMap::new();
    let mut with_unknown: HashSet<String> = HashSet::new();
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                match expr {
                    Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => {
                        if let Some(name) = placeholder(expr)
                            && is_list(field.data_type())
                        {
                            let list = list_of(field.data_type());
                            cast.entry(name.to_owned()).or_insert(list);
                        }
                    }
                    expr => {
                        for (name, element) in compared_lists(expr) {
                            if placeholder(element).is_some() {
                                with_unknown.insert(name.to_owned());
                                continue;
                            }
                            let schema = merge_schema(&node.inputs());
                            if let Ok(element) = element.get_type(&schema)
                                && !element.is_null()
                                && !element.is_nested()
                            {
                                let list = list(plain(&element));
                                compared.entry(name.to_owned()).or_insert(list);
                            }
                        }
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    // What is compared with something else as well is a list of that.
    for name in with_unknown {
        compared.entry(name).or_insert_with(|| list(DataType::Utf8));
    }
    compared.extend(cast);
    Ok(compared)
}

/// Returns the placeholders that are cast to lists of decimal numbers wherever they stand, by their names without `$`.
pub(crate) fn digit_lists(plan: &LogicalPlan) -> Result<HashSet<String>> {
    let (mut cast, mut used_otherwise) = (HashSet::new(), HashSet::new());
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                match expr {
                    Expr::Cast(Cast { expr: of, field })
                    | Expr::TryCast(TryCast { expr: of, field })
                        if placeholder(of).is_some() && is_list_of_digits(field.data_type()) =>
                    {
                        cast.extend(placeholder(of).map(str::to_owned));
                        return Ok(TreeNodeRecursion::Jump);
                    }
                    // Which is asked of values of every type.
                    Expr::IsNull(of) | Expr::IsNotNull(of) if placeholder(of).is_some() => {
                        return Ok(TreeNodeRecursion::Jump);
                    }
                    Expr::Placeholder(used) => {
                        used_otherwise.insert(name_of(used));
                    }
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    cast.retain(|name| !used_otherwise.contains(name));
    Ok(cast)
}

fn is_list_of_digits(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(element) if element.data_type().is_decimal())
}

/// Returns the name of a placeholder of which nothing has told the type.
fn placeholder(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Placeholder(placeholder) if placeholder.field.is_none() => {
            Some(placeholder.id.trim_start_matches('$'))
        }
        _ => None,
    }
}

/// Returns the placeholders that an expression compares the elements of, each with what they are compared with.
fn compared_lists(expr: &Expr) -> Vec<(&str, &Expr)> {
    match expr {
        Expr::ScalarFunction(call) if call.func.name() == "array_has" => {
            match call.args.as_slice() {
                [list, element] => placeholder(list)
                    .map(|name| (name, element))
                    .into_iter()
                    .collect(),
                _ => Vec::new(),
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, right, .. }) => [(left, right), (right, left)]
            .into_iter()
            .filter_map(|(bound, element)| Some((bound_of(bound)?, element.as_ref())))
            .collect(),
        _ => Vec::new(),
    }
}

/// Returns the placeholder that an expression is the least or greatest element of.
fn bound_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::ScalarFunction(call) if BOUNDS.contains(&call.func.name()) => {
            placeholder(call.args.first()?)
        }
        _ => None,
    }
}

/// Returns true for lists of single values.
pub(super) fn is_list(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(element) if !element.data_type().is_nested())
}

/// Returns the list that clients know such a list as.
fn list_of(data_type: &DataType) -> DataType {
    match data_type {
        DataType::List(element) => list(plain(element.data_type())),
        other => other.clone(),
    }
}

fn list(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(element, true)))
}

/// Returns a type without the ways in which texts lie in memory.
fn plain(data_type: &DataType) -> DataType {
    match data_type {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Dictionary(_, values) => plain(values),
        other => other.clone(),
    }
}

/// Reads a list that is written as a text, such as `{1,2,NULL}`; None where it is no list of that type.
pub(super) fn read(text: &str, data_type: &DataType) -> Option<ScalarValue> {
    let DataType::List(field) = data_type else {
        return None;
    };
    let texts = StringArray::from_iter(array_elements(text)?);
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let values = cast_with_options(&texts, field.data_type(), &options).ok()?;
    let offsets = OffsetBuffer::from_lengths([values.len()]);
    let list = ListArray::try_new(Arc::clone(field), offsets, values, None).ok()?;
    Some(ScalarValue::List(Arc::new(list)))
}
