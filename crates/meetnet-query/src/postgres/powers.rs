//! Powers with a sign: a sign goes before a power, as in PostgreSQL.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};

/// Returns a power as PostgreSQL reads it, whose signs bind tighter and whose powers are taken from left to right. The parser
/// takes the sign of all of a chain of powers, which then stands right of the power before it. Brackets are an expression.
pub(super) fn signed_power(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::UnaryOp {
            op: op @ (UnaryOperator::Minus | UnaryOperator::Plus),
            expr: powers,
        } if is_power(powers) => Some(with_first(powers.as_ref().clone(), |first| Expr::UnaryOp {
            op: *op,
            expr: Box::new(first),
        })),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::PGExp,
            right: powers,
        } if is_power(powers) => Some(with_first(powers.as_ref().clone(), |first| {
            Expr::BinaryOp {
                left: left.clone(),
                op: BinaryOperator::PGExp,
                right: Box::new(first),
            }
        })),
        _ => None,
    }
}

fn is_power(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::BinaryOp {
            op: BinaryOperator::PGExp,
            ..
        }
    )
}

/// Puts something else in place of the first number of a chain of powers.
fn with_first(mut powers: Expr, other: impl FnOnce(Expr) -> Expr) -> Expr {
    let mut first = &mut powers;
    while let Expr::BinaryOp {
        left,
        op: BinaryOperator::PGExp,
        ..
    } = first
    {
        first = left.as_mut();
    }
    *first = other(first.clone());
    powers
}
