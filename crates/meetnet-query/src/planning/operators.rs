//! Operators of PostgreSQL that are calls here, and patterns that are several.
//!
//! | written | planned |
//! |---|---|
//! | `text ^@ start` | `starts_with(text, start)` |
//! | <code>&#124;/ x</code>, <code>&#124;&#124;/ x</code>, `@ x` | `sqrt(x)`, `cbrt(x)`, `abs(x)` |
//! | `~ x` | `x # -1`: every bit another one |
//! | `x LIKE ANY (ARRAY[a, b])`, also ILIKE and NOT | `x LIKE a OR x LIKE b` |
//! | `x LIKE ALL (ARRAY[a, b])`, also ILIKE and NOT | `x LIKE a AND x LIKE b` |
//!
//! A list of patterns that is not written out stays, and is refused by the planner.

use datafusion::sql::sqlparser::ast::{
    Array, BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    UnaryOperator, Value,
};

use super::{binary, call};

/// Patterns that become comparisons.
const PATTERNS_MAX: usize = 100;
/// How much of a statement is written several times, in all: the text is, for each pattern, and such may stand in each other.
pub(super) const REPEATED_BYTES_MAX: usize = 65_536;

/// Returns what an operator means where it is a call, or stands for several; None for every other expression.
///
/// `repeated_bytes_left` says how much may still be written several times.
pub(super) fn without_operator(expr: &Expr, repeated_bytes_left: &mut usize) -> Option<Expr> {
    match expr {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::PGStartsWith,
            right,
        } => {
            let arguments = vec![left.as_ref().clone(), right.as_ref().clone()];
            Some(Expr::Function(call("starts_with", arguments)))
        }
        Expr::UnaryOp { op, expr } => {
            let function = match op {
                UnaryOperator::PGSquareRoot => "sqrt",
                UnaryOperator::PGCubeRoot => "cbrt",
                UnaryOperator::PGAbs => "abs",
                UnaryOperator::BitwiseNot => {
                    let all = Value::Number("-1".to_owned(), false).with_empty_span();
                    let bits = Expr::Nested(expr.clone());
                    let others = binary(bits, BinaryOperator::PGBitwiseXor, Expr::Value(all));
                    return Some(Expr::Nested(Box::new(others)));
                }
                _ => return None,
            };
            Some(Expr::Function(call(function, vec![expr.as_ref().clone()])))
        }
        Expr::Like {
            expr: text,
            pattern,
            any,
            ..
        }
        | Expr::ILike {
            expr: text,
            pattern,
            any,
            ..
        } => {
            let (patterns, by) = match any {
                true => (elements(pattern)?, BinaryOperator::Or),
                false => (all_of(pattern)?, BinaryOperator::And),
            };
            if patterns.len() > PATTERNS_MAX {
                return None;
            }
            let times = patterns.len().saturating_sub(1);
            let repeated = text.to_string().len().saturating_mul(times);
            *repeated_bytes_left = repeated_bytes_left.checked_sub(repeated)?;
            let each = patterns
                .iter()
                .filter_map(|pattern| with_pattern(expr, pattern));
            let joined = joined(each.collect(), &by);
            joined.map(|joined| Expr::Nested(Box::new(joined)))
        }
        _ => None,
    }
}

/// Returns conditions with an operator between them, no deeper than need be: planning takes the square of how deep they are.
fn joined(mut conditions: Vec<Expr>, op: &BinaryOperator) -> Option<Expr> {
    if conditions.len() > 1 {
        let behind = conditions.split_off(conditions.len() / 2);
        let (before, behind) = (joined(conditions, op)?, joined(behind, op)?);
        return Some(binary(before, op.clone(), behind));
    }
    conditions.pop()
}

