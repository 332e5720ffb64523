//! `-row_number() OVER (…)`: the negative of a number that is never negative itself.
//!
//! DataFusion 55.2 has no negative of an unsigned number, and says so while it plans. A product with -1 is a signed number.

use std::ops::ControlFlow;

use datafusion::error::DataFusionError;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, UnaryOperator, Value, VisitMut, VisitorMut,
};

use super::binary;
use crate::parse::parsed_mut;

/// Returns true for what a statement is refused with because the negative of something is none.
pub(super) fn is_of_negative(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::Plan(message) => message.contains("Unary operator '-'"),
        _ => false,
    }
}

/// Makes products with -1 of what has a minus before it and is no constant; returns true where there were any. It is the second
/// choice: a product of decimal numbers has more digits.
pub(super) fn times_minus_one(statement: &mut Statement) -> bool {
    let mut products = Products(false);
    if let Some(parsed) = parsed_mut(statement) {
        // The visitor never breaks.
        let _ = parsed.visit(&mut products);
    }
    products.0
}

/// Whether there is a product.
struct Products(bool);

impl VisitorMut for Products {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr: number,
        } = expr
        else {
            return ControlFlow::Continue(());
        };
        if matches!(**number, Expr::Value(_) | Expr::Interval(_)) {
            return ControlFlow::Continue(());
        }
        let one = Value::Number("1".to_owned(), false).with_empty_span();
        let minus_one = Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr: Box::new(Expr::Value(one)),
        };
        let product = binary((**number).clone(), BinaryOperator::Multiply, minus_one);
        *expr = Expr::Nested(Box::new(product));
        self.0 = true;
        ControlFlow::Continue(())
    }
}
