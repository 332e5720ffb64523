//! `lag` and `lead` with what to answer where there is no such row, computed of the row at which they stand.
//!
//! `lag(x, n, y) OVER w` -> `CASE WHEN lag(true, n) OVER w IS NULL THEN y ELSE lag(x, n) OVER w END`
//!
//! DataFusion 55.2 takes a constant there, and refuses everything else.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    CaseWhen, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Value, visit_expressions,
};

/// How much of a call may be written twice: such may stand in each other.
const REPEATED_BYTES_MAX: usize = 1_000;

/// Returns what such a call means; None where it stays what it is.
pub(super) fn shifted_or(function: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let [
        value,
        rows,
        FunctionArg::Unnamed(FunctionArgExpr::Expr(other)),
    ] = list.args.as_slice()
    else {
        return None;
    };
    // Where NULLs are passed over, `true` stands in other rows than what is asked for.
    let ignores_nulls = function.null_treatment.is_some() || !list.clauses.is_empty();
    let window = function.over.as_ref()?;
    if ignores_nulls || !has_columns(other) {
        return None;
    }
    if rows.to_string().len() + window.to_string().len() > REPEATED_BYTES_MAX {
        return None;
    }
    let call = |value: FunctionArg| {
        let list = FunctionArgumentList {
            args: vec![value, rows.clone()],
            ..list.clone()
        };
        Expr::Function(Function {
            args: FunctionArguments::List(list),
            ..function.clone()
        })
    };
    let present = Expr::Value(Value::Boolean(true).with_empty_span());
    let present = FunctionArg::Unnamed(FunctionArgExpr::Expr(present));
    Some(Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen {
            condition: Expr::IsNull(Box::new(call(present))),
            result: other.clone(),
        }],
        else_result: Some(Box::new(call(value.clone()))),
    })
}

fn has_columns(expr: &Expr) -> bool {
    let found = visit_expressions(expr, |part| match part {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

#[cfg(test)]
mod tests {
    use crate::options::{Dialect, QueryOptions};
    use crate::parse;
    use crate::planning::spelling::respell;

    /// Both calls that it becomes have the window, and what stands in it.
    #[test]
    fn calls_in_windows_of_each_other_are_not_written_without_end() {
        let mut call = "lag(x, 1, y) OVER (ORDER BY x)".to_owned();
        for _ in 0..14 {
            call = format!("lag(x, 1, y) OVER (ORDER BY {call})");
        }
        let sql = format!("SELECT {call} FROM t");
        let statement = parse::statement(&sql, Dialect::Generic, &QueryOptions::default());
        let mut statement = statement.expect(&sql);
        respell(&mut statement).expect(&sql);
        let written = statement.to_string();
        assert!(written.starts_with("SELECT lag(x, 1, y) OVER"), "{written}");
        assert!(written.contains("CASE WHEN lag(true, 1)"), "{written}");
        assert!(written.len() < 10_000, "{}", written.len());
    }
}