/// Returns the comparison with one pattern. Nothing but that is copied beside the text: the others may be long.
fn with_pattern(expr: &Expr, one: &Expr) -> Option<Expr> {
    let pattern = Box::new(one.clone());
    match expr {
        Expr::Like {
            negated,
            expr,
            escape_char,
            ..
        } => Some(Expr::Like {
            negated: *negated,
            any: false,
            expr: expr.clone(),
            pattern,
            escape_char: escape_char.clone(),
        }),
        Expr::ILike {
            negated,
            expr,
            escape_char,
            ..
        } => Some(Expr::ILike {
            negated: *negated,
            any: false,
            expr: expr.clone(),
            pattern,
            escape_char: escape_char.clone(),
        }),
        _ => None,
    }
}

/// Returns the elements of an array that is written out.
fn elements(array: &Expr) -> Option<&[Expr]> {
    match array {
        Expr::Nested(array) => elements(array),
        Expr::Array(Array { elem, .. }) => Some(elem.as_slice()),
        _ => None,
    }
}

/// Returns the elements of the array behind ALL, which the parser takes for a function.
fn all_of(pattern: &Expr) -> Option<&[Expr]> {
    let Expr::Function(Function {
        name,
        args: FunctionArguments::List(list),
        ..
    }) = pattern
    else {
        return None;
    };
    let ([name], [FunctionArg::Unnamed(FunctionArgExpr::Expr(array))]) =
        (name.0.as_slice(), list.args.as_slice())
    else {
        return None;
    };
    let name = name.as_ident()?;
    (name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all"))
        .then(|| elements(array))
        .flatten()
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn operators_become_calls_and_comparisons() {
        let check = |written: &str, expect: Option<&str>| {
            let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(written);
            let expr = parser.and_then(|mut parser| parser.parse_expr());
            let mut left = REPEATED_BYTES_MAX;
            let planned = without_operator(&expr.expect(written), &mut left);
            let planned = planned.map(|expr| expr.to_string());
            assert_eq!(planned.as_deref(), expect, "{written}");
        };
        check("a ^@ 'b'", Some("starts_with(a, 'b')"));
        check("|/ a", Some("sqrt(a)"));
        check("||/ a", Some("cbrt(a)"));
        check("@ a", Some("abs(a)"));
        check("~ a", Some("((a) # -1)"));
        check(
            "a LIKE ANY (ARRAY['b', 'c'])",
            Some("(a LIKE 'b' OR a LIKE 'c')"),
        );
        check(
            "a NOT ILIKE ALL (ARRAY['b', 'c'])",
            Some("(a NOT ILIKE 'b' AND a NOT ILIKE 'c')"),
        );
        check(
            "a LIKE ANY (ARRAY['b', 'c', 'd'])",
            Some("(a LIKE 'b' OR a LIKE 'c' OR a LIKE 'd')"),
        );
        check("a NOT LIKE ANY (ARRAY['b'])", Some("(a NOT LIKE 'b')"));
        for other in ["- a", "NOT a", "a LIKE 'b'", "a LIKE ANY (b)", "a ~ 'b'"] {
            check(other, None);
        }
        let many = format!(
            "a LIKE ANY (ARRAY[{}])",
            vec!["'b'"; PATTERNS_MAX + 1].join(", ")
        );
        check(&many, None);
        let long = "a".repeat(REPEATED_BYTES_MAX / 2 + 1);
        check(&format!("{long} LIKE ANY (ARRAY['b', 'c', 'd'])"), None);
    }

    #[test]
    fn what_is_written_several_times_counts_in_all() {
        let parser =
            Parser::new(&PostgreSqlDialect {}).try_with_sql("abc LIKE ANY (ARRAY['b', 'c', 'd'])");
        let expr = parser.and_then(|mut parser| parser.parse_expr());
        let expr = expr.expect("an expression");
        let mut left = 7;
        assert!(without_operator(&expr, &mut left).is_some());
        assert_eq!(left, 1);
        assert!(without_operator(&expr, &mut left).is_none());
    }
}
