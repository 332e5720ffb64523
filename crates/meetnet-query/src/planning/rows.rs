//! Rows that are compared, part by part, as SQL says.
//!
//! | written | planned |
//! |---|---|
//! | `(a, b) = (c, d)` | `a = c AND b = d` |
//! | `(a, b) <= (c, d)` | `a < c OR a = c AND b <= d` |
//! | `(a, b) IN ((c, d), (e, f))` | `a = c AND b = d OR a = e AND b = f` |
//! | `(a, b) IS NULL` | `a IS NULL AND b IS NULL` |
//! | `(a, b) IS NOT NULL` | `a IS NOT NULL AND b IS NOT NULL`: of a row with some NULLs neither is true |
//!
//! DataFusion 55.2 compares them as values of structs, for which NULL is a part like others: `(1, NULL) < (1, 1)` was true, and
//! `(NULL, NULL) IS NULL` false, and no error says so. Of columns it also knows which files to skip, and which tables to join.
//!
//! Long lists stay what they are, which differs only in that a part that is NULL makes a row no other one; so do rows of
//! different shapes, which are refused.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    UnaryOperator, Value,
};

use super::binary;

#[cfg(test)]
mod tests;

/// Rows of a list that are compared one by one.
const ROWS_MAX: usize = 100;
/// How much of a statement is written twice: all parts but the last of rows in an order are, and such may stand in each other.
const REPEATED_BYTES_MAX: usize = 65_536;

/// Returns the comparisons of parts that an expression means; None where it compares no rows.
pub(super) fn compared_by_parts(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::BinaryOp { left, op, right } => comparison(left, op, right),
        Expr::IsDistinctFrom(left, right) => {
            let pairs = pairs(left, right)?.into_iter();
            let differ = pairs.map(|(left, right)| {
                Expr::IsDistinctFrom(Box::new(left.clone()), Box::new(right.clone()))
            });
            joined(differ, &BinaryOperator::Or)
        }
        Expr::IsNotDistinctFrom(left, right) => {
            let pairs = pairs(left, right)?.into_iter();
            let equal = pairs.map(|(left, right)| {
                Expr::IsNotDistinctFrom(Box::new(left.clone()), Box::new(right.clone()))
            });
            joined(equal, &BinaryOperator::And)
        }
        Expr::IsNull(row) => of_all_parts(row, Expr::IsNull, false),
        Expr::IsNotNull(row) => of_all_parts(row, Expr::IsNotNull, true),
        Expr::Between {
            expr,
            negated,
            low,
            high,
        } => {
            let from = comparison(expr, &BinaryOperator::GtEq, low)?;
            let to = comparison(expr, &BinaryOperator::LtEq, high)?;
            let between = joined([from, to], &BinaryOperator::And)?;
            Some(negated_if(*negated, between))
        }
        Expr::InList {
            expr,
            list,
            negated,
        } if list.len() <= ROWS_MAX => {
            let rows = list.iter();
            let equal = rows.map(|row| comparison(expr, &BinaryOperator::Eq, row));
            let equal: Option<Vec<Expr>> = equal.collect();
            let is_one = joined(equal?, &BinaryOperator::Or)?;
            Some(negated_if(*negated, is_one))
        }
        Expr::Case {
            case_token,
            end_token,
            operand: Some(row),
            conditions,
            else_result,
        } => {
            let branches = conditions.iter().map(|branch| {
                let condition = comparison(row, &BinaryOperator::Eq, &branch.condition)?;
                let result = branch.result.clone();
                Some(CaseWhen { condition, result })
            });
            let branches: Option<Vec<CaseWhen>> = branches.collect();
            Some(Expr::Case {
                case_token: case_token.clone(),
                end_token: end_token.clone(),
                operand: None,
                conditions: branches?,
                else_result: else_result.clone(),
            })
        }
        _ => None,
    }
}

