//! Values that are compared with the elements of arrays, of which some may be NULL.
//!
//! | written | planned |
//! |---|---|
//! | `x = ANY(ARRAY[a, b])`, `x <> ALL(ARRAY[a, b])` | `x IN (a, b)`, `x NOT IN (a, b)` |
//! | `x > ANY(list)` | `x > ANY(list) OR array_position(list, NULL) IS NOT NULL AND CAST(NULL AS BOOLEAN)` |
//!
//! DataFusion 55.2 leaves elements out that are NULL: `1 = ANY(ARRAY[2, NULL])` was false, and no error says so. It is NULL, since
//! nobody knows whether that element is 1. IN and ALL know that, and a list behind IN also tells which files to skip.
//!
//! An array that is a parameter stays what it is, so that its values are looked for in files: it becomes a list behind IN once it
//! is known.

use datafusion::sql::sqlparser::ast::{
    Array, ArrayElemTypeDef, BinaryOperator, CastKind, DataType, Expr, FunctionArguments, Value,
};

use super::{binary, call};

#[cfg(test)]
mod tests;

/// How long an array may be written that is written twice: such may stand in each other.
const REPEATED_BYTES_MAX: usize = 1_000;

/// Returns the list that an array is which a value is looked for in; None for every other expression.
pub(crate) fn among(expr: &Expr) -> Option<Expr> {
    let (value, array, negated) = match expr {
        Expr::AnyOp {
            left,
            compare_op: BinaryOperator::Eq,
            right,
            ..
        } => (left, right, false),
        Expr::AllOp {
            left,
            compare_op: BinaryOperator::NotEq,
            right,
        } => (left, right, true),
        _ => return None,
    };
    let list = elements(array)?;
    let are_values = list
        .iter()
        .all(|element| !matches!(element, Expr::Array(_) | Expr::Subquery(_)));
    (are_values && !list.is_empty()).then(|| Expr::InList {
        expr: value.clone(),
        list,
        negated,
    })
}

/// Returns the elements of an array that is written out, each cast to what the array is cast to.
fn elements(array: &Expr) -> Option<Vec<Expr>> {
    match array {
        Expr::Nested(array) => elements(array),
        Expr::Array(Array { elem, .. }) => Some(elem.clone()),
        Expr::Cast {
            kind: kind @ (CastKind::Cast | CastKind::DoubleColon),
            expr,
            data_type: DataType::Array(ArrayElemTypeDef::SquareBracket(element, None)),
            array: false,
            format: None,
        } => {
            let cast = |value: Expr| Expr::Cast {
                kind: kind.clone(),
                expr: Box::new(value),
                data_type: element.as_ref().clone(),
                array: false,
                format: None,
            };
            let values = elements(expr)?;
            Some(values.into_iter().map(cast).collect())
        }
        _ => None,
    }
}

/// Returns a comparison with any element of an array that is NULL where no element meets it and one is NULL; None where it is that
/// already, or nobody knows the array yet.
pub(super) fn any_or_null(expr: &Expr) -> Option<Expr> {
    let Expr::AnyOp {
        compare_op,
        right: array,
        ..
    } = expr
    else {
        return None;
    };
    // Behind `=` such a text becomes a list.
    let is_written_with_null = *compare_op != BinaryOperator::Eq && is_text_with_null(array);
    let is_known = !may_have_nulls(array) && !is_written_with_null;
    if is_known || array.to_string().len() > REPEATED_BYTES_MAX {
        return None;
    }
    let null = || Expr::Value(Value::Null.with_empty_span());
    let place = call("array_position", vec![array.as_ref().clone(), null()]);
    let has_null = Expr::IsNotNull(Box::new(Expr::Function(place)));
    let unknown = Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(null()),
        data_type: DataType::Boolean,
        array: false,
        format: None,
    };
    let null_if_any = binary(has_null, BinaryOperator::And, unknown);
    let either = binary(expr.clone(), BinaryOperator::Or, null_if_any);
    Some(Expr::Nested(Box::new(either)))
}

/// Returns true for an array that is written as a text with NULL in it, `'{1,NULL}'::int[]`.
fn is_text_with_null(array: &Expr) -> bool {
    match array {
        Expr::Nested(array) => is_text_with_null(array),
        Expr::Cast {
            expr,
            data_type: DataType::Array(_),
            ..
        } => {
            let mut written = expr.as_ref();
            while let Expr::Nested(within) = written {
                written = within;
            }
            match written {
                Expr::Value(value) => match &value.value {
                    Value::SingleQuotedString(text) => text.to_lowercase().contains("null"),
                    _ => false,
                },
                _ => false,
            }
        }
        _ => false,
    }
}

/// Returns false for a subquery, for what is one constant (a parameter, or a text that PostgreSQL's dialect takes for an array), and
/// for an array of constants none of which is NULL.
fn may_have_nulls(array: &Expr) -> bool {
    match array {
        Expr::Subquery(_) | Expr::Value(_) => false,
        // ARRAY(SELECT …) is read as a call.
        Expr::Function(call) => !matches!(call.args, FunctionArguments::Subquery(_)),
        Expr::Nested(array) | Expr::Cast { expr: array, .. } => may_have_nulls(array),
        Expr::Array(Array { elem, .. }) => elem.iter().any(|element| match element {
            Expr::Value(value) => value.value == Value::Null,
            _ => true,
        }),
        _ => true,
    }
}
