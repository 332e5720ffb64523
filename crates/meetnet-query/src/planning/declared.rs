//! Placeholders of a type that the client has named, where the planner would take another one for it.
//!
//! | written | planned, where `$1` is an interval, or a whole number |
//! |---|---|
//! | `time + $1`, `now() - $1`, `$1 * 2` | `time + CAST($1 AS INTERVAL)`, … |
//! | `substring(place FROM $1 FOR $2)`, `substr(place, $1)` | `substring(place FROM CAST($1 AS BIGINT) FOR …)`, … |
//!
//! DataFusion 55.2 takes what a time is added to for a time, and places in a text for numbers of 64 bits; drivers such as psycopg
//! send a small number as a `smallint`.

use std::ops::ControlFlow;

use arrow::datatypes::DataType;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, CastKind, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, VisitMut, VisitorMut,
};

use crate::parameters::{ParameterValue, Parameters};
use crate::parse::parsed_mut;
use crate::placeholders;

/// Casts such placeholders to what they are. The values are those that a statement runs with, or samples of their types.
pub(super) fn cast_declared(statement: &mut Statement, values: &Parameters) {
    let has_types = values
        .values()
        .any(|value| matches!(value, ParameterValue::Array(_)));
    if let Some(parsed) = parsed_mut(statement).filter(|_| has_types) {
        // The visitor never breaks.
        let _ = parsed.visit(&mut Declared(values));
    }
}

struct Declared<'a>(&'a Parameters);

impl VisitorMut for Declared<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::BinaryOp { left, op, right } if is_arithmetic(op) => {
                for side in [left, right] {
                    self.cast_span(side);
                }
            }
            Expr::Substring {
                substring_from,
                substring_for,
                ..
            } => {
                for place in [substring_from, substring_for].into_iter().flatten() {
                    self.cast_number(place);
                }
            }
            Expr::Function(function) if is_part_of_text(function) => {
                if let FunctionArguments::List(list) = &mut function.args {
                    for argument in list.args.iter_mut().skip(1) {
                        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(place)) = argument {
                            self.cast_number(place);
                        }
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Declared<'_> {
    fn cast_span(&self, expr: &mut Expr) {
        if let Some(DataType::Interval(_)) = self.type_of(expr) {
            let interval = ast::DataType::Interval {
                fields: None,
                precision: None,
            };
            *expr = cast(expr.clone(), interval);
        }
    }

    fn cast_number(&self, expr: &mut Expr) {
        if self
            .type_of(expr)
            .is_some_and(|of| of.is_integer() && *of != DataType::Int64)
        {
            *expr = cast(expr.clone(), ast::DataType::BigInt(None));
        }
    }

    /// Returns the type of a placeholder, where its client has named one.
    fn type_of(&self, expr: &Expr) -> Option<&DataType> {
        match self.0.get(placeholders::name_of(expr)?)? {
            ParameterValue::Array(value) => Some(value.data_type()),
            _ => None,
        }
    }
}

fn is_arithmetic(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
    )
}

fn is_part_of_text(function: &Function) -> bool {
    let name = function.name.0.last().and_then(|part| part.as_ident());
    name.is_some_and(|name| {
        ["substr", "substring"]
            .iter()
            .any(|known| name.value.eq_ignore_ascii_case(known))
    })
}

fn cast(expr: Expr, data_type: ast::DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type,
        array: false,
        format: None,
    }
}
