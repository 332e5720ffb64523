//! Values that are compared with the elements of arrays, of which some may be NULL.
//!
//! | written | planned |
//! |---|---|
//! | `x = ANY(ARRAY[a, b])`, `x <> ALL(ARRAY[a, b])` | `x IN (a, b)`, `x NOT IN (a, b)` |
//! | `x > ANY(list)` | `x > ANY(list) OR array_position(list, NULL) IS NOT NULL AND CAST(NULL AS BOOLEAN)` |
//! | `x = ANY(list)`, of two types | `array_has(list, x)` |
//! | `x < ANY($1)`, in SELECT | `CASE WHEN array_max($1) IS NOT NULL THEN array_max($1) > x WHEN $1 IS NOT NULL THEN false END` |
//!
//! DataFusion 55.2 leaves elements out that are NULL: `1 = ANY(ARRAY[2, NULL])` was false, and no error says so. It is NULL, since
//! nobody knows whether that element is 1. IN and ALL know that, and a list behind IN also tells which files to skip.
//!
//! An array that is a parameter stays what it is, so that its values are looked for in files: it becomes a list behind IN once it
//! is known.
//!
//! The last two are the second choice, where the plan is refused: DataFusion plans such comparisons by functions of its own, and those of
//! a session know what to do with lists of other types, or of one that nobody has told yet (`functions/elements.rs`).

use std::ops::ControlFlow;

use datafusion::error::DataFusionError;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    Array, ArrayElemTypeDef, BinaryOperator, CaseWhen, CastKind, DataType, Expr, FunctionArguments,
    Value, VisitMut, VisitorMut,
};

use super::{binary, call};
use crate::parse::parsed_mut;
use crate::placeholders;

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

/// Returns true for what a statement is refused with because nobody knows how to compare a value with the elements of an array.
pub(super) fn is_of_elements(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::Plan(message) => {
            message.contains("call to 'array_has' function")
                || message.starts_with("array_min does not support type Null")
                || message.starts_with("array_max does not support type Null")
        }
        _ => false,
    }
}

/// Makes calls of comparisons with any element of an array; returns true where there were any. It is the second choice: such a call is
/// no operator any more.
pub(super) fn any_as_calls(statement: &mut Statement) -> bool {
    let mut calls = Calls(false);
    if let Some(parsed) = parsed_mut(statement) {
        // The visitor never breaks.
        let _ = parsed.visit(&mut calls);
    }
    calls.0
}

/// Whether there is a call.
struct Calls(bool);

impl VisitorMut for Calls {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(other) = any_as_call(expr) {
            *expr = other;
            self.0 = true;
        }
        ControlFlow::Continue(())
    }
}

/// Returns what a comparison with any element of an array is by calls; None for one with a subquery, or by an order with an array that
/// is no parameter, and for every other expression.
fn any_as_call(expr: &Expr) -> Option<Expr> {
    let Expr::AnyOp {
        left: value,
        compare_op,
        right: array,
        ..
    } = expr
    else {
        return None;
    };
    let of_array = |name: &str| Expr::Function(call(name, vec![array.as_ref().clone()]));
    let compared = |bound: Expr, op: BinaryOperator| binary(bound, op, Expr::Nested(value.clone()));
    let (bound, comparison) = match compare_op {
        BinaryOperator::Eq if !matches!(array.as_ref(), Expr::Subquery(_)) => {
            let arguments = vec![array.as_ref().clone(), value.as_ref().clone()];
            return Some(Expr::Function(call("array_has", arguments)));
        }
        _ if placeholders::name_of(array).is_none() => return None,
        BinaryOperator::NotEq => {
            let least = compared(of_array("array_min"), BinaryOperator::NotEq);
            let greatest = compared(of_array("array_max"), BinaryOperator::NotEq);
            let either = binary(least, BinaryOperator::Or, greatest);
            (of_array("array_max"), either)
        }
        BinaryOperator::Lt => {
            let bound = of_array("array_max");
            (bound.clone(), compared(bound, BinaryOperator::Gt))
        }
        BinaryOperator::LtEq => {
            let bound = of_array("array_max");
            (bound.clone(), compared(bound, BinaryOperator::GtEq))
        }
        BinaryOperator::Gt => {
            let bound = of_array("array_min");
            (bound.clone(), compared(bound, BinaryOperator::Lt))
        }
        BinaryOperator::GtEq => {
            let bound = of_array("array_min");
            (bound.clone(), compared(bound, BinaryOperator::LtEq))
        }
        _ => return None,
    };
    let when = |condition: Expr, result: Expr| CaseWhen {
        condition: Expr::IsNotNull(Box::new(condition)),
        result,
    };
    let no = Expr::Value(Value::Boolean(false).with_empty_span());
    Some(Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![when(bound, comparison), when(array.as_ref().clone(), no)],
        else_result: None,
    })
}