/// Returns the condition that something is so of every part of a row; None for what is no row. A row within it is a value, which is
/// never NULL, whatever its own parts are: `of_rows` says whether it is so of such.
fn of_all_parts(row: &Expr, is_so: fn(Box<Expr>) -> Expr, of_rows: bool) -> Option<Expr> {
    let conditions = parts(row)?.into_iter().map(|part| match parts(part) {
        Some(_) => Expr::Value(Value::Boolean(of_rows).with_empty_span()),
        None => is_so(Box::new(part.clone())),
    });
    joined(conditions, &BinaryOperator::And)
}

/// Returns what comparing two rows by an operator means; None where these are no rows of one shape, or it is no comparison.
fn comparison(left: &Expr, op: &BinaryOperator, right: &Expr) -> Option<Expr> {
    use BinaryOperator::{And, Eq, Gt, GtEq, Lt, LtEq, NotEq, Or};
    let strict = match op {
        Eq | NotEq => None,
        Lt | LtEq => Some(Lt),
        Gt | GtEq => Some(Gt),
        _ => return None,
    };
    let pairs = pairs(left, right)?;
    let compared = |(left, right): (&Expr, &Expr), op: &BinaryOperator| {
        binary(left.clone(), op.clone(), right.clone())
    };
    let Some(strict) = strict else {
        let each = pairs.into_iter().map(|pair| compared(pair, op));
        let by = if *op == Eq { And } else { Or };
        return joined(each, &by);
    };
    let repeated = pairs
        .iter()
        .map(|(left, right)| text_bytes(left) + text_bytes(right));
    if repeated.sum::<usize>() > REPEATED_BYTES_MAX {
        return None;
    }
    // From the last part on, which decides where all before it are equal.
    let mut pairs = pairs.into_iter().rev();
    let last = pairs.next().map(|pair| compared(pair, op))?;
    Some(pairs.fold(last, |rest, pair| {
        let equal = binary(compared(pair, &Eq), And, rest);
        nested(binary(compared(pair, &strict), Or, equal))
    }))
}

/// Returns the parts of two rows beside each other, those of rows within them too; None where they are no rows of one shape.
fn pairs<'a>(left: &'a Expr, right: &'a Expr) -> Option<Vec<(&'a Expr, &'a Expr)>> {
    let (lefts, rights) = (parts(left)?, parts(right)?);
    if lefts.len() != rights.len() {
        return None;
    }
    let mut found = Vec::new();
    for (left, right) in lefts.into_iter().zip(rights) {
        match (parts(left), parts(right)) {
            (None, None) => found.push((left, right)),
            _ => found.extend(pairs(left, right)?),
        }
    }
    Some(found)
}

/// Returns the parts of a row, which has some; None for every other expression.
pub(super) fn parts(expr: &Expr) -> Option<Vec<&Expr>> {
    match expr {
        Expr::Tuple(parts) if !parts.is_empty() => Some(parts.iter().collect()),
        Expr::Nested(expr) => parts(expr),
        Expr::Function(function) => parts_of_call(function),
        _ => None,
    }
}

/// Returns the arguments of `row(a, b)`.
fn parts_of_call(function: &Function) -> Option<Vec<&Expr>> {
    let [name] = function.name.0.as_slice() else {
        return None;
    };
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let is_row = name.as_ident()?.value.eq_ignore_ascii_case("row");
    if !is_row || list.args.is_empty() {
        return None;
    }
    let parts = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(part)) => Some(part),
        _ => None,
    });
    parts.collect()
}

fn text_bytes(expr: &Expr) -> usize {
    expr.to_string().len()
}

/// Returns expressions with an operator between them; None where there are none.
fn joined(exprs: impl IntoIterator<Item = Expr>, op: &BinaryOperator) -> Option<Expr> {
    let joined = exprs
        .into_iter()
        .reduce(|before, next| binary(before, op.clone(), next));
    joined.map(nested)
}

fn negated_if(is_negated: bool, expr: Expr) -> Expr {
    match is_negated {
        true => nested(Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: Box::new(expr),
        }),
        false => expr,
    }
}

fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}
